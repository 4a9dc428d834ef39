"""The same networks in PyTorch, trained and asked in turn.

`torch_networks.py` has them. Each side is a process of its own, A B A B, and
what is printed are medians of wall and CPU seconds, and of their ratios, ours
to PyTorch's. Ours is the recipe's own command: its clock holds validation and
checkpoints, PyTorch's neither. Of the main job the whole training counts, with
the tracing of its first step; of the others, which train for longer, an epoch
after the first. Both scores stand beside the times, for a network that learns
nothing is fast as well.

Questions come and are answered as NumPy arrays, raw pixels to probabilities,
one image or a thousand at a time, of the export of `mnist_cnn` that ships and
of PyTorch with the same weights.

It needs the `peers` extra.
"""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.clocks import Measured, alone, in_words, print_table, row
from benchmarks.recipe_runs import images_and_labels, measure

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
FEWEST_CALLS = 50  # that answers are timed over


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=PEERS)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    compare_peers(arguments.only, arguments.rounds)
    return 0


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


def train_peer(*arguments) -> tuple:
    """Train in PyTorch; see `torch_networks.fit`."""
    from benchmarks import torch_networks

    return torch_networks.fit(*arguments)


def ask_peer(weights: dict, size: int, test) -> Measured:
    """Ask PyTorch for so many images at once, in the way that is faster."""
    from benchmarks import torch_networks

    return fastest(torch_networks.ask(weights, size, test, time_answers))


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
