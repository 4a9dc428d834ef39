"""Sections on classes: which are taken for which, and where they are."""

import math
from pathlib import Path

import keras
import numpy as np

from recipes.lab.report import page

MISTAKES = 24  # pictures of mistakes
COUNTED_CLASSES = 20  # a larger confusion matrix has no room for numbers
DRAWN_CLASSES = 200  # of more there is no matrix, and a table of the worst
RIGHT, WRONG = (0.89, 0.92, 0.95), (0.78, 0.12, 0.13)  # of a confusion matrix
REGION = 150  # answers along each side of a plane


def count_confusions(labels, predicted, classes: int) -> np.ndarray:
    """Return how often each class was taken for each, `(classes, classes)`."""
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def headline(
    correct: np.ndarray, confidences: np.ndarray, examples: str
) -> str:
    """Return the headline of a classifier: its share of right answers.

    Args:
        correct: Which of the answers are right.
        confidences: The probability that the model gave to each.
        examples: What was classified, in the plural.
    """
    mistakes = int((~correct).sum())
    return (
        f'<p class="number">{100 * correct.mean():.2f} %</p>\n'
        f"<p>of the {len(correct):,} test {examples} are classified correctly: "
        f"{mistakes:,} mistake{'' if mistakes == 1 else 's'}.</p>\n"
        '<p class="caption">On average the model gives its answers a '
        f"probability of {100 * confidences.mean():.1f} %. Were that clearly "
        "more than its accuracy, it would be overconfident.</p>"
    )


def confusion_section(
    plots: Path, counts: np.ndarray, names: list[str], examples: str
):
    """Return the section with the confusion matrix, `(classes, classes)`."""
    from matplotlib.figure import Figure

    classes = len(names)
    diagonal = np.eye(classes, dtype=bool)
    errors = np.where(diagonal, 0, counts)
    # The root lifts single errors out of the white beside hundreds of others.
    strength = np.sqrt(errors / max(1, errors.max()))
    colors = 1 - strength[..., None] * (1 - np.array(WRONG))
    colors[diagonal] = RIGHT

    side = min(8.8, 3 + 0.45 * classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    # As an image it would take 85 MB on its way to the page's resolution.
    corners = np.arange(classes + 1) - 0.5
    axes.pcolormesh(corners, corners, colors)
    axes.set(aspect="equal", ylim=(classes - 0.5, -0.5))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(
        length=0, labelsize=10 if classes <= COUNTED_CLASSES else 7
    )
    axes.spines[:].set_color(page.FAINT)
    ticks = np.arange(0, classes, math.ceil(classes / 50))
    labels = [page.short(names[tick]) for tick in ticks]
    turn = {}
    if max(map(len, labels)) > 2:
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(ticks, labels, parse_math=False, **turn)
    axes.set_yticks(ticks, labels, parse_math=False)
    if classes <= COUNTED_CLASSES:
        edges = np.arange(1, classes) - 0.5
        for draw in (axes.hlines, axes.vlines):
            draw(edges, -0.5, classes - 0.5, color=page.FAINT, linewidth=0.6)
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                size=10 if classes <= 12 else 8,
                color="white" if strength[row, column] > 0.6 else page.INK,
            )
    caption = (
        f"Row by row: the {examples} of one true class, and what the model "
        "took them for. Grey is right; the redder a cell, the more mistakes."
    )
    alt = (
        f"Confusion matrix of {classes} classes with {errors.sum():,} mistakes "
        "off its diagonal."
    )
    html = page.figure_html(plots / "confusion_matrix.png", figure, alt)
    return "Confusion matrix", caption, html


def classes_section(labels, predicted, names: list[str], examples: str):
    """Return the section with recall and precision of each class.

    Args:
        labels: The true class of each example.
        predicted: The model's answers.
        names: Names of the classes.
        examples: What was classified, in the plural.
    """

    def share(part, whole):
        return f"{100 * part / whole:.1f} %" if whole else "–"

    known, answers, right = (
        np.bincount(chosen, minlength=len(names))
        for chosen in (labels, predicted, labels[labels == predicted])
    )
    shown, more = np.arange(len(names)), ""
    if len(names) > DRAWN_CLASSES:
        recall = np.where(known, right / np.maximum(1, known), 1)
        shown = np.argsort(recall, kind="stable")[:DRAWN_CLASSES]
        more = f" Of {len(names):,} classes the {len(shown)} worst are shown."
    rows = []
    for i in shown:
        taken = np.bincount(predicted[(labels == i) & (predicted != i)])
        most = taken.argmax() if len(taken) else 0
        taken_for = f"{names[most]} ({taken[most]:,})" if len(taken) else "–"
        recall = share(right[i], known[i])
        precision = share(right[i], answers[i])
        rows.append((names[i], f"{known[i]:,}", recall, precision, taken_for))
    header = ("class", examples, "recall", "precision", "most often taken for")
    caption = (
        f"Recall: of the {examples} of a class, how many the model found. "
        "Precision: of its answers with that class, how many were right."
        f"{more}"
    )
    html = page.table(rows, header)
    return "Class by class", caption, html


def mistakes_section(plots, inputs, rows, labels, predicted, sure, names):
    """Return the section with the surest mistakes.

    Args:
        plots: Where a figure goes.
        inputs: What goes into the model, see `recipes.lab.inputs`.
        rows: The examples.
        labels: Their classes.
        predicted: The model's answers.
        sure: The probability that it gave to each answer.
        names: Names of the classes.
    """
    heading = "The worst mistakes"
    wrong = np.flatnonzero(labels != predicted)
    if not len(wrong):
        caption = f"There are none: all test {inputs.plural} are right."
        return heading, caption, ""
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    arrow = " → " if max(map(len, names)) <= 4 else "\n→ "
    texts = [
        f"{page.short(names[labels[i]])}{arrow}{page.short(names[predicted[i]])}"
        f"\n{sure[i]:.1%}"
        for i in worst
    ]
    caption = (
        "True class → answer, and the probability that the model gave its "
        "answer; the surest of its mistakes come first. Would you have known?"
    )
    alt = f"{len(worst)} misclassified test {inputs.plural}: " + ", ".join(
        " ".join(text.split()) for text in texts
    )
    rows = keras.tree.map_structure(lambda x: x[worst], rows)
    html = inputs.gallery(plots / "mistakes.png", rows, texts, alt)
    return heading, caption, html


def regions_section(
    plots: Path, name: str, panels: dict, rows, labels, *, heading, caption
):
    """Return a section with what networks answer all over a plane.

    Args:
        plots: Where the figure goes.
        name: The figure's file name, without suffix.
        panels: Title of each panel to a function from rows `(n, 2)` to the
            probabilities of the classes.
        rows: Points to draw over the answers, `(n, 2)`.
        labels: Their classes.
        heading: Heading of the section.
        caption: How to read it, as HTML.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    size = np.array([columns, lines + 0.12 * lines]) * 8.8 / columns
    figure = Figure(figsize=size, layout="constrained")
    # A square around the points, and all that is asked about in it.
    middle = (rows.min(axis=0) + rows.max(axis=0)) / 2
    half = 0.55 * np.ptp(rows, axis=0).max()
    way = np.linspace(-half, half, REGION)
    grid = np.stack(np.meshgrid(way, way), axis=-1).reshape(-1, 2) + middle
    colors = [page.VALIDATION, page.TRAINING, *colormaps["Dark2"].colors]
    colors = np.array([to_rgb(color) for color in colors])
    for i, (title, answer) in enumerate(panels.items()):
        shares = np.asarray(answer(grid.astype("float32")))
        tints = 1 - 0.55 * (1 - shares @ colors[: shares.shape[1]])
        axes = figure.add_subplot(lines, columns, i + 1)
        (left, low), (right, high) = middle - half, middle + half
        axes.imshow(
            tints.reshape(REGION, REGION, 3).clip(0, 1),
            origin="lower",
            extent=(left, right, low, high),
        )
        x, y = rows.T
        axes.scatter(x, y, s=3, color=colors[labels], linewidths=0)
        axes.set_title(title, size=10, parse_math=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(page.FAINT)
    alt = f"Decision regions in the plane: {'; '.join(panels)}."
    html = page.figure_html(plots / f"{name}.png", figure, alt)
    return heading, caption, html
