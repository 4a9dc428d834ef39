"""Augmentation moves pixels, invents none, and depends on its seed alone."""

import numpy as np
import pytest

from recipes.lab.data import augmentation


@pytest.fixture
def batch():
    """64 images without a black pixel, so that what moved in shows."""
    noise = np.random.default_rng(0).integers(1, 256, (64, 28, 28, 1))
    return noise.astype("uint8")


def draw(*seed):
    return augmentation.drawing(seed, 64, 0, 64)


def shifts_of(before, after, pixels):
    """Return the shifts that turn an image into another."""
    padded = np.pad(before, ((pixels, pixels), (pixels, pixels), (0, 0)))
    return [
        (row, column)
        for row in range(2 * pixels + 1)
        for column in range(2 * pixels + 1)
        if (padded[row : row + 28, column : column + 28] == after).all()
    ]


@pytest.mark.parametrize("pixels", [1, 2])
def test_each_image_is_shifted_by_itself(batch, pixels):
    moved = augmentation.random_shift(batch, draw(1, 2), pixels).numpy()
    assert moved.dtype == "uint8"
    pairs = zip(batch, moved, strict=True)
    shifts = [shifts_of(*pair, pixels) for pair in pairs]
    assert all(len(found) == 1 for found in shifts)
    # 64 draws from nine shifts leave one out once in two hundred seeds.
    assert len({found[0] for found in shifts}) > 5 * pixels


def test_each_image_is_mirrored_or_not(batch):
    flipped = augmentation.random_flip(batch, draw(1, 2)).numpy()
    same = (flipped == batch).all(axis=(1, 2, 3))
    mirrored = (flipped == batch[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize(
    "augment", [augmentation.random_shift, augmentation.random_flip]
)
def test_the_seed_decides(batch, augment):
    once = augment(batch, draw(1, 2)).numpy()
    again = augment(batch, draw(1, 2)).numpy()
    other = augment(batch, draw(1, 3)).numpy()
    assert (once == again).all()
    assert (once != other).any()
