"""Sections on what networks look for, and what they look at."""

from pathlib import Path

import keras
import numpy as np

from recipes.lab.report import page

FILTERS = 64  # pictures of kernels
GROUPED = 6  # bars for one label
SHORT = 12  # letters of a name, of which ten fit into a row
FOR, AGAINST = (0.79, 0.0, 0.13), (0.02, 0.33, 0.66)  # an answer
PALE = 0.3  # contrast of pictures that something is laid over


def first_with_kernel(model: keras.Model) -> keras.layers.Layer | None:
    """Return the first layer that has a kernel."""
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None:
            return layer
    return None


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
