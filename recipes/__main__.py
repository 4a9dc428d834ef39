"""`python -m recipes` lists the recipes with their measured results."""

import ast
import csv
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_RESULTS = _HERE.parent / "saved_models" / "results.csv"


def main(argv=None) -> int:
    """Print a line for each recipe: what, data, measured result, minutes."""
    if sys.argv[1:] if argv is None else argv:
        print(__doc__)
        print("Run one with `python -m recipes.NAME`; --help shows its flags.")
        return 0
    measured = read_results(_RESULTS)
    rows = [("recipe", "what", "result (mean of seeds)", "training")]
    for path in sorted(_HERE.glob("[!_]*.py")):
        summary = ast.get_docstring(ast.parse(path.read_text())).split("\n")[0]
        result = measured.get(path.stem)
        rows.append((path.stem, summary, *_result_columns(result)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{c:<{w}}" for c, w in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print("\nRun one with `python -m recipes.NAME`; --help shows its flags.")
    return 0


def read_results(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of `results.csv`: each recipe's default command."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["recipe"]: row for row in reversed(rows)}


def _result_columns(row) -> tuple[str, str]:
    if row is None:
        return "not measured yet", ""
    mean, std = float(row["mean"]), float(row["std"])
    seconds = float(row["train_seconds"])
    minutes = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    return f"{row['metric']} {mean:.4f} ± {std:.4f} ({row['seeds']})", minutes


if __name__ == "__main__":
    sys.exit(main())
