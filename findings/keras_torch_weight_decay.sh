#!/usr/bin/env bash
# One would guess that SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0005),
# the line of every residual network's recipe, means the same in PyTorch and in
# Keras: same name, same three numbers.
# In fact Keras decays ten times less. PyTorch adds the decay to the gradient, so
# it goes through the momentum and is multiplied by 1 / (1 - 0.9); Keras takes it
# off the weights before the step, as AdamW does. A recipe that is brought over
# number by number trains with a tenth of its regularization, and learns well
# enough that nobody asks. Keras matches PyTorch with
# weight_decay=0.0005 / (1 - 0.9).
# Seen with Keras 3.0.0 and 3.15.1, and PyTorch 2.13 and 2.14.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq keras==3.15.1 torch==2.13.0
cd "$work"
KERAS_BACKEND=torch CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import math
import sys

import keras
import numpy as np
import torch

STEPS, RATE, MOMENTUM, DECAY = 1000, 0.1, 0.9, 0.0005


def of_torch():
    weight = torch.nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD(
        [weight], RATE, momentum=MOMENTUM, weight_decay=DECAY
    )
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0 * weight).backward()
        optimizer.step()
    return weight.item()


def of_keras(decay):
    weight = keras.Variable(1.0)
    optimizer = keras.optimizers.SGD(
        RATE, momentum=MOMENTUM, weight_decay=decay
    )
    optimizer.build([weight])
    for _ in range(STEPS):
        optimizer.apply([keras.ops.zeros(())], [weight])
    return float(keras.ops.convert_to_numpy(weight.value))


print(f"Keras {keras.__version__}, PyTorch {torch.__version__}")
print(f"A weight of 1 after {STEPS} steps without a gradient:")
found = {
    "PyTorch": of_torch(),
    "Keras": of_keras(DECAY),
    "Keras, 10 times the decay": of_keras(DECAY / (1 - MOMENTUM)),
}
for name, weight in found.items():
    print(f"  {name:26} {weight:.4f}, its logarithm {math.log(weight):.4f}")
torch_log, keras_log, ten_times_log = map(math.log, found.values())
as_stated = (
    np.isclose(torch_log / keras_log, 10, rtol=0.02)
    and np.isclose(torch_log, ten_times_log, rtol=0.02)
)
if not as_stated:
    sys.exit("The behavior is no longer as stated.")
PYTHON
