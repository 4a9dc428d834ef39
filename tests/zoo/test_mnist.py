"""Drawings become digits on the page as they do in Python."""

import numpy as np
import pytest
from helpers import handwriting, javascript

import zoo
from zoo import _digits

pytestmark = javascript.needs_node

EDGE, SIDE = _digits.EDGE, 112


def scribbles(count):
    """Draw strokes at random, of all sizes and at all places."""
    rng = np.random.default_rng(3)
    drawings = []
    for _ in range(count):
        start = rng.uniform(0.1, 0.9, 2)
        steps = rng.normal(scale=rng.uniform(0.01, 0.12), size=(12, 2))
        points = np.clip(start + np.cumsum(steps, axis=0), 0, 1)
        cut = rng.integers(1, 12)
        drawings.append([points[:cut].tolist(), points[cut:].tolist()])
    return drawings


@pytest.fixture(scope="module")
def drawn():
    """Ink of the page's own digits and of scribbles, and what it makes of it.

    Those with too little ink are there with None.
    """
    return javascript.run(
        "(drawings) => [...Object.keys(EXAMPLES).map(exampleOf), ...drawings]"
        ".map(inkOf).map((ink) => [ink.data, prepareDigit(ink)])",
        scribbles(40),
    )


def in_python(ink):
    """The part of `zoo.prepare_digit` that comes after finding the ink."""
    rows, columns = (np.flatnonzero(ink.max(axis) > EDGE) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _digits._placed(_digits._scaled(digit))


def test_a_drawing_becomes_what_python_makes_of_it(drawn):
    widened = 0
    for ink, pixels in drawn:
        ink = ink.reshape(SIDE, SIDE)
        if pixels is None:
            assert max(np.ptp(np.argwhere(ink > EDGE), axis=0)) < 7
            continue
        expected = in_python(ink).ravel()
        np.testing.assert_array_equal(pixels, expected)
        widened += expected.sum() / 255 > ink.sum() / 16
    assert widened  # the ways of small and of large drawings were both tried


def test_small_images_keep_their_strokes():
    """Of 20 pixels, as MNIST's are, a digit is not scaled at all."""
    five = _digits.prepare_digit(handwriting.five(24))[..., 0] / 255
    found = javascript.run(
        "(image) => prepareDigit("
        "{height: 28, width: 28, data: Float64Array.from(image.data)})",
        five,
    )
    np.testing.assert_array_equal(found, in_python(five).ravel())


def test_a_picture_of_the_drawing_is_prepared_alike(drawn):
    """Saved and read again, it is found among paper and noise, too."""
    predict = zoo.load_predictor("mnist_cnn@shipped")
    for digit, (ink, pixels) in enumerate(drawn[:10]):
        picture = np.rint(255 * ink.reshape(SIDE, SIDE)).astype("uint8")
        same = zoo.prepare_digit(picture)
        pixels = pixels.reshape(28, 28, 1)
        # A center of mass near a half goes to one pixel, or to the next.
        moves = [
            np.roll(same, (down, right), (0, 1)).ravel()
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        likeness = np.corrcoef([pixels.ravel(), *moves])[0, 1:]
        assert likeness.max() > 0.95
        found = predict(np.stack([same, pixels]))["class_id"]
        assert found.tolist() == [digit, digit]


def test_nothing_and_specks_are_no_digits():
    found = javascript.run(
        "(drawings) => drawings.map((strokes) => prepareDigit(inkOf(strokes)))",
        [[], [[[2, 2]]]],
    )
    assert found == [None, None]
    speck = np.zeros((SIDE, SIDE))
    speck[50:57, 50:57] = 1
    [small, large] = javascript.run(
        "(images) => images.map(({data}) => prepareDigit("
        "{height: 112, width: 112, data: Float64Array.from(data)}))",
        [speck, np.roll(speck, 1, axis=0) + speck],
    )
    assert small is None
    assert large is not None


def test_as_drawn_it_is_only_reduced():
    found = javascript.run(
        "(strokes) => [leaveAsDrawn(inkOf(strokes)), inkOf(strokes).data]",
        [[[0.1, 0.1], [0.3, 0.1]]],
    )
    pixels, ink = found[0].reshape(28, 28), found[1].reshape(SIDE, SIDE)
    assert pixels[:6, :12].sum() == pixels.sum() > 0
    blocks = ink.reshape(28, 4, 28, 4).mean(axis=(1, 3))
    assert np.abs(pixels / 255 - blocks).mean() < 0.02
