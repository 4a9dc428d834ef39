"""The builders run on JAX and on PyTorch too, where one is installed."""

import importlib.util

import keras
import numpy as np
import pytest
from helpers.commands import run_python

import zoo

# Keras chooses its backend when it is imported: hence the processes.
BUILD_AND_CALL_ALL = """
import sys
import numpy as np
import keras
import zoo

assert keras.backend.backend() == sys.argv[1]
# Later Keras imports it by itself, where it clones or saves a model.
assert "tensorflow" not in sys.modules, "zoo imports TensorFlow"
for name in zoo.list_models():
    model = zoo.create_model(name)
    zeros = np.zeros((2, *model.input_shape[1:]), model.input.dtype)
    outputs = keras.ops.convert_to_numpy(model(zeros))
    assert outputs.shape[0] == 2, name
    assert np.isfinite(outputs).all(), name
    print(name)
"""

LOAD_AND_PREDICT = """
import sys
import numpy as np
import keras
import zoo

backend, folder = sys.argv[1:]
assert keras.backend.backend() == backend
model = keras.saving.load_model(f"{folder}/model.keras", safe_mode=True)
outputs = model.predict(np.load(f"{folder}/images.npy"), verbose=0)
np.save(f"{folder}/{backend}.npy", outputs)
"""


@pytest.fixture(params=["jax", "torch"])
def backend(request):
    """A backend other than TensorFlow that is installed here."""
    name = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed (`pip install {name}`)")
    return name


def run_on(backend, code, *arguments):
    done = run_python(
        "-c",
        code,
        backend,
        *arguments,
        env={"KERAS_BACKEND": backend},
        timeout=600,  # JAX compiles every operation of every model
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.backends
def test_every_model_runs(backend):
    printed = run_on(backend, BUILD_AND_CALL_ALL)
    assert printed.split() == zoo.list_models()


@pytest.mark.backends
def test_keras_file_predicts_the_same_as_on_tensorflow(
    backend, images, tmp_path
):
    # LeNet-5 has all the custom layers that there are so far.
    keras.utils.set_random_seed(0)
    model = zoo.create_model("lenet5", classifier_activation=None)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    run_on(backend, LOAD_AND_PREDICT, tmp_path)
    np.testing.assert_allclose(
        np.load(tmp_path / f"{backend}.npy"),
        model.predict(images, verbose=0),
        rtol=1e-4,
    )
