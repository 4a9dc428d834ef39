#!/usr/bin/env bash
# One would guess that under tf.distribute.MirroredStrategy each replica drops
# out other units and adds other noise, as in Keras 2: the replicas see different
# examples of one batch, and one device has a mask for each example.
# In fact all replicas draw the same numbers. The first example of every
# replica's share gets one dropout mask and one noise, so do the second ones, and
# a batch on n replicas has n times fewer masks than on one device. The state of
# a keras.random.SeedGenerator is a variable that is mirrored, and nothing of the
# replica goes into the draw. So it is for Dropout, GaussianNoise and for
# keras.random in a layer of one's own, a VAE's sampling, say. Nothing is said,
# and all losses look right.
# Since Keras 3.0 on TensorFlow (3.0.0 already draws the same); tf_keras, which
# is Keras 2, keeps a random state for each replica.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1 tf_keras==2.21.0
cd "$work"
cat > replicas.py <<'PYTHON'
import importlib
import sys

import numpy as np
import tensorflow as tf

keras = importlib.import_module(sys.argv[1])
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], devices
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


class Recorder(keras.layers.Layer):
    """Keeps what goes through it, for each replica."""

    def build(self, shape):
        self.seen = tf.Variable(
            tf.zeros((16, 100)),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def call(self, inputs, training=None):
        if training:
            self.seen.assign(inputs)
        return inputs


ones = np.ones((32, 100), "float32")
print(f"{sys.argv[1]} {keras.__version__}, TensorFlow {tf.__version__}")
same = sys.argv[1] == "keras"
for name in ("Dropout", "GaussianNoise"):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        recorder = Recorder()
        random = getattr(keras.layers, name)(0.5)
        model = keras.Sequential(
            [keras.Input((100,)), random, recorder, keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
    model.fit(ones, ones[:, :1], batch_size=32, epochs=2, verbose=0)
    copies = strategy.experimental_local_results(recorder.seen)
    one, other = (copy.numpy() for copy in copies)
    rows = len(np.unique(np.concatenate([one, other]), axis=0))
    print(f"  {name:13} of 32 equal examples on 2 replicas: {rows} are different")
    if rows != (16 if same else 32):
        sys.exit("The behavior is no longer as stated.")
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python replicas.py keras
venv/bin/python replicas.py tf_keras
