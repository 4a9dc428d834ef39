"""What is drawn gets one shape: a width, or no slant."""

import numpy as np
import pytest

from zoo import multicolumn


def bar(first, last, *, rows=slice(4, 24), value=1.0):
    """Return a batch of one picture with a bar from one column to another."""
    picture = np.zeros((1, 28, 28, 1), "float32")
    picture[:, rows, first : last + 1] = value
    return picture


def normalized(pictures, width, max_stretch=None):
    layer = multicolumn.WidthNormalization(width, max_stretch)
    return np.array(layer(pictures))


@pytest.mark.parametrize("width", [10, 20])
@pytest.mark.parametrize(("first", "last"), [(0, 7), (9, 18), (2, 27)])
def test_what_is_drawn_gets_the_width_and_the_middle(width, first, last):
    wide = normalized(bar(first, last), width)
    assert wide.shape == (1, 29, 29, 1)
    columns = wide[0, 4, :, 0]
    middle = np.average(np.arange(29), weights=columns)
    assert middle == pytest.approx(14, abs=0.5)
    # Its sides are blurred by interpolation, not the sum.
    assert columns.sum() == pytest.approx(width, abs=0.6)
    assert columns.max() == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(wide[0, 4:24], wide[:1, 4].repeat(20, 0))
    assert (wide[0, 24:] == 0).all()


def test_a_digit_of_the_width_is_only_moved():
    noise = np.random.default_rng(0).uniform(0.2, 1, (1, 28, 10, 1))
    picture = np.zeros((1, 28, 28, 1), "float32")
    picture[:, :, 3:13] = noise
    moved = normalized(picture, 10)[0, :28, :, 0]
    # 29 columns have no middle for 10: it is half a column to either side.
    exact = (picture[0, :, 2:13, 0] + picture[0, :, 3:14, 0]) / 2
    np.testing.assert_allclose(moved[:, 9:20], exact, atol=1e-5)


def test_a_thin_digit_is_stretched_as_far_as_is_allowed():
    for first in (3, 20):
        wide = normalized(bar(first, first + 3), 20, max_stretch=2)
        columns = wide[0, 4, :, 0]
        assert columns.sum() == pytest.approx(8, abs=0.6)
        middle = np.average(np.arange(29), weights=columns)
        assert middle == pytest.approx(14, abs=0.01)
    # One that need not be is as without a limit, and so is one to be squeezed.
    for last in (12, 26):
        np.testing.assert_array_equal(
            normalized(bar(2, last), 20, max_stretch=2),
            normalized(bar(2, last), 20),
        )


def test_a_blank_picture_stays_blank():
    for max_stretch in (None, 2):
        blank = np.zeros((2, 28, 28, 1), "float32")
        assert (normalized(blank, 12, max_stretch) == 0).all()


def test_each_picture_is_normalized_by_itself():
    both = np.concatenate([bar(0, 3), bar(5, 26, value=0.3)])
    together = normalized(both, 14)
    for picture, expected in zip(both, together, strict=True):
        np.testing.assert_array_equal(
            normalized(picture[None], 14)[0], expected
        )


@pytest.mark.parametrize("slant", [-0.5, 0.3, 1.0])
def test_a_slanted_stroke_is_set_upright_where_it_is(slant):
    stroke = slanted_stroke(slant)
    upright = np.array(multicolumn.Deslanting()(stroke))
    assert upright.shape == stroke.shape
    inked = upright[0, 6:22, :, 0]
    np.testing.assert_allclose(inked.sum(axis=1), 1, atol=1e-3)
    middles = inked @ np.arange(28)
    np.testing.assert_allclose(middles, 13.5, atol=0.2)


def test_a_slant_is_undone_as_far_as_is_allowed():
    steep = slanted_stroke(0.8)
    half = np.array(multicolumn.Deslanting(0.5)(steep))[0, 6:22, :, 0]
    middles = half @ np.arange(28)
    left = np.polyfit(np.arange(16), middles, 1)[0]
    assert left == pytest.approx(0.3, abs=0.02)
    as_it_was = np.array(multicolumn.Deslanting(0)(steep))
    np.testing.assert_array_equal(as_it_was, steep)
    with pytest.raises(ValueError, match="0 or more. Received: -1"):
        multicolumn.Deslanting(-1)


def test_what_stands_upright_stays_as_it_is():
    # Each picture by itself, a blank one, too.
    pictures = np.concatenate(
        [bar(9, 12), np.zeros((1, 28, 28, 1), "float32"), bar(2, 20, value=0.3)]
    )
    upright = np.array(multicolumn.Deslanting()(pictures))
    np.testing.assert_allclose(upright, pictures, atol=1e-5)


def test_other_black_is_set_upright_alike():
    stroke = slanted_stroke(0.3)
    dark = np.array(multicolumn.Deslanting(black=-1.0)(2 * stroke - 1))
    upright = np.array(multicolumn.Deslanting()(stroke))
    np.testing.assert_allclose(dark, 2 * upright - 1, atol=1e-4)


def slanted_stroke(slant):
    """Return a picture of a line about its middle, an even sum in each row."""
    picture = np.zeros((1, 28, 28, 1), "float32")
    for row in range(6, 22):
        place = 13.5 + slant * (row - 13.5)
        picture[0, row, :, 0] = np.clip(1 - abs(np.arange(28) - place), 0, 1)
    return picture


@pytest.mark.parametrize("width", [10, 20, None])
def test_the_margin_is_as_black_as_the_picture(width):
    layer = multicolumn.WidthNormalization(width, black=-1.0)
    dark = np.array(layer(2 * bar(9, 18) - 1))
    light = normalized(bar(9, 18), width)
    np.testing.assert_allclose(dark, 2 * light - 1, atol=1e-6)
