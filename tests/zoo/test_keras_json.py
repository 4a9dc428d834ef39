"""What a user's keras.json says: models are as ever, or it is refused."""

import json

import keras
import numpy as np
import pytest
from helpers.builders import outputs
from helpers.commands import ROOT, run_python
from helpers.marks import only_thorough

import zoo
from recipes.lab.errors import UsageError
from recipes.lab.training import devices
from recipes.mnist_cnn import Config

# Prints a sum of what every builder and some exports answer.
EVERY_MODEL = """
import sys

import keras
import numpy as np

import zoo
from zoo import transfer

images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), "uint8")
keras.utils.set_random_seed(0)
names = zoo.list_models(inputs="images")
models = {name: zoo.create_model(name) for name in names}
for name in ("mnist_cnn", "mnist_lenet5", "mnist_gru", "mnist_autoencoder"):
    models[name] = zoo.load_model(f"{name}@shipped", verbose=False)
models["new head"] = zoo.replace_head(models["cnn"], 3)
models["encoded"] = zoo.create_model(
    "transfer_classifier", backbone="convolutional_autoencoder", image_size=16
)
models["application"] = zoo.create_model(
    "transfer_classifier", backbone="MobileNetV3Small", image_size=32
)
def first(answers):
    # of several heads
    return keras.tree.flatten(answers)[0]

for name, model in models.items():
    answers = first(model.predict(images, verbose=0))
    print(name, model.input.dtype, answers.sum(axis=0))
    model.save(f"{sys.argv[1]}/{name}.keras")
    loaded = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras")
    print(first(loaded(images))[0])
layer = transfer.ApplicationPreprocessing("VGG16")
print(np.array(layer(np.repeat(images, 3, axis=-1))).sum(axis=(0, 1, 2)))
print(keras.config.image_data_format(), file=sys.stderr)
"""


def run_with(tmp_path, code, *arguments, **settings):
    """Run code in a process whose user has such a keras.json."""
    home = tmp_path / "-".join([*map(str, settings.values()), "home"])
    home.mkdir(exist_ok=True)
    (home / "keras.json").write_text(json.dumps(settings))
    return run_python("-c", code, *arguments, env={"KERAS_HOME": str(home)})


@pytest.fixture(autouse=True)
def settings():
    """Leave other tests the settings that they expect."""
    yield
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "name",
    only_thorough(
        zoo.list_models(inputs="images"),
        ("lenet5", "cnn", "transfer_classifier", "convolutional_autoencoder"),
    ),
)
def test_builders_have_channels_last(name, images):
    def build():
        keras.utils.set_random_seed(0)
        return zoo.model_info(name).builder()

    expected = outputs(build(), images)
    keras.config.set_image_data_format("channels_first")
    np.testing.assert_array_equal(outputs(build(), images), expected)
    assert keras.config.image_data_format() == "channels_first"


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_weights_of_half_precision_are_refused(half):
    keras.config.set_dtype_policy(half)
    with pytest.raises(ValueError, match=f"set to {half} weights.*keras.json"):
        zoo.create_model("mlp")
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx(half)
    with pytest.raises(ValueError, match=f"set to {half} weights"):
        zoo.mlp()


@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16"])
def test_other_precisions_are_built(policy, images):
    keras.config.set_dtype_policy(policy)
    model = zoo.create_model("cnn")
    assert model.get_layer("conv1").dtype_policy.name == policy
    assert np.isfinite(outputs(model, images).astype("float64")).all()


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_lenet5", "mnist_gru"])
def test_exports_load_as_they_were_saved(name, images):
    folder = ROOT / "saved_models" / name / "1"
    expected = outputs(zoo.load_model(folder, verbose=False), images)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float16")
    found = outputs(zoo.load_model(folder, verbose=False), images)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("image_data_format", "channels_first"),
        ("floatx", "float16"),
        ("floatx", "float64"),
        ("epsilon", 1e-3),
    ],
)
def test_recipes_train_with_the_defaults_of_keras_alone(
    setting, value, monkeypatch
):
    getattr(keras.config, f"set_{setting}")(value)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    for home in ("~/.keras", "/somewhere/else"):
        said = f"{setting} to {value}.* into {home}/keras.json"
        with pytest.raises(UsageError, match=said):
            devices.set_up(Config())
        monkeypatch.setenv("KERAS_HOME", "/somewhere/else")


@pytest.mark.thorough
def test_models_are_the_same_whatever_keras_json_says(tmp_path):
    plain = run_with(tmp_path, EVERY_MODEL, tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert "lenet5" in plain.stdout
    odd = run_with(
        *(tmp_path, EVERY_MODEL, tmp_path),
        image_data_format="channels_first",
        epsilon=1e-3,
        backend="tensorflow",
    )
    assert odd.returncode == 0, odd.stderr
    assert odd.stderr.endswith("channels_first\n")
    assert odd.stdout == plain.stdout


@pytest.mark.thorough
def test_recipes_take_tensorflow_whatever_keras_json_says(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    done = run_python(
        *("-m", "recipes.mnist_softmax_regression", "--dry-run"),
        *("--output-dir", tmp_path),
        env={"KERAS_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
