"""Trained models on one page: a number, a picture, and formats with speed."""

import base64
import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import keras

import zoo
from recipes.lab import files, results
from recipes.lab.data import sources
from recipes.lab.errors import DataError, RecipeError, UsageError
from recipes.lab.export import scoring
from recipes.lab.export.card import FORMATS
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import named
from recipes.lab.report import classified, page
from zoo import _loading

# Figures of a report that show the thing itself, the best ones first.
PICTURES = (
    *("samples", "reconstructions", "mistakes", "truth", "weights"),
    *("confusion_matrix", "classes"),
)
FEW = 1_000  # examples for a picture
STYLE = """
main { max-width: 1500px; }
.wall { display: grid; gap: 24px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
article { border: 1px solid var(--line); border-radius: 10px; padding: 20px; }
article h3 { margin: 0; font-size: 18px; overflow-wrap: anywhere; }
article .number { font-size: 34px; }
figure { margin: 0 0 12px; }
figcaption { color: var(--soft); font-size: 14px; }
article img { width: 100%; max-height: 300px; object-fit: contain; }
.some { overflow: hidden; border-radius: 6px; background: #ffffff; }
.some img { width: 200%; max-width: none; max-height: none; }
article table { width: 100%; margin-top: 12px; font-size: 14px; }
article th, article td { padding-right: 10px; }
article th { white-space: normal; vertical-align: bottom; }
@media (max-width: 520px) { article { padding: 14px; } }
code { font-size: 14px; overflow-wrap: anywhere; }
summary { color: var(--soft); cursor: pointer; }
pre { font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def write(
    names: Sequence[str],
    output: Path,
    options: RunOptions,
    about: Callable[[str], str],
) -> Path:
    """Write the page.

    Args:
        names: Names or paths as for `zoo.load_model`; none for all that ship.
        output: Where the page goes.
        options: Uses `data_dir` and `offline`: pictures are of the test set.
        about: What a recipe is about, by its name; "" if there is none.

    Returns:
        The path of the page.

    Raises:
        UsageError: If there is no such export, or it has learned from data
            that are no recipe's.
        RecipeError: If one is damaged.
        OSError: If the page cannot be written.
    """
    try:
        exports = [
            _loading.find_export(name)
            for name in names or scoring.shipped_names()
        ]
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    by_kind = {}
    for i, export in enumerate(exports, start=1):
        name = _name(export)
        print(f"{i}/{len(exports)} {name}", file=sys.stderr, flush=True)
        try:
            _loading.check_sums(export)
            record = json.loads((export / "metrics.json").read_bytes())
            _check_data(name, record["dataset"])
            kind, html = _exhibit(export, record, options, about)
        except UsageError:  # which is a ValueError, too
            raise
        except DataError as error:
            raise RecipeError(f"{name} has no picture: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RecipeError(f"{export} is damaged: {error}") from error
        by_kind.setdefault(kind, []).append(html)
    sections = [
        (kind, "", '<div class="wall">\n' + "\n".join(cards) + "\n</div>")
        for kind, cards in sorted(by_kind.items())
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    headline = (
        f'<p class="number">{len(exports)}</p>\n<p>trained models, scored on '
        "the test set. All can be loaded, served and verified: "
        "<code>python -m recipes verify NAME</code>.</p>"
    )
    html = page.page("Gallery", headline, sections, style=STYLE)
    files.write_atomically(output, html)
    return output


def _name(export: Path) -> str:
    return "/".join(export.resolve().parts[-2:])


def _check_data(name: str, dataset: str) -> None:
    """Refuse an export whose pictures would be of data that are not here."""
    if dataset not in ("digits", *sources.NAMES):
        raise UsageError(
            "A gallery has pictures of the test sets of recipes, and finds no "
            f"others. Received: {name}, which was trained on {dataset}."
        )


def _exhibit(
    export: Path, record: dict, options: RunOptions, about
) -> tuple[str, str]:
    """Return which kind of model an export is, and its part of the page."""
    with contextlib.redirect_stdout(io.StringIO()):  # which data are read
        picture, task = _picture(export, record, options)
    scored = metric = task.metrics[0]  # each format is, by this one
    name, _, version = _name(export).partition("/")
    said = ""
    row = results.of_plain_commands().get(record["recipe"])
    if row and row["metric"] in record["metrics"]:
        metric = named(row["metric"])
        if int(row["seeds"]) > 1:
            values = escape(results.describe_values(row))
            said = f"; over {row['seeds']} seeds {values}"
    value = record["metrics"][metric.name]
    formats = [
        (
            FORMATS[format],
            f"{facts['bytes'] / 1e6:.2f} MB",
            f"{facts['microseconds']:,.0f} µs",
            scored.write(facts[scored.name]) if scored.name in facts else "",
        )
        for format, facts in record["formats"].items()
    ]
    header = ["", "size", "one answer", scored.words]
    if not any(score for *_, score in formats):
        formats, header = [row[:-1] for row in formats], header[:-1]
    table = page.table(formats, header)
    card = (export / "README.md").read_text(encoding="utf-8")
    card = card.split("---\n", 2)[-1].strip()  # without what hubs read
    return task.hub_task.replace("-", " ").capitalize(), (
        f"<article>\n<h3>{escape(name)}</h3>\n"
        f'<p class="caption">{escape(about(record["recipe"]))}</p>\n'
        f'<p class="number">{escape(metric.write(value))}</p>\n'
        f"<p>{escape(metric.words)}{said}.</p>\n"
        f"{picture}\n"
        f"<p><code>{escape(record['model'])}</code>, {record['params']:,} "
        "parameters, trained in "
        f"{record['metrics']['train_seconds']:,.0f} s on "
        f"{escape(record['environment']['hardware'])}.</p>\n"
        f"{table}\n"
        f'<p><code>zoo.load_model("{escape(name)}:{escape(version)}")</code>'
        f"</p>\n<details><summary>Card</summary><pre>{escape(card)}</pre>"
        "</details>\n</article>"
    )


def _picture(export: Path, record: dict, options: RunOptions) -> tuple:
    """Return the figure of a report that shows what a model does; the task."""
    data = scoring.data_of(record, export, options)
    task = scoring.task_of(record, export, data)
    model = zoo.load_model(export, verbose=False)
    test = task.data.test
    if task.answered != "probabilities":  # a few show as much, much sooner
        test = test[:FEW]
    scores = task.score(model, test)
    with tempfile.TemporaryDirectory() as plots:
        parts = task.report(model, scores, Path(plots))
        drawn = {
            base64.b64encode(path.read_bytes()).decode(): path.stem
            for path in Path(plots).glob("*.png")
        }
    keras.backend.clear_session()
    found = {
        drawn.get(image["data"]): (heading, image[0])
        for heading, _, html in parts.before + parts.after
        for image in re.finditer(r'<img[^>]*;base64,(?P<data>[^"]*)">', html)
    }
    for name in PICTURES:
        if name in found:
            heading, image = found[name]
            size = re.search(r'width="(\d+)" height="(\d+)"', image)
            if f'alt="{classified.MISTAKES} misclassified' in image and size:
                # Of so many a quarter is large enough to be read.
                image = (
                    f'<div class="some" style="aspect-ratio: {size[1]} / '
                    f'{size[2]}">{image}</div>'
                )
            caption = f"<figcaption>{escape(heading)}</figcaption>"
            return f"<figure>{image}{caption}</figure>", task
    return "", task
