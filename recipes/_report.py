"""The report of a run: one page to read and to mail, its figures as files.

A page is a headline and a list of sections, and a section is a heading, a
sentence on how to read it, and HTML. The figures are PNG files in `plots/` and
lie inside the page once more, so that `report.html` needs nothing beside it.
"""

import base64
import io
import math
from html import escape
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes import _files
from recipes._runs import SCHEMA, Run, trainable_parameters

MISTAKES = 24  # pictures of mistakes
FILTERS = 64  # pictures of kernels
MAILED_BYTES = 500_000  # of a PNG in the page; photographs go as JPEG
COUNTED_CLASSES = 20  # a larger confusion matrix has no room for numbers

INK, FAINT = "#1c2733", "#d5dce3"
TRAINING, VALIDATION = "#d9730d", "#1f6fb2"
RIGHT, WRONG = (0.89, 0.92, 0.95), (0.78, 0.12, 0.13)  # of a confusion matrix

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6875;
  --line: #dde3e9; --paper: #ffffff; --accent: #1f6fb2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4;
  --line: #35404b; --paper: #161b21; --accent: #6cb2ee; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 852px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { margin: 0 0 16px; font-size: 20px; color: var(--soft); }
h2 { margin: 48px 0 4px; font-size: 20px; break-after: avoid; }
p { margin: 0 0 12px; }
.number { margin: 0; font-size: 56px; line-height: 1.1; font-weight: 700;
  color: var(--accent); }
.caption, th { color: var(--soft); }
img { display: block; max-width: 100%; height: auto; background: #ffffff;
  border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 24px 5px 0; text-align: left; vertical-align: top;
  font-weight: 400; border-bottom: 1px solid var(--line); }
td:not(:last-child), thead th:not(:first-child, :last-child) {
  text-align: right; }
th, td:not(:last-child) { white-space: nowrap; }
td:last-child { overflow-wrap: anywhere; }
img, tr { break-inside: avoid; }
"""


def report_classifier(
    run: Run,
    model: keras.Model,
    history: dict[str, list[float]],
    metrics: dict[str, float],
    probabilities: np.ndarray,
) -> Path:
    """Write the report of a run that trained a classifier.

    Args:
        run: The open run.
        model: The trained model, for its first layer.
        history: Metric name to one value an epoch.
        metrics: The test metrics and the training's seconds.
        probabilities: The model's answers to the test set.

    Returns:
        The path of `report.html` in the run's folder.
    """
    record = run.record(model, metrics)
    environment = record["environment"]
    test = run.data.test
    facts = {
        "Test accuracy": f"{metrics['test_accuracy']:.2%}",
        "Test cross-entropy": f"{metrics['test_loss']:.4f} nats",
        "Model": f"{model.name}, {trainable_parameters(model):,} parameters",
        "Data": run.data.describe(),
        "Training": f"{len(history['loss'])} epochs, "
        f"{metrics['train_seconds']:.1f} s "
        f"({metrics['train_cpu_seconds']:.1f} CPU seconds)",
        "Devices": run.devices.description,
        "Machine": environment["hardware"],
        "Versions": ", ".join(
            f"{name} {version}"
            for name, version in environment["versions"].items()
        ),
        "Command": record["command"],
        "Commit": record["commit"] or "unknown",
        "Date": record["date"],
    }
    path = write_classifier_report(
        run.folder,
        title=f"{run.recipe}, run {run.folder.name}",
        facts=facts,
        history=history,
        images=test.images,
        labels=test.labels,
        probabilities=probabilities,
        class_names=run.data.class_names,
        filters=_first_kernels(model),
    )
    print(f"report {path}")
    return path


def _first_kernels(model: keras.Model):
    """Return the first convolution's kernels, a linear model's as images."""
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        kernel = keras.ops.convert_to_numpy(kernel)
        if kernel.ndim == 2 and layer.name == "predictions":
            return kernel.reshape(*model.input_shape[1:], -1)
        return kernel if kernel.ndim == 4 else None
    return None


def write_classifier_report(
    folder: Path,
    *,
    title: str,
    facts: dict[str, str],
    history: dict[str, list[float]],
    images,
    labels,
    probabilities,
    class_names,
    filters=None,
) -> Path:
    """Write the report of a classifier and its figures.

    Args:
        folder: The run's folder; `report.html` and `plots/` go into it.
        title: What was trained, for example "mnist_cnn, run 3".
        facts: Rows of the first table, as text.
        history: Metric name to one value an epoch. Metrics with a `val_`
            partner are drawn.
        images: Test images, uint8, `(n, height, width, 1)` or 3 channels.
        labels: Their true classes, `(n,)`.
        probabilities: What the model says, `(n, num_classes)`.
        class_names: Names of the classes.
        filters: First-layer kernels `(height, width, in_channels, maps)`, or a
            linear model's weights as kernels of the image's size.

    Returns:
        The path of `report.html`.

    Raises:
        OSError: If the folder cannot be written.
    """
    labels = np.asarray(labels, "int64")  # uint8 would overflow below
    probabilities = np.asarray(probabilities)
    names = [str(name) for name in class_names]
    predicted = probabilities.argmax(axis=1)
    confidences = probabilities.max(axis=1)
    classes = len(names)
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    counts = counts.reshape(classes, classes)

    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    sections = [
        ("Facts", "What was trained, on what, and how.", _table(facts.items())),
        _curves_section(plots, history),
        _confusion_section(plots, counts, names),
        _classes_section(counts, names),
        _mistakes_section(plots, images, labels, predicted, confidences, names),
    ]
    if filters is not None:
        image_size = np.shape(images)[1:3]
        sections.append(_filters_section(plots, filters, names, image_size))
    headline = _headline(labels == predicted, confidences)
    report = folder / "report.html"
    _files.write_atomically(report, _page(title, headline, sections))
    return report


# --- the page -----------------------------------------------------------------


def _page(title: str, headline: str, sections: list) -> str:
    """Put a page together; all but the title and the headings is HTML."""
    body = "\n".join(
        f'<section>\n<h2>{escape(heading)}</h2>\n<p class="caption">'
        f"{caption}</p>\n{html}\n</section>"
        for heading, caption, html in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="keras-zoo-recipes {zoo.__version__}">
<meta name="schema" content="{SCHEMA}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{headline}
{body}
</main>
</body>
</html>
"""


def _figure_html(path: Path, figure, alt: str) -> str:
    """Write a figure as a PNG file, and return it as a part of the page."""
    png = _rendered(figure, "png")
    _files.write_atomically(path, png)
    kind, content = "png", png
    if len(png) > MAILED_BYTES:
        kind, content = "jpeg", _rendered(figure, "jpeg")
    data = base64.b64encode(content).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return (
        f'<img width="{width}" height="{height}" alt="{escape(alt)}" '
        f'src="data:image/{kind};base64,{data}">'
    )


def _rendered(figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=144)
    return buffer.getvalue()


def _table(rows, header=()) -> str:
    """Return a table of texts; the first of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    head = f"<thead><tr>{head}</tr></thead>\n" if header else ""
    return f"<table>\n{head}<tbody>\n{body}\n</tbody>\n</table>"


def _headline(correct: np.ndarray, confidences: np.ndarray) -> str:
    mistakes = int((~correct).sum())
    return (
        f'<p class="number">{correct.mean():.2%}</p>\n'
        f"<p>of the {len(correct):,} test images are classified correctly: "
        f"{mistakes:,} mistake{'' if mistakes == 1 else 's'}.</p>\n"
        '<p class="caption">On average the model gives its answers a '
        f"probability of {confidences.mean():.1%}. Were that clearly more than "
        "its accuracy, it would be overconfident.</p>"
    )


def _short(name: str) -> str:
    """Shorten a name to 14 characters; its end may be what tells it apart."""
    return name if len(name) <= 14 else f"{name[:8]}…{name[-5:]}"


# --- its sections -------------------------------------------------------------


def _curves_section(plots: Path, history: dict):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    heading = "Learning curves"
    metrics = [name for name in history if f"val_{name}" in history]
    if not metrics:
        return heading, "No metric was watched on validation images.", ""
    rows = math.ceil(len(metrics) / 2)
    figure = Figure(figsize=(8.8, 3.3 * rows), layout="constrained")
    ends, any_cut = [], False
    for i, metric in enumerate(metrics):
        training, validation = history[metric], history[f"val_{metric}"]
        ends.append(
            f"{metric} {training[-1]:.4g} in training and "
            f"{validation[-1]:.4g} in validation"
        )
        axes = figure.add_subplot(rows, 2, i + 1)
        epochs = range(1, len(training) + 1)
        # Markers keep a single epoch visible; many would hide the line.
        dots = {"marker": "o" if len(epochs) <= 30 else "", "markersize": 4}
        axes.plot(epochs, training, color=TRAINING, label="training", **dots)
        axes.plot(
            epochs, validation, color=VALIDATION, label="validation", **dots
        )
        low, high, cut = _limits([training, validation])
        any_cut = any_cut or cut
        if low < high:
            axes.set_ylim(low, high)
        axes.set_xlim(0.5, len(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_title(metric.replace("_", " "))
        axes.grid(color=FAINT, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    caption = (
        "The model never learns from the validation images: where training "
        "goes on improving and validation does not, it has begun to learn by "
        "heart. Validation may be ahead at first, as a training value is the "
        "mean over an epoch of learning."
    )
    if any_cut:
        caption += " The steep beginning runs off the scale."
    alt = f"Curves over the epochs, which end at {'; '.join(ends)}."
    return heading, caption, _figure_html(plots / "curves.png", figure, alt)


def _limits(curves) -> tuple[float, float, bool]:
    """Return limits of the y-axis, and whether they cut the beginning off.

    All but the first quarter of the epochs gets a third of the axis or more: a
    first loss of 2.3 would press all the others onto the floor.
    """
    curves = np.asarray(curves, "float64")
    late = curves[:, curves.shape[1] // 4 :]
    every, late = curves[np.isfinite(curves)], late[np.isfinite(late)]
    if not len(late):
        return 0.0, 0.0, False
    low = max(every.min(), late.min() - np.ptp(late))
    high = min(every.max(), late.max() + np.ptp(late))
    margin = 0.06 * (high - low)
    cut = every.min() < low or high < every.max()
    return low - margin, high + margin, bool(cut)


def _confusion_section(plots: Path, counts: np.ndarray, names: list[str]):
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
    axes.imshow(colors, interpolation="nearest")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(
        length=0, labelsize=10 if classes <= COUNTED_CLASSES else 7
    )
    axes.spines[:].set_color(FAINT)
    ticks = np.arange(0, classes, math.ceil(classes / 50))
    labels = [_short(names[tick]) for tick in ticks]
    turn = {}
    if max(map(len, labels)) > 2:
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(ticks, labels, parse_math=False, **turn)
    axes.set_yticks(ticks, labels, parse_math=False)
    if classes <= COUNTED_CLASSES:
        edges = np.arange(1, classes) - 0.5
        for draw in (axes.hlines, axes.vlines):
            draw(edges, -0.5, classes - 0.5, color=FAINT, linewidth=0.6)
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                size=10 if classes <= 12 else 8,
                color="white" if strength[row, column] > 0.6 else INK,
            )
    caption = (
        "Row by row: the images of one true class, and what the model took "
        "them for. Grey is right; the redder a cell, the more mistakes."
    )
    alt = (
        f"Confusion matrix of {classes} classes with {errors.sum():,} mistakes "
        "off its diagonal."
    )
    html = _figure_html(plots / "confusion_matrix.png", figure, alt)
    return "Confusion matrix", caption, html


def _classes_section(counts: np.ndarray, names: list[str]):
    def share(part, whole):
        return f"{part / whole:.1%}" if whole else "–"

    rows = []
    for i, name in enumerate(names):
        wrong = np.where(np.arange(len(names)) == i, 0, counts[i])
        most = wrong.argmax()
        taken_for = f"{names[most]} ({wrong[most]:,})" if wrong[most] else "–"
        images, answers = counts[i].sum(), counts[:, i].sum()
        recall = share(counts[i, i], images)
        precision = share(counts[i, i], answers)
        rows.append((name, f"{images:,}", recall, precision, taken_for))
    header = ("class", "images", "recall", "precision", "most often taken for")
    caption = (
        "Recall: of the images of a class, how many the model found. "
        "Precision: of its answers with that class, how many were right."
    )
    html = _table(rows, header)
    return "Class by class", caption, html


def _mistakes_section(plots, images, labels, predicted, confidences, names):
    heading = "The worst mistakes"
    wrong = np.flatnonzero(labels != predicted)
    if not len(wrong):
        return heading, "There are none: every test image is right.", ""
    worst = wrong[np.argsort(-confidences[wrong], kind="stable")][:MISTAKES]
    arrow = " → " if max(map(len, names)) <= 4 else "\n→ "
    texts = [
        f"{_short(names[labels[i]])}{arrow}{_short(names[predicted[i]])}"
        f"\n{confidences[i]:.1%}"
        for i in worst
    ]
    pictures = np.asarray(images)[worst]
    figure = _tiles(pictures, texts, columns=6, cmap="gray", limits=(0, 255))
    caption = (
        "True class → answer, and the probability that the model gave its "
        "answer; the surest of its mistakes come first. Would you have known?"
    )
    alt = f"{len(worst)} misclassified test images: " + ", ".join(
        " ".join(text.split()) for text in texts
    )
    return heading, caption, _figure_html(plots / "mistakes.png", figure, alt)


def _filters_section(plots: Path, filters, names: list[str], image_size):
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
        reading = "a filter answers most to a patch that looks like it"
    caption = f"{colors}; {reading}. Each has its own scale."
    if maps > FILTERS:
        caption += f" The first {FILTERS} of {maps} are shown."
    if channels not in (1, 3):
        caption += f" The first of {channels} input channels is shown."
    texts = [_short(name) for name in names[:FILTERS]] if of_classes else None
    columns = 5 if of_classes else 8
    figure = _tiles(filters, texts, columns, cmap="RdBu_r", limits=(-1, 1))
    alt = f"{len(filters)} kernels of {size[0]}×{size[1]} weights as pictures."
    return heading, caption, _figure_html(plots / "filters.png", figure, alt)


def _tiles(pictures, texts, columns, *, cmap, limits):
    """Draw `(n, height, width, 1 or 3)` pictures in a grid, texts below.

    One Axes holds them all: an Axes for each picture takes seconds.
    """
    from matplotlib.figure import Figure

    count, height, width, channels = pictures.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    lines = 1 + max(text.count("\n") for text in texts) if texts else 0
    # All in inches, which makes the coordinates those of the paper.
    gap, line = 0.12, 0.17
    wide = min(1.35, 8.8 / columns - gap)
    high = wide * height / width
    step = np.array([wide + gap, high + gap + lines * line])
    size = step * (columns, rows)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    for i, picture in enumerate(pictures):
        left, top = step * (i % columns, i // columns) + gap / 2
        axes.imshow(
            picture if channels == 3 else picture[..., 0],
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            interpolation="nearest",
            extent=(left, left + wide, top + high, top),
        )
        if texts:
            # Anchored at its last line, as the height of the first one varies.
            middle, end = left + wide / 2, top + high + lines * line - 0.04
            text = axes.text(middle, end, texts[i], parse_math=False)
            text.set(ha="center", va="baseline", size=9, linespacing=1.15)
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    axes.set_aspect("auto")
    axes.set_axis_off()
    return figure
