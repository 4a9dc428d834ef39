"""Where a network looks while it writes, as a picture with words for it."""

import numpy as np
from PIL import Image

from recipes.lab.report import attention


def test_a_picture_shows_what_was_read_and_what_was_written(tmp_path):
    weights = np.zeros((2, 3, 8))
    weights[0, 0, 5:] = 0.2, 0.7, 0.1  # of "abc", at the end of its axis
    weights[0, 1, 7] = 1
    weights[1, 0, 0] = weights[1, 1, 7] = 1
    heading, caption, html = attention.section(
        tmp_path, ["abc", "abcdefgh"], ["xy", "zz"], weights
    )
    assert heading == "Where it looks"
    assert "abc becomes xy" in html
    assert "on character: x at 2, y at 3" in html
    assert "on character: z at 1, z at 8" in html
    with Image.open(tmp_path / "attention.png") as picture:
        assert picture.width > picture.height


def test_who_has_written_nothing_has_looked_nowhere(tmp_path):
    weights = np.full((1, 3, 4), 0.25)
    *_, html = attention.section(tmp_path, ["abcd"], [""], weights)
    assert "abcd becomes nothing." in html


def test_words_are_colored_by_what_is_thought_after_them(tmp_path):
    sentences = ["not", "bad"], ["good"]
    heading, caption, html = attention.reading_section(
        tmp_path, sentences, [[0.01, 0.99], [0.2]], ("a < b", "pleased")
    )
    assert heading == "Word by word"
    assert "a &lt; b" in caption
    assert "not bad: pleased; good: a &lt; b." in html
    with Image.open(tmp_path / "reading.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3) / 255
    for color in (attention.PLEASED, attention.DISPLEASED):
        # Nearly as strong as it can be, for whoever is nearly sure.
        assert np.abs(pixels - color).max(axis=1).min() < 0.02
