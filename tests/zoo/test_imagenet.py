"""The networks of ImageNet's challenge have their published sizes."""

import keras
import numpy as np
import pytest
from helpers.builders import build, build_for_shapes, count, outputs
from helpers.marks import only_thorough

import zoo
from zoo import imagenet


def published(name, **arguments):
    return build_for_shapes(zoo.model_info(name).builder, **arguments)


PUBLISHED = {
    # As counted in Caffe's two groups, and without auxiliary classifiers.
    "AlexNet": ("alexnet", imagenet.ALEXNET, 60_965_224, "pool3", 6),
    "GoogLeNet": (
        *("googlenet", imagenet.GOOGLENET, 6_998_552),
        *("inception5b_join", 7),
    ),
    "VGG16": ("vgg", imagenet.VGG16, 138_357_544, "pool5", 7),
    "VGG19": ("vgg", imagenet.VGG19, 143_667_240, "pool5", 7),
    # As PyTorch counts them.
    "ResNet34": ("resnet", imagenet.RESNET34, 21_797_672, "block16_relu", 7),
    "ResNet50": ("resnet", imagenet.RESNET50, 25_557_032, "block16_relu", 7),
    "ResNet101": ("resnet", imagenet.RESNET101, 44_549_160, "block33_relu", 7),
    "ResNet152": ("resnet", imagenet.RESNET152, 60_192_808, "block50_relu", 7),
}


@pytest.mark.parametrize(
    "network",
    only_thorough(PUBLISHED, ["AlexNet", "GoogLeNet", "VGG16", "ResNet50"]),
)
def test_published_networks_have_the_published_sizes(network):
    name, arguments, parameters, last_maps, side = PUBLISHED[network]
    model = published(name, **arguments)
    assert count(model.trainable_weights) == parameters
    assert model.get_layer(last_maps).output.shape[1:3] == (side, side)
    assert model.output_shape == (None, 1000)


def shapes(model):
    return sorted(tuple(weight.shape) for weight in model.weights)


@pytest.mark.parametrize(
    ("theirs", "ours", "parameters"),
    [
        ("VGG16", ("vgg", imagenet.VGG16), 138_357_544),
        pytest.param(
            "ResNet50",
            ("resnet", imagenet.RESNET50 | {"use_bias": True}),
            25_636_712,
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_weights_have_the_shapes_of_those_of_keras(theirs, ours, parameters):
    name, arguments = ours
    model = published(name, **arguments)
    builder = getattr(keras.applications, theirs)
    application = build_for_shapes(builder, weights=None)
    assert shapes(model) == shapes(application)
    assert count(model.weights) == parameters


def test_local_response_normalization_is_the_papers_formula():
    layer = imagenet.LocalResponseNormalization(3, alpha=0.4, beta=0.6, bias=1)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    expected = np.zeros_like(x)
    for i in range(5):
        around = x[..., max(i - 1, 0) : i + 2]
        scale = 1 + 0.4 * np.sum(around**2, axis=-1)
        expected[..., i] = x[..., i] / scale**0.6
    np.testing.assert_allclose(outputs(layer, x), expected, rtol=1e-5)


def test_local_response_normalization_has_room_in_half_precision():
    layer = imagenet.LocalResponseNormalization(dtype="mixed_float16")
    answers = np.full((1, 1, 1, 7), 300.0)
    exact = imagenet.LocalResponseNormalization()(answers.astype("float32"))
    np.testing.assert_allclose(layer(answers), exact, rtol=2e-3)


def test_local_response_normalization_needs_a_middle():
    with pytest.raises(ValueError, match="odd.*4"):
        imagenet.LocalResponseNormalization(4)


@pytest.mark.parametrize(("name", "width"), [("alexnet", 0), ("resnet", -1)])
def test_no_maps_are_refused(name, width):
    with pytest.raises(ValueError, match="`width`.*Received"):
        zoo.create_model(name, width=width)


def test_alexnet_refuses_images_that_its_poolings_leave_nothing_of():
    with pytest.raises(ValueError, match="size would be zero"):
        zoo.create_model("alexnet", input_shape=(14, 14, 1))
    smallest = zoo.create_model("alexnet", input_shape=(15, 15, 1))
    assert smallest.get_layer("pool3").output.shape == (None, 1, 1, 64)


def test_a_block_without_its_last_weights_hands_on_what_it_gets(pixels):
    model = build("resnet", blocks=(1, 1), width=0.125)
    before, after = (
        outputs(zoo.feature_extractor(model, name), pixels)
        for name in ("relu1", "block1_relu")
    )
    assert not np.allclose(before, after)
    norm = model.get_layer("block1_norm2")
    norm.gamma.assign(np.zeros(norm.gamma.shape))
    after = outputs(zoo.feature_extractor(model, "block1_relu"), pixels)
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_an_inception_module_joins_four_branches(pixels):
    model = build("googlenet", width=0.125, batch_norm=False)
    names = ["1x1", "3x3", "5x5", "project", "join"]
    names = [f"inception4a_{name}" for name in names]
    found = zoo.feature_extractor(model, names)(pixels[:1])
    *branches, joined = (found[name] for name in names)
    np.testing.assert_array_equal(np.concatenate(branches, axis=-1), joined)
