"""Sections of reports on pictures that a model has drawn."""

import math
from pathlib import Path

import numpy as np

from recipes.lab.report import page
from recipes.lab.report.page import STRIP


def samples_section(plots: Path, pictures):
    """Return the section with pictures that were drawn from noise."""
    caption = (
        "Each is drawn from noise: the first pictures of one seed, none chosen."
    )
    html = _in_rows(plots / "samples.png", pictures, "pictures from noise")
    return "Drawn from noise", caption, html


def labeled_samples_section(plots: Path, names: list[str], rows: list):
    """Return the section with drawn pictures, a row for each label.

    Args:
        plots: Where the figures go.
        names: Names of the labels.
        rows: The pictures of one label after another, `STRIP` or fewer each.
    """
    width = max(map(len, rows))
    pictures = np.concatenate(
        [np.pad(row, [(0, width - len(row)), *[(0, 0)] * 3]) for row in rows]
    )
    caption = (
        "Each row was asked for one label: the first pictures of one seed, "
        "none chosen."
    )
    path = plots / "samples.png"
    what = f"pictures of {', '.join(names)}"
    names = [page.short(name) for name in names]
    html = _in_rows(path, pictures, what, width, names)
    return "Drawn from labels", caption, html


def watched_section(plots: Path, phase: str, pictures: dict):
    """Return the section with pictures that were drawn during the training.

    Args:
        plots: Where the figures go.
        phase: The phase of the training.
        pictures: Number of epoch to the pictures after it, uint8; of the same
            codes each time.
    """
    rows = [f"epoch {epoch}" for epoch in pictures]
    options = {"columns": STRIP, "cmap": "gray", "limits": (0, 255)}
    whole = np.concatenate([drawn[:STRIP] for drawn in pictures.values()])
    figure = page.tiles(whole, None, rows=rows, **options)
    alt = f"Pictures after {', '.join(rows)}: those of an epoch in a row."
    html = page.figure_html(plots / f"watched_{phase}.png", figure, alt)
    caption = (
        "The same pictures after more and more epochs, drawn with the weights "
        "of that moment."
    )
    if len(rows) > 1:
        frames = [
            page.tiles(drawn[:STRIP], None, rows=[row], **options)
            for row, drawn in zip(rows, pictures.values(), strict=True)
        ]
        path = plots / f"watched_{phase}.gif"
        caption += " Below, one after another."
        html += '<p class="caption"></p>' + page.animation_html(
            path, frames, "The rows above as an animated picture."
        )
    heading = "Learning to draw"
    if phase != "train":
        heading += f": {phase}"
    return heading, caption, html


def between_section(plots: Path, pictures, ends: str):
    """Return the section with ways between codes, a way in each row.

    Args:
        plots: Where the figures go.
        pictures: The pictures of each way after the other.
        ends: What is at the ends, and how the way is, in words.
    """
    caption = (
        f"Each row goes between {ends}. A model that has understood its images "
        "draws something sensible all the way."
    )
    html = _in_rows(plots / "between.png", pictures, "pictures between codes")
    return "From one to another", caption, html


def chains_section(plots: Path, pictures, steps):
    """Return the section with chains on their way, one in a row.

    Args:
        plots: Where the figures go.
        pictures: Those of each chain after the other.
        steps: Number of steps before each picture of a chain.
    """
    caption = (
        "Each row is a chain that begins at noise: the probability of ink "
        f"after {', '.join(map(str, steps[:-1]))} and {steps[-1]} steps. In a "
        "step "
        "the hidden units are drawn, and then the pixels."
    )
    path, columns = plots / "chains.png", len(steps)
    html = _in_rows(path, pictures, "pictures of chains", columns)
    return "From noise to a picture", caption, html


def traversal_section(plots: Path, pictures, count: int):
    """Return the section with what a unit of the code changes, one in a row.

    Args:
        plots: Where the figures go.
        pictures: The pictures of each unit after the other.
        count: Length of the code.
    """
    rows = len(pictures) // STRIP
    which = "all" if rows == count else f"the {rows} that vary most"
    caption = (
        "The mean code of the test images, with one of its units moved from -3 "
        f"to 3 in each row. Of {count} units {which} are shown."
    )
    html = _in_rows(plots / "traversal.png", pictures, "pictures of codes")
    return "What each unit of the code does", caption, html


def factors_section(plots: Path, pictures, names, table: str):
    """Return the section with what the numbers for some factors change.

    Args:
        plots: Where the figures go.
        pictures: Those of one factor after another, the same images for each.
        names: Name of each factor.
        table: How well each factor is followed, as HTML.
    """
    rows = len(pictures) // STRIP // len(names)
    caption = (
        f"The codes of {rows} test images, with one number moved through its "
        f"range: {rows} rows for each of {', '.join(names)}. Below, how well "
        "the numbers follow these factors in test images whose factors are "
        "random: as correlations, without their signs."
    )
    html = _in_rows(plots / "factors.png", pictures, "pictures of codes")
    return "One number, one factor", caption, f"{html}\n{table}"


def labels_section(plots: Path, of_labels, of_style, names):
    """Return the section with the picture of each label, and other styles.

    Args:
        plots: Where the figures go.
        of_labels: A picture for each label, in its mean style.
        of_style: A row of pictures for each number of style, which grows.
        names: What these are called.
    """
    rows = [
        _in_rows(plots / "labels.png", of_labels, "pictures of labels"),
        _in_rows(plots / "styles.png", of_style, "pictures of one label"),
    ]
    caption = (
        "Above, every label in the mean style of its class. Below, a label in "
        f"each row, and one number that grows: {', '.join(names)}."
    )
    html = '<p class="caption"></p>'.join(rows)
    return "Drawn from labels", caption, html


def plane_section(plots: Path, pictures):
    """Return the section with the pictures of all codes of two numbers.

    Args:
        plots: Where the figures go.
        pictures: Those of a square of codes, row by row.
    """
    caption = (
        "The plane of the codes, stretched so that each part of the picture is "
        "as likely as any other."
    )
    side = math.isqrt(len(pictures))
    html = _in_rows(plots / "plane.png", pictures, "pictures of codes", side)
    return "All that it can draw", caption, html


def nearest_section(plots: Path, pictures, nearest):
    """Return the section with the images that drawn pictures are most like."""
    caption = (
        "Drawn pictures in the first row, the training images nearest to them "
        "in the second. If they were the same, the model would have memorized "
        "its images."
    )
    both = np.concatenate([pictures, nearest])
    html = _in_rows(plots / "nearest.png", both, "pictures, drawn and real")
    return "Is it a copy?", caption, html


def shares_section(names: list[str], drawn, images):
    """Return the section with how often each class is drawn.

    Args:
        names: Names of the classes.
        drawn: Share of the pictures that the judge takes for each class.
        images: Number of training images of each class.
    """
    shares = images / images.sum()
    rows = [
        (name, f"{100 * share:.1f} %", f"{100 * of_images:.1f} %")
        for name, share, of_images in zip(names, drawn, shares, strict=True)
    ]
    caption = (
        "What the judge takes the pictures for, beside the classes of the "
        "training images. A generator that has found a few pictures that "
        "always pass draws nothing else."
    )
    header = ("class", "pictures drawn", "training images")
    return "Class by class", caption, page.table(rows, header)


def _in_rows(
    path: Path, pictures, what: str, columns: int = STRIP, names=()
) -> str:
    """Return pictures in rows, which may have names, as a part of the page."""
    pictures = np.clip(pictures, 0, 1)
    options = {"cmap": "gray", "limits": (0, 1), "rows": names}
    figure = page.tiles(pictures, None, columns, **options)
    rows = math.ceil(len(pictures) / columns)
    alt = f"{len(pictures)} {what}, in {rows} rows."
    return page.figure_html(path, figure, alt)
