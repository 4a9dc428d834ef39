#!/usr/bin/env bash
# One would guess that the same weights, exported twice by the same code, give
# the same files, or at least the same names for the same weights.
# In fact model.export() stores the variables of its endpoints as a list,
# _all_variables, in the order in which TensorFlow's traced function names them.
# That comes from a set that is ordered by memory address, so it is another one
# in each process, whatever the seeds and PYTHONHASHSEED are:
# _all_variables/0 is now this weight, now that one, and saved_model.pb and both
# files of variables/ have other bytes and checksums each time.
# tf.saved_model.save(model) of the same model gives the same ones.
# Since Keras 3.0.0, whose export has it too (all on TensorFlow 2.21.0). That
# the weights are stored twice, as variables/ and as _all_variables/, is known
# (Keras issue 23553); that the second copy is shuffled is not said there.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 PYTHONHASHSEED=0
cat > write.py <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(0)
tf.config.experimental.enable_op_determinism()
dense = [keras.layers.Dense(4) for _ in range(4)]
model = keras.Sequential([keras.Input((4,)), *dense])
weights = [np.full_like(weight, i) for i, weight in enumerate(model.get_weights())]
model.set_weights(weights)  # the first one is all 0, the next one all 1, ...
model.export(f"{sys.argv[1]}/export", verbose=False)
tf.saved_model.save(model, f"{sys.argv[1]}/save")
PYTHON
for process in 1 2 3; do
  venv/bin/python write.py "$process"
done
venv/bin/python - <<'PYTHON'
import pathlib
import sys

import keras
import tensorflow as tf

print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
print("A model of eight weights, 0 to 7, exported by three processes:")
orders = set()
for process in "123":
    stored = tf.train.load_checkpoint(f"{process}/export/variables/variables")
    order = []
    for number in range(8):
        key = f"_all_variables/{number}/.ATTRIBUTES/VARIABLE_VALUE"
        order.append(int(stored.get_tensor(key).flat[0]))
    assert sorted(order) == list(range(8)), order
    orders.add(tuple(order))
    print(f"process {process}: _all_variables/0 to 7 are the weights", *order)


def versions(way, path):
    contents = {pathlib.Path(p, way, path).read_bytes() for p in "123"}
    print(f"{way:6} {len(contents)} different {path}")
    return len(contents)


print("model.export and tf.saved_model.save wrote")
files = ("saved_model.pb", "variables/variables.data-00000-of-00001")
of_export = [versions("export", path) for path in files]
of_save = [versions("save", path) for path in files]
if len(orders) == 1 or 1 in of_export or of_save != [1, 1]:
    sys.exit("The behavior is no longer as stated.")
PYTHON
