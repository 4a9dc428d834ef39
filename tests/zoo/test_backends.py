"""The builders run on JAX and on PyTorch too, where one is installed."""

import importlib.util
import json

import keras
import numpy as np
import pytest
from helpers.builders import build, count
from helpers.commands import run_python

import zoo
from zoo._surgery import layers_by_path

# Keras chooses its backend when it is imported: hence the processes.
RUN_ALL = """
import json
import sys
import numpy as np
import keras
import zoo

assert keras.backend.backend() == sys.argv[1]
# Later Keras imports it by itself, where it clones or saves a model.
assert "tensorflow" not in sys.modules, "zoo imports TensorFlow"


def counts_as_torch_sees_them(model):
    parameters = {id(parameter) for parameter in model.parameters()}
    assert parameters == {id(variable.value) for variable in model.variables}
    return [parameter.numel() for parameter in model.parameters()]


def counts_as_jax_sees_them(model):
    return [variable.value.size for variable in model.variables]


def copy_as_torch_does(model, other, x):
    matched = other.load_state_dict(model.state_dict())
    assert not matched.missing_keys and not matched.unexpected_keys
    return other(x)


def copy_as_jax_does(model, other, x):
    values = [
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
        )
    ]
    return other.stateless_call(*values, x)[0]


def build(name, seed):
    # Keras numbers the states of random layers anew, as in a fresh process.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return zoo.create_model(name)


def answers(outputs):
    arrays = map(keras.ops.convert_to_numpy, keras.tree.flatten(outputs))
    return np.concatenate([*arrays], axis=-1)


counts = globals()[f"counts_as_{sys.argv[1]}_sees_them"]
copy = globals()[f"copy_as_{sys.argv[1]}_does"]
random = np.random.default_rng(0)
for name in zoo.list_models():
    model, other = build(name, 0), build(name, 1)
    high = {"tokens": 32, "sites": 5}.get(zoo.model_info(name).inputs, 255)
    x = keras.tree.map_structure(
        lambda x: random.uniform(0, high, (2, *x.shape[1:])).astype(x.dtype),
        model.input,
    )
    outputs = answers(model(x))
    assert outputs.shape[0] == 2, name
    assert np.isfinite(outputs).all(), name
    copied = answers(copy(model, other, x))
    np.testing.assert_allclose(copied, outputs, rtol=1e-5, atol=1e-6)
    print(json.dumps([name, sum(counts(model))]))
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
def test_every_model_runs_and_its_backend_sees_all_of_its_variables(backend):
    """What a loop of PyTorch's own or of JAX trains, saves and copies."""
    lines = run_on(backend, RUN_ALL).splitlines()
    assert dict(map(json.loads, lines)) == {
        name: count(build(name).variables) for name in zoo.list_models()
    }


@pytest.mark.parametrize("name", zoo.list_models())
def test_no_two_layers_of_a_model_have_one_name(name):
    """Nor two variables: PyTorch would see one of them.

    Keras calls a variable there by its path, in which no sub-model is.
    """
    model = build(name)
    paths = [variable.path for variable in model.variables]
    assert sorted(paths) == sorted({*paths})
    names = [path.rpartition("/")[2] for path in layers_by_path(model)]
    assert sorted(names) == sorted({*names})


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
