#!/usr/bin/env bash
# One would guess that under tf.distribute.MirroredStrategy a Keras optimizer
# with global_clipnorm clips the gradient of the batch, so that two devices take
# the step of one: fit shares out the loss so that the sum over replicas is it.
# In fact each replica's own gradient is clipped, and then they are added up. It
# is that of a replica's share of the loss, so at two devices a step can be twice
# as long as the limit, and nothing is said. clipnorm and clipvalue do the same.
# In Keras 3.10 and 3.15.1. Until 3.4 the replicas' steps were averaged, so that
# the limit was one; 3.7 does not share out the loss, and doubles every step.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python - <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


def step(devices, option):
    """Return how far one step of SGD with rate 1 moves a weight."""
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        dense = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros"
        )
        model = keras.Sequential([keras.Input((1,)), dense])
        model.compile(keras.optimizers.SGD(1.0, **option), "mse")
    # The gradient of each of the examples is -8.
    x, y = np.ones((32, 1), "float32"), np.full((32, 1), 4, "float32")
    model.fit(x, y, batch_size=32, verbose=0)
    return float(model.get_weights()[0][0, 0])


print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}")
expected = {
    "no limit": ({}, 8, 8),
    "global_clipnorm=3": ({"global_clipnorm": 3.0}, 3, 6),
    "clipnorm=3": ({"clipnorm": 3.0}, 3, 6),
    "clipvalue=3": ({"clipvalue": 3.0}, 3, 6),
}
seen = {}
for name, (option, *_) in expected.items():
    one, two = step(["CPU:0"], option), step(["CPU:0", "CPU:1"], option)
    seen[name] = (option, round(one, 3), round(two, 3))
    print(f"  {name:18} one device moves {one:.2f}, two move {two:.2f}")
if seen != expected:
    sys.exit("The behavior is no longer as stated.")
PYTHON
