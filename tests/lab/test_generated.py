"""Pictures that were drawn in training are a strip, and move unless asked."""

import re

import numpy as np
import pytest
from helpers.marks import only_thorough
from PIL import Image

from recipes.lab.report import generated


def drawn(epochs, channels=1):
    random = np.random.default_rng(0)
    return {
        epoch: random.integers(0, 256, (3, 8, 8, channels)).astype("uint8")
        for epoch in epochs
    }


@pytest.mark.parametrize("channels", only_thorough([1, 3], [1]))
def test_what_was_drawn_in_training_is_a_strip_and_moves(tmp_path, channels):
    pictures = drawn([1, 2, 10], channels)
    heading, _, html = generated.watched_section(tmp_path, "train", pictures)
    assert heading == "Learning to draw"
    assert 'alt="Pictures after epoch 1, epoch 2, epoch 10: ' in html
    assert (tmp_path / "watched_train.png").stat().st_size > 1_000
    with Image.open(tmp_path / "watched_train.gif") as image:
        assert (image.n_frames, image.info["loop"]) == (3, 0)
        image.seek(2)  # the last stays for a while
        assert image.info["duration"] == 2_400
        size = image.size
    # Who wants nothing to move sees the last one.
    still = r'<source media="\(prefers-reduced-motion: reduce\)" srcset="data'
    assert re.search(still, html)
    assert f'<img width="{size[0]}" height="{size[1]}" alt="The rows' in html


@pytest.mark.thorough
def test_what_was_drawn_once_does_not_move(tmp_path):
    heading, _, html = generated.watched_section(tmp_path, "top", drawn([1]))
    assert heading == "Learning to draw: top"
    assert "gif" not in html
    assert [p.name for p in tmp_path.iterdir()] == ["watched_top.png"]
