"""Sequence logos: what the letters of many sequences have in common.

Reference: T. D. Schneider, R. M. Stephens, Sequence logos: a new way to display
consensus sequences, 1990.
"""

import math
from pathlib import Path

import numpy as np

from recipes.lab.report import page

# Okabe and Ito 2008.
COLORS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}


def logos_section(
    plots: Path,
    name: str,
    *,
    heading: str,
    caption: str,
    logos: dict[str, np.ndarray],
    columns: int = 3,
):
    """Return a section with a logo for each of some sets of DNA sequences.

    Args:
        plots: Where the figure goes.
        name: The figure's file name, without suffix.
        heading: Heading of the section.
        caption: How to read it, as HTML; not what the heights are.
        logos: Title of each to how often each of A, C, G and T is at each
            place, `(length, 4)`.
        columns: How many logos there are in a row.
    """
    from matplotlib.figure import Figure

    plots.mkdir(parents=True, exist_ok=True)
    columns = min(columns, len(logos))
    rows = math.ceil(len(logos) / columns)
    figure = Figure(figsize=(8.8, 1.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(logos) :]:
        axes.set_axis_off()
    for axes, (title, shares) in zip(grid.flat, logos.items(), strict=False):
        _draw(axes, np.asarray(shares, "float64"))
        axes.set_title(title, size=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("bits")
    caption += (
        " The height of a place is what its letters say, of two bits at most; "
        "each letter takes its share of it."
    )
    alt = "; ".join(
        f"{title}: {in_words(shares)}" for title, shares in logos.items()
    )
    html = page.figure_html(plots / f"{name}.png", figure, f"{alt}.")
    return heading, caption, html


def heights(shares: np.ndarray) -> np.ndarray:
    """Return the height of each letter at each place, in bits.

    Args:
        shares: How often each of four letters is at each place, `(length, 4)`.
    """
    logarithms = np.log2(np.where(shares > 0, shares, 1))
    said = 2 + (shares * logarithms).sum(axis=1, keepdims=True)
    return shares * said


def in_words(shares: np.ndarray) -> str:
    """Return the most frequent letter of each place; none says little: N."""
    bits = heights(np.asarray(shares, "float64"))
    letters = np.array([*COLORS])[bits.argmax(axis=1)]
    return "".join(np.where(bits.sum(axis=1) < 0.5, "N", letters))


def _draw(axes, shares):
    """Draw the letters of each place, the most frequent on top."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    bold = FontProperties(family="DejaVu Sans", weight="bold")
    outlines = {
        letter: TextPath((0, 0), letter, prop=bold) for letter in COLORS
    }
    for place, of_letters in enumerate(heights(shares)):
        bottom = 0.0
        for i in np.argsort(of_letters, kind="stable"):
            letter = [*COLORS][i]
            if of_letters[i] < 0.01:
                continue
            box = outlines[letter].get_extents()
            fitted = (
                Affine2D()
                .translate(-box.x0, -box.y0)
                .scale(0.94 / box.width, of_letters[i] / box.height)
                .translate(place + 0.53, bottom)
            )
            axes.add_patch(
                PathPatch(
                    outlines[letter].transformed(fitted),
                    color=COLORS[letter],
                    linewidth=0,
                )
            )
            bottom += of_letters[i]
    length = len(shares)
    axes.set(xlim=(0.5, length + 0.5), ylim=(0, 2))
    axes.set_xticks(range(1, length + 1, 2 if length > 8 else 1))
    axes.set_yticks([0, 1, 2])
    axes.tick_params(length=2, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
