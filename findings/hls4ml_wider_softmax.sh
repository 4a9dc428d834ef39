#!/usr/bin/env bash
# One would guess that a fixed-point number of more bits makes the answers of a
# network better, or leaves them as they are.
# In fact it makes a softmax of hls4ml constant: every class gets 0.1, whatever
# goes in. config_from_keras_model(granularity="name") finds the precision of
# each layer, and gives the dense layer before the softmax, whose sums might grow
# large, fixed<39,19>. But the softmax looks its exponentials up in a table of
# 1,024 entries which it spreads over all that its input's type could hold, here
# from -262,144 to 262,144, so one entry stands for 512 numbers and all logits
# share it. Ordinary networks with a softmax so fall to the accuracy of a guess
# while nothing is said; granularity="model", the same bits everywhere, is right,
# and so is "name" once that one layer is given fixed<16,6> by hand.
# Seen in hls4ml 1.3.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq \
    hls4ml==1.3.0 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 scikit-learn==1.9.1
cd "$work"
KERAS_BACKEND=jax venv/bin/python - <<'PYTHON' 2>log || { cat log; exit 1; }
import contextlib
import io
import sys

import hls4ml
import keras
import numpy as np
from sklearn import datasets

digits = datasets.load_digits()
x, y = (digits.data / 16).astype("float32"), digits.target
keras.utils.set_random_seed(0)
inputs = keras.Input((64,))
outputs = keras.layers.Dense(10, activation="softmax", name="logits")(inputs)
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
model.fit(x[:1500], y[:1500], epochs=20, verbose=0)
x, y = np.ascontiguousarray(x[1500:]), y[1500:]

print(f"hls4ml {hls4ml.__version__}, Keras {keras.__version__}")
right = np.mean(model.predict(x, verbose=0).argmax(1) == y)
print(f"Keras, float32: {right:.3f} are right")
seen = {}
for granularity, by_hand in (("model", None), ("name", None), ("name", "fixed<16,6>")):
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_keras_model(model, granularity)
        if by_hand:
            config["LayerName"]["logits"]["Precision"]["result"] = by_hand
        converted = hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, output_dir="project", backend="Vitis"
        )
        converted.compile()
        answers = converted.predict(x)
    layer = {layer.name: layer for layer in converted.get_layers()}["logits"]
    precision = str(layer.get_output_variable().type.precision)
    precision = ",".join(precision.split(",")[:2]) + ">"
    right = np.mean(answers.argmax(1) == y)
    first = " ".join(f"{value:.2f}" for value in answers[0])
    seen[granularity, by_hand] = precision, bool(right > 0.8), np.ptp(answers) == 0
    how = f'granularity="{granularity}"' + (", by hand" if by_hand else "")
    print(f"{how}: logits are {precision}, {right:.3f} are right; first: {first}")

expected = {
    ("model", None): ("fixed<16,6>", True, False),
    ("name", None): ("fixed<39,19>", False, True),
    ("name", "fixed<16,6>"): ("fixed<16,6>", True, False),
}
if seen != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
