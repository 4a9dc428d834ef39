"""How well methods do, fold by fold."""

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
