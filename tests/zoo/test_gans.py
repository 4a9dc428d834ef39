"""Adversarial networks: their two players, and what chooses in a code."""

import keras
import numpy as np
import pytest
from helpers.builders import build, examples, outputs

import zoo
from zoo import gans


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_a_gan_is_its_generator_and_then_its_discriminator(name):
    model, codes = build(name), examples(name)
    pictures = outputs(model.get_layer("generator"), codes)
    assert pictures.shape == (4, 28, 28, 1)
    assert pictures.min() >= 0 and pictures.max() <= 1
    log_odds = model.get_layer("discriminator")(pictures)
    np.testing.assert_allclose(plain(log_odds), plain(model(codes)), atol=1e-6)


def test_the_largest_of_the_first_numbers_chooses():
    codes = np.float32(
        [[0.5, 2.0, -1.0, -0.0, 7.0], [-3.0, -2.0, -2.5, -4.0, 8]]
    )
    found = plain(gans.Choice(4)(codes))
    np.testing.assert_array_equal(found, [[0, 2, 0, 0, 7], [0, 2, 0, 0, 8]])


def test_a_code_of_a_dcgan_may_be_without_a_choice():
    model = zoo.create_model("dcgan", choices=0).get_layer("generator")
    assert "choice" not in [layer.name for layer in model.layers]


def test_features_of_a_generator_are_refused_and_those_of_pictures_are_not():
    model = zoo.create_model("dcgan")
    with pytest.raises(ValueError, match="'discriminator'"):
        zoo.feature_extractor(model)
    discriminator = model.get_layer("discriminator")
    features = zoo.feature_extractor(discriminator)
    assert features.input_shape == (None, 28, 28, 1)
    assert features.output_shape == (None, 256)
    drawn = zoo.feature_extractor(model, "generator")
    assert drawn.output_shape == (None, 28, 28, 1)


CODES = np.random.default_rng(0).normal(size=(3, 74)).astype("float32")


def labeled(labels, size=10.0):
    """The codes with labels in front."""
    codes = CODES.copy()
    codes[:, :10] = size * np.eye(10)[labels]
    return codes


def test_a_label_decides_what_both_players_see():
    model = build("conditional_gan")
    generator = model.get_layer("generator")
    discriminator = model.get_layer("discriminator")
    pictures = outputs(generator, labeled([3, 3, 7]))
    others = outputs(generator, labeled([4, 3, 7]))
    assert not np.allclose(pictures[0], others[0])
    np.testing.assert_array_equal(pictures[1:], others[1:])
    # The same picture, said to be of one class and of another.
    first, second = (
        outputs(discriminator, [pictures, np.eye(10)[labels]])
        for labels in ([3, 3, 7], [4, 3, 7])
    )
    assert first[0] != second[0]
    np.testing.assert_array_equal(first[1:], second[1:])
    # One behind the other, both are told the same.
    log_odds = outputs(model, labeled([3, 3, 7]))
    np.testing.assert_allclose(log_odds, first, atol=1e-6)


def test_how_large_a_label_is_does_not_matter():
    generator = build("conditional_gan").get_layer("generator")
    one, other = (
        outputs(generator, labeled([0, 4, 9], size)) for size in (1, 8)
    )
    np.testing.assert_array_equal(one, other)


def test_any_code_is_of_some_label():
    label = build("conditional_gan").get_layer("label")
    np.testing.assert_array_equal(
        plain(label(CODES)), np.eye(10)[CODES[:, :10].argmax(axis=1)]
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gan", {"latent_dim": 0}),
        ("dcgan", {"latent_dim": 0}),
        ("dcgan", {"filters": ()}),
        ("dcgan", {"choices": 65}),
        ("dcgan", {"image_shape": (30, 28, 1)}),
        ("conditional_gan", {"latent_dim": 0}),
        ("conditional_gan", {"num_classes": 1}),
    ],
    ids=str,
)
def test_the_argument_that_is_refused_is_named(name, arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=argument) as refusal:
        zoo.create_model(name, **arguments)
    assert str(value) in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("gan", {}), ("dcgan", {"filters": (8, 4, 4)})],
)
def test_pictures_may_be_larger_and_in_color(name, arguments):
    model = zoo.create_model(name, image_shape=(32, 48, 3), **arguments)
    assert model.get_layer("generator").output_shape == (None, 32, 48, 3)
