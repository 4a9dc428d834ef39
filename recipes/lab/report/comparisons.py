"""Trainings side by side: curves with their spread over seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recipes.lab.metrics import Metric
from recipes.lab.report import page

# Okabe and Ito 2008, for people who see fewer colors, too; their yellow is too
# pale for a line on white.
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    page.INK,
)
MARKERS = "osD^vPX"  # and for those who see none
OF_SPLITS = {"training": page.TRAINING, "validation": page.VALIDATION}
MARKED = 30  # more points than that hide their line


@dataclass(frozen=True)
class Panel:
    """One of several plots.

    Attributes:
        lines: Name of each line to its values: by x, those of all seeds.
        x_label: What is on the x-axis.
        y_label: What is on the y-axis.
        title: What the plot is of; "" if the labels say it.
        log_x: Whether the x-axis is logarithmic.
        log_y: Whether the y-axis is.
        top: Where the y-axis ends, if not where the lines do.
        chosen: An x of some lines that is to be ringed, by their names.
    """

    lines: dict[str, dict[float, Sequence[float]]]
    x_label: str
    y_label: str
    title: str = ""
    log_x: bool = False
    log_y: bool = False
    top: float | None = None
    chosen: dict[str, float] = field(default_factory=dict)


def by_epoch(
    histories: Sequence[dict], metric: str, factor: float = 1, after: int = 0
) -> dict[int, list[float]]:
    """Return a metric of several trainings by epoch, for a `Panel`.

    Args:
        histories: What `fit` returned for each seed.
        metric: Its name there.
        factor: What it is multiplied by.
        after: Epochs that had been trained before.

    Returns:
        Number of the epoch to a value for each training, as far as all go.
    """
    curves = zip(*(history[metric] for history in histories), strict=False)
    return {
        epoch: [factor * value for value in values]
        for epoch, values in enumerate(curves, start=after + 1)
    }


def write_spread(metric: Metric, values: Sequence[float]) -> str:
    """Return the mean of some seeds and their standard deviation, in words.

    One seed has no spread.
    """
    if len(values) == 1:
        return metric.write(values[0])
    return metric.write_mean(statistics.mean(values), statistics.stdev(values))


def panels_section(
    plots: Path,
    name: str,
    *,
    heading: str,
    caption: str,
    panels: Sequence[Panel],
    columns: int = 2,
    html: str = "",
    named: bool = False,
    repeats: str = "seeds",
):
    """Return a section with plots side by side, and one legend for all.

    A line goes through the means of the seeds, and a band around it from the
    lowest to the highest, which the caption says. Plots of the same thing have
    the same axes.

    Args:
        plots: Where the figure goes.
        name: The figure's file name, without suffix.
        heading: Heading of the section.
        caption: How to read it, as HTML; not what lines and bands are.
        panels: What is plotted.
        columns: How many plots there are in a row.
        html: What comes below, for example a table.
        named: Whether a single line has a legend, too.
        repeats: What there are several of at each point.
    """
    from matplotlib.figure import Figure

    plots.mkdir(parents=True, exist_ok=True)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    shared = len({(panel.x_label, panel.y_label) for panel in panels}) == 1
    height = 4.6 if columns == 1 else 3.9 if columns == 2 else 2.8
    figure = Figure(figsize=(8.8, height * rows + 0.4), layout="constrained")
    grid = figure.subplots(
        *(rows, columns), squeeze=False, sharex=shared, sharey=shared
    )
    styles = _styles(panels)
    many = MARKED < max(len(x) for p in panels for x in p.lines.values())
    handles = {}
    for i, axes in enumerate(grid.flat):
        if i >= len(panels):
            axes.set_axis_off()
            continue
        panel = panels[i]
        for label, values in panel.lines.items():
            ring = panel.chosen.get(label)
            style = dict(styles[label])
            if many and len(values) > 1:
                style["marker"] = ""
            handles[label] = _line(axes, values, ring, style)
        _label(axes, panel, panels if shared else [panel])
        if shared and i % columns:
            axes.set_ylabel("")
        if shared and i + columns < len(panels):
            axes.set_xlabel("")
    if len(handles) > 1 or named:
        _add_legend(figure, handles)
    picture = page.figure_html(plots / f"{name}.png", figure, _in_words(panels))
    counts = _seeds(panels)
    if max(counts) > 1:
        seeds = f"{'up to ' * (len(counts) > 1)}{max(counts)} {repeats}"
        caption += (
            f" Lines go through the means of {seeds}, bands from the "
            "lowest to the highest"
        )
        caption += "; ± is the standard deviation." if html else "."
    return heading, caption, picture + (f"\n{html}" if html else "")


def _add_legend(figure, handles: dict) -> None:
    """Put a legend below the plots, in as many columns as fit."""
    for columns in range(min(len(handles), 7), 0, -1):
        legend = figure.legend(
            *(handles.values(), handles.keys()),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
        )
        if columns == 1 or (
            legend.get_window_extent().width <= figure.bbox.width
        ):
            return
        legend.remove()


def _seeds(panels) -> set[int]:
    """Return how many values a point is the mean of."""
    return {
        len(seeds)
        for panel in panels
        for line in panel.lines.values()
        for seeds in line.values()
    }


def _styles(panels) -> dict[str, dict]:
    """Return color and marker of each line, the same in all panels."""
    labels = dict.fromkeys(name for panel in panels for name in panel.lines)
    return {
        label: {
            "color": OF_SPLITS.get(label, COLORS[i % len(COLORS)]),
            "marker": MARKERS[i % len(MARKERS)],
        }
        for i, label in enumerate(labels)
    }


def _line(axes, values: dict, ring: float | None, style: dict):
    """Draw one line with its band; return what the legend shows."""
    values = dict(sorted(values.items()))
    means = [statistics.mean(seeds) for seeds in values.values()]
    low, high = zip(*((min(s), max(s)) for s in values.values()), strict=True)
    x, color = [*values], style["color"]
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    [line] = axes.plot(*(x, means), **style, markersize=4.5, linewidth=1.6)
    if ring is not None:
        axes.plot(
            *(ring, means[x.index(ring)]),
            color=color,
            marker="o",
            markersize=12,
            fillstyle="none",
            markeredgewidth=1.6,
        )
    return line


def _label(axes, panel: Panel, sharing: Sequence[Panel]) -> None:
    """Give a plot its scales and its words.

    Args:
        axes: The plot.
        panel: What is plotted.
        sharing: The panels with the same scales, itself among them.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    if panel.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        xs = (x for line in panel.lines.values() for x in line)
        steps = {"min_n_ticks": 1, "steps": (1, 2, 5, 10)}
        steps["integer"] = all(float(x).is_integer() for x in xs)
        axes.xaxis.set_major_locator(MaxNLocator(6, **steps))
    values = [
        value
        for one in sharing
        for line in one.lines.values()
        for seeds in line.values()
        for value in seeds
    ]
    if panel.log_y and min(values) > 0:  # of a few images all may be right
        axes.set_yscale("log")
        ratio = max(values) / min(values)
        subs = (1, 1.5, 2, 3, 5, 7) if ratio < 30 else (1, 2, 5)
        if ratio > 1e4:  # Matplotlib would label nothing, for want of room
            subs = (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    if panel.top is not None:
        axes.set_ylim(top=panel.top)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.grid(color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _in_words(panels) -> str:
    """Say where every line ends, for people who hear the page."""
    words = []
    for panel in panels:
        ends = []
        for label, values in panel.lines.items():
            x = max(values)
            ends.append(f"{label} {statistics.mean(values[x]):.3g} at {x:g}")
        title = panel.title or panel.y_label
        words.append(f"{title} by {panel.x_label}: {', '.join(ends)}")
    return "; ".join(words) + "."
