"""The Wiener filter where it is known what it does."""

import numpy as np
import pytest
from helpers.tasks import sample

from recipes.lab.data.degradation import point_spread, to_restore
from recipes.lab.tasks.reconstruction import psnr
from recipes.lab.tasks.wiener import wiener_filter

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (30, 12, 15, 2)).astype("uint8")


def around(pictures, blur):
    """Blur pictures of which each is one tile of many."""
    for axis in (1, 2):
        side = pictures.shape[axis]
        pictures = sum(
            share * np.roll(pictures, step, axis)
            for step in range(-2 * side, 2 * side)
            for share in point_spread(np.array([step]), blur)
        )
    return pictures


def test_without_noise_it_undoes_the_blur():
    pictures = IMAGES / 255
    restore = wiener_filter(IMAGES, 1.0, 0.0)
    found = restore(around(pictures, 1.0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pictures, atol=1e-5)


def test_without_noise_and_blur_it_changes_nothing():
    found = wiener_filter(IMAGES, 0.1, 0.0)(IMAGES / 255)
    np.testing.assert_allclose(found, IMAGES / 255, atol=1e-6)


def test_it_moves_a_pixel_towards_the_mean_as_far_as_noise_makes_it_doubtful():
    """Of pictures that are the mean and a spot, all frequencies are alike."""
    pair = np.full((2, 12, 15, 1), 128, "uint8")
    pair[0, 5, 5], pair[1, 5, 5] = 228, 28
    restore = wiener_filter(pair, 0.1, 0.25)
    seen = RANDOM.random((4, 12, 15, 1), "float32")
    signal = (100 / 255) ** 2 / (12 * 15)  # of a pixel, in the mean
    gain = signal / (signal + 0.25**2)
    mean = np.full((12, 15, 1), 128 / 255)
    expected = mean + gain * (seen - mean)
    np.testing.assert_allclose(restore(seen), expected, atol=1e-5)


@pytest.mark.thorough
def test_no_other_filter_of_its_kind_leaves_less():
    """It is told another level of noise, or another blur, than there is."""
    data = to_restore(sample(), 1.5, 0.1)
    seen, truth = data.test.inputs / 255, data.test.targets / np.float32(255)

    def error(blur, noise):
        restore = wiener_filter(data.train.targets, blur, noise)
        return np.mean((restore(seen) - truth) ** 2)

    best = error(1.5, 0.1)
    for blur, noise in ((1.0, 0.1), (2.0, 0.1), (1.5, 0.03), (1.5, 0.3)):
        assert error(blur, noise) > best
    restored = wiener_filter(data.train.targets, 1.5, 0.1)(seen)
    assert psnr(np.clip(restored, 0, 1), truth) > psnr(seen, truth) + 1
