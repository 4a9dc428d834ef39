"""Matrices as pictures, and shares beside each other."""

from pathlib import Path

import numpy as np

from recipes.lab.report import page

CELL = 0.2  # inches, of a matrix that has names
WIDE = 8.8  # inches that a page has
TOLD = 6  # cells that are told to people who hear the page


def matrix_html(
    path: Path,
    matrix,
    *,
    row: str,
    column: str,
    rows=None,
    columns=None,
    diverging: bool = False,
) -> str:
    """Return a matrix as a picture, a cell for each number.

    Args:
        path: Where the picture goes.
        matrix: Numbers `(rows, columns)`; of 0 or more, unless `diverging`.
        row: What a row is.
        column: What a column is.
        rows: Name of each row; None for their numbers.
        columns: Name of each column; likewise.
        diverging: Whether numbers below 0 are red, and those above are blue.
    """
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix, "float64")
    height, width = matrix.shape
    cell = min(2 * CELL, (WIDE - 1.2) / width)
    high = (
        max(cell, 0.07) * height if rows is None else max(cell, 0.14) * height
    )
    figure = Figure(figsize=(WIDE, high + 0.9), layout="constrained")
    axes = figure.subplots()
    if diverging:
        largest = max(np.abs(matrix).max(), 1e-9)
        shown, colors, limits = matrix, "RdBu", (-largest, largest)
    else:
        # The root lifts small numbers out of the white beside large ones.
        largest = max(matrix.max(), 1e-9)
        shown, colors, limits = np.sqrt(matrix / largest), "Blues", (0, 1)
    image = axes.imshow(
        shown,
        cmap=colors,
        vmin=limits[0],
        vmax=limits[1],
        aspect="equal" if height <= width else "auto",
        interpolation="nearest",
    )
    for set_ticks, names in (
        (axes.set_xticks, columns),
        (axes.set_yticks, rows),
    ):
        if names is not None:
            set_ticks(range(len(names)), names, parse_math=False)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(column)
    axes.set_ylabel(row)
    axes.tick_params(length=0, pad=2, labelsize=9)
    axes.spines[:].set_color(page.FAINT)
    if diverging:
        figure.colorbar(image, shrink=0.8)
    alt = _largest(matrix, row, column, rows, columns)
    return page.figure_html(path, figure, alt)


def stacked_html(path: Path, parts: dict, column: str) -> str:
    """Return matrices of as many columns, one below the other.

    Args:
        path: Where the picture goes.
        parts: Name of each and its numbers from 0 to 1, `(rows, columns)`.
        column: What a column is.
    """
    from matplotlib.figure import Figure

    heights = [max(len(matrix), 8) for matrix in parts.values()]
    figure = Figure(
        figsize=(WIDE, 0.075 * sum(heights) + 0.9), layout="constrained"
    )
    plots = figure.subplots(
        *(len(parts), 1), sharex=True, height_ratios=heights, squeeze=False
    )
    told = []
    for axes, (name, matrix) in zip(plots.flat, parts.items(), strict=True):
        matrix = np.asarray(matrix)
        axes.imshow(
            matrix,
            cmap="Blues",
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
            extent=(0.5, matrix.shape[1] + 0.5, len(matrix) + 0.5, 0.5),
        )
        axes.set_ylabel(name)
        axes.set_yticks([1, len(matrix)])
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_color(page.FAINT)
        most = 1 + matrix.argmax(axis=0)
        told.append(f"{name}: {' '.join(map(str, most))}")
    axes.set_xlabel(column)
    alt = f"The row with the largest number, {column} by {column}. "
    return page.figure_html(path, figure, alt + "; ".join(told) + ".")


def _largest(matrix, row, column, rows, columns) -> str:
    """Say in words where the largest numbers of a matrix are."""
    order = np.argsort(-np.abs(matrix), axis=None, kind="stable")[:TOLD]
    places = [np.unravel_index(place, matrix.shape) for place in order]
    told = [
        f"{matrix[i, j]:.2g} at {rows[i] if rows is not None else i + 1}, "
        f"{columns[j] if columns is not None else j + 1}"
        for i, j in places
    ]
    return f"Matrix of {row} by {column}; the largest are {'; '.join(told)}."


def shares_html(path: Path, names, shares: dict, label: str) -> str:
    """Return several shares of the same things beside each other.

    Args:
        path: Where the picture goes.
        names: What there are shares of.
        shares: Name of each distribution, and its shares; bars are of the
            first, and marks of the others.
        label: What the shares are, on the axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, 3.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    (first, bars), *others = shares.items()
    axes.bar(places, 100 * np.asarray(bars), 0.8, color="#bcd3e8", label=first)
    styles = (("_", page.VALIDATION, 90), (".", page.TRAINING, 45))
    for (name, values), (marker, color, size) in zip(
        others, styles, strict=False
    ):
        axes.scatter(
            *(places, 100 * np.asarray(values), size, color),
            marker=marker,
            label=name,
            zorder=3,
        )
    axes.set_xticks(places, names, parse_math=False)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel(label)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=page.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    most = np.argsort(-np.asarray(bars), kind="stable")[:TOLD]
    told = "; ".join(
        f"{names[i]}: "
        + ", ".join(
            f"{values[i]:.1%} {name}" for name, values in shares.items()
        )
        for i in most
    )
    return page.figure_html(path, figure, f"The largest shares: {told}.")
