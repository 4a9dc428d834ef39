"""Lines are drawn from one point or more, and pictures move unless asked."""

import re

import numpy as np
import pytest
from helpers.marks import only_thorough
from PIL import Image

from recipes.lab.report import figures
from recipes.lab.report.page import lines_section


def lines(folder, **arguments):
    options = dict(
        heading="a heading",
        caption="a caption",
        x_label="x",
        y_label="y",
        lines={"one": {4: 0.5, 2: 0.75}, "other": {2: 0.25, 32: 0.125}},
    )
    return lines_section(folder, "lines", **(options | arguments))


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "values", [{32: 0.01}, {1: 0.5, 2: 0.25}, {784: 1e-12, 2: 0.5}]
)
def test_lines_of_one_point_or_more(tmp_path, values, log_y):
    plots = tmp_path / "plots"
    heading, _, html = lines(plots, lines={"one": values}, log_y=log_y)
    assert heading == "a heading"
    assert (plots / "lines.png").stat().st_size > 5_000
    for x, y in values.items():
        assert f"{y:.4g} at {x}" in html


def test_lines_say_in_words_what_they_show(tmp_path):
    _, _, html = lines(tmp_path)
    expected = "one: 0.75 at 2, 0.5 at 4; other: 0.25 at 2, 0.125 at 32."
    assert f'alt="{expected}"' in html


def drawn(epochs, channels=1):
    random = np.random.default_rng(0)
    return {
        epoch: random.integers(0, 256, (3, 8, 8, channels)).astype("uint8")
        for epoch in epochs
    }


@pytest.mark.parametrize("channels", only_thorough([1, 3], [1]))
def test_what_was_drawn_in_training_is_a_strip_and_moves(tmp_path, channels):
    pictures = drawn([1, 2, 10], channels)
    heading, _, html = figures.watched_section(tmp_path, "train", pictures)
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
    heading, _, html = figures.watched_section(tmp_path, "top", drawn([1]))
    assert heading == "Learning to draw: top"
    assert "gif" not in html
    assert [p.name for p in tmp_path.iterdir()] == ["watched_top.png"]
