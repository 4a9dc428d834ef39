"""How a report looks: the page, and the figures and tables that it is made of.

A page is a headline and a list of sections, and a section is a heading, a
sentence on how to read it, and HTML. The figures are PNG files in `plots/` and
lie inside the page once more, so that `report.html` needs nothing beside it.
"""

import base64
import io
import itertools
import math
import re
import warnings
from html import escape
from pathlib import Path

import numpy as np

import zoo
from recipes.lab import files, terminal
from recipes.lab.files import SCHEMA

STRIP = 10  # pictures in a row
FRAME_MS = 600  # of an animated picture
MAILED_BYTES = 500_000  # of a PNG in the page; photographs go as JPEG

_NUMBER = re.compile(r"[<+–-]?(\d|$)")
INK, FAINT = "#1c2733", "#d5dce3"
TRAINING, VALIDATION = "#d9730d", "#1f6fb2"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6875;
  --line: #dde3e9; --paper: #ffffff; --accent: #1f6fb2;
  --warning: #fdf0d5; --edge: #d9730d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4;
  --line: #35404b; --paper: #161b21; --accent: #6cb2ee;
  --warning: #3d2c12; --edge: #e8973f; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 852px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { margin: 0 0 16px; font-size: 20px; color: var(--soft); }
h2 { margin: 48px 0 4px; font-size: 20px; break-after: avoid; }
p { margin: 0 0 12px; }
.number { margin: 0; font-size: 56px; line-height: 1.1; font-weight: 700;
  color: var(--accent); }
.notice { margin: 0 0 24px; padding: 12px 16px; border-radius: 6px;
  background: var(--warning); border-left: 4px solid var(--edge); }
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
.numbers td:last-child, .numbers thead th:last-child { text-align: right;
  padding-right: 0; white-space: nowrap; }
img, tr { break-inside: avoid; }
.wide { overflow-x: auto; }
@media (max-width: 520px) { main { padding: 24px 16px 48px; }
  th, td { padding-right: 12px; } tbody th { white-space: normal; }
  td:last-child { overflow-wrap: break-word; } }
"""

# Below a cell the colors are those of the notebook.
IN_CELL = """
<style>
.zoo-report { max-width: 852px; }
.zoo-report .number { font-size: 40px; line-height: 1.2; font-weight: 700; }
.zoo-report img { max-width: 100%; height: auto; background: #ffffff; }
.zoo-report .wide { overflow-x: auto; }
</style>
"""


def page(
    title: str,
    headline: str,
    sections: list,
    notice: str = "",
    style: str = "",
) -> str:
    """Put a page together; all but title, headings and notice is HTML.

    Args:
        title: What stands above all.
        headline: What is to be read from afar.
        sections: Heading, how to read it, and HTML of each.
        notice: What is to be known before anything else.
        style: CSS beside that of all pages.
    """
    warning = f'<p class="notice">{escape(notice)}</p>\n' if notice else ""
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
<style>{STYLE}{style}</style>
</head>
<body>
<main>
{warning}<h1>{escape(title)}</h1>
{headline}
{body}
</main>
</body>
</html>
"""


def show(report: Path) -> None:
    """Show a report below the cell of a notebook; do nothing elsewhere.

    Args:
        report: A page that `page` has made.
    """
    if not terminal.in_notebook():
        return
    from IPython.display import HTML, display

    _, _, rest = report.read_text(encoding="utf-8").partition("<main>")
    body, _, _ = rest.partition("</main>")
    display(HTML(f'<div class="zoo-report">{IN_CELL}{body}</div>'))


def figure_html(path: Path, figure, alt: str) -> str:
    """Write a figure as a PNG file, and return it as a part of the page."""
    png = _rendered(figure, "png")
    files.write_atomically(path, png)
    kind, content = "png", png
    if len(png) > MAILED_BYTES:
        kind, content = "jpeg", _rendered(figure, "jpeg")
    data = base64.b64encode(content).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return (
        f'<img width="{width}" height="{height}" alt="{escape(alt)}" '
        f'src="data:image/{kind};base64,{data}">'
    )


def animation_html(
    path: Path, figures: list, alt: str, frame_ms: int = FRAME_MS
) -> str:
    """Write figures as an animated GIF, and return it as a part of the page.

    Who wants nothing to move sees the last one.

    Args:
        path: Where the GIF goes.
        figures: Figures of the same size, in order.
        alt: What is to be seen, for those who cannot.
        frame_ms: How long each is seen; the last one four times as long.
    """
    from PIL import Image

    stills = [_rendered(figure, "png", dpi=96) for figure in figures]
    first, *others = (
        Image.open(io.BytesIO(still)).convert("RGB").quantize()
        for still in stills
    )
    buffer = io.BytesIO()
    first.save(
        *(buffer, "GIF"),
        save_all=True,
        append_images=others,
        duration=[frame_ms] * len(others) + [4 * FRAME_MS],
        loop=0,
    )
    files.write_atomically(path, buffer.getbuffer())
    moving, still = (
        base64.b64encode(content).decode()
        for content in (buffer.getbuffer(), stills[-1])
    )
    width, height = first.size
    return (
        '<picture><source media="(prefers-reduced-motion: reduce)" '
        f'srcset="data:image/png;base64,{still}">'
        f'<img width="{width}" height="{height}" alt="{escape(alt)}" '
        f'src="data:image/gif;base64,{moving}"></picture>'
    )


def _rendered(figure, kind: str, dpi: int = 144) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name of a class in letters that no font here has: boxes, and the
        # page has it as text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=dpi)
    return buffer.getvalue()


def table(rows, header=()) -> str:
    """Return a table of texts; the first of a row is its heading.

    Where it is wider than the page, it is moved in a frame of its own.
    """
    rows = [[*row] for row in rows]
    last = [row[-1] for row in rows]
    numbers = bool(header) and all(map(_NUMBER.match, last))
    style = ' class="numbers"' if numbers else ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    head = f"<thead><tr>{head}</tr></thead>\n" if header else ""
    return (
        f'<div class="wide"><table{style}>\n{head}<tbody>\n{body}\n</tbody>\n'
        "</table></div>"
    )


def short(name: str) -> str:
    """Shorten a name to 14 characters; its end may be what tells it apart."""
    return name if len(name) <= 14 else f"{name[:8]}…{name[-5:]}"


def facts_section(facts: dict[str, str]):
    """Return the section with the table of facts."""
    caption = "What was trained, on what, and how."
    return "Facts", caption, table(facts.items())


def lines_section(
    plots: Path,
    name: str,
    *,
    heading: str,
    caption: str,
    x_label: str,
    y_label: str,
    lines: dict[str, dict[float, float]],
    log_y: bool = False,
):
    """Return a section with a few lines over a logarithmic scale.

    Args:
        plots: Where the figure goes.
        name: The figure's file name, without suffix.
        heading: Heading of the section.
        caption: How to read it, as HTML.
        x_label: What is on the logarithmic x-axis.
        y_label: What is on the y-axis.
        lines: Name of each line to its values, y by x.
        log_y: Whether the y-axis is logarithmic, too.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    plots.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8.8, 5), layout="constrained")
    axes = figure.subplots()
    colors = itertools.cycle((VALIDATION, TRAINING, INK))
    lines = {name: dict(sorted(line.items())) for name, line in lines.items()}
    for (label, values), color in zip(lines.items(), colors, strict=False):
        x, y = zip(*values.items(), strict=True)
        axes.plot(x, y, color=color, label=label, marker="o", markersize=5)
    axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    ticks = sorted({x for values in lines.values() for x in values})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    alt = "; ".join(
        f"{label}: " + ", ".join(f"{y:.4g} at {x:g}" for x, y in values.items())
        for label, values in lines.items()
    )
    html = figure_html(plots / f"{name}.png", figure, f"{alt}.")
    return heading, caption, html


def curves_sections(plots: Path, history: dict) -> list:
    """Return the section with the curves, if validation was watched at all."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    heading = "Learning curves"
    metrics = [name for name in history if f"val_{name}" in history]
    if not metrics:
        return []
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
        "The model never learns from the validation data: where training "
        "keeps improving and validation does not, it has begun to learn by "
        "heart. Validation may be ahead at first where a training value is "
        "the mean over an epoch of learning, and not measured after it."
        if len(epochs) > 1
        else "There was one epoch, and there is one value of each."
    )
    if any_cut:
        caption += " The steep beginning runs off the scale."
    alt = f"Curves over the epochs, which end at {'; '.join(ends)}."
    return [(heading, caption, figure_html(plots / "curves.png", figure, alt))]


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


def tiles(pictures, texts, columns, *, cmap, limits, rows=()):
    """Draw `(n, height, width, 1 or 3)` pictures in a grid, texts below.

    A row without any text takes no room for it; the names of `rows`, if there
    are any, are on the left. One Axes holds all pictures: an Axes for each
    takes seconds.
    """
    from matplotlib.figure import Figure

    count, height, width, channels = pictures.shape
    columns = min(columns, count)
    texts = texts or [""] * count
    lines = [
        max(text.count("\n") + bool(text) for text in texts[i : i + columns])
        for i in range(0, count, columns)
    ]
    # All in inches, which makes the coordinates those of the paper.
    gap, line = 0.12, 0.17
    margin = 0.1 + 0.075 * max(map(len, rows)) if rows else 0.0
    wide = min(1.35, (8.8 - margin) / columns - gap)
    high = wide * height / width
    bottoms = np.cumsum([high + gap + row * line for row in lines])
    size = margin + columns * (wide + gap), bottoms[-1]
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left = margin + column * (wide + gap) + gap / 2
        end = bottoms[row] - gap / 2  # of the text, if there is any
        top = end - lines[row] * line - high
        axes.imshow(
            picture if channels == 3 else picture[..., 0],
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            interpolation="nearest",
            extent=(left, left + wide, top + high, top),
        )
        if texts[i]:
            # Anchored at its last line, as the height of the first one varies.
            middle = left + wide / 2
            text = axes.text(middle, end - 0.04, texts[i], parse_math=False)
            text.set(ha="center", va="baseline", size=9, linespacing=1.15)
    for name, bottom, count in zip(rows, bottoms, lines, strict=False):
        middle = bottom - gap / 2 - count * line - high / 2
        text = axes.text(gap / 2, middle, name, parse_math=False)
        text.set(ha="left", va="center", size=9)
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    axes.set_aspect("auto")
    axes.set_axis_off()
    return figure
