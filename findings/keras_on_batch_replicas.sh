#!/usr/bin/env bash
# One would guess that under tf.distribute.MirroredStrategy the methods for one
# batch share it out among the replicas, as fit, evaluate and predict do, and as
# they themselves did in Keras 2.
# In fact train_on_batch, test_on_batch and predict_on_batch give each replica
# the whole batch. With two replicas, predict_on_batch has 64 answers to 32
# examples, each twice; metrics count every example twice; and training costs
# twice the work for the same step, so a second device makes nothing faster.
# Nothing is said, and what train_on_batch and test_on_batch return looks right.
# Since Keras 3.0 on TensorFlow (3.0.0 already gives each replica all of it);
# tf_keras, which is Keras 2, still shares it out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1 tf_keras==2.21.0
cd "$work"
cat > replicas.py <<'PYTHON'
import importlib
import pathlib
import sys

import numpy as np
import tensorflow as tf

keras = importlib.import_module(sys.argv[1])
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], devices
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
log = pathlib.Path(f"{sys.argv[1]}.log")


class Spy(keras.layers.Layer):
    def call(self, inputs):
        tf.print(tf.shape(inputs)[0], output_stream=f"file://{log.resolve()}")
        return inputs


with strategy.scope():
    positives = keras.metrics.TruePositives()
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), Spy(), dense])
    model.compile("sgd", "mse", metrics=[positives])

ones = np.ones((32, 1), "float32")
calls = {
    "fit": lambda: model.fit(ones, ones, batch_size=32, verbose=0),
    "train_on_batch": lambda: model.train_on_batch(ones, ones),
    "test_on_batch": lambda: model.test_on_batch(ones, ones),
    "predict": lambda: model.predict(ones, batch_size=32, verbose=0),
    "predict_on_batch": lambda: model.predict_on_batch(ones),
}
print(f"{sys.argv[1]} {keras.__version__}, TensorFlow {tf.__version__}")
seen = {}
for name, call in calls.items():
    log.write_text("")
    answer = call()
    if name.startswith("predict"):
        counted, what = len(answer), "answers"
    else:
        counted, what = int(positives.result()), "true positives"
    per_replica = [int(line) for line in log.read_text().split()]
    seen[name] = [*per_replica, counted]
    print(f"  {name:17} of 32: replicas get {per_replica}, {counted} {what}")

whole = [32, 32, 64] if sys.argv[1] == "keras" else [16, 16, 32]
expected = {name: whole if "_on_" in name else [16, 16, 32] for name in calls}
if seen != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python replicas.py keras
venv/bin/python replicas.py tf_keras
