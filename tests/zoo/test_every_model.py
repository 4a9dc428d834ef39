"""Every model keeps the same contracts, whatever it is made of."""

import doctest
import functools
import inspect
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo


def arguments_of(name):
    """Return the names of a builder's arguments."""
    return [*inspect.signature(zoo.model_info(name).builder).parameters]


MODELS = zoo.list_models()
IMAGE_MODELS = zoo.list_models(inputs="images")
IMAGE_CLASSIFIERS = zoo.list_models(task="classification", inputs="images")

each_model = pytest.mark.parametrize("name", MODELS)
each_image_model = pytest.mark.parametrize("name", IMAGE_MODELS)
each_image_classifier = pytest.mark.parametrize("name", IMAGE_CLASSIFIERS)
# The others leave it to the network inside of them.
each_model_that_rescales = pytest.mark.parametrize(
    "name",
    [name for name in MODELS if "rescale" in arguments_of(name)],
)


@functools.cache
def build(name, **arguments):
    """Build a model; the same arguments give the same object again."""
    keras.utils.set_random_seed(0)
    return zoo.create_model(name, **arguments)


@pytest.fixture(scope="module")
def pixels():
    """Four images of noise, uint8 `(4, 28, 28, 1)`."""
    return noise(4, 28, 28, 1)


def examples(name, count=4):
    """Return what a model may be given, by what its registry entry says."""
    shape = (count, *build(name).input_shape[1:])
    if zoo.model_info(name).inputs == "images":
        return noise(*shape)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x))


def with_weights_of(model, other):
    other.set_weights(model.get_weights())
    return other


@each_model
def test_function_registry_and_model_share_one_name(name):
    info = zoo.model_info(name)
    assert info.name == info.builder.__name__ == build(name).name == name
    assert zoo.create_model(name, name="other").name == "other"


@each_model
def test_model_comes_uncompiled(name):
    assert not build(name).compiled


@each_image_model
def test_every_argument_has_a_default_that_suits_28x28_images(name):
    assert build(name).input_shape == (None, 28, 28, 1)
    assert build(name).input.dtype == "float32"


@each_image_model
def test_uint8_and_float_pixels_give_the_same(name, pixels):
    model = build(name)
    np.testing.assert_array_equal(
        outputs(model, pixels), outputs(model, pixels.astype("float32"))
    )


@each_image_classifier
def test_outputs_are_probabilities(name, pixels):
    probabilities = outputs(build(name), pixels)
    assert probabilities.shape == (4, 10)
    assert probabilities.dtype == "float32"
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@each_image_classifier
def test_different_images_give_different_outputs(name, pixels):
    # Logits: fresh weights can drive a softmax to 0 and 1, the same for all.
    logits = outputs(build(name, classifier_activation=None), pixels)
    assert (np.ptp(logits, axis=0) > 0).all()


@each_image_classifier
def test_num_classes_is_the_width_of_the_output(name, pixels):
    assert outputs(build(name, num_classes=5), pixels).shape == (4, 5)


@each_image_classifier
def test_no_classes_at_all_are_refused(name):
    with pytest.raises(ValueError, match="0"):
        zoo.create_model(name, num_classes=0)


@each_image_classifier
def test_input_shape_may_be_larger_and_in_colour(name):
    model = build(name, input_shape=(32, 32, 3))
    assert model.input_shape == (None, 32, 32, 3)
    assert outputs(model, noise(2, 32, 32, 3)).shape == (2, 10)


@each_image_classifier
def test_without_classifier_activation_the_outputs_are_logits(name, pixels):
    model = build(name)
    bare = with_weights_of(model, build(name, classifier_activation=None))
    logits = outputs(bare, pixels)
    assert not np.allclose(logits.sum(axis=1), 1)
    np.testing.assert_allclose(
        outputs(model, pixels), keras.ops.softmax(logits), atol=1e-6
    )


@each_model_that_rescales
def test_pixels_are_rescaled_exactly_once(name, pixels):
    # Scaling before the model must do what scaling inside of it does.
    inside = build(name, rescale=(1 / 255, 0.0))
    outside = with_weights_of(inside, build(name, rescale=(1.0, 0.0)))
    expected = outputs(inside, pixels)
    scaled = outputs(outside, pixels.astype("float32") / 255)
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-5)


@each_model_that_rescales
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


@each_image_classifier
def test_last_layer_is_predictions(name):
    model = build(name)
    assert model.layers[-1].name == "predictions"
    assert model.layers[-1].output is model.output


@each_model
def test_every_layer_is_named_by_hand(name):
    # Keras numbers the names that it makes up, so a second build would differ.
    first, second = zoo.create_model(name), zoo.create_model(name)
    assert [o.name for o in first.operations] == [
        o.name for o in second.operations
    ]
    assert [w.path for w in first.weights] == [w.path for w in second.weights]


@each_model
def test_every_trainable_weight_gets_a_gradient(name):
    model = build(name)
    if "classifier_activation" in arguments_of(name):
        model = build(name, classifier_activation=None)
    x = examples(name, 16)
    target = np.random.default_rng(1).normal(size=model(x).shape)
    with tf.GradientTape() as tape:
        error = model(x, training=True) - target.astype("float32")
        loss = tf.reduce_mean(tf.square(error))
    variables = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(loss, variables)
    assert gradients
    for weight, gradient in zip(
        model.trainable_weights, gradients, strict=True
    ):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient), weight.path


@each_model
def test_keras_file_brings_the_model_back_in_safe_mode(name, tmp_path):
    model, inputs = build(name), examples(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.to_json() == model.to_json()
    np.testing.assert_allclose(
        outputs(loaded, inputs), outputs(model, inputs), rtol=1e-6
    )


@each_model
def test_weights_file_fits_a_fresh_build(name, tmp_path):
    model, inputs = build(name), examples(name)
    model.save_weights(tmp_path / "model.weights.h5")
    keras.utils.set_random_seed(1)
    fresh = zoo.create_model(name)
    assert not np.array_equal(
        fresh.trainable_weights[0], model.trainable_weights[0]
    )
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(
        outputs(fresh, inputs), outputs(model, inputs), rtol=1e-6
    )


@each_model
def test_seed_decides_the_initial_weights(name):
    def first_weights(seed):
        keras.utils.set_random_seed(seed)
        return zoo.create_model(name).get_weights()

    one, same, other = (first_weights(seed) for seed in (7, 7, 8))
    for left, right in zip(one, same, strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(
        not np.array_equal(left, right)
        for left, right in zip(one, other, strict=True)
    )


@pytest.mark.parametrize(
    "name",
    [
        # These two train like simple_rnn, for longer.
        pytest.param(name, marks=pytest.mark.thorough)
        if name in ("gru", "lstm")
        else name
        for name in IMAGE_CLASSIFIERS
    ],
)
def test_training_lowers_the_loss_on_a_few_images(name):
    keras.utils.set_random_seed(0)
    # A head alone on random features learns too slowly to be seen.
    mode = {"mode": "full"} if name == "transfer_classifier" else {}
    model = zoo.create_model(name, classifier_activation=None, **mode)
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # ten steps do not pay for tracing a graph
    )
    # Each class is a bright stripe of its own, so there is much to learn.
    labels = np.arange(64) % 10
    images = noise(64, 28, 28, 1) // 4
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] = 255
    losses = [float(model.train_on_batch(images, labels)) for _ in range(10)]
    assert losses[-1] < 0.8 * losses[0]


def test_mlp_without_hidden_layers_is_softmax_regression(pixels):
    regression = build("softmax_regression")
    bare_mlp = with_weights_of(regression, build("mlp", hidden_units=()))
    np.testing.assert_array_equal(
        outputs(bare_mlp, pixels), outputs(regression, pixels)
    )


@pytest.mark.parametrize("connections", ["table", "full"])
@pytest.mark.parametrize("subsampling", ["trainable", "average", "max"])
@pytest.mark.parametrize("output", ["rbf", "softmax"])
def test_lenet5_dresses_in_every_combination(
    connections, subsampling, output, pixels
):
    model = zoo.create_model(
        "lenet5",
        connections=connections,
        subsampling=subsampling,
        activation="relu",
        output=output,
    )
    probabilities = outputs(model, pixels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    table = connections == "table"
    assert model.get_layer("c3").count_params() == (1516 if table else 2416)


@pytest.mark.parametrize(
    "arguments",
    [
        {"connections": "some"},
        {"subsampling": "median"},
        {"output": "linear"},
        {"num_classes": 11},
        {"input_shape": (11, 28, 1)},
    ],
    ids=str,
)
def test_lenet5_names_the_argument_that_it_refuses(arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=argument) as refusal:
        zoo.create_model("lenet5", **arguments)
    assert str(value) in str(refusal.value)


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
            if layer.name == part.split()[0]
        ]
        assert in_row, f"no layer is called {label}"
        true_shape = in_row[-1].output.shape[1:]
        assert shape.strip().replace(",", "") == "×".join(map(str, true_shape))
        assert stated == sum(count(layer.trainable_weights) for layer in in_row)


def parse_number(cell):
    digits = cell.strip().replace(",", "")
    return int(digits) if digits.isdecimal() else 0


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


@each_model
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
