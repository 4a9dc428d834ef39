"""Rewrite the course from scripts/course.toml, the recipes and their results.

    python scripts/update_course.py
    python scripts/update_course.py --check    # exit code 1 if it would change

`python -m zoo --lectures` prints zoo/course.txt, and saved_models/COURSE.md is
the same as a page.
"""

import argparse
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path

from recipes.__main__ import read_recipes
from recipes.lab import files, results
from recipes.lab.results import describe_result

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "scripts" / "course.toml"
PAGE, TEXT = ROOT / "saved_models" / "COURSE.md", ROOT / "zoo" / "course.txt"
WIDTH = 80  # of a terminal
HEADING = """\
# The course

Every network of an introductory course, in the order of teaching. Each command
trains one and writes a report; what it needs beside the data that come with
this package is MNIST or Fashion-MNIST. Times are of two CPU cores. Results are
means over seeds; [all of them](RESULTS.md) are measured.

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
    if arguments.check:
        return int(
            any(
                not path.exists() or path.read_text(encoding="utf-8") != content
                for path, content in texts.items()
            )
        )
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
            entry["about"] = recipes[name].__doc__.partition("\n")[0]
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
    return f"{describe_result(row)} in {time}"


def page(chapters: list[dict]) -> str:
    """Return the course in Markdown."""
    parts = [HEADING]
    for number, chapter in enumerate(chapters, start=1):
        parts.append(f"## {number}. {chapter['title']}\n\n")
        parts.append(f"{chapter['about']}\n\n")
        for name, entry in chapter["recipes"].items():
            parts.append(
                f"**[{name}](../recipes/{name}.py)**: {entry['about']}\n\n"
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


if __name__ == "__main__":
    sys.exit(main())
