"""Where the light of a pixel goes, and the noise on top of it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import split_of
from helpers.tasks import sample

from recipes.lab.data import augmentation, degradation
from recipes.lab.errors import UsageError


def blurred(images, blur):
    normal = np.zeros(images.shape, "float32")
    return degradation.degraded(images, blur, 0.0, normal).numpy()


def spot(row, column):
    """A white pixel in a black picture of 21 by 25."""
    image = np.zeros((1, 21, 25, 1), "uint8")
    image[0, row, column] = 255
    return image


def test_a_spot_becomes_the_point_spread_function():
    rows, columns = np.mgrid[:21, :25]
    squares = (rows - 10) ** 2 + (columns - 12) ** 2
    spread = np.exp(-squares / (2 * 1.5**2))
    found = blurred(spot(10, 12), 1.5)[0, ..., 0]
    np.testing.assert_array_equal(found, np.round(255 * spread / spread.sum()))


def test_light_that_falls_beyond_the_edge_is_lost():
    white = np.full((1, 21, 25, 1), 255, "uint8")
    found = blurred(white, 1.5)[0, ..., 0]
    assert found[10, 12] == 255
    edge = (1 + degradation.point_spread(np.zeros(1), 1.5)[0]) / 2
    assert found[0, 12] == round(255 * edge)
    assert found[0, 0] == round(255 * edge**2)


def test_the_least_blur_leaves_an_image_as_it_is(noise):
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 11, 2))
    images = images.astype("uint8")
    np.testing.assert_array_equal(blurred(images, 0.1), images)


@pytest.fixture
def grey():
    return np.full((40, 14, 12, 1), 127, "uint8")


@pytest.mark.thorough
def test_training_pictures_have_noise_of_the_level_that_is_asked_for(grey):
    augment = degradation.random_degradation(0.1, 0.1)

    def seen(seed, first=0, size=40):
        draw = augmentation.Drawing(tf.constant([1, seed]), 40, first, size)
        return augment(grey[first : first + size], draw).numpy()

    noise = seen(0).astype(float) - 127
    assert abs(noise.mean()) < 1
    assert noise.std() == pytest.approx(25.5, rel=0.03)
    below = np.mean(noise < -25.5)  # of a normal distribution
    assert below == pytest.approx(0.1587, abs=0.015)
    np.testing.assert_array_equal(seen(0), seen(0))
    assert not np.array_equal(seen(0), seen(1))
    halves = np.concatenate([seen(0, 0, 20), seen(0, 20, 20)])
    np.testing.assert_array_equal(halves, seen(0))


@pytest.mark.thorough
def test_what_is_scored_is_under_the_same_noise_each_time():
    digits = sample()
    few = dataclasses.replace(
        digits, validation=digits.validation[:20], test=digits.test[:20]
    )
    one, same = (degradation.to_restore(few, 1.5, 0.1) for _ in range(2))
    np.testing.assert_array_equal(one.test.inputs, same.test.inputs)
    for split, clean in ((one.test, few.test), (one.train, few.train)):
        np.testing.assert_array_equal(split.targets, clean.inputs)
    assert not np.array_equal(one.test.inputs, few.test.inputs)
    np.testing.assert_array_equal(one.train.inputs, few.train.inputs)
    assert one.train.passes == few.train.passes
    for pixels in one.train.prepare(one.train.inputs, one.train.targets):
        np.testing.assert_allclose(255 * pixels, one.train.inputs, rtol=1e-6)


def test_pictures_that_nobody_could_compare_are_refused():
    inputs = dataclasses.replace(sample().inputs, shape=(10, 28, 1))
    split = split_of([0] * 4)
    tiny = dataclasses.replace(
        sample(), inputs=inputs, train=split, validation=split, test=split
    )
    with pytest.raises(UsageError, match="need 11 pixels a side .* have 10"):
        degradation.to_restore(tiny, 1.5, 0.1)
