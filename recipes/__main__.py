"""`python -m recipes` lists the recipes with their measured results."""

import csv
import importlib
import sys
from pathlib import Path

from recipes._config import in_words

_HERE = Path(__file__).parent
_RESULTS = _HERE.parent / "saved_models" / "results.csv"


def main(argv=None) -> int:
    """Print a line for each recipe: what, data, measured result, time."""
    if sys.argv[1:] if argv is None else argv:
        print(__doc__)
        print("Run one with `python -m recipes.NAME`; --help shows its flags.")
        return 0
    results = read_results()
    rows = [("recipe", "what", "data", "measured", "training")]
    for name, recipe in read_recipes().items():
        summary = recipe.__doc__.partition("\n")[0].rstrip(".")
        measured = _describe(results.get(name))
        rows.append((name, summary, recipe.DATASET, *measured))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{c:<{w}}" for c, w in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print("\nRun one with `python -m recipes.NAME`; --help shows its flags.")
    return 0


def read_recipes() -> dict:
    """Import the recipes, which is cheap; return them by name."""
    names = sorted(path.stem for path in _HERE.glob("[!_]*.py"))
    return {name: importlib.import_module(f"recipes.{name}") for name in names}


def read_results() -> dict[str, dict[str, str]]:
    """Return the row of `results.csv` of each recipe's plain command."""
    if not _RESULTS.exists():
        return {}
    with open(_RESULTS, newline="") as file:
        rows = {row["command"]: row for row in csv.DictReader(file)}
    return {
        row["recipe"]: row
        for command, row in rows.items()
        if command == f"python -m recipes.{row['recipe']}"
    }


def describe_result(row: dict[str, str]) -> str:
    """Return a result for people: `Test accuracy 99.47 ± 0.05 %`."""
    name = in_words(row["metric"])
    mean, std = float(row["mean"]), float(row["std"])
    if row["metric"].endswith("accuracy"):
        return f"{name} {100 * mean:.2f} ± {100 * std:.2f} %"
    if row["metric"].endswith("psnr"):
        return f"{name} {mean:.2f} ± {std:.2f} dB"
    return f"{name} {mean:.5f} ± {std:.5f}"


def _describe(row) -> tuple[str, str]:
    """Return a result with its seeds, and its time: `9 s`."""
    if row is None:
        return "not yet", ""
    seconds = float(row["train_seconds"])
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    return f"{describe_result(row)} ({row['seeds']} seeds)", time


if __name__ == "__main__":
    sys.exit(main())
