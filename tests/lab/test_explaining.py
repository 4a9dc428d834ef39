"""What a network looks at: formulas, on networks whose answers are known."""

import re

import keras
import numpy as np
import pytest
from helpers.builders import build, noise, small_cnn
from helpers.commands import is_a_usage_error
from helpers.marks import only_thorough
from helpers.seeds import set_seed
from helpers.tasks import classification, sample
from keras import layers

import zoo
from recipes import mnist_cnn
from recipes.lab import tasks
from recipes.lab.data.splits import Split
from recipes.lab.flags import RunOptions
from recipes.lab.report import explaining
from recipes.lab.runs.report import _explanations
from recipes.lab.settings import describe, flags_of

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], "float32")


def seeing(*more, shape=(12, 12, 1), classes=3, activation="softmax"):
    """Build a network of one convolution, and what comes after it."""
    set_seed(0)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, name="conv"),
            layers.Activation("tanh", name="squash"),
            *more,
            layers.Dense(classes, activation=activation, name="predictions"),
        ]
    )


# --- occlusion ----------------------------------------------------------


def cross_detector():
    """A network that fires if there is a cross of 3x3 pixels somewhere."""
    model = keras.Sequential(
        [
            keras.Input((20, 24, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(1, 3, name="conv"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1, activation="sigmoid", name="predictions"),
        ]
    )
    conv, predictions = model.get_layer("conv"), model.layers[-1]
    conv.set_weights([(2 * CROSS - 1)[..., None, None], np.zeros(1)])
    predictions.set_weights([np.full((1, 1), 4.0), np.full(1, -14.0)])
    return model


@pytest.mark.parametrize(("top", "left"), [(2, 3), (9, 16), (17, 21)])
def test_occlusion_finds_the_place_that_a_known_filter_looks_for(top, left):
    image = np.zeros((1, 20, 24, 1), "uint8")
    image[0, top : top + 3, left : left + 3, 0] = 255 * CROSS
    model = cross_detector()

    def answer(images):
        second = model(images).numpy()
        return np.concatenate([1 - second, second], axis=1)

    assert answer(image)[0, 1] > 0.9
    drops = explaining.occlusion(answer, image, np.array([1]), patch=3)
    assert drops.shape == (1, 20, 24)
    found = np.unravel_index(drops[0].argmax(), (20, 24))
    assert top <= found[0] < top + 3
    assert left <= found[1] < left + 3
    far = np.ones((20, 24), bool)
    far[max(0, top - 4) : top + 7, max(0, left - 4) : left + 7] = False
    np.testing.assert_allclose(drops[0, far], 0, atol=1e-6)


def test_occlusion_is_the_mean_over_the_squares_that_cover_a_pixel():
    """Of a function that adds up weighted pixels, every pixel is known."""
    random = np.random.default_rng(0)
    images = noise(2, 4, 5, 3)
    weights = random.random((4, 5, 3)) / 1e5
    color = np.array([1, 2, 3])

    def answer(images):
        second = np.tensordot(images, weights, 3)
        return np.stack([1 - second, second], axis=1)

    drops = explaining.occlusion(
        answer, images, np.array([1, 0]), patch=2, color=color
    )
    losses = (weights * (images - color.astype("float64"))).sum(axis=-1)
    sums, counts = np.zeros_like(losses), np.zeros((4, 5))
    for top in range(3):
        for left in range(4):
            square = (slice(top, top + 2), slice(left, left + 2))
            sums[:, *square] += losses[:, *square].sum(axis=(1, 2))[
                :, None, None
            ]
            counts[square] += 1
    expected = sums / counts * np.array([1, -1])[:, None, None]
    np.testing.assert_allclose(drops, expected, atol=1e-6)


# --- the gradient -------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_saliency_is_what_differences_say(channels):
    model = seeing(layers.Flatten(), shape=(6, 7, channels))
    images = noise(2, 6, 7, channels).astype("float32")
    classes = np.array([2, 0])
    found = explaining.saliency(model, images, classes)
    assert found.shape == (2, 6, 7)
    features = zoo.feature_extractor(model)
    kernel, bias = model.layers[-1].get_weights()

    def scores(images):
        """What enters the softmax, in double precision."""
        entering = np.float64(features(images)) @ np.float64(kernel) + bias
        return entering[[0, 1], classes]

    for place in [(0, 0), (3, 4), (5, 6)]:
        differences = []
        for channel in range(channels):
            step = np.zeros_like(images)
            step[:, *place, channel] = 2.0
            change = scores(images + step) - scores(images - step)
            differences.append(np.abs(change) / 4)
        np.testing.assert_allclose(
            found[:, *place], np.max(differences, axis=0), rtol=2e-3
        )


def test_saliency_of_one_output_is_that_of_either_class():
    """The log-odds of the one class are minus those of the other."""
    model = seeing(layers.Flatten(), classes=1, activation="sigmoid")
    image = noise(1, 12, 12, 1)
    first, second = (
        explaining.saliency(model, image, np.array([i])) for i in (0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert first.any()


# --- Grad-CAM -----------------------------------------------------------


@pytest.mark.parametrize("pooled", [True, False])
def test_grad_cam_is_its_formula(pooled):
    pooling = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
    model = seeing(pooling)
    images, classes = noise(2, 12, 12, 1), np.array([1, 2])
    found = explaining.grad_cam(model, images, classes)

    maps = zoo.feature_extractor(model, "squash").predict(images, verbose=0)
    kernel, _ = model.layers[-1].get_weights()
    if pooled:  # each place has an equal part in the mean
        weights = kernel.T[classes] / 100
    else:
        weights = kernel.reshape(100, 4, 3).mean(axis=0).T[classes]
    expected = np.maximum(0, (maps * weights[:, None, None]).sum(axis=-1))
    assert found.shape == (2, 10, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert expected.any()


SIZES = {
    "cnn": (4, 4),  # relu2
    "lecture_cnn": (24, 24),  # conv2, before the pooling
    "lenet5": (10, 10),  # c3: c5 has a single place
    "transfer_classifier": (4, 4),  # in the frozen backbone
}


@pytest.mark.parametrize("name", only_thorough(SIZES, ["transfer_classifier"]))
def test_grad_cam_goes_by_the_last_maps_before_pooling(name):
    model, image = build(name), noise(1, 28, 28, 1)
    found = explaining.grad_cam(model, image, np.array([3]))
    assert found.shape == (1, *SIZES[name])


@pytest.mark.parametrize("name", ["mlp", "simple_rnn", "conv1d"])
def test_without_a_convolution_there_is_no_grad_cam(name):
    model, image = build(name), noise(1, 28, 28, 1)
    assert explaining.grad_cam(model, image, np.array([3])) is None


# --- what excites a unit ------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("cnn", "conv2"),
        pytest.param("mlp", "hidden1", marks=pytest.mark.thorough),
        pytest.param("cnn", None, marks=pytest.mark.thorough),
        pytest.param("gru", None, marks=pytest.mark.slow),
    ],
)
def test_pictures_excite_their_units_more_and_more(name, layer):
    units = [2, 0, 5]
    options = {"layer": layer, "steps": 12}
    pictures, found = explaining.maximize(build(name), units, **options)
    assert pictures.shape == (3, 28, 28, 1)
    assert pictures.dtype == "uint8"
    assert found.shape == (13, 3)
    assert np.all(np.diff(found[[0, 3, 6]], axis=0) > 0)
    most = np.max(found, axis=0)
    assert np.all(found[-1] > most - 0.1 * (most - found[0]))
    again, _ = explaining.maximize(build(name), units, **options)
    np.testing.assert_array_equal(again, pictures)
    other, _ = explaining.maximize(build(name), units, **options, seed=1)
    assert (other != pictures).any()


@pytest.mark.thorough
def test_what_a_picture_excites_is_the_unit_that_it_was_made_for():
    model = small_cnn()
    pictures, found = explaining.maximize(model, [0, 3])
    scores = zoo.classifier_head(model)
    scores.layers[-1].activation = keras.activations.linear
    features = zoo.feature_extractor(model)(pictures)
    expected = scores(features, training=False).numpy()[[0, 1], [0, 3]]
    np.testing.assert_allclose(found[-1], expected, rtol=1e-4)


@pytest.mark.thorough
def test_the_model_is_left_as_it_is():
    model, image = small_cnn(), noise(1, 28, 28, 1)
    before, weights = model(image).numpy(), model.get_weights()
    explaining.maximize(model, [0], "conv1", steps=1)
    explaining.saliency(model, image, np.array([0]))
    np.testing.assert_array_equal(model(image).numpy(), before)
    for left, right in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_layers_to_excite_are_those_with_kernels():
    assert explaining.layers_to_excite(build("cnn")) == {
        "conv1": 32,
        "conv2": 64,
        "hidden1": 128,
    }
    assert explaining.layers_to_excite(build("softmax_regression")) == {}
    nothing = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten()])
    assert explaining.layers_to_excite(nothing) == {}
    assert [*explaining.layers_to_excite(build("lenet5"))] == ["c1", "c5", "f6"]


# --- orientation --------------------------------------------------------


def test_edges_have_a_direction_and_blobs_have_none():
    x = np.linspace(-1, 1, 5)
    blob = np.exp(-2 * (x**2 + x[:, None] ** 2))
    edge = np.sign(x) * np.exp(-(x[:, None] ** 2))
    kernel = np.stack([blob, edge, edge.T, 0 * edge], axis=-1)[:, :, None]
    blob, edge, turned, nothing = explaining.orientation_selectivity(kernel)
    assert blob < 0.05
    assert edge > 0.3
    assert turned == pytest.approx(edge)
    assert nothing == 0


def test_training_makes_the_first_layer_selective_for_orientation():
    """As Hubel and Wiesel found cells to be: more than chance makes them."""

    def selectivity(model):
        kernel = model.get_layer("conv1").kernel.numpy()
        return explaining.orientation_selectivity(kernel).mean()

    trained = selectivity(zoo.load_model("mnist_cnn@shipped", verbose=False))
    untrained = []
    for seed in range(10):
        set_seed(seed)
        untrained.append(selectivity(zoo.create_model("cnn")))
    assert trained > max(untrained)


# --- in the report ------------------------------------------------------


def explained(model, folder, *, shape=(28, 28, 1), classes="0123456789"):
    """Explain a model's answers to noise; return the sections."""
    task = classification(classes)
    labels = np.arange(30) % len(classes)
    split = Split(noise(30, *shape), labels.astype("int32"))
    scores = task.score(model, split, quiet=True)
    return task.explain(model, scores, folder, seed=0)


@pytest.mark.thorough
def test_report_shows_evidence_classes_and_units(tmp_path):
    sections = explained(small_cnn(), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        *("right_answers", "mistaken_answers", "classes", "units"),
    }
    [(_, evidence, html), _, (_, units, _)] = sections
    assert "left out" not in evidence
    assert "below each its occlusion, gradient, Grad-CAM" in html
    assert re.search(r"selectivity of 0\.\d\d in the mean, random", units)


@pytest.mark.parametrize(
    "name", only_thorough(["softmax_regression", "mlp"], ["softmax_regression"])
)
def test_report_says_what_is_left_out(name, tmp_path):
    sections = explained(build(name), tmp_path)
    assert "It is left out, for this network has no conv" in sections[0][1]
    assert ", Grad-CAM" not in sections[0][2]
    assert len(sections) == (2 if name == "softmax_regression" else 3)


@pytest.mark.thorough
def test_report_of_colors_and_of_many_classes_with_long_names(tmp_path):
    classes = [f"a class of number {i}" for i in range(30)]
    model = small_cnn(input_shape=(32, 24, 3), num_classes=30)
    assert len(explained(model, tmp_path, shape=(32, 24, 3), classes=classes))


def test_a_model_that_cannot_be_taken_apart_has_no_pictures(tmp_path):
    class Own(keras.Model):
        def call(self, images):
            flat = keras.ops.reshape(images, (-1, 784))
            return keras.ops.softmax(keras.ops.cast(flat[:, :10], "float32"))

    [(_, caption, html)] = explained(Own(name="own"), tmp_path)
    assert "Only a functional model" in caption
    assert not html


def test_a_task_without_classes_says_so():
    run, task = None, tasks.Reconstruction(sample())
    [(_, caption, _)] = _explanations(run, task, None, None, None)
    assert "this model answers with none" in caption


def test_to_explain_changes_no_result():
    plain = mnist_cnn.Config()
    explaining = mnist_cnn.Config(run=RunOptions(explain=True))
    assert describe(explaining) == describe(plain)
    assert flags_of(explaining) == []


@pytest.mark.usefixtures("empty_folder")
def test_a_table_has_nothing_to_be_seen(capsys):
    said = is_a_usage_error(capsys, "--explain", recipe="iris_perceptron")
    assert "--explain shows what a network looks at in images" in said
