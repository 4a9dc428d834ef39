"""Measure the speed of training as a ratio, and serving under load.

    python scripts/benchmark.py training [--rounds 3]
    python scripts/benchmark.py serving [--export mnist_cnn] [--callers 8]
                                        [--seconds 60]

`training` runs the main job and the lecture's CNN in turn, A B A B, each with
its own command in a process of its own, and compares the main job's whole
training with twelve epochs of the lecture's. An epoch of the lecture's is
measured after its first, which also traces. CPU seconds are the quieter measure
on a machine with other users.

`serving` loads an export as a server does and calls its signatures from several
threads, each of which asks again as soon as it is answered, with 1 to 32 images
at a time. It exits with 1 if a call fails, if an answer is not the one that was
given before, or if memory grows after the warm-up.
"""

import argparse
import array
import csv
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LECTURE_EPOCHS = 12  # of the lecture's own training
LARGEST_BATCH = 32
MAY_GROW = 64  # megabytes


def main(argv=None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    training = commands.add_parser("training")
    training.add_argument("--rounds", type=int, default=3)
    serving = commands.add_parser("serving")
    serving.add_argument("--export", default="mnist_cnn")
    serving.add_argument("--callers", type=int, default=8)
    serving.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args(argv)
    if arguments.what == "serving":
        return serve(arguments.export, arguments.callers, arguments.seconds)
    compare_training(arguments.rounds)
    return 0


# --- training -----------------------------------------------------------


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


# --- serving ------------------------------------------------------------


def serve(name: str, callers: int, seconds: float) -> int:
    """Call an export from several threads; return the exit code."""
    import tensorflow as tf

    from zoo import _loading

    export = _loading.find_export(name)
    _loading.check_sums(export)
    # A server holds on to what it loaded: signatures alone lose their weights.
    served = tf.saved_model.load(str(export))
    started = resident_megabytes()
    questions = [
        question(signature, served.signatures[signature])
        for signature in ("serving_default", "image_bytes")
        if signature in served.signatures
    ]
    call_together(questions, callers, seconds / 10)
    warm = resident_megabytes()
    print(
        f"{export}: {callers} callers for {seconds:g} s, "
        f"1 to {LARGEST_BATCH} images at a time",
        flush=True,
    )
    results, errors = call_together(questions, callers, seconds)
    grown = resident_megabytes() - warm
    for signature, (latencies, images) in results.items():
        print(describe(signature, latencies, images, seconds))
    print(
        f"memory {started:.0f} MB when loaded, {warm:.0f} MB when warm, "
        f"{grown:+.0f} MB at the end (at most {MAY_GROW:+} MB)"
    )
    print(f"errors {len(errors)}", *errors[:3], sep="\n  ")
    return int(bool(errors) or grown > MAY_GROW)


def question(name: str, signature) -> tuple:
    """Return a signature's name, what to ask it, and how to check an answer.

    What it answers to a question of the largest size is taken for true.
    """
    import numpy as np
    import tensorflow as tf

    _, arguments = signature.structured_input_signature
    [(argument, spec)] = arguments.items()
    noise = np.random.default_rng(0).integers
    if spec.dtype == tf.string:
        pictures = noise(256, size=(LARGEST_BATCH, 28, 28, 1), dtype="uint8")
        files = [tf.io.encode_png(picture) for picture in pictures]
        values = tf.stack(files)
    else:
        shape = (LARGEST_BATCH, *spec.shape[1:])
        values = tf.constant(noise(256, size=shape, dtype="uint8"))

    def ask(size):
        return {
            key: value.numpy()
            for key, value in signature(**{argument: values[:size]}).items()
        }

    expected = ask(LARGEST_BATCH)

    def check(answer, size):
        for key, value in answer.items():
            if value.dtype.kind == "f":  # a near tie may flip the others
                np.testing.assert_allclose(
                    value, expected[key][:size], atol=1e-5, err_msg=key
                )

    return name, ask, check


def call_together(questions, callers: int, seconds: float) -> tuple:
    """Ask from several threads at once, each question at least once.

    Returns:
        For each signature its latencies in seconds and the number of images;
        and the errors.
    """
    results = {
        name: (array.array("d"), array.array("q")) for name, *_ in questions
    }
    errors = []
    deadline = time.perf_counter() + seconds

    def caller(seed):
        sizes = random.Random(seed)
        for number in itertools.count():
            if number >= len(questions) and time.perf_counter() > deadline:
                return
            name, ask, check = questions[(seed + number) % len(questions)]
            size = sizes.randint(1, LARGEST_BATCH)
            asked = time.perf_counter()
            try:
                answer = ask(size)
                latency = time.perf_counter() - asked
                check(answer, size)
            except Exception as error:  # whatever it is, it is to be counted
                errors.append(f"{name}: {error!r}"[:300])
                continue
            latencies, images = results[name]
            latencies.append(latency)
            images.append(size)

    threads = [
        threading.Thread(target=caller, args=(seed,)) for seed in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, errors


def describe(name: str, latencies, images, seconds: float) -> str:
    """Return a line on one signature."""
    import numpy as np

    if not latencies:
        return f"{name:<16} no answer"
    found = 1e3 * np.percentile(latencies, [50, 95, 99, 100])
    return (
        f"{name:<16} {len(latencies) / seconds:.0f} requests/s, "
        f"{sum(images) / seconds:,.0f} images/s, latency "
        "p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms".format(
            *found
        )
    )


def resident_megabytes() -> float:
    """Return the memory that this process holds now."""
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())],
        check=True,
        capture_output=True,
    )
    return int(answer.stdout) / 1024


if __name__ == "__main__":
    sys.exit(main())
