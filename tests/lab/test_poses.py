"""Poses: where the pixels go, and what the views of an image share."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.data import augmentation, poses


@pytest.fixture
def corner():
    """An image with a white square up on the right, away from the middle."""
    image = np.zeros((1, 21, 21, 1), "uint8")
    image[0, 5:7, 13:15] = 255
    return image


def centers(images):
    """Return the mean row and column of the ink, from the middle, and ink."""
    images = np.asarray(images)[..., 0].astype("float64")
    places = np.arange(21) - 10
    ink = images.sum(axis=(1, 2))
    rows = images.sum(axis=2) @ places / ink
    columns = images.sum(axis=1) @ places / ink
    return rows, columns, ink


def pose(**values):
    return tf.constant([[values.get(name, 0.0) for name in poses.FACTORS]])


@pytest.mark.parametrize(
    ("values", "row", "column"),
    [
        ({}, -4.5, 3.5),
        ({"right": 1.0}, -4.5, 3.5 + 2.1),
        ({"down": 0.5}, -4.5 + 1.05, 3.5),
        ({"size": 1.0}, -4.5 * 1.25, 3.5 * 1.25),
        ({"size": -1.0}, -4.5 * 0.75, 3.5 * 0.75),
        # 40 degrees to the left, around the middle.
        ({"rotation": 1.0}, -5.697, -0.211),
    ],
    ids=str,
)
def test_a_pose_moves_the_ink(corner, values, row, column):
    [rows], [columns], _ = centers(poses.posed(corner, pose(**values)))
    assert (rows, columns) == pytest.approx((row, column), abs=0.15)


def test_a_larger_picture_has_more_ink(corner):
    [before] = centers(corner)[2]
    [after] = centers(poses.posed(corner, pose(size=1.0)))[2]
    assert after == pytest.approx(before * 1.25**2, rel=0.1)


def test_a_group_of_views_differs_in_one_factor(corner):
    images = np.repeat(corner, 3, axis=0)
    draw = augmentation.Drawing(tf.constant([1, 2]), 3, 0, 3)
    views = poses.views_by_factor(images, draw, views=5)
    rows, columns, ink = (
        values.reshape(3, 4, 5) for values in centers(views.numpy())
    )
    # In the last two groups it is moved along one side only.
    assert np.ptp(columns[:, 2], axis=1).min() > 0.5
    np.testing.assert_allclose(np.ptp(rows[:, 2], axis=1), 0, atol=0.1)
    assert np.ptp(rows[:, 3], axis=1).min() > 0.5
    np.testing.assert_allclose(np.ptp(columns[:, 3], axis=1), 0, atol=0.1)
    # Turning leaves the ink as it is, but for rounding; zooming does not.
    turned, zoomed = (
        np.ptp(ink[:, i], axis=1) / ink[:, i].mean() for i in (0, 1)
    )
    assert turned.max() < 0.1 < 0.2 < zoomed.max()
    # Scenes have poses of their own.
    assert np.ptp(rows[:, 2].mean(axis=1)) > 0.1


def test_shares_of_a_batch_see_what_one_device_does(corner):
    images = np.repeat(corner, 4, axis=0)

    def views(first, size):
        draw = augmentation.Drawing(tf.constant([1, 2]), 4, first, size)
        part = images[first : first + size]
        found = poses.views_by_factor(part, draw, views=2)
        return augmentation.random_ink(found, draw, 8).numpy()

    whole = views(0, 4)
    assert whole.shape == (32, 21, 21, 1)
    halves = np.concatenate([views(0, 2), views(2, 2)])
    np.testing.assert_array_equal(halves, whole)


def test_what_is_scored_is_in_the_same_poses_each_time(digits):
    some = dataclasses.replace(digits, test=digits.test[:50])
    one, values = poses.in_random_poses(some)
    same, _ = poses.in_random_poses(some)
    np.testing.assert_array_equal(one.test.inputs, same.test.inputs)
    np.testing.assert_array_equal(one.train.inputs, some.train.inputs)
    assert values.shape == (50, 4) and np.abs(values).max() <= 1
    before, after = (
        data.test.inputs.mean(axis=(1, 3))
        @ np.arange(28)
        / data.test.inputs.mean(axis=(1, 3)).sum(axis=1)
        for data in (some, one)
    )
    assert np.corrcoef(after - before, values[:, 2])[0, 1] > 0.9
