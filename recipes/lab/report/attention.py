"""Where a network looks while it writes, and what it thinks while it reads."""

from html import escape
from pathlib import Path

import numpy as np

from recipes.lab.report import page

PLEASED, DISPLEASED = (0.45, 0.69, 0.89), (0.94, 0.56, 0.53)


def section(plots: Path, texts: list[str], answers: list[str], weights):
    """Return the section on what a network looks at for each letter.

    Args:
        plots: The folder of the figures.
        texts: What it has read.
        answers: What it has written about each.
        weights: Of each letter that is written for each that is read, `(n,
            length of an answer, length of a text)`; what is read is at the end
            of its axis.
    """
    heading = "Where it looks"
    caption = (
        "From left to right what is read, from top to bottom what is written. "
        "The darker a cell, the more of the letter that is read is in what the "
        "network sees when it chooses the letter that is written."
    )
    looked_at = [
        _words(text, answer, rows)
        for text, answer, rows in zip(texts, answers, weights, strict=True)
    ]
    figure = _drawn(texts, answers, weights)
    html = page.figure_html(
        plots / "attention.png", figure, f"{'; '.join(looked_at)}."
    )
    return heading, caption, html


def _drawn(texts, answers, weights):
    """Return a figure with a map of each text, one below the other."""
    from matplotlib.figure import Figure

    cell, left, above, edge = 0.15, 0.35, 0.42, 0.05  # inches
    rows = [max(1, len(answer)) for answer in answers]
    width = left + max(map(len, texts)) * cell + edge
    height = edge + sum(rows) * cell + len(rows) * above
    figure = Figure(figsize=(width, height))
    bottom = height
    for text, answer, count, every_weight in zip(
        texts, answers, rows, weights, strict=True
    ):
        bottom -= above + count * cell
        sides = left, bottom, len(text) * cell, count * cell
        axes = figure.add_axes(np.divide(sides, (width, height) * 2))
        shown = every_weight[:count, every_weight.shape[1] - len(text) :]
        axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(text)), [*text], parse_math=False)
        axes.set_yticks(range(len(answer)), [*answer], parse_math=False)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=2, labelsize=9)
        axes.spines[:].set_color(page.FAINT)
    return figure


def _words(text: str, answer: str, weights) -> str:
    """Return in words which character each letter comes from most."""
    if not answer:
        return f"{text} becomes nothing"
    weights = weights[: len(answer), weights.shape[1] - len(text) :]
    places = 1 + np.argmax(weights, axis=1)
    pairs = ", ".join(
        f"{letter} at {place}"
        for letter, place in zip(answer, places, strict=True)
    )
    return f"{text} becomes {answer}, with most weight on character: {pairs}"


def reading_section(plots: Path, sentences, shares, names):
    """Return the section on what a network thinks after each word.

    Args:
        plots: The folder of the figures.
        sentences: Lists of words.
        shares: For each sentence the probability of the second class after each
            word.
        names: Names of the two classes.
    """
    from matplotlib.figure import Figure

    heading = "Word by word"
    caption = (
        "The bluer a word, the surer the network is of "
        f"<em>{escape(names[1])}</em> once it has read it; the redder, of "
        f"<em>{escape(names[0])}</em>. It answers after the last word."
    )
    row, edge, letter = 0.36, 0.08, 0.082  # inches
    longest = max(sum(len(word) + 2 for word in words) for words in sentences)
    size = 2 * edge + longest * letter, 2 * edge + len(sentences) * row
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    for i, (words, values) in enumerate(zip(sentences, shares, strict=True)):
        left, middle = edge, edge + (i + 0.5) * row
        for word, share in zip(words, values, strict=True):
            wide = (len(word) + 2) * letter
            sure = abs(2 * share - 1)
            hue = np.array(PLEASED if share > 0.5 else DISPLEASED)
            axes.barh(
                *(middle, wide, 0.8 * row, left),
                color=1 - sure * (1 - hue),
                edgecolor="white",
            )
            text = axes.text(left + wide / 2, middle, word, parse_math=False)
            text.set(ha="center", va="center", size=9, color=page.INK)
            left += wide
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axes.set_axis_off()
    ends = "; ".join(
        f"{' '.join(words)}: {names[int(values[-1] > 0.5)]}"
        for words, values in zip(sentences, shares, strict=True)
    )
    html = page.figure_html(plots / "reading.png", figure, f"{ends}.")
    return heading, caption, html
