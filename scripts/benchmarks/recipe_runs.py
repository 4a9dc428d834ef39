"""Recipes that are run to be measured, and the data that they are run on."""

import csv
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_DATA = "this needs the real data: set TFDS_DATA_DIR"


def measure(recipe: str, *flags: str, phase: str = "train") -> dict:
    """Run a recipe's command once; return its wall and CPU seconds.

    Args:
        recipe: Its name.
        *flags: What it is given.
        phase: Of which of its trainings the epochs are to be returned.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", f"recipes.{recipe}", *flags),
                *("--output-dir", folder, "--run-name", "measured"),
            ],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        command = time.perf_counter() - started
        [run] = real_runs(folder)
        metrics = json.loads((run / "metrics.json").read_text())["metrics"]
        epochs = read_history(run, phase)
    return {
        "command": command,
        "wall": metrics["train_seconds"],
        "cpu": metrics["train_cpu_seconds"],
        "metrics": metrics,
        "epochs": epochs,
    }


def real_runs(folder: str) -> list[Path]:
    """Return the folders of the runs in an output folder.

    Raises:
        SystemExit: If they trained on the embedded sample.
    """
    if list(Path(folder).glob("runs/*-sample")):
        raise SystemExit(NO_DATA)
    return list(Path(folder).glob("runs/*/*"))


def read_history(run: Path, phase: str = "train") -> list[dict[str, float]]:
    """Return what a run has noted of each epoch of one of its trainings."""
    name = "history.csv" if phase == "train" else f"history-{phase}.csv"
    with open(run / name, newline="") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


@functools.cache
def images_and_labels(dataset: str) -> tuple:
    """Return images and labels to train and to test with, the real ones."""
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    data = sources.load(dataset, RunOptions())
    if data.is_sample:
        raise SystemExit(NO_DATA)
    return tuple((s.inputs, s.targets) for s in (data.train, data.test))
