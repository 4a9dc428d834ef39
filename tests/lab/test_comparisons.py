"""Trainings side by side are drawn with their spread, and said in words."""

import pytest
from helpers.pictures import size_of

from recipes.lab.metrics import ACCURACY
from recipes.lab.report.comparisons import (
    Panel,
    by_epoch,
    panels_section,
    write_spread,
)

LINES = {"Adam": {1: [2.0, 1.0], 2: [0.5, 0.25]}, "SGD": {1: [4.0, 2.0]}}


def panel(lines=LINES, **options):
    return Panel(lines, x_label="epoch", y_label="loss", **options)


def draw(folder, panels, **options):
    options = {"heading": "a heading", "caption": "A caption."} | options
    return panels_section(folder / "plots", "lines", panels=panels, **options)


def test_a_curve_goes_as_far_as_all_seeds_do():
    histories = [{"error": [0.5, 0.25, 0.125]}, {"error": [0.5, 0.3]}]
    assert by_epoch(histories, "error", 100) == {1: [50, 50], 2: [25, 30]}


def test_spread_is_that_of_a_sample_and_one_seed_has_none():
    assert write_spread(ACCURACY, [0.98, 0.99, 1.0]) == "99.00 ± 1.00 %"
    assert write_spread(ACCURACY, [0.98]) == "98.00 %"


@pytest.mark.parametrize(
    "options",
    [
        {"log_y": True},
        {"log_x": True, "chosen": {"Adam": 2}},
        # Of a few images all may be right.
        {"log_y": True, "lines": {"Adam": {1: [0.0, 0.0], 2: [0.0, 0.0]}}},
        # Early stopping may stop at once.
        {"log_y": True, "lines": {"Adam": {1: [0.5]}}},
        {"lines": {"Adam": {x: [1 / x] for x in range(1, 200)}}},
    ],
    ids=["logarithm", "ring", "zeros", "point", "many points"],
)
def test_lines_of_any_kind_are_drawn(tmp_path, options):
    heading, _, html = draw(tmp_path, [panel(**options)])
    assert heading == "a heading"
    assert html.startswith("<img ")
    assert (tmp_path / "plots" / "lines.png").stat().st_size > 5_000


@pytest.mark.parametrize("least", [0.2, 1e-3, 1e-9, 1e-30])
def test_logarithmic_axes_have_numbers(least, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig

    def savefig(figure, *arguments, **options):
        drawn.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    draw(tmp_path, [panel({"Adam": {1: [least], 2: [1.0]}}, log_y=True)])
    axes = drawn[0].axes[0]
    low, high = axes.get_ylim()
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 3


def test_plots_stand_in_rows(tmp_path):
    sizes = []
    for count in (2, 3):
        panels = [panel(title=f"way {i}") for i in range(count)]
        draw(tmp_path, panels, columns=2)
        sizes.append(size_of(tmp_path / "plots" / "lines.png"))
    assert sizes[0][0] == sizes[1][0]
    assert 1.5 * sizes[0][1] < sizes[1][1] < 2 * sizes[0][1]


def test_page_says_where_lines_end(tmp_path):
    panels = [panel(), panel({"one": {3: [0.5]}}, title="a title")]
    _, _, html = draw(tmp_path, panels)
    said = (
        "loss by epoch: Adam 0.375 at 2, SGD 3 at 1; "
        "a title by epoch: one 0.5 at 3."
    )
    assert f'alt="{said}"' in html


def test_caption_says_what_is_spread(tmp_path):
    _, caption, html = draw(tmp_path, [panel()], html="<table></table>")
    assert caption == (
        "A caption. Lines go through the means of 2 seeds, bands from the "
        "lowest to the highest; ± is the standard deviation."
    )
    assert html.endswith("<table></table>")
    _, caption, _ = draw(tmp_path, [panel()])
    assert caption.endswith("bands from the lowest to the highest.")
    _, caption, _ = draw(tmp_path, [panel({"Adam": {1: [0.5]}})])
    assert caption == "A caption."


@pytest.mark.parametrize("length", [3, 20, 45, 70])
def test_a_legend_is_no_wider_than_its_figure(length, tmp_path, monkeypatch):
    lines = {f"{i}" + "n" * (length - 1): {1: [1.0]} for i in range(7)}
    drawn = []
    monkeypatch.setattr(
        "recipes.lab.report.page.figure_html",
        lambda path, figure, alt: drawn.append(figure) or "",
    )
    draw(tmp_path, [panel(lines)])
    [figure] = drawn
    figure.canvas.draw()
    [legend] = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
