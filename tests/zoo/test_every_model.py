"""Every model keeps the same contracts, whatever it is made of."""

import doctest
import fnmatch
import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.builders import (
    another,
    arguments_of,
    assert_same_weights,
    build,
    count,
    examples,
    one_of_each_kind,
    outputs,
    with_weights_of,
)
from helpers.seeds import set_seed

import zoo
from zoo._counting import multiplications_of

MODELS = zoo.list_models()
IMAGE_MODELS = zoo.list_models(inputs="images")


def each_kind(names):
    return pytest.mark.parametrize("name", one_of_each_kind(names))


each_model = pytest.mark.parametrize("name", MODELS)
each_kind_of_model = each_kind(MODELS)
# A step has no gradient: a rule trains the perceptron, and nothing the other.
each_kind_with_random_weights = each_kind(
    [name for name in MODELS if name != "mcculloch_pitts"]
)
each_kind_with_a_gradient = each_kind(
    [name for name in MODELS if name not in ("mcculloch_pitts", "perceptron")],
)
each_image_model = pytest.mark.parametrize("name", IMAGE_MODELS)
each_kind_of_image_model = each_kind(IMAGE_MODELS)
# The others leave it to the network inside of them.
each_kind_that_rescales = each_kind(
    [name for name in MODELS if "rescale" in arguments_of(name)],
)


@each_kind_of_model
def test_function_registry_and_model_share_one_name(name):
    info = zoo.model_info(name)
    assert info.name == info.builder.__name__ == build(name).name == name
    assert another(name).name == "other"


@each_model
def test_model_comes_uncompiled(name):
    assert not build(name).compiled


@each_image_model
def test_every_argument_has_a_default_that_suits_28x28_images(name):
    assert build(name).input_shape == (None, 28, 28, 1)
    assert build(name).input.dtype == "float32"


@each_kind_of_image_model
def test_uint8_and_float_pixels_give_the_same(name, pixels):
    model = build(name)
    np.testing.assert_array_equal(
        outputs(model, pixels), outputs(model, pixels.astype("float32"))
    )


@each_kind_that_rescales
def test_pixels_are_rescaled_exactly_once(name, pixels):
    # Scaling before the model must do what scaling inside of it does.
    inside = build(name, rescale=(1 / 255, 0.0))
    outside = with_weights_of(inside, build(name, rescale=(1.0, 0.0)))
    expected = outputs(inside, pixels)
    scaled = outputs(outside, pixels.astype("float32") / 255)
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-5)


@each_kind_that_rescales
def test_rescaling_is_the_first_layer_after_any_padding(name):
    model = build(name, rescale=(0.5, -3.0))
    [rescaling] = [layer for layer in model.layers if layer.name == "rescaling"]
    assert isinstance(rescaling, keras.layers.Rescaling)
    assert (rescaling.scale, rescaling.offset) == (0.5, -3.0)
    before = model.layers[: model.layers.index(rescaling)]
    assert all(
        isinstance(layer, keras.layers.InputLayer | keras.layers.ZeroPadding2D)
        for layer in before
    )


@each_kind_of_model
def test_every_layer_is_named_by_hand(name):
    # Keras numbers the names that it makes up, so a second build would differ.
    first, second = build(name), another(name)
    assert [o.name for o in first.operations] == [
        o.name for o in second.operations
    ]
    assert [w.path for w in first.weights] == [w.path for w in second.weights]


@each_kind_with_a_gradient
def test_every_trainable_weight_gets_a_gradient(name):
    model = build(name)
    if "classifier_activation" in arguments_of(name):
        model = build(name, classifier_activation=None)
    x = examples(name, 16)
    target = np.random.default_rng(1).normal(size=outputs(model, x).shape)
    with tf.GradientTape() as tape:
        answers = keras.tree.flatten(model(x, training=True))
        error = tf.concat(answers, axis=-1) - target.astype("float32")
        loss = tf.reduce_mean(tf.square(error))
    variables = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(loss, variables)
    assert gradients
    for weight, gradient in zip(
        model.trainable_weights, gradients, strict=True
    ):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient)  # that of words is sparse
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient), weight.path


@pytest.mark.thorough
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@each_model
def test_every_model_computes_in_half_precision(name, precision):
    keras.config.set_dtype_policy(precision)
    try:
        model = build(name)
    finally:
        keras.config.set_dtype_policy("float32")
    for training in (True, False):
        for answer in keras.tree.flatten(
            model(examples(name, 16), training=training)
        ):
            assert np.isfinite(tf.cast(answer, tf.float32)).all()


@each_kind_of_model
def test_keras_file_brings_the_model_back_in_safe_mode(name, tmp_path):
    model, inputs = build(name), examples(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.to_json() == model.to_json()
    np.testing.assert_allclose(
        outputs(loaded, inputs), outputs(model, inputs), rtol=1e-6
    )


@each_kind_with_random_weights
def test_weights_file_fits_a_fresh_build(name, tmp_path):
    model, inputs = build(name), examples(name)
    model.save_weights(tmp_path / "model.weights.h5")
    other = another(name)
    as_built = other.get_weights()
    assert not np.array_equal(
        other.trainable_weights[0], model.trainable_weights[0]
    )
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(
        outputs(other, inputs), outputs(model, inputs), rtol=1e-6
    )
    other.set_weights(as_built)


@each_kind_with_random_weights
def test_seed_decides_the_initial_weights(name):
    set_seed(0)  # as in `build`
    one, same, other = (
        [weight.numpy() for weight in model.trainable_weights]
        for model in (build(name), zoo.create_model(name), another(name))
    )
    assert_same_weights(one, same)
    assert any(
        not np.array_equal(left, right)
        for left, right in zip(one, other, strict=True)
    )


def sections(name):
    """Return a builder's docstring as `{heading: text}`; "" is the summary."""
    docstring = inspect.getdoc(zoo.model_info(name).builder)
    parts = re.split(r"^([A-Z][A-Za-z ]+):\n", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@each_model
def test_docstring_has_its_sections_in_order(name):
    found = [heading for heading in sections(name) if heading]
    order = ["Args", "Returns", "Raises", "Example", "Reference"]
    order.append("Departures from the paper")
    assert found == [heading for heading in order if heading in found]
    assert {"Returns", "Example", "Reference"} <= set(found)


def shared_arguments():
    """Return the arguments that `create_model` describes for all builders."""
    return re.findall(
        r"^- `(\w+)`: \S", inspect.getdoc(zoo.create_model), re.MULTILINE
    )


def test_shared_arguments_are_those_of_several_builders():
    builders = [arguments_of(name) for name in MODELS]
    assert len(shared_arguments()) == 5
    for argument in shared_arguments():
        assert sum(argument in arguments for arguments in builders) > 2


@each_model
def test_docstring_describes_the_arguments_of_its_own(name):
    described = re.findall(
        r"^    (\w+): \S", sections(name).get("Args", ""), flags=re.MULTILINE
    )
    # One that is shared is described where it means something more.
    expected = [
        argument
        for argument in arguments_of(name)
        if argument in described or argument not in shared_arguments()
    ]
    assert described == expected


@each_model
def test_docstring_states_the_true_shapes_and_parameters(name):
    model = build(name)
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|",
        sections(name)[""],
        re.MULTILINE,
    )[2:]  # below the heading and its rule
    assert rows
    for label, shape, parameters in rows:
        stated = parse_number(parameters)
        if label.strip() == "sum":
            assert stated == count(model.trainable_weights)
            continue
        in_row = [
            layer
            for part in label.split(",")
            for layer in model.layers
            if fnmatch.fnmatchcase(layer.name, part.split()[0])
        ]
        assert in_row, f"no layer is called {label}"
        true_shape = in_row[-1].output.shape[1:]
        assert shape.strip().replace(",", "") == "×".join(map(str, true_shape))
        assert stated == sum(count(layer.trainable_weights) for layer in in_row)


WITH_MULTIPLICATIONS = [
    name for name in MODELS if "| multiplications |" in sections(name)[""]
]


@pytest.mark.parametrize("name", WITH_MULTIPLICATIONS)
def test_docstring_states_the_true_multiplications(name):
    model = build(name)
    rows = re.findall(
        r"^\| (\S+?),? .*\| ([^|]+) \|$", sections(name)[""], re.MULTILINE
    )[2:]
    stated = {label: parse_number(number) for label, number in rows}
    assert stated.pop("sum") == zoo.count_multiplications(model)
    for label, number in stated.items():
        assert number == sum(
            multiplications_of(layer)
            for layer in model.layers
            if fnmatch.fnmatchcase(layer.name, label)
        )


def parse_number(cell):
    digits = cell.strip().replace(",", "")
    return int(digits) if digits.isdecimal() else 0


@each_kind_of_model
def test_docstring_example_runs(name):
    builder = zoo.model_info(name).builder
    finder = doctest.DocTestFinder(recurse=False)
    known = {"zoo": zoo, "keras": keras, "np": np, "images": examples(name)}
    [example] = finder.find(builder, name, globs=known)
    assert example.examples
    report = []
    result = doctest.DocTestRunner(verbose=False).run(
        example, out=report.append
    )
    assert result.failed == 0, "".join(report)
