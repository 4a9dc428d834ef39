"""A map of the digits by `mnist_kohonen`, and by MiniSom, in turn.

Both train a map of 20×20 units: ours by the recipe's command, of which the
epochs of the map count; MiniSom by 10,000 updates, from prototypes that are
images. Each side is a process of its own, A B A B. What is printed are medians
of wall and CPU seconds, of their ratios, ours to MiniSom's, and of both errors
on the test images, of which less is better.

It needs the `peers` extra.
"""

import importlib.util
import statistics

from benchmarks.clocks import (
    Clock,
    Measured,
    alone,
    in_words,
    print_table,
    row,
)
from benchmarks.recipe_runs import images_and_labels, measure

SIDE = 20  # units of the map, down and across
UPDATES = 10_000


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if importlib.util.find_spec("minisom") is None:
        raise SystemExit(
            "maps compares with MiniSom, which is not installed: "
            "pip install --editable '.[peers]'"
        )
    pairs, torn = [], []
    for seed in range(arguments.rounds):
        ours, peer = train_ours(seed), alone(train_peer, seed)
        pairs.append((ours[0], peer[0]))
        torn.append((ours[1], peer[1]))
        print(
            f"round {seed + 1} of {arguments.rounds}: "
            f"ours {in_words(ours[0])}, torn {ours[1]:.3f}; "
            f"MiniSom {in_words(peer[0])}, torn {peer[1]:.3f}",
            flush=True,
        )
    print_table([row("mnist_kohonen", pairs)], "MiniSom", arguments.rounds)
    ours, peer = (statistics.median(x) for x in zip(*torn, strict=True))
    print(f"topographic error: {ours:.4f}, MiniSom's {peer:.4f}")
    return 0


def train_ours(seed: int) -> tuple[Measured, float]:
    """Train by the recipe's command; return its cost and its errors."""
    found = measure("mnist_kohonen", "--seed", str(seed), phase="map")
    wall, cpu = (
        sum(epoch[column] for epoch in found["epochs"])
        for column in ("seconds", "cpu_seconds")
    )
    metrics = found["metrics"]
    return (
        Measured(wall, cpu, metrics["quantization_error"]),
        metrics["topographic_error"],
    )


def train_peer(seed: int) -> tuple[Measured, float]:
    """Train MiniSom; return its cost and its errors."""
    import minisom
    import numpy as np

    (images, _), (others, _) = images_and_labels("mnist")
    train, test = (
        (x.reshape(len(x), -1) / 255).astype("float32")
        for x in (images, others)
    )
    # Once such a block was given back, the allocator keeps what it gets, and
    # MiniSom is nine times as fast.
    np.ones(30 * 2**20, "uint8")
    clock = Clock()
    sheet = minisom.MiniSom(
        *(SIDE, SIDE, train.shape[1]),
        sigma=3,  # of larger ones its map is worse after so few updates
        learning_rate=0.5,
        random_seed=seed,
    )
    sheet.random_weights_init(train)
    sheet.train(train, UPDATES, random_order=True)
    wall, cpu = clock.read()
    prototypes = sheet.get_weights().reshape(SIDE * SIDE, -1)
    distances = np.square(prototypes).sum(1) - 2 * test @ prototypes.T
    distances += np.square(test).sum(1)[:, np.newaxis]
    nearest, second = np.argsort(distances, axis=1)[:, :2].T
    places = np.indices((SIDE, SIDE)).reshape(2, -1).T
    apart = np.abs(places[nearest] - places[second]).max(axis=1)
    error = np.sqrt(distances.min(axis=1).clip(0)).mean()
    return Measured(wall, cpu, float(error)), float(np.mean(apart > 1))
