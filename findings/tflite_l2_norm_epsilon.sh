#!/usr/bin/env bash
# One would guess that a conversion to LiteRT (TensorFlow Lite) keeps the
# epsilon with which vectors are brought to length 1, or refuses it: with
# l2_normalize(x, epsilon=1e-4) a vector shorter than 0.01 stays short.
# In fact the converter takes any epsilon below 0.001 for none, and writes
# L2_NORMALIZATION, which has no such number: short vectors come out as long as
# all others, and of what is nearly nothing only the direction of its rounding
# errors is left. x / sqrt(sum(x²) + epsilon) is fused likewise, which nobody
# has called a normalization. An epsilon of 0.001 and more is kept, and so is
# one outside the root. Conversion and loading say nothing.
# Seen in TensorFlow 2.21.0.
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

rows = np.array([[3, 4], [3e-4, 4e-4]], "float32")


def squares(x):
    return tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)


ways = {
    "l2_normalize": lambda x, e: tf.math.l2_normalize(x, -1, epsilon=e),
    "x / sqrt(sum + e)": lambda x, e: x / tf.sqrt(squares(x) + e),
    "x / (sqrt(sum) + e)": lambda x, e: x / (tf.sqrt(squares(x)) + e),
}
print(f"TensorFlow {tf.__version__}, ai-edge-litert {version('ai-edge-litert')}")
print(f"what a vector of length {np.linalg.norm(rows[1]):.4f} becomes, its length")
print(f"{'way':21}{'epsilon':9}{'TensorFlow':12}LiteRT  operations")
seen = set()
for way, normalize in ways.items():
    for epsilon in (1e-4, 9e-4, 1e-3, 1e-2):
        module = tf.Module()
        module.serve = tf.function(
            lambda x: normalize(x, epsilon),
            input_signature=[tf.TensorSpec((None, 2), name="x")],
        )
        tf.saved_model.save(module, "saved", signatures=module.serve)
        convert = tf.lite.TFLiteConverter.from_saved_model
        reader = interpreter.Interpreter(
            model_content=convert("saved").convert()
        )
        operations = {step["op_name"] for step in reader._get_ops_details()}
        [answer] = reader.get_signature_runner()(x=rows).values()
        expected, found = (
            np.linalg.norm(each[1])
            for each in (module.serve(rows).numpy(), answer)
        )
        fused = "L2_NORMALIZATION" in operations
        what = "L2_NORMALIZATION" if fused else "step by step"
        print(f"{way:21}{epsilon:<9g}{expected:<12.4f}{found:<8.4f}{what}")
        if found > 2 * expected:
            seen.add((way, epsilon))

if seen != {
    (way, epsilon)
    for way in ("l2_normalize", "x / sqrt(sum + e)")
    for epsilon in (1e-4, 9e-4)
}:
    sys.exit(f"The behavior is no longer as stated: {seen}")
PYTHON
