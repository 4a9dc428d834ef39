"""Sections of reports: classes, mistakes, kernels, evidence, codes, noise."""

import math
from pathlib import Path

import keras
import numpy as np

from recipes.lab.report import page

MISTAKES = 24  # pictures of mistakes
FILTERS = 64  # pictures of kernels
STRIP = 10  # pictures in a row of reconstructions
MAPPED = 5_000  # dots on the map of the codes
GROUPED = 6  # bars for one label
COUNTED_CLASSES = 20  # a larger confusion matrix has no room for numbers
LEGEND = 40  # names beside a map of the codes
DRAWN_CLASSES = 200  # of more there is no matrix, and a table of the worst

REGION = 150  # answers along each side of a plane
SHORT = 12  # letters of a name, of which ten fit into a row

RIGHT, WRONG = (0.89, 0.92, 0.95), (0.78, 0.12, 0.13)  # of a confusion matrix
FOR, AGAINST = (0.79, 0.0, 0.13), (0.02, 0.33, 0.66)  # an answer
PALE = 0.3  # contrast of pictures that something is laid over


def first_with_kernel(model: keras.Model) -> keras.layers.Layer | None:
    """Return the first layer that has a kernel."""
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None:
            return layer
    return None


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
        f'<p class="number">{correct.mean():.2%}</p>\n'
        f"<p>of the {len(correct):,} test {examples} are classified correctly: "
        f"{mistakes:,} mistake{'' if mistakes == 1 else 's'}.</p>\n"
        '<p class="caption">On average the model gives its answers a '
        f"probability of {confidences.mean():.1%}. Were that clearly more than "
        "its accuracy, it would be overconfident.</p>"
    )


# --- a classifier's sections --------------------------------------------------


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
        return f"{part / whole:.1%}" if whole else "–"

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


def filters_section(plots: Path, filters, names: list[str], image_size):
    """Return the section with kernels `(height, width, channels, maps)`."""
    filters = np.moveaxis(np.asarray(filters, "float32"), -1, 0)
    maps, *size, channels = filters.shape
    if channels != 3:
        filters = filters[..., :1]
    filters = filters[:FILTERS]
    # Each kernel has its own scale, or a strong one would blank the others.
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    filters = filters / np.where(largest > 0, largest, 1)
    if channels == 3:
        filters = (filters + 1) / 2
        colors = "Middle grey is a weight of zero"
    else:
        colors = "Red weights are positive, blue negative, white zero"

    of_classes = tuple(size) == tuple(image_size) and maps == len(names)
    if of_classes:
        heading = "The weights of each class"
        reading = "what is bright on red speaks for the class, on blue against"
    else:
        heading = "First-layer filters"
        seen = "image" if tuple(size) == tuple(image_size) else "patch"
        reading = f"a filter answers most to a {seen} that looks like it"
    caption = f"{colors}; {reading}. Each has its own scale."
    if maps > FILTERS:
        caption += f" The first {FILTERS} of {maps} are shown."
    if channels not in (1, 3):
        caption += f" The first of {channels} input channels is shown."
    texts = (
        [page.short(name) for name in names[:FILTERS]] if of_classes else None
    )
    columns = 5 if of_classes else 8
    figure = page.tiles(filters, texts, columns, cmap="RdBu_r", limits=(-1, 1))
    alt = f"{len(filters)} kernels of {size[0]}×{size[1]} weights as pictures."
    return (
        heading,
        caption,
        page.figure_html(plots / "filters.png", figure, alt),
    )


# --- a table's sections -------------------------------------------------------


def bars_section(path: Path, *, heading, caption, labels, bars):
    """Return a section with a bar for each label, or a few.

    Args:
        path: Where the figure goes.
        heading: Heading of the section.
        caption: How to read it, as HTML.
        labels: What each group of bars is about.
        bars: Their lengths, `(labels, bars of a group)`.
    """
    from matplotlib.figure import Figure

    shown = np.asarray(bars, "float64")[:, :GROUPED]
    count, group = shown.shape
    figure = Figure(
        figsize=(8.8, 1 + 0.22 * count * max(1, group * 0.7)),
        layout="constrained",
    )
    axes = figure.subplots()
    places = np.arange(count)
    for i, lengths in enumerate(shown.T):
        middle = places + 0.8 * ((i + 0.5) / group - 0.5)
        colors = np.where(lengths >= 0, page.TRAINING, page.VALIDATION)
        axes.barh(middle, lengths, 0.72 / group, color=list(colors))
    axes.axvline(0, color=page.INK, linewidth=0.8)
    axes.set_yticks(places, labels, parse_math=False)
    axes.invert_yaxis()
    axes.grid(axis="x", color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if bars.shape[1] > GROUPED:
        caption += f" The first {GROUPED} of {bars.shape[1]} are shown."
    alt = "; ".join(
        f"{label}: " + ", ".join(f"{length:.3g}" for length in lengths)
        for label, lengths in zip(labels, shown, strict=True)
    )
    return heading, caption, page.figure_html(path, figure, f"{alt}.")


# --- what a classifier of images sees -----------------------------------------


def evidence_section(plots: Path, strips: dict, remark: str = ""):
    """Return the section with what speaks for some of the answers.

    Args:
        plots: Where the figures go.
        strips: Name of a figure to its pictures, uint8 `(n, height, width,
            channels)`, a text for each, and the maps of them: name to numbers
            `(n, rows, columns)`.
        remark: What else there is to say, as HTML.
    """
    parts = []
    for name, (images, texts, maps) in strips.items():
        rows, below = [_in_colors(images)], [*texts]
        for label, values in maps.items():
            rows.append(_over(images, values))
            below += [label] + [""] * (len(images) - 1)
        figure = page.tiles(
            np.concatenate(rows), below, len(images), cmap=None, limits=(0, 1)
        )
        alt = f"{name.replace('_', ' ')}: {len(images)} test images, " + (
            f"below each its {', '.join(maps)}."
        )
        path = plots / f"{name}.png"
        parts.append(page.figure_html(path, figure, alt))
    caption = (
        "Answers that are right, and the surest mistakes: what speaks for each "
        "answer is red, what speaks against it blue. Each map has its own "
        "scale. <b>Occlusion</b>: what the probability of the answer loses "
        "where a square covers the picture. <b>Gradient</b>: how much the "
        "answer's score changes with a pixel. <b>Grad-CAM</b>: the places of "
        f"the last convolution that raise the score.{remark}"
    )
    html = '<p class="caption"></p>'.join(parts)
    return "What the answers come from", caption, html


def preferred_section(plots: Path, images, texts: list[str], columns: int):
    """Return the section with the pictures that classes answer most to.

    Args:
        plots: Where the figure goes.
        images: uint8 `(n, height, width, channels)`.
        texts: What to say of each.
        columns: How many are in a row.
    """
    figure = page.tiles(
        _in_colors(images), texts, columns, cmap=None, limits=(0, 1)
    )
    caption = (
        "Noise that was changed, step by step, until the score of a class was "
        "as high as could be, and the probability that the network gives it "
        "for that. It shows what the network goes by, which need not look "
        "like an image of the class."
    )
    alt = "Pictures that were made for classes: " + ", ".join(
        " ".join(text.split()) for text in texts
    )
    html = page.figure_html(plots / "classes.png", figure, f"{alt}.")
    return "The picture of each class", caption, html


def units_section(plots: Path, pictures: dict, selectivity=None):
    """Return the section with the pictures that units answer most to.

    Args:
        plots: Where the figure goes.
        pictures: Name of a layer to its units' pictures, uint8
            `(n, height, width, channels)`; all layers have as many.
        selectivity: Mean selectivity for orientation of the first layer's
            filters, and of random ones; None if that is no convolution.
    """
    names, rows = zip(*pictures.items(), strict=True)
    columns = len(rows[0])
    texts = [
        text
        for name in names
        for text in [page.short(name)] + [""] * (columns - 1)
    ]
    figure = page.tiles(
        _in_colors(np.concatenate(rows)),
        *(texts, columns),
        cmap=None,
        limits=(0, 1),
    )
    caption = (
        "Noise that was changed until a unit of the layer, of maps the one in "
        "the middle, was as active as could be; the first units of each layer, "
        "none chosen. Where it stays grey the unit sees nothing."
    )
    if selectivity is not None:
        trained, random = selectivity
        caption += (
            " The filters of the first layer have an orientation selectivity "
            f"of {trained:.2f} in the mean, random ones of {random:.2f}: 0 is "
            "a filter that answers alike to lines of all directions, 1 one "
            "that sees a single direction."
        )
    alt = f"Pictures of {columns} units in the layers {', '.join(names)}."
    html = page.figure_html(plots / "units.png", figure, alt)
    return "What excites each layer", caption, html


def _in_colors(images) -> np.ndarray:
    """Return raw pixels as `(n, height, width, 3)` in [0, 1]."""
    images = np.asarray(images, "float32") / 255
    if images.shape[-1] != 3:
        images = np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1)
    return images


def _over(images, values) -> np.ndarray:
    """Lay numbers in red and blue over pale pictures, `(n, h, w, 3)`."""
    paper = _in_colors(images).mean(axis=-1, keepdims=True)
    paper = 1 - PALE + PALE * paper
    strength = np.asarray(values, "float32")[..., None]
    strength = keras.ops.image.resize(
        strength, images.shape[1:3], data_format="channels_last"
    )
    strength = keras.ops.convert_to_numpy(strength)
    largest = np.abs(strength).max(axis=(1, 2, 3), keepdims=True)
    strength = strength / np.where(largest > 0, largest, 1)
    colors = np.where(strength > 0, FOR, AGAINST)
    share = np.abs(strength)
    return (1 - share) * paper + share * colors


# --- decision regions ---------------------------------------------------------


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


# --- a regression's sections --------------------------------------------------


def truth_section(plots: Path, truth, answers, name: str):
    """Return the section that draws answers against the truth.

    Args:
        plots: Where the figure goes.
        truth: The numbers that were to be predicted, `(n,)`.
        answers: The model's.
        name: What the numbers are, with their unit.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.6, 6.6), layout="constrained")
    axes = figure.subplots()
    ends = [min(*truth, *answers), max(*truth, *answers)]
    axes.plot(ends, ends, color=page.INK, linewidth=0.8)
    axes.scatter(truth, answers, s=16, color=page.VALIDATION, alpha=0.7)
    axes.set_xlabel(f"truth: {name}", parse_math=False)
    axes.set_ylabel("answer of the model")
    axes.set_aspect("equal", "datalim")
    axes.grid(color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    caption = (
        "On the line an answer is right. Where the dots lie flatter than the "
        "line, the model keeps close to the mean."
    )
    correlation = _correlation(truth, answers)
    alt = (
        f"Scatter plot of {len(truth)} answers against the truth; their "
        f"correlation is {correlation:.2f}."
    )
    html = page.figure_html(plots / "truth.png", figure, alt)
    return "Answers against the truth", caption, html


def truths_section(plots: Path, numbers: dict):
    """Return the section that draws several answers against their truths.

    Args:
        plots: Where the figure goes.
        numbers: What each is called, to truth and answers, `(n,)` each.
    """
    from matplotlib.figure import Figure

    columns = min(3, len(numbers))
    rows = math.ceil(len(numbers) / columns)
    figure = Figure(figsize=(2.93 * columns, 3 * rows), layout="constrained")
    for i, (name, (truth, answers)) in enumerate(numbers.items(), start=1):
        axes = figure.add_subplot(rows, columns, i)
        truth, answers = truth[:MAPPED], answers[:MAPPED]
        ends = [min(*truth, *answers), max(*truth, *answers)]
        axes.plot(ends, ends, color=page.INK, linewidth=0.8)
        axes.scatter(truth, answers, s=2, color=page.VALIDATION, alpha=0.4)
        axes.set_title(name, size=10, parse_math=False)
        axes.set_xlabel("truth", size=9)
        axes.set_ylabel("answer", size=9)
        axes.tick_params(labelsize=8)
        axes.grid(color=page.FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    alt = "Answers against the truth; their correlations are " + ", ".join(
        f"{_correlation(truth, answers):.3f} for {name}"
        for name, (truth, answers) in numbers.items()
    )
    caption = "On the line an answer is right."
    html = page.figure_html(plots / "truths.png", figure, f"{alt}.")
    return "Numbers against the truth", caption, html


def _correlation(truth, answers) -> float:
    """Return the correlation; 0 of answers that are all the same."""
    if min(np.ptp(truth), np.ptp(answers)) < 1e-4:
        return 0.0
    return float(np.corrcoef(truth, answers)[0, 1])


def errors_section(plots: Path, errors, name: str):
    """Return the section with the histogram of a regression's errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.hist(errors, bins="auto", color=page.VALIDATION, edgecolor="white")
    axes.axvline(0, color=page.INK, linewidth=0.8)
    axes.set_xlabel(f"answer less truth: {name}", parse_math=False)
    axes.set_ylabel("test rows")
    axes.spines[["top", "right"]].set_visible(False)
    caption = (
        f"On the right of the line the answer was too high. The mean error is "
        f"{np.mean(errors):.3g}, the standard deviation {np.std(errors):.3g}."
    )
    html = page.figure_html(plots / "errors.png", figure, caption)
    return "Errors", caption, html


# --- an autoencoder's sections ------------------------------------------------


def strips_section(plots: Path, rows: list, errors, labels):
    """Show an image of each class, or ten, and then the worst ones.

    Args:
        plots: Where the figures go.
        rows: The images, perhaps with noise in a second row, and what the
            model made of them; each `(n, height, width, channels)` in [0, 1].
        errors: The error of each reconstruction.
        labels: The class of each image.
    """
    _, firsts = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(labels)), firsts)
    typical = np.concatenate([firsts, others])[:STRIP]
    worst = np.argsort(-errors, kind="stable")[:STRIP]
    figures = []
    for name, chosen in {"reconstructions": typical, "worst": worst}.items():
        strips = np.concatenate([row[chosen] for row in rows])
        columns = len(chosen)
        figure = page.tiles(strips, None, columns, cmap="gray", limits=(0, 1))
        alt = f"{columns} test images and their reconstructions: {name}."
        path = plots / f"{name}.png"
        figures.append(page.figure_html(path, figure, alt))
    order = (
        "Originals in the first row, what the model got to see in the second, "
        "what it made of them in the third."
        if len(rows) > 2
        else "Originals in the first row, reconstructions in the second."
    )
    caption = f"{order} Below, the same of the images that came out worst."
    html = '<p class="caption"></p>'.join(figures)
    return "Originals and reconstructions", caption, html


def restorations_section(plots: Path, rows: dict, errors, table: str):
    """Show the first images, and then those that came out worst.

    Args:
        plots: Where the figures go.
        rows: What each row shows, in words, to its pictures, `(n, height,
            width, channels)` in [0, 1].
        errors: The error of each image.
        table: What the rows are worth, as HTML.
    """
    worst = np.argsort(-errors, kind="stable")[:STRIP]
    parts = []
    for name, chosen in {"first": np.arange(STRIP), "worst": worst}.items():
        chosen = chosen[: len(errors)]
        strips = np.concatenate([row[chosen] for row in rows.values()])
        figure = page.tiles(
            *(strips, None, len(chosen)),
            cmap="gray",
            limits=(0, 1),
            rows=list(rows),
        )
        alt = f"The {name} test images in rows: {', '.join(rows)}."
        path = plots / f"restored_{name}.png"
        parts.append(page.figure_html(path, figure, alt))
    caption = (
        "Above the first test images, below those that came out worst. The "
        "sharpness is that of the edges, as a share of the true one; noise "
        "and ripples count as edges, too."
    )
    html = '<p class="caption"></p>'.join(parts)
    return "Restored", caption, f"{html}\n{table}"


def code_map_section(plots: Path, codes, labels, names: list[str]):
    """Return the section with a map of codes `(n, latent_dim)`."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    length = codes.shape[1]
    points = codes - codes.mean(axis=0)
    if length > 2:
        _, _, axes = np.linalg.svd(points, full_matrices=False)
        points = points @ axes[:2].T
    if points.shape[1] == 1:
        points = np.hstack([points, np.zeros_like(points)])
    figure = Figure(figsize=(8.8, 6.6), layout="constrained")
    axes = figure.subplots()
    colors = colormaps["tab10" if len(names) <= 10 else "gist_rainbow"]
    shown = np.arange(min(len(points), MAPPED))
    dots = {}
    for i in np.unique(labels[shown]):
        x, y = points[shown[labels[shown] == i]].T
        color = colors(int(i) if len(names) <= 10 else i / len(names))
        dots[i] = axes.scatter(x, y, s=5, color=color, alpha=0.7)
    axes.set_aspect("equal", "datalim")
    axes.grid(color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor="0.5")
    if len(names) <= LEGEND:
        place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        legend = axes.legend(
            *([*dots.values()], [str(i) for i in dots]),
            **place,
            frameon=False,
            markerscale=3,
        )
        # A name may begin with _, and hold what would be mathematics.
        for i, text in zip(dots, legend.get_texts(), strict=True):
            text.set_text(page.short(names[i]))
            text.set_parse_math(False)
    caption = (
        f"Each dot is the code of one of {len(shown):,} test images, its color "
        "the class, which the model was never told. "
    )
    if length > 2:
        caption += (
            f"Of the {length} dimensions of the code, the two along which it "
            "varies most."
        )
    alt = f"Scatter plot of the codes of {len(shown):,} images in {len(names)} "
    path = plots / "code_map.png"
    html = page.figure_html(path, figure, alt + "colors.")
    return "Map of the codes", caption, html


def drawings_section(plots: Path, drawings: np.ndarray):
    """Return the section with what each unit of the code draws."""
    count = len(drawings)
    drawings = drawings[:FILTERS].mean(axis=-1, keepdims=True)
    largest = np.abs(drawings).max(axis=(1, 2, 3), keepdims=True)
    drawings = drawings / np.where(largest > 0, largest, 1)
    figure = page.tiles(drawings, None, 8, cmap="RdBu_r", limits=(-1, 1))
    caption = (
        "The decoder's filters: what one unit of the code adds to the mean "
        "picture (red) and takes from it (blue) as it rises by a standard "
        "deviation. Each has its own scale."
    )
    if count > FILTERS:
        caption += f" The first {FILTERS} of {count} are shown."
    alt = f"{len(drawings)} pictures, one for each unit of the code."
    path = plots / "code_units.png"
    html = page.figure_html(path, figure, alt)
    return "What each unit of the code draws", caption, html
