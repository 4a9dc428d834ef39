"""Sections on answers that are numbers, beside the true ones."""

import math
from pathlib import Path

import numpy as np

from recipes.lab.report import page

DOTS = 5_000  # in one panel


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
        truth, answers = truth[:DOTS], answers[:DOTS]
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


def _correlation(truth, answers) -> float:
    """Return the correlation; 0 of answers that are all the same."""
    if min(np.ptp(truth), np.ptp(answers)) < 1e-4:
        return 0.0
    return float(np.corrcoef(truth, answers)[0, 1])
