#!/usr/bin/env bash
# One would guess that the second argument of
# TFLiteConverter.from_concrete_functions, the object whose variables the
# function uses, may be the Keras model that was traced: it says "trackable
# object", and warns if nothing is given.
# In fact the converter then writes a file without a single weight. To TensorFlow
# a Keras 3 model tracks its layers, and its weights are keras.Variable, which
# TensorFlow takes for no variables of the model. The conversion succeeds, the
# file loads, and what it answers has nothing to do with the model. Give it None,
# though that is deprecated, or a tf.Module that has the tf.Variable of each
# weight (variable.value) in a list: both keep the weights, as from_keras_model
# does.
# Seen in TensorFlow 2.20.0 and 2.21.0, with Keras 3.15.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python - <<'PYTHON' 2>log || { cat log; exit 1; }
import sys

import keras
import tensorflow as tf

model = keras.Sequential(
    [
        keras.Input((100,)),
        keras.layers.Dense(1000, activation="relu"),
        keras.layers.Dense(3),
    ]
)
spec = tf.TensorSpec((1, 100))
traced = tf.function(model, input_signature=[spec]).get_concrete_function()
module = tf.Module()
module.weights = [variable.value for variable in model.variables]
objects = {"None": None, "a tf.Module": module, "the Keras model": model}

print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
kernel = model.layers[0].kernel.numpy()
print(f"The first kernel has {kernel.nbytes:,} bytes; converted with")
seen = {}
for name, trackable in objects.items():
    convert = tf.lite.TFLiteConverter.from_concrete_functions
    content = convert([traced], trackable).convert()
    # Some row of the kernel, or of its transpose, as the file may have it.
    rows = (kernel[0].tobytes(), kernel[:, 0].tobytes())
    has_kernel = any(row in content for row in rows)
    seen[name] = len(content) > kernel.nbytes, has_kernel
    print(f"  {name:16} {len(content):7,} bytes, with the kernel: {has_kernel}")

expected = {
    "None": (True, True),
    "a tf.Module": (True, True),
    "the Keras model": (False, False),
}
if seen != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
