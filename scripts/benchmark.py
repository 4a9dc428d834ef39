"""Measure speed as ratios within one run.

    python scripts/benchmark.py training [--rounds 3]

`training` runs the main job and the lecture's CNN in turn, A B A B, each with
its own command in a process of its own, and compares the main job's whole
training with twelve epochs of the lecture's. An epoch of the lecture's is
measured after its first, which also traces. CPU seconds are the quieter measure
on a machine with other users.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LECTURE_EPOCHS = 12  # of the lecture's own training


def main(argv=None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["training"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    compare_training(arguments.rounds)
    return 0


def compare_training(rounds: int) -> None:
    """Print the main job's cost as a share of the lecture's training."""
    wholes, wall_ratios, cpu_ratios = [], [], []
    for seed in range(rounds):
        ours = measure("mnist_cnn", "--seed", str(seed))
        lecture = measure(
            *("mnist_lecture_cnn", "--training", "lecture"),
            *("--epochs", "2", "--seed", str(seed)),
        )
        wall, cpu = ours["wall"], ours["cpu"]
        lecture_wall = LECTURE_EPOCHS * lecture["epochs"][-1]["seconds"]
        lecture_cpu = LECTURE_EPOCHS * lecture["epochs"][-1]["cpu_seconds"]
        wholes.append(ours["command"] - wall)
        wall_ratios.append(lecture_wall / wall)
        cpu_ratios.append(lecture_cpu / cpu)
        print(
            f"ours {wall:.1f} s ({cpu:.1f} CPU s, accuracy "
            f"{ours['accuracy']:.4f}), command {ours['command']:.1f} s; "
            f"12 epochs of the lecture's {lecture_wall:.0f} s "
            f"({lecture_cpu:.0f} CPU s): 1/{wall_ratios[-1]:.1f} of the wall "
            f"time, 1/{cpu_ratios[-1]:.1f} of the CPU time",
            flush=True,
        )
    wall, cpu, rest = map(statistics.median, (wall_ratios, cpu_ratios, wholes))
    print(
        f"median of {rounds}: 1/{wall:.1f} of the wall time, 1/{cpu:.1f} of "
        f"the CPU time; the command takes {rest:.1f} s beside its training"
    )


def measure(recipe: str, *flags: str) -> dict:
    """Run a recipe's command once; return its wall and CPU seconds."""
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
        run = Path(folder) / "runs" / recipe / "measured"
        metrics = json.loads((run / "metrics.json").read_text())["metrics"]
        with open(run / "history.csv", newline="") as file:
            epochs = [
                {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
    return {
        "command": command,
        "wall": metrics["train_seconds"],
        "cpu": metrics["train_cpu_seconds"],
        "accuracy": metrics["test_accuracy"],
        "epochs": epochs,
    }


if __name__ == "__main__":
    sys.exit(main())
