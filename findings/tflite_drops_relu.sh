#!/usr/bin/env bash
# One would guess that a conversion to LiteRT (TensorFlow Lite) keeps the ReLU
# after a matrix product, or refuses it.
# In fact the ReLU is gone if both matrices are inputs, or otherwise computed,
# and have no batch dimension: the file answers with negative numbers. The
# converter fuses the activation into a FULLY_CONNECTED first, and then turns
# that, whose weights are no constant, into a BATCH_MATMUL, which has no place
# for an activation. So it is with relu6, too. tanh, which is not fused, stays;
# so does the ReLU with a batch dimension, even one of size 1, with a constant
# matrix, or after a bias was added. Conversion and loading say nothing, and
# both TensorFlow's interpreter and ai-edge-litert show it: it is in the file.
# In TensorFlow 2.19.1, 2.20.0 and 2.21.0; 2.17.1 keeps it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq \
    tensorflow==2.21.0 keras==3.15.1 ai-edge-litert==2.3.0
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
venv/bin/python - <<'PYTHON' 2>log || { cat log; exit 1; }
import sys
from importlib.metadata import version

import numpy as np
import tensorflow as tf
from ai_edge_litert import interpreter

random = np.random.default_rng(0)
left = random.normal(size=(2, 3)).astype("float32")
right = random.normal(size=(3, 2)).astype("float32")


def ask(content, one, other):
    reader = interpreter.Interpreter(model_content=content)
    runner = reader.get_signature_runner()
    [answer] = runner(left=one, right=other).values()
    return answer


activations = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "tanh": tf.tanh,
    "relu after a bias": lambda x: tf.nn.relu(x + 0.0625),
}
print(f"TensorFlow {tf.__version__}, ai-edge-litert {version('ai-edge-litert')}")
print(f"{'':18}{'':11}smallest number in")
print(f"{'activation':18}{'batch':11}{'TensorFlow':12}LiteRT")
seen = {}
for name, activation in activations.items():
    for batch in ((), (1,)):
        one = left.reshape(*batch, 2, 3)
        other = right.reshape(*batch, 3, 2)
        module = tf.Module()
        module.serve = tf.function(
            lambda left, right: activation(tf.matmul(left, right)),
            input_signature=[
                tf.TensorSpec(one.shape, name="left"),
                tf.TensorSpec(other.shape, name="right"),
            ],
        )
        tf.saved_model.save(module, "saved", signatures=module.serve)
        convert = tf.lite.TFLiteConverter.from_saved_model
        answer = ask(convert("saved").convert(), one, other)
        expected = module.serve(one, other).numpy()
        seen[name, batch] = np.allclose(answer, expected, atol=1e-6)
        shown = f"{expected.min():<12.3f}{answer.min():.3f}"
        print(f"{name:18}{str(batch or 'none'):11}{shown}")

wrong = {case for case, equal in seen.items() if not equal}
if wrong != {("relu", ()), ("relu6", ())}:
    sys.exit(f"The behavior is no longer as stated: {wrong}")
PYTHON
