"""Sections on codes, and on the images that are made of them."""

from pathlib import Path

import numpy as np

from recipes.lab.report import page
from recipes.lab.report.page import STRIP

MAPPED = 5_000  # dots on the map of the codes
LEGEND = 40  # names beside it


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
