"""How well methods do: fold by fold, and at what cost."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.lab.report import page

COLUMNS = 12  # of small pictures
OURS, THEIRS = (page.TRAINING, "s"), (page.VALIDATION, "o")  # color and marker


def folds_section(
    plots: Path, scores: Sequence[float], others: Sequence[float], whose: str
):
    """Return the section with the accuracy of each fold.

    Args:
        plots: Where the figure goes.
        scores: Our accuracy on each fold.
        others: The accuracy of another implementation on each.
        whose: Whose that is.
    """
    from matplotlib.figure import Figure

    scores, others = (100 * np.asarray(shares) for shares in (scores, others))
    mean, spread = np.mean(scores), np.std(scores, ddof=1)
    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    axes = figure.subplots()
    folds = np.arange(1, len(scores) + 1)
    color, _ = OURS
    axes.axhline(mean, color=page.INK, linewidth=1, label="mean")
    axes.axhspan(
        *(mean - spread, mean + spread),
        color=page.FAINT,
        alpha=0.6,
        linewidth=0,
        label="± one standard deviation",
    )
    axes.plot(folds, scores, "o", color=color, markersize=7, label="ours")
    axes.plot(
        *(folds, others, "o"),
        markersize=13,
        fillstyle="none",
        markeredgewidth=1.6,
        color=THEIRS[0],
        label=whose,
    )
    axes.set_xlabel("fold")
    axes.set_ylabel("accuracy on the fold in %")
    axes.set_xticks(folds if len(folds) <= 20 else folds[::5])
    axes.set_xlim(0.5, len(folds) + 0.5)
    _finish(figure, axes, columns=4)
    other = int(np.sum(~np.isclose(scores, others)))
    finds = f"something else on {other} of them" if other else "the same"
    caption = (
        "Each model is tested on the fold that it was not trained on; "
        f"{whose} (the rings) finds {finds}. The spread over the folds says "
        "how much to believe of a single one."
    )
    alt = (
        "Accuracy of each fold in %: "
        + ", ".join(f"{score:.2f}" for score in scores)
        + f"; mean {mean:.2f}, standard deviation {spread:.2f}."
    )
    html = page.figure_html(plots / "folds.png", figure, alt)
    rows = [
        (str(fold), f"{score:.2f} %", f"{other:.2f} %")
        for fold, score, other in zip(folds, scores, others, strict=True)
    ]
    ends = (
        f"{statistics.mean(shares):.2f} ± {statistics.stdev(shares):.2f} %"
        for shares in (scores, others)
    )
    table = page.table([*rows, ("mean", *ends)], ("fold", "ours", whose))
    return "Accuracy of each fold", caption, f"{html}\n{table}"


def all_mistakes_section(plots: Path, images, labels, predicted, names, folds):
    """Return the section with every image that was classified wrongly.

    Args:
        plots: Where the figure goes.
        images: Small images, `(n, height, width, 1 or 3)` bytes.
        labels: Their classes.
        predicted: The answers.
        names: Names of the classes.
        folds: The number of the fold that each was tested in.
    """
    heading = "All that were classified wrongly"
    wrong = np.flatnonzero(labels != predicted)
    wrong = wrong[np.argsort(folds[wrong], kind="stable")]
    if not len(wrong):
        return heading, "There are none.", ""
    texts = [
        f"{page.short(names[labels[i]])} → {page.short(names[predicted[i]])}\n"
        f"fold {folds[i]}"
        for i in wrong
    ]
    figure = page.tiles(
        images[wrong], texts, COLUMNS, cmap="gray", limits=(0, 255)
    )
    caption = "True class → answer, fold by fold, in the order of the data."
    alt = f"{len(wrong)} images that were classified wrongly."
    path = plots / "all_mistakes.png"
    return heading, caption, page.figure_html(path, figure, alt)


def costs_section(
    plots: Path,
    name: str,
    *,
    heading: str,
    caption: str,
    y_label: str,
    panels: dict[str, dict[str, dict[str, tuple[float, float]]]],
    html: str = "",
):
    """Return a section with points that have names, over what they cost.

    Args:
        plots: Where the figure goes.
        name: The figure's file name, without suffix.
        heading: Heading of the section.
        caption: How to read it, as HTML.
        y_label: What is on the y-axis, which all panels share.
        panels: What is on the logarithmic x-axis of each panel, to the groups
            of points, two at most: name of each group to the points by name.
        html: What comes below, for example a table.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(8.8, 4.8), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    words = []
    for axes, (x_label, groups) in zip(grid, panels.items(), strict=True):
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.12)  # for the names
        for (group, points), style in zip(
            groups.items(), (OURS, THEIRS), strict=False
        ):
            color, marker = style
            x, y = zip(*points.values(), strict=True)
            axes.plot(x, y, marker, color=color, markersize=7, label=group)
            for label, (x, y) in points.items():
                words.append(f"{label} {y:.4g} at {x:.3g}")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(x_label)
        _finish(figure, axes)
    grid[0].set_ylabel(y_label)
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.draw_without_rendering()  # which says where everything is
    for axes, groups in zip(grid, panels.values(), strict=True):
        _name_points(
            axes, {k: v for p in groups.values() for k, v in p.items()}
        )
    alt = f"{y_label} against {' and '.join(panels)}: {'; '.join(words)}."
    picture = page.figure_html(plots / f"{name}.png", figure, alt)
    return heading, caption, f"{picture}\n{html}".rstrip()


def _name_points(axes, points: dict[str, tuple[float, float]]) -> None:
    """Write the name of each point beside it, where there is room."""
    from matplotlib.transforms import Bbox

    places = axes.transData.transform([*points.values()])
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    sides = (
        *((0, 7, "center", "bottom"), (0, -7, "center", "top")),
        *((8, 0, "left", "center"), (-8, 0, "right", "center")),
        *((5, 5, "left", "bottom"), (-5, 5, "right", "bottom")),
        *((5, -5, "left", "top"), (-5, -5, "right", "top")),
    )

    def overlap(box):
        low, high = axes.bbox.intervalx
        outside = max(0, low - box.x0) + max(0, box.x1 - high)
        shared = [Bbox.intersection(box, other) for other in taken]
        return outside * box.height + sum(
            part.width * part.height for part in shared if part
        )

    for label, point in points.items():
        texts = [
            axes.annotate(
                *(label, point, (right, up)),
                textcoords="offset points",
                ha=across,
                va=along,
                size=8.5,
                parse_math=False,
            )
            for right, up, across, along in sides
        ]
        boxes = [text.get_window_extent() for text in texts]
        best = min(range(len(sides)), key=lambda i: overlap(boxes[i]))
        for text in texts[:best] + texts[best + 1 :]:
            text.remove()
        taken.append(boxes[best])


def _finish(figure, axes, columns: int = 0) -> None:
    """Draw the grid, no frame, and the legend below if it has columns."""
    axes.grid(color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if columns:
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
        )
