"""Measure training, PyTorch's beside it, devices, data, files, and serving.

    python scripts/benchmark.py training [--rounds 3]
    python scripts/benchmark.py peers [--rounds 3] [--only mnist_cnn ...]
    python scripts/benchmark.py machines [--rounds 3]
    python scripts/benchmark.py scaling [--rounds 3] [--batch-size 1024]
                                        [--recipe mnist_cnn] [--epochs 4]
    python scripts/benchmark.py growth [--largest 20] [--recipe mnist_cnn]
    python scripts/benchmark.py predict [--files 100000] [--rounds 3]
    python scripts/benchmark.py serving [--export mnist_cnn] [--callers 8]
                                        [--seconds 60]
    python scripts/benchmark.py serving --http [--callers 1 8 64]

`training` runs the main job and the lecture's CNN in turn, A B A B, each with
its own command in a process of its own, and compares the main job's whole
training with twelve epochs of the lecture's. An epoch of the lecture's is
measured after its first, which also traces. CPU seconds are the quieter measure
on a machine with other users.

`peers` trains and asks the same networks in PyTorch (`scripts/peers.py`), in
turn, A B A B, each side in a process of its own, and prints medians of wall and
CPU seconds, and of their ratios, ours to PyTorch's. Ours is the recipe's own
command: its clock holds validation and checkpoints, PyTorch's neither. Of the
main job the whole training counts, with the tracing of its first step; of the
others, which train for longer, an epoch after the first. Both scores stand
beside the times, for a network that learns nothing is fast as well. Questions
come and are answered as NumPy arrays, raw pixels to probabilities, one image or
a thousand at a time, of the export of `mnist_cnn` that ships and of PyTorch
with the same weights. It needs the `peers` extra.

`machines` trains a restricted Boltzmann machine of 100 hidden units on 10,000
digits, with scikit-learn, whose settings are those of its documentation but for
100 units, and with ours, in turn, A B A B, each in a process of its own. The
score is the exact pseudo-log-likelihood of 500 of the images.

`scaling` trains the same number of images with the same global batch in one
process, on two logical devices, with two workers, and in two processes that
know nothing of each other and take half of the batch each. These compute as
much and neither talk nor wait, so the difference is what talking and waiting
cost, in the steps and around them: an epoch holds its validation and its
checkpoint. The first, which also traces, is left out. On two cores, which one
process uses as well, two workers trained 0.93 times as many images a second
(main job, batch 1,024): they compute for 33 ms and communicate or wait for 17.
LeNet-5, which has no batch normalisation to synchronise, gains (1.17).

`growth` trains an epoch on the training images once, twice, and so on up to
twenty times over, each in a process of its own, and says what each additional
image costs in time and in memory. It exits with 1 if that is more than two and
a half times the image's own bytes: NumPy and TensorFlow hold it once each, and
2.1 times were measured. Time grows in proportion.

`predict` asks `python -m zoo predict` about folders of small PNG files, in turn
with two programs that users write: Pillow and `keras predict`, and a tf.data
pipeline before the signature `image_bytes` of the SavedModel. All write a CSV
file and give the same answers. Ours is the whole command; of the others neither
the start, which takes seconds, nor the first batch, which traces, counts. It
exits with 1 if ours is not 1.5 times as fast as the faster one, or if its
largest process holds more memory for all files than for a tenth of them.

`serving` loads an export as a server does and calls its signatures from several
threads, each of which asks again as soon as it is answered, with 1 to 32 images
at a time. It exits with 1 if a call fails, if an answer is not the one that was
given before, or if memory grows after the warm-up. With `--http` it asks
`python -m zoo serve` instead, over connections that stay open, in both of its
protocols, with one number of callers after the other; memory is that of the
server.
"""

import argparse
import array
import concurrent.futures
import contextlib
import csv
import dataclasses
import functools
import http.client
import importlib
import importlib.util
import itertools
import json
import multiprocessing
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NO_DATA = "this needs the real data: set TFDS_DATA_DIR"
LECTURE_EPOCHS = 12  # of the lecture's own training
# Recipes that are trained in PyTorch too, for how many epochs, and which of
# them count;
TRAININGS = {
    "mnist_cnn": (3, slice(0, None)),
    "mnist_lstm": (2, slice(1, None)),
    "mnist_gru": (2, slice(1, None)),
    "mnist_simple_rnn": (2, slice(1, None)),
    "fashion_mnist_cnn": (2, slice(1, None)),
    "mnist_deep_autoencoder": (2, slice(1, None)),
}
# how many images a question is about, and which export answers it.
QUESTIONS = {"one_image": 1, "thousand_images": 1_000}
SHIPPED = "mnist_cnn@shipped"
PEERS = (*TRAININGS, *QUESTIONS)
MACHINE_IMAGES, MACHINE_UNITS = 10_000, 100  # of Boltzmann machines
FEWEST_CALLS = 50  # that answers are timed over
LARGEST_BATCH = 32
MAY_GROW = 64  # megabytes
FILES_IN_A_FOLDER = 1_000
FILES_AT_ONCE = 256  # that the other programs ask about
MUST_BE_FASTER = 1.5  # times
MAY_HOLD = 8  # megabytes more for ten times the files


def main(argv=None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    training = commands.add_parser("training")
    training.add_argument("--rounds", type=int, default=3)
    peers = commands.add_parser("peers")
    peers.add_argument("--rounds", type=int, default=3)
    peers.add_argument("--only", nargs="+", choices=PEERS, default=PEERS)
    machines = commands.add_parser("machines")
    machines.add_argument("--rounds", type=int, default=3)
    scaling = commands.add_parser("scaling")
    scaling.add_argument("--rounds", type=int, default=3)
    scaling.add_argument("--batch-size", type=int, default=1024)
    scaling.add_argument("--epochs", type=int, default=4)
    scaling.add_argument("--recipe", default="mnist_cnn")
    growth = commands.add_parser("growth")
    growth.add_argument("--largest", type=int, default=20)
    growth.add_argument("--recipe", default="mnist_cnn")
    predict = commands.add_parser("predict")
    predict.add_argument("--files", type=int, default=100_000)
    predict.add_argument("--rounds", type=int, default=3)
    serving = commands.add_parser("serving")
    serving.add_argument("--export", default="mnist_cnn")
    serving.add_argument("--http", action="store_true")
    serving.add_argument("--callers", type=int, nargs="+")
    serving.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args(argv)
    if getattr(arguments, "rounds", 1) < 1:
        parser.error(
            f"--rounds must be 1 or more. Received: {arguments.rounds}"
        )
    if arguments.what == "scaling" and arguments.epochs < 2:
        parser.error("--epochs must be 2 or more: the first is left out")
    if arguments.what == "growth" and arguments.largest < 2:
        parser.error("--largest must be 2 or more: growth is a difference")
    if arguments.what == "predict":
        if arguments.files < 10:
            parser.error("--files must be 10 or more: a tenth is asked, too")
        return compare_predict(arguments.files, arguments.rounds)
    if arguments.what == "serving" and arguments.http:
        callers = arguments.callers or [1, 8, 64]
        return serve_over_http(arguments.export, callers, arguments.seconds)
    if arguments.what == "serving":
        callers = arguments.callers or [8]
        if len(callers) > 1:
            parser.error("--callers may be several with --http only")
        return serve(arguments.export, *callers, arguments.seconds)
    if arguments.what == "growth":
        return grow(arguments.recipe, arguments.largest)
    if arguments.what == "peers":
        compare_peers(arguments.only, arguments.rounds)
    elif arguments.what == "machines":
        compare_machines(arguments.rounds)
    elif arguments.what == "scaling":
        compare_devices(
            arguments.recipe,
            arguments.batch_size,
            arguments.epochs,
            arguments.rounds,
        )
    else:
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
            f"{ours['metrics']['test_accuracy']:.4f}), "
            f"command {ours['command']:.1f} s; "
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
        [run] = real_runs(folder)
        metrics = json.loads((run / "metrics.json").read_text())["metrics"]
        epochs = read_history(run)
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


def read_history(run: Path) -> list[dict[str, float]]:
    """Return what a run has noted of each epoch."""
    with open(run / "history.csv", newline="") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


# --- peers --------------------------------------------------------------


class Measured(NamedTuple):
    """What one side took, in seconds, and how good it was."""

    wall: float
    cpu: float
    score: float
    way: str = ""  # to ask, where there are several


def compare_peers(names: Sequence[str], rounds: int) -> None:
    """Print ours and PyTorch's seconds, and their ratios.

    Args:
        names: Some of `PEERS`.
        rounds: How often each side takes its turn.
    """
    if importlib.util.find_spec("torch") is None:
        raise SystemExit(
            "peers compares with PyTorch, which is not installed: "
            "pip install --editable '.[peers]'"
        )
    table = []
    for name in names:
        pairs = []
        for seed in range(rounds):
            pairs.append((measure_ours(name, seed), measure_peer(name, seed)))
            ours, peer = pairs[-1]
            print(
                f"{name}, round {seed + 1} of {rounds}: "
                f"ours {in_words(ours)}; PyTorch {in_words(peer)}",
                flush=True,
            )
        table.append(row(name, pairs))
    print_table(table, "PyTorch", rounds)


def print_table(rows: Sequence[str], other: str, rounds: int) -> None:
    """Print rows below a heading that says whose numbers they are."""
    print(
        f"{'median of ' + str(rounds):<24}{'wall':>10}{other:>10}"
        f"{'ratio':>7}{'CPU':>10}{other:>10}{'ratio':>7}{'score':>9}"
        f"{other:>9}",
        *rows,
        sep="\n",
    )


def row(name: str, pairs: Sequence[tuple[Measured, Measured]]) -> str:
    """Return the medians of both sides' seconds, ratios and scores."""
    cells = [f"{name:<24}"]
    for field in ("wall", "cpu"):
        times = [[getattr(one, field) for one in pair] for pair in pairs]
        for seconds in zip(*times, strict=True):
            cells.append(f"{in_units(statistics.median(seconds)):>10}")
        ratio = statistics.median(ours / peer for ours, peer in times)
        cells.append(f"{ratio:>7.2f}")
    for scores in zip(*([one.score for one in p] for p in pairs), strict=True):
        cells.append(f"{statistics.median(scores):>9.4f}")
    return "".join(cells)


def in_words(found: Measured) -> str:
    """Return what one side took, for people."""
    way = f" {found.way}" if found.way else ""
    return (
        f"{in_units(found.wall)} ({in_units(found.cpu)} CPU){way}, "
        f"score {found.score:.4f}"
    )


def in_units(seconds: float) -> str:
    """Return seconds in a unit that suits them."""
    if seconds >= 0.1:
        return f"{seconds:.2f} s"
    if seconds >= 1e-3:
        return f"{1e3 * seconds:.1f} ms"
    return f"{1e6 * seconds:.0f} us"


def measure_ours(name: str, seed: int) -> Measured:
    """Train once by a recipe's command, or ask what ships."""
    if name in QUESTIONS:
        _, test = images_and_labels("mnist")
        return alone(ask_ours, QUESTIONS[name], test)
    epochs, counted = TRAININGS[name]
    found = measure(name, "--epochs", str(epochs), "--seed", str(seed))
    recipe = importlib.import_module(f"recipes.{name}")
    metric = recipe.TARGETS[0].metric.name
    wall, cpu = (
        sum(epoch[column] for epoch in found["epochs"][counted])
        for column in ("seconds", "cpu_seconds")
    )
    return Measured(wall, cpu, found["metrics"][metric])


def measure_peer(name: str, seed: int) -> Measured:
    """Train or ask the same network in PyTorch."""
    if name in QUESTIONS:
        import zoo

        model = zoo.load_model(SHIPPED, verbose=False)
        weights = {w.path: w.numpy() for w in model.weights}
        _, test = images_and_labels("mnist")
        return alone(ask_peer, weights, QUESTIONS[name], test)
    dataset = importlib.import_module(f"recipes.{name}").DATASET
    data = images_and_labels(dataset)
    epochs, counted = TRAININGS[name]
    wall, cpu, score = alone(train_peer, name, epochs, seed, *data)
    return Measured(sum(wall[counted]), sum(cpu[counted]), score)


@functools.cache
def images_and_labels(dataset: str) -> tuple:
    """Return images and labels to train and to test with, the real ones."""
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    data = sources.load(dataset, RunOptions())
    if data.is_sample:
        raise SystemExit(NO_DATA)
    return tuple((s.inputs, s.targets) for s in (data.train, data.test))


def alone(function: Callable, *arguments):
    """Call a function in a process of its own."""
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        return pool.submit(function, *arguments).result()


def train_peer(*arguments) -> tuple:
    """Train in PyTorch; see `peers.fit`."""
    import peers

    return peers.fit(*arguments)


def ask_peer(weights: dict, size: int, test) -> Measured:
    """Ask PyTorch for so many images at once, in the way that is faster."""
    import peers

    return fastest(peers.ask(weights, size, test, time_answers))


def ask_ours(size: int, test) -> Measured:
    """Ask ours for so many images at once, in the way that is faster."""
    import tensorflow as tf

    import zoo
    from zoo import _loading
    from zoo._runtimes import FORMATS

    served = tf.saved_model.load(str(_loading.find_export(SHIPPED)))
    signature = served.signatures["serving_default"]

    def answer(images):
        return signature(image=tf.constant(images))["probabilities"].numpy()

    ways = {"SavedModel": answer}
    for format in FORMATS:
        predict = zoo.load_predictor(SHIPPED, format=format)
        ways[format] = lambda images, ask=predict: ask(images)["probabilities"]
    return fastest(
        {way: time_answers(ask, size, test) for way, ask in ways.items()}
    )


def fastest(found: dict[str, Measured]) -> Measured:
    """Return what was found in the fastest of several ways."""
    way = min(found, key=lambda way: found[way].wall)
    return found[way]._replace(way=way)


def time_answers(answer: Callable, size: int, test) -> Measured:
    """Ask about all test images; return the cost of a call, and accuracy.

    Args:
        answer: Function of images, from NumPy arrays to NumPy arrays.
        size: How many images it is given at once.
        test: All images, and their labels.
    """
    import numpy as np

    images, labels = test
    parts = [images[i : i + size] for i in range(0, len(images), size)]
    passes = -(-FEWEST_CALLS // len(parts))
    for part in parts[:FEWEST_CALLS]:
        answer(part)
    answers, times = [], []
    cpu = time.process_time()
    for part in parts * passes:
        started = time.perf_counter()
        answers.append(answer(part))
        times.append(time.perf_counter() - started)
    cpu = (time.process_time() - cpu) / len(times)
    classes = np.concatenate(answers[: len(parts)]).argmax(1)
    return Measured(
        statistics.median(times), cpu, float(np.mean(classes == labels))
    )


# --- scaling ------------------------------------------------------------

TRAIN_IMAGES = 55_000  # of MNIST and Fashion-MNIST
LAUNCHER = (sys.executable, "scripts/launch_workers.py", "--workers", "2", "--")


def compare_machines(rounds: int) -> None:
    """Print ours and scikit-learn's seconds for a Boltzmann machine."""
    (images, _), _ = images_and_labels("mnist")
    images = images[:MACHINE_IMAGES]
    pairs = []
    for seed in range(rounds):
        ours = alone(train_machine, images, seed)
        other = alone(train_machine_of_scikit_learn, images, seed)
        pairs.append((ours, other))
        print(
            f"round {seed + 1} of {rounds}: ours {in_words(ours)}; "
            f"scikit-learn {in_words(other)}",
            flush=True,
        )
    print_table([row("Boltzmann machine", pairs)], "sklearn", rounds)


def train_machine(images, seed: int) -> Measured:
    """Train a machine of the zoo by plain `fit`, tracing included."""
    import keras

    import zoo

    keras.utils.set_random_seed(seed)
    model = zoo.create_model("rbm", hidden_units=MACHINE_UNITS)
    epochs, batch, rate = 15, 50, 0.05
    falling = keras.optimizers.schedules.PolynomialDecay(
        rate, epochs * (len(images) // batch), rate / 100
    )
    model.compile(
        keras.optimizers.SGD(falling, momentum=0.9), steps_per_execution=20
    )
    clock = Clock()
    model.fit(images, batch_size=batch, epochs=epochs, verbose=0)
    wall, cpu = clock.read()
    score = score_machine(model.get_layer("machine"), images)
    return Measured(wall, cpu, score)


def train_machine_of_scikit_learn(images, seed: int) -> Measured:
    """Train a machine of scikit-learn."""
    from sklearn.neural_network import BernoulliRBM

    from zoo.boltzmann import RestrictedBoltzmann

    rows = images.reshape(len(images), -1) / 255
    other = BernoulliRBM(
        MACHINE_UNITS, learning_rate=0.05, n_iter=10, random_state=seed
    )
    clock = Clock()
    other.fit(rows)
    wall, cpu = clock.read()
    machine = RestrictedBoltzmann(MACHINE_UNITS)
    machine.build(rows.shape)
    machine.kernel.assign(other.components_.T)
    machine.bias.assign(other.intercept_hidden_)
    machine.visible_bias.assign(other.intercept_visible_)
    return Measured(wall, cpu, score_machine(machine, images))


def score_machine(machine, images) -> float:
    """Return the mean pseudo-log-likelihood of the first images, in nats."""
    from zoo import boltzmann

    rows = images[:500].reshape(-1, images[0].size) / 255
    parts = [
        boltzmann.pseudo_log_likelihood(machine, rows[i : i + 50]).numpy()
        for i in range(0, len(rows), 50)
    ]
    return statistics.mean(float(nats) for part in parts for nats in part)


class Clock:
    """Reads the wall and CPU seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Return both."""
        return (
            time.perf_counter() - self.wall,
            time.process_time() - self.cpu,
        )


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


# --- growth -------------------------------------------------------------

FACTORS = (1, 2, 5, 10, 20)
MAY_COST = 2.5  # times an image's own bytes


def grow(recipe: str, largest: int) -> int:
    """Train on more and more images; return the exit code."""
    factors = [factor for factor in FACTORS if factor <= largest]
    # Each factor has a process of its own: memory never shrinks.
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        found = []
        for factor in factors:
            found.append(pool.submit(train_on_more, recipe, factor).result())
            images, seconds, memory, size = found[-1]
            print(
                f"{factor:>3} x {images // factor:,} images: an epoch of "
                f"{seconds:.1f} s, at most {memory / 1e6:,.0f} MB in all",
                flush=True,
            )
    images, seconds, memory, sizes = zip(*found, strict=True)
    paces = [
        1e6 * (after - before) / (more - less)
        for less, more, before, after in zip(
            images, images[1:], seconds, seconds[1:], strict=False
        )
    ]
    size = sizes[0]
    cost = (memory[-1] - memory[0]) / (images[-1] - images[0])
    print(
        "an image more costs "
        + ", ".join(f"{pace:.1f}" for pace in paces)
        + f" us from step to step, and {cost:,.0f} bytes of memory, "
        f"{cost / size:.2f} times its {size} pixels"
    )
    return int(cost > MAY_COST * size)


def train_on_more(recipe: str, factor: int) -> tuple:
    """Train one epoch on the training images, so many times over.

    Returns:
        The number of images, the seconds of the epoch, the most bytes of memory
        that the process has held, and the bytes of an image.
    """
    import io

    import numpy as np

    from recipes.lab.data import sources, splits
    from recipes.lab.flags import RunOptions

    load = sources.load
    images = None

    def load_more(name, options):
        nonlocal images
        data = load(name, options)
        train = splits.Split(
            np.tile(data.train.inputs, (factor, 1, 1, 1)),
            np.tile(data.train.targets, factor),
        )
        images = train.inputs
        return dataclasses.replace(data, train=train)

    sources.load = load_more
    module = importlib.import_module(f"recipes.{recipe}")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        options = RunOptions(output_dir=Path(folder))
        config = module.Config(epochs=1, run=options)
        metrics = module.train(config)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return len(images), metrics["train_seconds"], memory, images[0].nbytes


# --- files ---------------------------------------------------------------


class Predicted(NamedTuple):
    """What a program took for a folder: seconds, and megabytes at most."""

    wall: float
    cpu: float
    memory: float


def compare_predict(files: int, rounds: int) -> int:
    """Answer to a folder of pictures in three ways; return the exit code."""
    ways = {
        "python -m zoo predict": predict_with_ours,
        "Pillow and keras predict": functools.partial(alone, ask_keras),
        "tf.data and image_bytes": functools.partial(alone, ask_signature),
    }
    with tempfile.TemporaryDirectory() as place:
        few, many = Path(place, "few"), Path(place, "many")
        # Elsewhere, for what a process holds is said of those it starts, too.
        alone(write_pictures, few, files // 10)
        alone(write_pictures, many, files)
        found = {way: [] for way in ways}
        for _ in range(rounds):
            for way, ask in ways.items():
                answers = Path(place, f"{way}.csv")
                found[way].append(ask(many, answers))
                print(
                    f"{way:<24}  {files / found[way][-1].wall:>8,.0f} files/s, "
                    f"{1e6 * found[way][-1].cpu / files:,.0f} us of CPU time "
                    f"each, {found[way][-1].memory:,.0f} MB",
                    flush=True,
                )
        ours, *others = (
            read_classes(Path(place, f"{way}.csv")) for way in ways
        )
        for other in others:
            # Where two classes are nearly as likely, rounding decides.
            same = sum(map(str.__eq__, ours, other)) / files
            if len(other) != files or same < 0.999:
                raise RuntimeError(f"The answers differ: {same:.2%} are alike.")
        answers = Path(place, "few.csv")
        memory = predict_with_ours(few, answers).memory
    ours, *others = found.values()
    wall, cpu = (
        statistics.median(
            min(getattr(other, clock) for other in round_)
            / getattr(mine, clock)
            for mine, *round_ in zip(ours, *others, strict=True)
        )
        for clock in ("wall", "cpu")
    )
    grown = statistics.median(mine.memory for mine in ours) - memory
    print(
        f"ours is {wall:.1f} times as fast as the faster one (must be "
        f"{MUST_BE_FASTER}), and takes 1/{cpu:.1f} of its CPU time; its "
        f"largest process holds {grown:+.0f} MB for ten times the files (at "
        f"most {MAY_HOLD:+})"
    )
    return int(wall < MUST_BE_FASTER or grown > MAY_HOLD)


def write_pictures(folder: Path, count: int) -> None:
    """Write digits as PNG files of 28 x 28 pixels, a thousand in a folder."""
    import io

    from PIL import Image

    from recipes.lab.data.sample import digits

    contents = []
    for image in digits()[0][:FILES_IN_A_FOLDER]:
        file = io.BytesIO()
        Image.fromarray(image[..., 0]).save(file, "PNG")
        contents.append(file.getvalue())
    for number in range(count):
        place = folder / f"{number // FILES_IN_A_FOLDER:04}"
        if number % FILES_IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        path = place / f"{number:07}.png"
        path.write_bytes(contents[number % len(contents)])


def predict_with_ours(folder: Path, answers: Path) -> Predicted:
    """Run the command; memory is that of its largest process."""
    command = [*(sys.executable, "-m", "zoo", "predict", SHIPPED)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(folder), "--csv", str(answers)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Predicted(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def ask_keras(folder: Path, answers: Path) -> Predicted:
    """Decode with Pillow and ask the Keras model, some files at a time."""
    import numpy as np
    from PIL import Image

    import zoo

    model = zoo.load_model(SHIPPED, verbose=False)

    def read(path):
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))

    def ask(paths):
        images = np.stack([read(path) for path in paths])[..., np.newaxis]
        return model.predict(images, FILES_AT_ONCE, verbose=0)

    def batches(paths):
        for start in range(0, len(paths), FILES_AT_ONCE):
            some = paths[start : start + FILES_AT_ONCE]
            yield some, ask(some)

    return time_predict(folder, answers, batches)


def ask_signature(folder: Path, answers: Path) -> Predicted:
    """Read files with tf.data and ask the SavedModel about their bytes."""
    import tensorflow as tf

    from zoo import _loading

    served = tf.saved_model.load(str(_loading.find_export(SHIPPED)))
    ask = served.signatures["image_bytes"]

    def batches(paths):
        data = tf.data.Dataset.from_tensor_slices(paths)
        data = data.map(
            lambda path: (path, tf.io.read_file(path)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        data = data.batch(FILES_AT_ONCE).prefetch(tf.data.AUTOTUNE)
        for some, contents in data:
            found = ask(image_bytes=contents)["probabilities"].numpy()
            yield [path.decode() for path in some.numpy()], found

    return time_predict(folder, answers, batches)


def time_predict(folder: Path, answers: Path, batches: Callable) -> Predicted:
    """Write what a program answers to a folder, and take its time."""
    paths = sorted(str(path) for path in folder.rglob("*.png"))
    for _ in batches(paths[:FILES_AT_ONCE]):  # it traces
        pass
    wall, cpu = time.perf_counter(), time.process_time()
    with open(answers, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", "probability"])
        for some, probabilities in batches(paths):
            classes = probabilities.argmax(axis=1)
            best = probabilities.max(axis=1)
            writer.writerows(zip(some, classes, best, strict=True))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Predicted(wall, cpu, used.ru_maxrss / 1024)


def read_classes(answers: Path) -> list[str]:
    """Return the column of classes of a CSV file."""
    with open(answers, newline="") as file:
        return [row["class"] for row in csv.DictReader(file)]


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


def serve_over_http(name: str, callers: Sequence[int], seconds: float) -> int:
    """Call `python -m zoo serve` from several threads; return the exit code."""
    with (
        served(name) as (process, address, family),
        contextlib.ExitStack() as connections,
    ):

        def connect():
            connection = http.client.HTTPConnection(address, timeout=60)
            connections.callback(connection.close)
            return connection

        questions = [
            http_question(connect, family, form)
            for form in ("predict", "infer")
        ]
        call_together(questions, max(callers), seconds / 10)
        warm = resident_megabytes(process.pid)
        errors = []
        for count in callers:
            print(
                f"{family}: {count} callers for {seconds:g} s, 1 to "
                f"{LARGEST_BATCH} images at a time",
                flush=True,
            )
            results, more = call_together(questions, count, seconds)
            errors += more
            for form, (latencies, images) in results.items():
                print(describe(form, latencies, images, seconds), flush=True)
        grown = resident_megabytes(process.pid) - warm
    print(
        f"memory of the server {warm:.0f} MB when warm, {grown:+.0f} MB at the "
        f"end (at most {MAY_GROW:+} MB)"
    )
    print(f"errors {len(errors)}", *errors[:3], sep="\n  ")
    return int(bool(errors) or grown > MAY_GROW)


@contextlib.contextmanager
def served(name: str):
    """Serve an export; give the process, the address and the model's name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "serve", name, "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://([\d.:]+)/v1/models/(.+):predict", line)
            if not found:
                raise SystemExit("error: the server did not start")
            yield process, *found.groups()
        finally:
            process.terminate()


def http_question(connect: Callable, family: str, form: str) -> tuple:
    """Return a form of request, how to ask it, and how to check an answer."""
    import numpy as np

    noise = np.random.default_rng(0).integers
    images = noise(256, size=(LARGEST_BATCH, 28, 28, 1), dtype="uint8")
    bodies, own = {}, threading.local()

    def body_of(size):
        if form == "predict":
            return json.dumps(
                {"instances": images[:size].tolist()}
            ).encode(), {}
        content = images[:size].tobytes()
        tensor = {
            **{"name": "image", "shape": [size, 28, 28, 1]},
            **{"datatype": "UINT8"},
            "parameters": {"binary_data_size": len(content)},
        }
        header = json.dumps({"inputs": [tensor]}).encode()
        length = {"Inference-Header-Content-Length": str(len(header))}
        return header + content, length

    path = {
        "predict": f"/v1/models/{family}:predict",
        "infer": f"/v2/models/{family}/infer",
    }[form]

    def ask(size):
        if not hasattr(own, "connection"):
            own.connection = connect()
        if size not in bodies:
            bodies[size] = body_of(size)
        own.connection.request("POST", path, *bodies[size])
        answer = own.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {content[:200]!r}")
        return content

    def probabilities_in(content):
        found = json.loads(content)
        if form == "predict":
            rows = [row["probabilities"] for row in found["predictions"]]
            return np.array(rows, "float32")
        [tensor] = [
            tensor
            for tensor in found["outputs"]
            if tensor["name"] == "probabilities"
        ]
        return np.array(tensor["data"], "float32").reshape(tensor["shape"])

    expected = probabilities_in(ask(LARGEST_BATCH))

    def check(content, size):
        np.testing.assert_allclose(
            probabilities_in(content), expected[:size], atol=1e-5
        )

    return form, ask, check


def resident_megabytes(process: int | None = None) -> float:
    """Return the memory that a process holds now; None for this one."""
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process or os.getpid())],
        check=True,
        capture_output=True,
    )
    return int(answer.stdout) / 1024


if __name__ == "__main__":
    sys.exit(main())
