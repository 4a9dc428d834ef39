"""Run recipes over seeds and enter the means into saved_models/results.csv.

    python scripts/run_recipes.py mnist_cnn --seeds 10
    python scripts/run_recipes.py mnist_lecture_cnn -- --training lecture

Every seed is a run of the recipe's own command in a process of its own. Seeds
that this commit has finished already are not run again. `--ship` copies the
export of the first seed, whatever it scored, to saved_models/, and enters it
into the list of what ships.
"""

import argparse
import csv
import hashlib
import io
import itertools
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from recipes.__main__ import read_recipes
from recipes.lab import files, terminal
from recipes.lab.data import sources
from recipes.lab.runs import record as lab_record

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "saved_models" / "results.csv"
SHIPPED = ROOT / "saved_models" / "SHIPPED"
COLUMNS = (
    "schema", "recipe", "dataset", "model", "params", "metric", "direction",
    "mean", "std", "seeds", "epochs", "train_seconds", "hardware", "versions",
    "command", "commit", "date",
)  # fmt: skip


def main(argv=None) -> int:
    """Run, aggregate, and rewrite the rows of these commands."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--output-dir", type=Path, default="runs/seeds")
    argv = sys.argv[1:] if argv is None else argv
    split = argv.index("--") if "--" in argv else len(argv)
    arguments, flags = parser.parse_args(argv[:split]), argv[split + 1 :]
    terminal.prepare()
    known = read_recipes()
    if unknown := set(arguments.recipes) - set(known):
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}")
    others = other_data(flags)
    if not {*others} <= {*sources.SOURCES}:
        parser.error(
            "results are of data that anybody can get, as --dataset: "
            f"{', '.join(sources.SOURCES)}"
        )
    if arguments.seeds < 1:
        parser.error("--seeds must be 1 or more")
    commit = lab_record.commit(
        [f"recipes/{name}.py" for name in arguments.recipes]
    )
    if not commit:
        parser.error("this is no Git checkout: results name their commit")
    if commit.endswith("-dirty"):
        parser.error("commit your changes first: results name their commit")

    for recipe in arguments.recipes:
        records = [
            run_seed(recipe, seed, flags, arguments.output_dir)
            for seed in range(arguments.seeds)
        ]
        row = aggregate(recipe, flags, known[recipe].TARGETS[0], records)
        enter(row)
        print(
            f"{row['command']}: {row['metric']} {row['mean']} ± {row['std']} "
            f"({row['seeds']} seeds, {row['train_seconds']} s)",
            flush=True,
        )
        if arguments.ship:
            if (version := Path(records[0]["export"]).name) != "1":
                raise SystemExit(
                    f"error: the export of the first seed is version {version} "
                    "of its folder, and its card says so. What ships is "
                    "version 1: run this with another --output-dir"
                )
            family = "-".join([recipe, *others])
            shipped = ROOT / "saved_models" / family / "1"
            shutil.rmtree(shipped, ignore_errors=True)
            shutil.copytree(ROOT / records[0]["export"], shipped)
            list_as_shipped(f"{family}/1")
    return 0


def other_data(flags: list) -> list[str]:
    """Return the data that flags put in the place of the recipe's own."""
    return [b for a, b in itertools.pairwise(flags) if a == "--dataset"]


def run_seed(recipe: str, seed: int, flags: list, output_dir: Path) -> dict:
    """Run one seed, unless it is there already; return its record."""
    variant = "".join(flag.strip("-") + "-" for flag in flags)
    if len(variant.encode()) > 200:  # a name of a file may take 255 bytes
        variant = hashlib.sha256(variant.encode()).hexdigest()[:16] + "-"
    name = f"{lab_record.commit()}-{variant}seed-{seed}"
    family = "-".join([recipe, *other_data(flags)])
    record = ROOT / output_dir / "runs" / family / name / "metrics.json"
    if not record.exists():  # a run on the sample has another folder
        subprocess.run(
            [
                *(sys.executable, "-m", f"recipes.{recipe}", *flags),
                *("--seed", str(seed), "--run-name", name),
                *("--output-dir", str(output_dir)),
            ],
            cwd=ROOT,
            check=True,
        )
    if not record.exists():
        raise SystemExit("error: runs on the embedded sample are no results")
    return json.loads(record.read_text())


def aggregate(recipe: str, flags: list, target, records: list) -> dict:
    """Return the row of `results.csv` for the runs of one command."""
    values = [record["metrics"][target.metric.name] for record in records]
    seconds = [record["metrics"]["train_seconds"] for record in records]
    first, last = records[0], records[-1]
    if first["dataset"] == "digits":
        raise SystemExit("error: runs on the embedded sample are no results")
    if changes := [change for r in records for change in r.get("changes", ())]:
        raise SystemExit(
            f"error: a run is no result if not all is as it began: {changes[0]}"
        )
    if any("continued" in record["settings"] for record in records):
        raise SystemExit(
            "error: a run that continues another is no result of a command"
        )
    versions = first["environment"]["versions"]
    return {
        "schema": files.SCHEMA,
        "recipe": recipe,
        "dataset": first["dataset"],
        "model": first["model"],
        "params": first["params"],
        "metric": target.metric.name,
        "direction": target.metric.better,
        "mean": f"{statistics.mean(values):.6f}",
        "std": f"{statistics.stdev(values) if len(values) > 1 else 0:.6f}",
        "seeds": len(values),
        "epochs": first["settings"].get("epochs", ""),  # a solution has none
        "train_seconds": f"{statistics.median(seconds):.1f}",
        "hardware": first["environment"]["hardware"],
        "versions": " ".join(f"{k}={v}" for k, v in versions.items()),
        "command": " ".join(["python", "-m", f"recipes.{recipe}", *flags]),
        "commit": first["commit"],
        "date": last["date"],
    }


def enter(row: dict) -> None:
    """Write the row into `results.csv`, in the place of an older one."""
    rows = []
    if RESULTS.exists():
        with open(RESULTS, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    rows = [old for old in rows if old["command"] != row["command"]] + [row]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["command"]))
    files.write_atomically(RESULTS, buffer.getvalue())


def list_as_shipped(export: str) -> None:
    """Enter an export into the list of what a wheel carries."""
    listed = set(SHIPPED.read_text().split()) | {export}
    files.write_atomically(SHIPPED, "\n".join(sorted(listed)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
