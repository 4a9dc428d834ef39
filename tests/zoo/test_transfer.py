"""Frozen means frozen, thawed means trained, donors stay whole."""

import importlib.util
import inspect

import keras
import numpy as np
import pytest
from helpers.builders import (
    LABELS,
    assert_same_weights,
    classifier,
    count,
    outputs,
    small_cnn,
    train,
)
from helpers.commands import ROOT, run_python
from helpers.marks import only_thorough
from helpers.seeds import set_seed
from PIL import Image

import zoo
from zoo import transfer


def weights_by_path(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def changed(before, after):
    """Return the names of the layers whose weights are not the same bits."""
    assert before.keys() == after.keys()
    return {
        path.split("/")[0]
        for path in before
        if not np.array_equal(before[path], after[path])
    }


# --- the three ways -----------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "thaw", "tensors", "parameters"),
    [
        ("frozen", (), 2, 1_290),
        ("partial", (), 4, 132_490),
        ("partial", ("norm3",), 3, 1_418),
        ("partial", ("hidden1", "norm3"), 4, 132_490),
        ("full", (), 8, 151_818),
    ],
)
def test_mode_decides_what_is_trained(mode, thaw, tensors, parameters):
    model = zoo.transfer_classifier(mode=mode, thaw=thaw)
    assert len(model.trainable_weights) == tensors
    assert count(model.trainable_weights) == parameters
    assert count(model.weights) == 152_266  # with the statistics


COUNT_TRAINABLE = """
import zoo

for arguments in (
    {},
    {"mode": "partial", "thaw": "hidden1"},
    {"backbone": "deep_autoencoder", "mode": "partial", "thaw": "encoder/code"},
    {"mode": "full"},
):
    print(len(zoo.transfer_classifier(**arguments).trainable_weights))
"""


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_mode_decides_it_on_other_backends_too(backend):
    # There the flag of a model is handed down to its layers at other times.
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (`pip install {backend}`)")
    done = run_python("-c", COUNT_TRAINABLE, env={"KERAS_BACKEND": backend})
    assert done.stdout.split() == ["2", "3", "4", "8"], done.stderr[-3000:]


def test_frozen_backbone_keeps_every_bit_while_the_head_learns(images):
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy")
    before = weights_by_path(model)
    model.fit(images, LABELS, batch_size=4, epochs=2, verbose=0)
    assert any("moving_mean" in path for path in before)
    assert changed(before, weights_by_path(model)) == {"predictions"}


def test_frozen_backbone_drops_nothing(images):
    frozen = classifier()
    np.testing.assert_array_equal(
        outputs(frozen, images, training=True), outputs(frozen, images)
    )
    full = classifier(mode="full")
    assert not np.allclose(
        outputs(full, images, training=True), outputs(full, images)
    )


def test_thawed_by_hand_the_backbone_is_at_work_again(images):
    model = classifier()
    model.get_layer("backbone").trainable = True
    before = weights_by_path(model)
    train(model, images)
    assert changed(before, weights_by_path(model)) == {
        path.split("/")[0] for path in before
    }


@pytest.mark.parametrize(
    "thaw",
    only_thorough(["norm3", ("hidden1", "norm3")], [("hidden1", "norm3")]),
)
def test_partial_training_changes_what_was_thawed(thaw, images):
    model = classifier(mode="partial", thaw=thaw)
    before = weights_by_path(model)
    train(model, images)
    names = {thaw} if isinstance(thaw, str) else set(thaw)
    assert changed(before, weights_by_path(model)) == names | {"predictions"}


def test_full_training_changes_everything(images):
    model = classifier(mode="full")
    before = weights_by_path(model)
    train(model, images)
    everything = {path.split("/")[0] for path in before}
    assert {"conv1", "norm1", "predictions"} <= everything
    assert changed(before, weights_by_path(model)) == everything


def test_every_layer_of_a_frozen_donor_is_thawed_by_full():
    donor = small_cnn()
    for layer in donor.layers:
        layer.trainable = False
    model = classifier(donor, mode="full")
    assert len(model.trainable_weights) == 8
    assert donor.trainable_weights == []


@pytest.mark.parametrize(
    ("thaw", "tensors"), [("encoder/hidden1", 4), ("encoder", 8)]
)
def test_layers_of_a_sub_model_can_be_thawed(thaw, tensors):
    model = classifier("deep_autoencoder", mode="partial", thaw=thaw)
    assert len(model.trainable_weights) == tensors


def test_full_goes_on_where_frozen_stopped(images):
    first = classifier()
    train(first, images)
    second = classifier(mode="full")
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(
        outputs(second, images), outputs(first, images)
    )


# --- files --------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "thaw"),
    [
        pytest.param("frozen", (), marks=pytest.mark.thorough),
        ("partial", "hidden1"),
        pytest.param("full", (), marks=pytest.mark.thorough),
    ],
)
def test_keras_file_and_config_remember_what_is_frozen(
    mode, thaw, images, tmp_path
):
    model = classifier(mode=mode, thaw=thaw)
    train(model, images)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    rebuilt = keras.Model.from_config(model.get_config())
    rebuilt.set_weights(model.get_weights())
    for twin in (loaded, rebuilt):
        np.testing.assert_array_equal(
            outputs(twin, images), outputs(model, images)
        )
        assert [w.path for w in twin.trainable_weights] == [
            w.path for w in model.trainable_weights
        ]
        before = weights_by_path(twin)
        train(twin, images)
        assert (
            changed(before, weights_by_path(twin))
            == {
                "frozen": {"predictions"},
                "partial": {"hidden1", "predictions"},
                "full": {path.split("/")[0] for path in before},
            }[mode]
        )


def test_backbone_takes_the_weights_of_a_whole_model(images, tmp_path):
    donor = zoo.create_model("cnn")
    donor.save_weights(tmp_path / "cnn.weights.h5")
    for path in (tmp_path / "cnn.weights.h5", str(tmp_path / "cnn.weights.h5")):
        model = classifier("cnn", weights=path)
        np.testing.assert_array_equal(
            outputs(model.get_layer("backbone"), images),
            outputs(zoo.feature_extractor(donor), images),
        )


def test_weights_go_into_a_copy_of_a_model(images, tmp_path):
    donor = small_cnn()
    other = small_cnn()
    train(other, images)
    other.save_weights(tmp_path / "other.weights.h5")
    weights = donor.get_weights()
    model = classifier(donor, weights=tmp_path / "other.weights.h5")
    assert_same_weights(donor.get_weights(), weights)
    np.testing.assert_array_equal(
        outputs(model.get_layer("backbone"), images),
        outputs(zoo.feature_extractor(other), images),
    )


@pytest.mark.parametrize(
    "export",
    only_thorough(
        ["mnist_cnn", "mnist_cnn:1", ROOT / "saved_models/mnist_cnn/1"],
        ["mnist_cnn:1"],
    ),
    ids=str,
)
def test_export_brings_its_trained_weights(export, images, monkeypatch):
    monkeypatch.chdir(ROOT)
    model = classifier(export)
    donor = zoo.load_model("mnist_cnn", verbose=False)
    np.testing.assert_array_equal(
        outputs(model.get_layer("backbone"), images),
        outputs(zoo.feature_extractor(donor), images),
    )


def test_transfer_classifier_may_be_a_backbone_once_it_is_built(images):
    first = classifier()
    second = classifier(first)
    np.testing.assert_array_equal(
        outputs(second.get_layer("backbone"), images),
        outputs(zoo.feature_extractor(first), images),
    )


def test_sequential_model_may_be_a_backbone(images):
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(7, name="hidden"),
        ]
    )
    np.testing.assert_array_equal(
        outputs(classifier(model).get_layer("backbone"), images),
        outputs(model, images),
    )


# --- networks of keras.applications -------------------------------------


@pytest.fixture(scope="module")
def mobile_net():
    """A transfer classifier on the quickest of them, weights at random."""
    set_seed(0)
    return zoo.transfer_classifier(
        backbone="MobileNetV3Small",
        image_size=32,
        mode="partial",
        thaw=["conv", "conv_bn"],
    )


def test_application_sees_colors_of_the_right_size(mobile_net, images):
    names = [layer.name for layer in mobile_net.layers]
    assert names == [
        "image",
        "resizing",
        "colors",
        "preprocessing",
        "backbone",
        "predictions",
    ]
    seen = outputs(zoo.feature_extractor(mobile_net, "preprocessing"), images)
    assert seen.shape == (8, 32, 32, 3)
    # This network rescales by itself.
    assert seen.max() > 1
    assert (seen[..., 0] == seen[..., 2]).all()
    assert outputs(mobile_net, images).shape == (8, 10)


def test_thawed_layers_of_an_application_are_trained(mobile_net):
    names = {weight.path.split("/")[0] for weight in mobile_net.weights}
    trained = {w.path.split("/")[0] for w in mobile_net.trainable_weights}
    assert trained == {"conv", "conv_bn", "predictions"} < names
    assert len(mobile_net.trainable_weights) == 5


@pytest.mark.thorough
def test_application_comes_back_from_a_keras_file(mobile_net, images, tmp_path):
    mobile_net.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        outputs(loaded, images), outputs(mobile_net, images)
    )
    assert len(loaded.trainable_weights) == 5


@pytest.mark.parametrize(
    ("application", "family"),
    [
        ("VGG16", keras.applications.vgg16),
        ("MobileNetV2", keras.applications.mobilenet_v2),
        ("DenseNet121", keras.applications.densenet),
        ("ResNet50", keras.applications.resnet),
        ("EfficientNetB0", keras.applications.efficientnet),
    ],
)
def test_preprocessing_is_that_of_the_application(application, family, images):
    colors = np.concatenate([images, images[::-1], 255 - images], axis=-1)
    colors = colors.astype("float32")
    layer = transfer.ApplicationPreprocessing(application)
    layer = transfer.ApplicationPreprocessing.from_config(layer.get_config())
    np.testing.assert_allclose(
        outputs(layer, colors),
        family.preprocess_input(colors.copy()),
        rtol=1e-5,
        atol=1e-5,
    )


def test_color_images_reach_vgg_as_its_module_prepares_them():
    colors = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    model = zoo.transfer_classifier(
        (32, 32, 3), backbone="VGG16", image_size=32
    )
    prepared = keras.applications.vgg16.preprocess_input(
        colors.astype("float32")
    )
    backbone = model.get_layer("backbone")
    np.testing.assert_allclose(
        outputs(zoo.feature_extractor(model), colors.astype("uint8")),
        outputs(backbone, prepared),
        rtol=1e-3,
        atol=1e-5,
    )


def fetching(monkeypatch, fetch):
    """Let a function stand in for the download of ImageNet weights."""
    module = inspect.getmodule(keras.utils.get_file)
    monkeypatch.setattr(module, "get_file", fetch)


def test_without_a_network_imagenet_weights_are_a_clear_error(monkeypatch):
    def fetch(*arguments, **options):
        raise Exception("URL fetch failure on https://...: no such host")

    fetching(monkeypatch, fetch)
    with pytest.raises(
        ConnectionError, match="VGG16.*no such host.*weights="
    ) as refusal:
        classifier("VGG16", weights="imagenet", image_size=32)
    assert "\n" not in str(refusal.value)


@pytest.mark.thorough
def test_imagenet_weights_and_a_file_of_them_reach_the_backbone(
    monkeypatch, tmp_path
):
    set_seed(7)
    donor = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    path = tmp_path / "vgg16.weights.h5"
    donor.save_weights(path)
    fetching(monkeypatch, lambda *arguments, **options: str(path))
    for weights in ("imagenet", path):
        model = classifier("VGG16", weights=weights, image_size=32)
        assert_same_weights(
            model.get_layer("backbone").get_weights(), donor.get_weights()
        )


# --- other images than 28x28 in grey ------------------------------------


def test_color_images_reach_a_network_of_ours():
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3))
    model = zoo.transfer_classifier((20, 24, 3))
    assert model.get_layer("backbone").input_shape == (None, 20, 24, 3)
    assert outputs(model, images.astype("uint8")).shape == (2, 10)


def test_images_are_resized_for_a_trained_backbone():
    model = classifier(small_cnn(), input_shape=(14, 14, 1), image_size=28)
    images = np.random.default_rng(0).integers(0, 256, (2, 14, 14, 1))
    resized = keras.layers.Resizing(28, 28)(images.astype("float32"))
    np.testing.assert_allclose(
        outputs(zoo.feature_extractor(model), images.astype("uint8")),
        outputs(model.get_layer("backbone"), resized),
        atol=1e-5,
    )


def test_called_without_a_word_a_model_that_resizes_does_not_train(images):
    images = images[:, :14, :14]
    model = classifier(mode="full", input_shape=(14, 14, 1))
    assert model.get_layer("resizing").side == 28
    before = weights_by_path(model)
    np.testing.assert_array_equal(
        outputs(model, images), outputs(model, images, training=False)
    )
    assert changed(before, weights_by_path(model)) == set()


@pytest.mark.parametrize(
    ("shape", "added"),
    [
        ((28, 28, 1), []),
        ((64, 48, 1), ["resizing"]),
        ((28, 28, 3), ["grey"]),
        ((64, 48, 3), ["grey", "resizing"]),
    ],
)
def test_images_are_made_to_fit_a_backbone_that_is_trained(shape, added):
    model = classifier(small_cnn(), input_shape=shape)
    names = [layer.name for layer in model.layers]
    assert names == ["image", *added, "backbone", "predictions"]
    answers = outputs(model, np.zeros((2, *shape), "uint8"))
    assert answers.shape == (2, 3)


def test_grey_images_get_the_three_channels_of_a_backbone(images):
    model = classifier(zoo.create_model("cnn", input_shape=(28, 28, 3)))
    seen = outputs(zoo.feature_extractor(model, "colors"), images)
    np.testing.assert_array_equal(seen, np.repeat(images, 3, axis=-1))


def test_grey_is_that_of_png_files():
    colors = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), "uint8")
    grey = [Image.fromarray(image).convert("L") for image in colors]
    seen = outputs(transfer.Grey(), colors)[..., 0]
    np.testing.assert_allclose(seen, np.stack(grey), atol=0.51)


def test_a_machine_in_a_backbone_does_not_teach_itself(images):
    model = zoo.transfer_classifier(backbone="rbm", mode="full")
    model(images, training=True)
    assert not model.losses
    assert len(model.trainable_weights) == 4


# --- refusals -----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "half"}, "frozen.*partial.*full.*'half'"),
        (
            {"backbone": "softmax_regression", "mode": "partial"},
            "no weights before its features.*'frozen'",
        ),
        (
            {"backbone": "kohonen", "mode": "full"},
            "No training moves.*'frozen'.*'full'",
        ),
        ({"thaw": "hidden1"}, "thaw.*'frozen'.*hidden1"),
        ({"mode": "full", "thaw": ("hidden1",)}, "thaw.*'full'"),
        (
            {"mode": "partial", "thaw": ("hiden1",)},
            "'hiden1'. Did you mean hidden1.*conv1, norm1, conv2",
        ),
        ({"mode": "partial", "thaw": ("relu1",)}, "'relu1'"),
        ({"num_classes": 1}, "one class.*1"),
        ({"image_size": 0}, "image_size.*0"),
        ({"image_size": 4}, "'cnn'.*4x4.*image_size"),
        ({"backbone": "VGG16", "image_size": 16}, "'VGG16'.*16x16"),
        ({"backbone": "VGG16", "input_shape": (28, 28, 2)}, "'VGG16'.*28, 2"),
        ({"backbone": "transfer_classifier"}, "its own backbone"),
        ({"backbone": "lenet"}, "'lenet'. Did you mean lenet5"),
        ({"backbone": "mobilenetv2"}, "Did you mean MobileNetV2"),
        ({"backbone": "mnist_cn"}, "Did you mean mnist_cnn"),
        ({"backbone": None}, "None. It may be"),
        ({"backbone": ""}, "''. It may be"),
        ({"weights": "imagenet"}, "imagenet.*applications.*'cnn'"),
        ({"weights": ROOT / "README.md"}, "README.md.*weights.*'cnn'"),
        (
            {"backbone": "mnist_cnn", "input_shape": (32, 32, 2)},
            "1 channels.*32, 2",
        ),
        (
            {"backbone": "mnist_cnn", "image_size": 32},
            "28x28 pixels.*leave `image_size` out.*32",
        ),
        ({"backbone": "iris_perceptron"}, "does not take images.*4"),
        ({"backbone": "mnist_gan"}, "does not take images"),
        ({"backbone": keras.Sequential([keras.layers.Dense(2)])}, "functional"),
    ],
    ids=str,
)
def test_wrong_arguments_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.transfer_classifier(**arguments)


def test_missing_file_of_weights_is_named():
    with pytest.raises(FileNotFoundError, match="'nowhere.weights.h5'"):
        zoo.transfer_classifier(weights="nowhere.weights.h5")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "small.weights.h5"
    small_cnn().save_weights(path)
    message = "small.weights.h5.*'cnn' for images of 28x28x1 and with default"
    with pytest.raises(ValueError, match=message):
        zoo.transfer_classifier(weights=path)
