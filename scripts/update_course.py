"""Rewrite the course from scripts/course.toml, the recipes and their results.

    python scripts/update_course.py
    python scripts/update_course.py --check    # exit code 1 if it would change

`python -m zoo --lectures` prints zoo/course.txt, saved_models/COURSE.md is the
same as a page, and each chapter has a notebook in saved_models/notebooks/ that
trains its first networks on what comes with the package.
"""

import argparse
import inspect
import json
import re
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path

from recipes.__main__ import read_recipes
from recipes.lab import files, results
from recipes.lab.flags import ONCE
from recipes.lab.results import describe_result

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "scripts" / "course.toml"
PAGE, TEXT = ROOT / "saved_models" / "COURSE.md", ROOT / "zoo" / "course.txt"
NOTEBOOKS = ROOT / "saved_models" / "notebooks"
IN_NOTEBOOK = 2  # recipes of a chapter that its notebook runs
WIDTH = 80  # of a terminal
HEADING = """\
# The course

Every network of an introductory course, in the order of teaching. Each command
trains one and writes a report; what it needs beside the data that come with
this package is MNIST or Fashion-MNIST. Times are of two CPU cores. Results are
means over seeds, or of one seed where no ± stands, and [on one
page](RESULTS.md), too. Most were measured beside another training, so times
compare roughly. [A chart](chart.html) draws 27 of the networks, with the cells
that they are made of.

"""


def main(argv=None) -> int:
    """Rewrite the page and the text, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    chapters = read_chapters()
    texts = {PAGE: page(chapters), TEXT: text(chapters)}
    for number, chapter in enumerate(chapters, start=1):
        texts[notebook_path(number, chapter)] = notebook(number, chapter)
    if arguments.check:
        return int(
            any(
                not path.exists() or path.read_text(encoding="utf-8") != content
                for path, content in texts.items()
            )
        )
    NOTEBOOKS.mkdir(exist_ok=True)
    for path in NOTEBOOKS.glob("*.ipynb"):
        if path not in texts:
            path.unlink()
    for path, content in texts.items():
        files.write_atomically(path, content)
    return 0


def read_chapters() -> list[dict]:
    """Return the chapters, with what the recipes and their results say."""
    chapters = tomllib.loads(COURSE.read_text(encoding="utf-8"))["chapter"]
    recipes, rows = read_recipes(), results.read()
    listed = [name for chapter in chapters for name in chapter["recipes"]]
    if sorted(listed) != sorted(recipes):
        odd = {*listed} ^ {*recipes}
        raise SystemExit(
            f"error: {COURSE.name} must have every recipe once. "
            f"{', '.join(sorted(odd)) or 'Some are there twice'}."
        )
    for chapter in chapters:
        for name, entry in chapter["recipes"].items():
            entry["story"] = inspect.cleandoc(recipes[name].__doc__)
            entry["about"] = entry["story"].partition("\n")[0]
            entry["config"] = recipes[name].Config
            entry["command"] = f"python -m recipes.{name}"
            entry["row"] = rows.get(entry["command"])
            for experiment in entry.get("try", ()):
                flags = shlex.split(experiment["flags"])
                command = " ".join([entry["command"], *flags])
                if command not in rows:
                    raise SystemExit(f"error: no results of `{command}`")
                experiment |= {"command": command, "row": rows[command]}
    return chapters


def _measured(row: dict | None) -> str:
    """Return a result and how long it took to train, in words."""
    if row is None:
        return "Not measured yet"
    seconds = float(row["train_seconds"])
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    if seconds < 1:
        time = "less than a second"
    return f"{describe_result(row)} after {time} of training"


def page(chapters: list[dict]) -> str:
    """Return the course in Markdown."""
    parts = [HEADING]
    for number, chapter in enumerate(chapters, start=1):
        parts.append(f"## {number}. {chapter['title']}\n\n")
        parts.append(f"{chapter['about']}\n\n")
        for name, entry in chapter["recipes"].items():
            parts.append(
                f"**[{name}](../recipes/{name}.py)**: {entry['about']}"
                f"{_report(name)}\n\n"
                f"- `{entry['command']}`: {_measured(entry['row'])}\n"
            )
            if "states" in entry:
                parts.append(f"- The lectures state: {entry['states']}\n")
            for experiment in entry.get("try", ()):
                parts.append(
                    f"- Try next `{experiment['command']}`: "
                    f"{_measured(experiment['row'])}. So "
                    f"{experiment['teaches']}.\n"
                )
            parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def _report(name: str) -> str:
    """Return a link to the report of a recipe that is kept, if there is one."""
    there = (PAGE.parent / "reports" / f"{name}.html").exists()
    return f" ([report](reports/{name}.html))" if there else ""


def text(chapters: list[dict]) -> str:
    """Return the course for a terminal."""
    lines = []

    def add(indent: int, words: str):
        lines.extend(
            textwrap.wrap(
                *(words, WIDTH),
                initial_indent=" " * indent,
                subsequent_indent=" " * indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    for number, chapter in enumerate(chapters, start=1):
        add(0, f"{number}. {chapter['title']}")
        add(3, chapter["about"])
        lines.append("")
        for entry in chapter["recipes"].values():
            add(3, entry["command"])
            add(6, entry["about"])
            add(6, f"{_measured(entry['row'])}.")
            if "states" in entry:
                add(6, f"The lectures state: {entry['states']}.")
            for experiment in entry.get("try", ()):
                add(6, f"Try next: {experiment['command']}")
                add(
                    9,
                    f"{_measured(experiment['row'])}. So "
                    f"{experiment['teaches']}.",
                )
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# --- notebooks ----------------------------------------------------------------


def notebook_path(number: int, chapter: dict) -> Path:
    """Return where the notebook of a chapter is."""
    words = re.findall("[a-z]+", chapter["title"].lower())
    return NOTEBOOKS / f"{number:02}_{'_'.join(words)}.ipynb"


def notebook(number: int, chapter: dict) -> str:
    """Return the notebook of a chapter, as JSON."""
    entries = chapter["recipes"]
    shown = [
        name for name in entries if entries[name].get("in_notebook", True)
    ][:IN_NOTEBOOK]
    others = [f"- `{e['command']}`: {e['about']}" for e in entries.values()]
    cells = [
        _markdown(
            f"# {number}. {chapter['title']}\n\n{chapter['about']}\n\n"
            "Each cell below trains a network for an epoch, on what comes with "
            "this package, and shows its report. Change a setting and run it "
            "again. Without `dry_run` it trains as long as the recipe does, on "
            "all of its data, and what the settings are `Config?` says."
        )
    ]
    for name in shown:
        once = "".join(
            f"{field}=1, "
            for field in sorted(ONCE)
            if hasattr(entries[name]["config"], field)
        )
        imports = "\n".join(
            sorted(
                [
                    "from recipes.lab.flags import RunOptions",
                    f"from recipes.{name} import Config, train",
                ]
            )
        )
        cells += [
            _markdown(f"## {name}\n\n{entries[name]['story']}"),
            _code(
                f"{imports}\n\ntrain(Config({once}run=RunOptions(dry_run=True)))"
            ),
        ]
    cells.append(_markdown("## All of this chapter\n\n" + "\n".join(others)))
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    python = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    book = {
        "cells": cells,
        "metadata": {
            "kernelspec": python,
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _markdown(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(source)}


def _code(source: str) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": _lines(source),
    }


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main())
