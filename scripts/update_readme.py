"""Rewrite the tables of results from saved_models/results.csv.

python scripts/update_readme.py
python scripts/update_readme.py --check    # exit code 1 if one would change

README shows the best plain command for each data set and metric, and
saved_models/RESULTS.md all of them.
"""

import argparse
import csv
import sys
from pathlib import Path

from recipes.lab import files
from recipes.lab.metrics import named
from recipes.lab.results import describe_result

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "saved_models" / "results.csv"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
HEADING = """\
# Results

Means over seeds, of one seed where no ± stands, on the whole test set, which is
scored once per trained model, after every choice was made on the validation
split. There are two exceptions: when the settings of `mnist_pretraining`,
`mnist_committee`, `mnist_mcdnn`, `mnist_cnn_accurate`, `mnist_multi_task`,
`fashion_mnist_resnet` and `fashion_mnist_hydranet` were chosen, test errors of
earlier ones had been seen, and `infert_ann` shows the accuracy on the rows that
it was fitted to, as the lecture does.
`results.csv` has the commit, the versions and the date of each row, too.

"""


def main(argv=None) -> int:
    """Rewrite the tables, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    with open(RESULTS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    readme, page = ROOT / "README.md", RESULTS.with_name("RESULTS.md")
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    texts = {
        readme: before + BEGIN + table(best(rows)) + END + after,
        page: HEADING + table(rows, anchors=True) + remark(rows),
    }
    if arguments.check:
        return int(
            any(
                not path.exists() or path.read_text(encoding="utf-8") != text
                for path, text in texts.items()
            )
        )
    for path, text in texts.items():
        files.write_atomically(path, text)
    return 0


def best(rows: list[dict]) -> list[dict]:
    """Return the best row of each data set and metric, without flags."""
    chosen = {}
    for row in rows:
        if row["command"] != f"python -m recipes.{row['recipe']}":
            continue
        kind = row["dataset"], row["metric"]
        metric, value = named(row["metric"]), float(row["mean"])
        if kind not in chosen or not metric.is_reached(
            float(chosen[kind]["mean"]), value
        ):
            chosen[kind] = row
    return [row for row in rows if row in chosen.values()]


def table(rows: list[dict], anchors: bool = False) -> str:
    """Return results as a Markdown table.

    Args:
        rows: The rows of `results.csv`.
        anchors: Whether links can lead to the row of a plain command, by the
            name of its recipe.
    """
    lines = [
        "| command | model | parameters | result | seeds | epochs | training |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        command = row["command"].removeprefix("python -m ")
        epochs = row["epochs"] or "–"  # a solution has none
        seconds = float(row["train_seconds"])
        plain = command == f"recipes.{row['recipe']}"
        anchor = f'<a id="{row["recipe"]}"></a>' if anchors and plain else ""
        lines.append(
            f"| {anchor}`{command}` | {row['model']} | "
            f"{int(row['params']):,} | "
            f"{describe_result(row)} | {row['seeds']} | {epochs} | "
            f"{seconds:.{int(seconds < 1)}f} s |"
        )
    return "\n".join(lines) + "\n"


def remark(rows: list[dict]) -> str:
    """Return what is to be known of the column of times."""
    machines = sorted({row["hardware"] for row in rows})
    return (
        "\nTraining is the median wall time of a whole fit, tracing and "
        f"validation included, on\n{' and '.join(machines)}, shared with other "
        "work. Compare speeds by `scripts/benchmark.py`, not by this column.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
