#!/usr/bin/env bash
# One would guess that a layer may keep a state and move it in its call, with an
# aggregation for the replicas of tf.distribute.MirroredStrategy, and that what
# it gives to add_loss has nothing to do with that.
# In fact the loss is counted again on another replica. To aggregate, the first
# replica waits within the call, and the others begin theirs meanwhile; calls
# begin with the list of losses emptied. Then each appends its own, to one list,
# for Keras keeps the losses of a layer in the layer and not for each replica. So
# the second of two replicas finds two. The loss that fit shows is 1.5 times
# that of one device. The weights learn as they should, for a loss of
# another replica's copies has no gradient here: only the number is wrong, and
# whatever goes by it, such as early stopping. If the state is moved after
# add_loss instead, the second replica empties the list of what the first has
# given, which then finds the loss of the other: it has no gradient, and Keras
# raises an error if there is no other loss; if there is one, this is silent.
# A variable that is read-synchronized moves without waiting, and all is well.
# Seen in Keras 3.15.1 with TensorFlow 2.21.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1
cd "$work"
cat > losses.py <<'PYTHON'
import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], devices
)


class Layer(keras.layers.Layer):
    """Adds a loss, and counts its calls before or after it."""

    def __init__(self, order, synchronization):
        super().__init__()
        self.order, self.synchronization = order, synchronization

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.calls = keras.Variable(
            0.0,
            trainable=False,
            synchronization=self.synchronization,
            aggregation="mean",
        )

    def count(self):
        self.calls.assign(self.calls + 1)

    def call(self, inputs, training=False):
        if self.order == "before":
            self.count()
        self.add_loss(keras.ops.mean(self.scale * inputs))
        if self.order == "after":
            self.count()
        return inputs


def fit(order, synchronization, strategy):
    with strategy.scope() if strategy else contextlib.nullcontext():
        layer = Layer(order, synchronization)
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(keras.optimizers.SGD(0.1))
    ones = np.ones((8, 3), "float32")
    try:
        history = model.fit(ones, batch_size=8, epochs=1, verbose=0).history
    except ValueError as error:
        return str(error)
    return f"loss {history['loss'][0]:.2f}, weight {layer.scale.numpy():.2f}"


print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}")
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
right = "loss 1.00, weight 0.90"
expected = {
    ("before", "auto"): "loss 1.50, weight 0.90",
    ("after", "auto"): "No gradients provided for any variable.",
    ("before", "on_read"): right,
    ("after", "on_read"): right,
}
for (order, synchronization), stated in expected.items():
    for where, seen, known in (
        ("one device", fit(order, synchronization, None), right),
        ("2 replicas", fit(order, synchronization, strategy), stated),
    ):
        print(
            f"  assigned {order:6} add_loss, {synchronization:7}, {where}: {seen}"
        )
        if seen != known:
            sys.exit("The behavior is no longer as stated.")
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python losses.py
