#!/usr/bin/env bash
# One would guess that on its PyTorch backend a Keras model is a torch.nn.Module
# with all of its parameters, whatever its layers are called: "dense" in the
# sub-model "encoder" and "dense" in the sub-model "decoder" are two layers.
# In fact PyTorch sees one of the two. Keras enters a model's variables into one
# ParameterDict by their paths, and the path of a variable, "dense/kernel", says
# the layer and leaves out the sub-model. So parameters() misses numbers, an
# optimizer of PyTorch's never moves them, and a file of state_dict() does not
# have them: load_state_dict() says that all keys matched and leaves the other
# layer as it was at random. Keras' own fit, save and count_params have them all.
# Two layers of one name in one model are an error; in two sub-models nothing is
# said.
# Since Keras 3.4, in which the keys became paths; in 3.15.1, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq keras==3.15.1 torch==2.13.0
cd "$work"
KERAS_BACKEND=torch CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import sys

import keras
import numpy as np
import torch


def part(name, inputs, units, layer):
    x = keras.Input((inputs,))
    return keras.Model(x, keras.layers.Dense(units, name=layer)(x), name=name)


def build(seed, decoder):
    keras.utils.set_random_seed(seed)
    x = keras.Input((8,))
    code = part("encoder", 8, 4, "dense")(x)
    return keras.Model(x, part("decoder", 4, 8, decoder)(code))


def numbers(model):
    return [weight.copy() for weight in model.get_weights()]


print(f"Keras {keras.__version__}, PyTorch {torch.__version__}")
x = torch.ones((16, 8))
seen = {}
for decoder in ("dense", "other"):
    model, copy = build(0, decoder), build(1, decoder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    before = numbers(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.mean((model(x) - x) ** 2).backward()
    optimizer.step()
    after = numbers(model)
    moved = sum(np.any(old != new) for old, new in zip(before, after))
    said = str(copy.load_state_dict(model.state_dict()))
    equal = np.allclose(copy(x).detach(), model(x).detach())
    seen[decoder] = (model.count_params(), parameters, int(moved), said, equal)
    print(f'encoder/dense and decoder/{decoder}:')
    print(f"  count_params() {model.count_params()}, parameters() {parameters}")
    print(f"  keys of state_dict(): {', '.join(model.state_dict())}")
    print(f"  {moved} of 4 arrays moved by a step of torch.optim.SGD")
    print(f"  load_state_dict: {said} the copy gives the same: {equal}")

matched = "<All keys matched successfully>"
expected = {
    "dense": (76, 40, 2, matched, False),
    "other": (76, 76, 4, matched, True),
}
if seen != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
