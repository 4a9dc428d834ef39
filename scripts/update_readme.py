"""Rewrite README's table of results from saved_models/results.csv.

python scripts/update_readme.py
python scripts/update_readme.py --check    # exit code 1 if it would change
"""

import argparse
import csv
import sys
from pathlib import Path

from recipes.lab import files
from recipes.lab.results import describe_result

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "saved_models" / "results.csv"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def main(argv=None) -> int:
    """Rewrite the table, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    old = README.read_text(encoding="utf-8")
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = before + BEGIN + table() + END + after
    if arguments.check:
        return int(new != old)
    files.write_atomically(README, new)
    return 0


def table() -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| command | model | parameters | result | seeds | epochs | training |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    machines = set()
    with open(RESULTS, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            machines.add(row["hardware"])
            command = row["command"].removeprefix("python -m ")
            lines.append(
                f"| `{command}` | {row['model']} | {int(row['params']):,} | "
                f"{describe_result(row)} | {row['seeds']} | {row['epochs']} | "
                f"{float(row['train_seconds']):.0f} s |"
            )
    return (
        "\n".join(lines)
        + "\n\nTraining is the median wall time of a whole fit, tracing and "
        f"validation included, on {' and '.join(sorted(machines))}, shared "
        "with other work.\nCompare speeds by `scripts/benchmark.py`, not by "
        "this column.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
