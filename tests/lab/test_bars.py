"""Bars: the pictures that there are, and how probable each is."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import bars


def numbers(images):
    """The number of each picture among all that could be."""
    return (images.reshape(-1, 9) > 0) @ (2 ** np.arange(9))


def test_a_picture_is_of_whole_rows_or_of_whole_columns():
    images, labels = bars.pictures()
    assert {*np.unique(images)} == {0, 255}
    rows, columns = images[labels == 0], images[labels == 1]
    assert (rows == rows[:, :, :1]).all()
    assert (columns == columns[:, :1]).all()
    found, times = np.unique(numbers(images), return_counts=True)
    assert len(found) == 14
    assert dict(zip(found.tolist(), times.tolist(), strict=True))[0] == 2
    assert sorted(times.tolist()) == [1] * 12 + [2, 2]


@pytest.mark.parametrize("small", [False, True])
def test_what_is_measured_on_has_each_as_often_as_it_is_probable(small):
    data = bars.load(small)
    expected = np.bincount(numbers(bars.pictures()[0]), minlength=512) / 16
    for split in (data.validation, data.test):
        found = np.bincount(numbers(split.inputs), minlength=512) / len(split)
        np.testing.assert_array_equal(found, expected)
    drawn = np.bincount(numbers(data.train.inputs), minlength=512)
    np.testing.assert_allclose(
        drawn / len(data.train), expected, atol=0.04 if small else 0.01
    )
    assert not drawn[expected == 0].any()


def test_two_pixels_tell_nothing_of_what_is_no_picture_of_bars():
    """Correlations of pairs are those of other pictures, too."""
    images, _ = bars.pictures()
    pixels = np.where(images.reshape(16, 9) > 0, 1.0, -1.0)
    pairs = pixels.T @ pixels / 16
    same = np.indices((3, 3)).reshape(2, 9)
    beside = (same[:, :, None] == same[:, None]).any(axis=0)
    assert pixels.mean(axis=0).tolist() == [0] * 9
    np.testing.assert_allclose(pairs[~beside], 0)
    off = ~np.eye(9, dtype=bool)
    np.testing.assert_allclose(pairs[beside & off], 0.5)
