"""Redraw the chart of neural networks from the registry and the results.

    python scripts/update_chart.py
    python scripts/update_chart.py --check    # exit code 1 if it would change

`saved_models/chart.html` shows the 27 networks of van Veen's chart: of which
cells each is made and how they are linked, as `zoo.list_models(chart="2016")`
says, the recipe that trains it, as scripts/course.toml says, and what that has
reached. It needs nothing beside it, and no network.
"""

import argparse
import itertools
import math
import random
import sys
import tomllib
from html import escape
from pathlib import Path

import zoo
from recipes.lab import files, results
from recipes.lab.metrics import named
from recipes.lab.results import describe_values
from zoo import Cell

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "scripts" / "course.toml"
MODELS = ROOT / "saved_models"
PAGE = MODELS / "chart.html"
CHART = "2016"

WIDTH, HEIGHT = 200, 132  # of a drawing
EDGE = 16  # around it
RADIUS = 8  # of a cell

# Colors in daylight and in the dark, after Okabe and Ito 2008; and of a shape
# for each kind, so that nobody needs the colors.
COLORS = {
    "in": ("#e8a400", "#f2bd3c"),
    "hidden": ("#1a9a70", "#3fc79a"),
    "out": ("#d2571e", "#f0814a"),
    "memory": ("#2f7fbf", "#67b3ee"),
    "field": ("#b0629a", "#d995c4"),
}
KINDS = {
    Cell.INPUT: ("in", ""),
    Cell.BACKFED_INPUT: ("in", "ring"),
    Cell.NOISY_INPUT: ("in", "waves"),
    Cell.HIDDEN: ("hidden", ""),
    Cell.PROBABILISTIC_HIDDEN: ("hidden", "ring"),
    Cell.SPIKING_HIDDEN: ("hidden", "spike"),
    Cell.OUTPUT: ("out", ""),
    Cell.MATCH_INPUT_OUTPUT: ("out", "ring"),
    Cell.RECURRENT: ("memory", "loop"),
    Cell.MEMORY: ("memory", "dot"),
    Cell.DIFFERENT_MEMORY: ("memory", "bar"),
    Cell.KERNEL: ("field", ""),
    Cell.CONVOLUTION: ("field", "ring"),
}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6875;
  --line: #dde3e9; --paper: #ffffff; --card: #f6f8fa; --accent: #1f6fb2;
  --link: #b4bec8; DAYLIGHT }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4;
  --line: #35404b; --paper: #161b21; --card: #1e252d; --accent: #6cb2ee;
  --link: #4d5965; DARK } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 92rem; padding: 24px 20px 48px;
  background: var(--paper); color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 4px; font-size: 26px; line-height: 1.2; }
header p { margin: 0 0 16px; max-width: 46rem; color: var(--soft); }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.cells { display: grid; gap: 4px 16px; margin: 0 0 24px; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(168px, 46%), 1fr));
  list-style: none; }
.cells li { display: flex; align-items: center; gap: 8px; }
.cells svg { width: 24px; height: 24px; flex: none; }
.chart { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(200px, 46%), 1fr)); }
article { display: flex; flex-direction: column; min-width: 0; padding: 10px;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
article svg { display: block; width: 100%; height: auto; }
h2 { margin: 6px 0 0; font-size: 17px; line-height: 1.25; }
h2 span { display: block; font-size: 13px; font-weight: 400;
  color: var(--soft); }
article p { margin: 4px 0 0; font-size: 13px; overflow-wrap: anywhere; }
.number { font-variant-numeric: tabular-nums; }
.whole { white-space: nowrap; }
.links { margin-top: auto; padding-top: 4px; color: var(--soft); }
.line { fill: none; stroke: var(--link); stroke-width: 1; }
.mark { fill: none; stroke: var(--card); stroke-width: 1.8;
  stroke-linecap: round; stroke-linejoin: round; }
.point { fill: var(--card); }
"""

INTRODUCTION = """\
The networks of “A mostly complete chart of Neural Networks” by F. van Veen,
2016, drawn anew: {runnable} of {count} can be run here. A drawing says of which
cells a network is made and how they are linked. Below it are what the recipe
has reached, a mean over seeds, or of one where no ± stands; the builders that
make such networks; the recipe, the card of a model that ships, and the report
of a training."""


def main(argv=None) -> int:
    """Redraw the chart, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    content = page(read_recipes())
    if arguments.check:
        return int(
            not PAGE.exists() or PAGE.read_text(encoding="utf-8") != content
        )
    files.write_atomically(PAGE, content)
    return 0


def read_recipes() -> dict[str, str]:
    """Return the recipe of each network, by its short name.

    Raises:
        SystemExit: If two recipes are of one network, or one of none that is
            on the chart.
    """
    chapters = tomllib.loads(COURSE.read_text(encoding="utf-8"))["chapter"]
    known = {network.short for network in zoo.list_models(chart=CHART)}
    found = {}
    for chapter in chapters:
        for recipe, entry in chapter["recipes"].items():
            for short in entry.get("chart", ()):
                if short not in known or short in found:
                    raise SystemExit(
                        f"error: {recipe} in {COURSE.name} is of {short}, "
                        "which is not on the chart or has a recipe already."
                    )
                found[short] = recipe
    return found


def page(recipes: dict[str, str]) -> str:
    """Return the page.

    Args:
        recipes: The recipe of each network, by its short name.
    """
    rows = results.of_plain_commands()
    networks = zoo.list_models(chart=CHART)
    daylight, dark = (
        " ".join(f"--{name}: {pair[i]};" for name, pair in COLORS.items())
        for i in range(2)
    )
    style = STYLE.replace("DAYLIGHT", daylight).replace("DARK", dark)
    style += "".join(f".{name} {{ fill: var(--{name}); }}\n" for name in COLORS)
    cells = "\n".join(
        f'<li><svg viewBox="-12 -12 24 24" aria-hidden="true">'
        f"{draw_cell(cell, 0, 0)}</svg>{cell.value}</li>"
        for cell in Cell
    )
    introduction = INTRODUCTION.format(
        runnable=len(recipes), count=len(networks)
    )
    articles = "\n".join(
        article(network, recipes.get(network.short), rows)
        for network in networks
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A chart of neural networks</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>A chart of neural networks</h1>
<p>{introduction}</p>
</header>
<main>
<ul class="cells" aria-label="Kinds of cells">
{cells}
</ul>
<div class="chart">
{articles}
</div>
</main>
</body>
</html>
"""


def article(network, recipe: str | None, rows: dict) -> str:
    """Return a network with its drawing, its number and its links.

    Args:
        network: See `zoo.list_models`.
        recipe: Name of the recipe that trains it, or None.
        rows: Results, by recipe.
    """
    drawing, links = draw(network), []
    number = "not measured yet"
    if recipe:
        path = f"../recipes/{recipe}.py"
        drawing = f'<a href="{path}" tabindex="-1">{drawing}</a>'
        links.append(f'<a href="{path}">{recipe}</a>')
        if recipe in rows:
            words = escape(named(rows[recipe]["metric"]).words)
            value = escape(describe_values(rows[recipe]))
            number = (
                f'<a href="RESULTS.md#{recipe}">{words} '
                f'<span class="whole">{value}</span></a>'
            )
        cards = sorted(MODELS.glob(f"{recipe}/*/README.md"))
        shipped = (MODELS / "SHIPPED").read_text(encoding="utf-8").split()
        for card in cards:
            version = card.parent.relative_to(MODELS).as_posix()
            if version in shipped:
                links.append(f'<a href="{version}/README.md">card</a>')
        report = MODELS / "reports" / f"{recipe}.html"
        if report.exists():
            links.append(f'<a href="reports/{report.name}">report</a>')
    models = ", ".join(network.models)
    return f"""\
<article id="{network.short}">
{drawing}
<h2>{network.short}<span>{escape(network.name)}</span></h2>
<p class="number">{number}</p>
<p>{models}</p>
<p class="links">{" · ".join(links)}</p>
</article>"""


# --- drawings -----------------------------------------------------------------


def draw(network) -> str:
    """Return the drawing of a network, as SVG."""
    columns = places_of(network)
    lines = "".join(
        f'<path class="line" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'
        for (x1, y1), (x2, y2) in straight(network, columns)
    )
    arcs = "".join(
        f'<path class="line" d="{path}"/>' for path in bent(network, columns)
    )
    cells = "".join(
        draw_cell(cell, x, y)
        for (cell, _), places in zip(network.columns, columns, strict=True)
        for x, y in places
    )
    counts = ", ".join(
        f"{count} {cell.value}" for cell, count in network.columns
    )
    title = f"{network.name}: cells from left to right, {counts}."
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>{lines}{arcs}{cells}</svg>"
    )


def places_of(network) -> list[list[tuple[float, float]]]:
    """Return where the cells of each column are."""
    if network.links == "all":
        return _on_a_circle(network)
    count, columns = len(network.columns), []
    step = (WIDTH - 2 * (EDGE + RADIUS)) / max(1, count - 1)
    step = min(step, 52)
    left = (WIDTH - step * (count - 1)) / 2
    for i, (_, cells) in enumerate(network.columns):
        gap = min(28, (HEIGHT - 2 * EDGE) / cells)
        top = (HEIGHT - gap * (cells - 1)) / 2
        # What is linked at random is nowhere in a row.
        inner = network.links == "random" and 0 < i < count - 1
        columns.append(
            [
                (
                    round(left + i * step + inner * (-11, 7, -4, 12)[j % 4], 1),
                    round(top + j * gap, 1),
                )
                for j in range(cells)
            ]
        )
    return columns


def _on_a_circle(network):
    total = sum(count for _, count in network.columns)
    size, number, columns = HEIGHT / 2 - EDGE, 0, []
    for _, count in network.columns:
        angles = (
            math.pi * (0.5 + (2 * (number + j) + 1) / total)
            for j in range(count)
        )
        columns.append(
            [
                (
                    round(WIDTH / 2 + size * math.cos(angle), 1),
                    round(HEIGHT / 2 - size * math.sin(angle), 1),
                )
                for angle in angles
            ]
        )
        number += count
    return columns


def straight(network, columns):
    """Return the straight links of a network, as pairs of places."""
    if network.links == "all":
        places = [place for column in columns for place in column]
        return [*itertools.combinations(places, 2)]
    links = [
        (one, other)
        for before, after in itertools.pairwise(columns)
        for one in before
        for other in after
        if network.links != "near" or _are_near(one, other, before, after)
    ]
    if network.links != "random":
        return links
    # All that is read and all that is answered, and some of what is between.
    chance = random.Random(network.short)
    first, last = columns[1], columns[-2]
    inner = [place for column in columns[1:-1] for place in column]
    outside = [
        link
        for link in links
        if (link[0] in columns[0] and link[1] in first)
        or (link[0] in last and link[1] in columns[-1])
    ]
    pairs = [*itertools.combinations(inner, 2)]
    return chance.sample(outside, len(outside) * 2 // 3) + chance.sample(
        pairs, len(pairs) // 3
    )


def _are_near(one, other, before, after) -> bool:
    """Say whether two cells are at about the same height of their columns."""
    gap = max(
        abs(b[1] - a[1])
        for column in (before, after)
        for a, b in itertools.pairwise(column)
    )
    return abs(one[1] - other[1]) <= 0.75 * gap


def bent(network, columns) -> list[str]:
    """Return the shortcuts of a network, as paths over its columns."""
    if network.links != "shortcuts":
        return []
    paths = []
    for before, after in zip(columns[:-2], columns[2:], strict=True):
        (x1, y1), (x2, y2) = before[0], after[0]
        top = min(y1, y2) - 34
        paths.append(f"M{x1:g} {y1:g}Q{(x1 + x2) / 2:g} {top:g} {x2:g} {y2:g}")
    return paths


def draw_cell(cell: Cell, x: float, y: float) -> str:
    """Return a cell, as SVG.

    Inputs are squares, outputs are diamonds, cells of a field are hexagons, and
    all others circles; what is on them tells one kind of them from another.
    """
    color, mark = KINDS[cell]
    r = RADIUS
    if color == "in":
        shape = (
            f'<rect class="in" x="{x - r + 1:g}" y="{y - r + 1:g}" '
            f'width="{2 * r - 2}" height="{2 * r - 2}" rx="2.5"/>'
        )
    elif color in ("out", "field"):
        corners, turn = (4, 0) if color == "out" else (6, math.pi / 6)
        size = r + 1 if color == "out" else r
        angles = (turn + 2 * math.pi * i / corners for i in range(corners))
        points = " ".join(
            f"{x + size * math.cos(a):.1f},{y + size * math.sin(a):.1f}"
            for a in angles
        )
        shape = f'<polygon class="{color}" points="{points}"/>'
    else:
        shape = f'<circle class="{color}" cx="{x:g}" cy="{y:g}" r="{r}"/>'
    paths = {
        "": "",
        "ring": f'<circle class="mark" cx="{x:g}" cy="{y:g}" r="3.2"/>',
        "dot": f'<circle class="point" cx="{x:g}" cy="{y:g}" r="3"/>',
        "bar": f'<path class="mark" d="M{x - 3.5:g} {y:g}h7"/>',
        "waves": f'<path class="mark" d="M{x - 4:g} {y:g}q2 -5 4 0t4 0"/>',
        "spike": f'<path class="mark" d="M{x - 4:g} {y + 2:g}h2.2l1.8 -5'
        'l1.8 5h2.2"/>',
        "loop": f'<path class="mark" d="M{x + 3:g} {y - 2:g}a3.6 3.6 0 1 0 '
        '0.6 3.6m0 -3.8v3.8h-3.8"/>',
    }
    return shape + paths[mark]


if __name__ == "__main__":
    sys.exit(main())
