"""What two devices and two workers make of one process' work.

The same number of images is trained with the same global batch in one process,
on two logical devices, with two workers, and in two processes that know nothing
of each other and take half of the batch each. These compute as much and neither
talk nor wait, so the difference is what talking and waiting cost, in the steps
and around them: an epoch holds its validation and its checkpoint. The first,
which also traces, is left out.

On two cores, which one process uses as well, two workers trained 0.93 times as
many images a second (main job, batch 1,024): they compute for 33 ms and
communicate or wait for 17. LeNet-5, which has no batch normalization to
synchronise, gains (1.17).
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.recipe_runs import ROOT, read_history, real_runs

TRAIN_IMAGES = 55_000  # of MNIST and Fashion-MNIST
LAUNCHER = (sys.executable, "scripts/launch_workers.py", "--workers", "2", "--")


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--recipe", default="mnist_cnn")


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if arguments.epochs < 2:
        arguments.refuse("--epochs must be 2 or more: the first is left out")
    compare_devices(
        arguments.recipe,
        arguments.batch_size,
        arguments.epochs,
        arguments.rounds,
    )
    return 0


def compare_devices(recipe: str, batch: int, epochs: int, rounds: int) -> None:
    """Print what two devices and two workers make of one process' work."""
    whole, half = (
        ("--batch-size", str(batch)),
        ("--batch-size", str(batch // 2)),
    )
    ways = {
        "one process": ((), ("--strategy", "none", *whole)),
        "two devices": (
            (),
            ("--strategy", "mirrored", "--cpu-devices", "2", *whole),
        ),
        "two workers": (LAUNCHER, ("--strategy", "multi_worker", *whole)),
        "two strangers": (LAUNCHER, ("--strategy", "none", *half)),
    }
    found = {way: [] for way in ways}
    for number in range(rounds):
        for way, (launcher, flags) in ways.items():
            found[way].append(
                throughput(launcher, recipe, "--epochs", str(epochs), *flags)
            )
            images, *_ = found[way][-1]
            print(
                f"round {number + 1}, {way}: {images:,.0f} images/s", flush=True
            )
    medians = {
        way: [statistics.median(column) for column in zip(*rows, strict=True)]
        for way, rows in found.items()
    }
    alone, *_ = medians["one process"]
    for way, (images, cpu, _, _) in medians.items():
        print(
            f"{way:<14} {images:>9,.0f} images/s  {images / alone:.2f}  "
            f"{1e3 * batch / images:6.1f} ms and {1e3 * batch * cpu:6.1f} CPU "
            f"ms for {batch:,} images"
        )
    images, _, parameters, traffic = medians["two workers"]
    step, computing = (
        1e3 * batch / medians[way][0]
        for way in ("two workers", "two strangers")
    )
    print(
        f"{batch:,} images take two workers {computing:.1f} ms to compute, as "
        f"strangers do, and {step - computing:.1f} ms to talk and to wait, in "
        "the steps and around them; in a step each sends "
        f"{4 * parameters:,.0f} bytes of gradients, and {traffic:,.0f} bytes "
        "cross the loopback interface for all that is said"
    )


def throughput(launcher, recipe: str, *flags: str) -> tuple:
    """Run a recipe; return what it computed after its first epoch.

    Returns:
        Images a second, CPU seconds an image, the number of trainable
        parameters, and bytes over the loopback interface a step.
    """
    with tempfile.TemporaryDirectory() as folder:
        before = loopback_bytes()
        subprocess.run(
            [
                *(*launcher, sys.executable, "-m", f"recipes.{recipe}"),
                *(*flags, "--output-dir", folder),
            ],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        traffic = loopback_bytes() - before
        runs = real_runs(folder)
        images = cpu = steps = 0
        for run in runs:
            record = json.loads((run / "metrics.json").read_text())
            batch = record["settings"]["batch_size"]
            epochs = read_history(run)[1:]
            trained = TRAIN_IMAGES // batch * batch
            steps += (len(epochs) + 1) * trained // batch
            images += trained / median(epochs, "seconds")
            cpu += median(epochs, "cpu_seconds") / trained / len(runs)
    if launcher and len(runs) == 1:
        cpu *= 2  # the other worker keeps no history
    return images, cpu, record["params"], traffic / steps


def median(epochs: list[dict], column: str) -> float:
    """Return the median of a column of a history."""
    return statistics.median(row[column] for row in epochs)


def loopback_bytes() -> int:
    """Return what has crossed the loopback interface; 0 where unknown."""
    counters = Path("/sys/class/net/lo/statistics/tx_bytes")
    return int(counters.read_text()) if counters.exists() else 0
