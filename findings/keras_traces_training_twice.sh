#!/usr/bin/env bash
# One would guess that Keras' fit traces train_step once, into one graph, and
# that everything the graph needs is there once compile() and build() are over:
# the model is functional and built, and so is its optimizer.
# In fact a model compiled with metrics="accuracy" traces it twice. Keras does not
# know before it sees targets which accuracy is meant, and so makes that metric's
# variables within the first trace. A tf.function that has made variables is
# traced anew, and the first graph is thrown away: for a small convolutional
# network half a second before the first step, for large ones in proportion.
# Without metrics, or with a metric object that has made its variables already,
# there is one trace. So there is if the compiled metrics are built by hand from
# symbolic targets (a private attribute). The results are the same.
# Keras 3.15.1 with TensorFlow 2.21.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq keras==3.15.1 tensorflow-cpu==2.21.0
cd "$work"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

images = np.random.default_rng(0).random((8, 4), "float32")
labels = np.eye(3, dtype="float32")[np.arange(8) % 3]


def traces(metrics, build_metrics=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(3, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "categorical_crossentropy", metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    if build_metrics:
        targets = keras.KerasTensor((None, 3))
        model._compile_metrics.build(targets, model.output)
    step, calls = model.train_step, []

    def counted(data):
        calls.append(data)
        return step(data)

    model.train_step = counted
    history = model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
    return len(calls), history.history["loss"]


print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}")
cases = {
    "no metrics": traces(None),
    "metrics=['accuracy']": traces(["accuracy"]),
    "metrics=[CategoricalAccuracy()]": traces(
        [keras.metrics.CategoricalAccuracy()]
    ),
    "metrics=['accuracy'], built by hand": traces(["accuracy"], True),
}
for case, (count, _) in cases.items():
    print(f"  {case}: train_step is traced {count} time(s)")
counts = [count for count, _ in cases.values()]
same = all(loss == cases["no metrics"][1] for _, loss in cases.values())
print(f"  losses are the same: {same}")
if counts != [1, 2, 1, 1] or not same:
    sys.exit("The behavior is no longer as stated: 1, 2, 1 and 1 traces")
PYTHON
