"""Lines are drawn from one point or more."""

import pytest

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
