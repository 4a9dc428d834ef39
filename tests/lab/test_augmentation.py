"""Augmentation moves pixels, invents none, and depends on its seed alone."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.data import augmentation


@pytest.fixture
def batch():
    """64 images without a black pixel, so that what moved in shows."""
    noise = np.random.default_rng(0).integers(1, 256, (64, 28, 28, 1))
    return noise.astype("uint8")


def draw(*seed):
    return augmentation.Drawing(seed, 64, 0, 64)


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


def drawn(*numbers):
    """Return a `draw` whose numbers are the same for each image."""

    def draw(stream, *shape, low=0, high=None, dtype=None):
        values = np.resize(np.float32(numbers), shape)
        return tf.constant(np.repeat(values[..., np.newaxis], 64, -1))

    return draw


def test_a_warp_of_nothing_changes_nothing(batch):
    same = augmentation.random_warp(batch, draw(1, 2)).numpy()
    assert same.dtype == "uint8"
    np.testing.assert_array_equal(same, batch)


@pytest.mark.parametrize(
    ("drawn_number", "most", "expected"),
    [
        (0, {"rotation": 90}, lambda batch: np.rot90(batch, axes=(1, 2))),
        (4, {"shift": 3}, lambda batch: np.pad(batch[:, 3:], TO_28_ROWS)),
        (5, {"shift": 28}, np.zeros_like),
    ],
    ids=["turned", "moved up", "moved out"],
)
def test_a_warp_is_the_map_that_was_drawn(batch, drawn_number, most, expected):
    numbers = np.eye(6)[drawn_number]
    warped = augmentation.random_warp(batch, drawn(*numbers), **most).numpy()
    np.testing.assert_array_equal(warped, expected(batch))


TO_28_ROWS = ((0, 0), (0, 3), (0, 0), (0, 0))


def test_a_warp_interpolates_between_four_pixels(batch):
    """Half a pixel off along both sides is the mean of four."""
    warped = augmentation.random_warp(
        batch, drawn(0, 0, 0, 0, 0.5, 0.5), shift=1.0
    ).numpy()
    exact = batch.astype(float)
    exact = (exact[:, 1:] + exact[:, :-1]) / 2
    exact = (exact[:, :, 1:] + exact[:, :, :-1]) / 2
    assert np.abs(warped[:, :-1, :-1] - exact).max() <= 0.5


def test_zoom_and_shear_keep_the_middle_and_scale_what_is_around():
    # Each pixel says in which column it is.
    ramp = np.tile(np.arange(29, dtype="uint8")[:, np.newaxis], (64, 29, 1, 1))
    zoomed = augmentation.random_warp(ramp, drawn(0, 0, 1, 0, 0, 0), zoom=1.0)
    np.testing.assert_array_equal(
        zoomed[0, 0, ::2, 0], 7 + np.arange(29)[::2] / 2
    )
    slanted = augmentation.random_warp(ramp, drawn(0, 0, 0, 1, 0, 0), shear=0.5)
    np.testing.assert_array_equal(
        slanted[0, :, 14, 0], np.arange(7, 21.5, 0.5).round()
    )


def test_bending_is_smooth_and_as_wide_as_it_is_said_to_be():
    """Of a ramp of brightness each pixel tells how far it was moved."""
    ramp = np.tile(
        np.arange(40, 208, 6, dtype="uint8")[:, np.newaxis], (64, 28, 1, 1)
    )
    bent = augmentation.random_warp(ramp, draw(1, 2), elastic=1.0).numpy()
    moved = ((bent.astype(float) - ramp) / 6)[:, 7:-7, 7:-7, 0]
    assert 0.9 < moved.std() < 1.1
    neighbors = np.diff(moved, axis=1).std()
    # exp(-1 / (4 * 4^2)) is the correlation of neighbors.
    assert neighbors == pytest.approx(np.sqrt(2 - 2 * np.exp(-1 / 64)), rel=0.3)


def test_a_rectangle_of_every_second_image_is_erased():
    blank = np.full((64, 28, 28, 1), 7, "uint8")
    erased = augmentation.random_erasing(blank, draw(1, 2)).numpy() != 7
    areas = erased.sum(axis=(1, 2, 3))
    assert 20 < (areas > 0).sum() < 44
    assert areas[areas > 0].min() > 0.01 * 784
    assert areas.max() <= 0.36 * 784
    for image in erased[areas > 0, :, :, 0]:
        rows, columns = image.any(1).nonzero()[0], image.any(0).nonzero()[0]
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert image.sum() > 0.9 * tall * wide  # noise is 7 now and then


@pytest.mark.parametrize(
    "augment",
    [
        augmentation.random_shift,
        augmentation.random_flip,
        augmentation.random_erasing,
        functools.partial(
            augmentation.random_warp, rotation=15, zoom=0.1, elastic=1.0
        ),
    ],
)
def test_the_seed_decides(batch, augment):
    once = augment(batch, draw(1, 2)).numpy()
    again = augment(batch, draw(1, 2)).numpy()
    other = augment(batch, draw(1, 3)).numpy()
    assert (once == again).all()
    assert (once != other).any()


def test_a_replica_sees_what_a_single_device_would(batch):
    def warp(images, draw):
        images = augmentation.random_warp(
            images, draw, rotation=15, zoom=0.1, shear=0.2, shift=2, elastic=1
        )
        return augmentation.random_erasing(images, draw)

    whole = warp(batch, draw(1, 2)).numpy()
    seeds = tf.stack([1, 2])
    share = augmentation.Drawing(seeds, 64, 32, 32)
    np.testing.assert_array_equal(warp(batch[32:], share), whole[32:])


def test_strength_is_a_share_of_every_change(batch):
    draw_one = draw(1, 2)
    amounts = {"rotation": 10.0, "zoom": 0.2, "shear": 0.1, "shift": 2.0}
    amounts["elastic"] = 1.0
    halves = {name: amount / 2 for name, amount in amounts.items()}
    warp = augmentation.random_warp
    weaker = warp(batch, draw_one, **amounts, strength=tf.constant(0.5))
    np.testing.assert_array_equal(weaker, warp(batch, draw_one, **halves))
    still = warp(batch, draw_one, **amounts, strength=0.0)
    np.testing.assert_array_equal(still, batch)


def test_a_strength_fades_with_the_batches_and_stays_at_the_end():
    found = [
        float(draw(1, step).fading(100, 0.5)) for step in (0, 25, 100, 150)
    ]
    assert found == [1, 0.875, 0.5, 0.5]
