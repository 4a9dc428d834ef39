"""What more data are worth: four networks learn from 100 to 55,000 images.

    python -m recipes.mnist_learning_curve
    python -m recipes.mnist_learning_curve --dataset fashion_mnist

The lecture asks how methods scale with the amount of data, and draws it: from a
few images all learn about as much, and the more there are, the larger the
network that makes use of them. Here softmax regression and multi-layer
perceptrons with 16, 128 and two layers of 512 hidden units learn from the first
images of an order that each seed draws anew. (Of MNIST's 60,000, 5,000 are for
validation.) Up to 10,000 images all train for equally many steps, and beyond
that for equally many epochs. Expect 98.4 to 98.6 % of the largest on all
images, and 92.8 % of softmax regression; with 100 images they have 76 and 74 %.

The report draws the error on the test images against the number of images, with
the spread over the seeds, and has a table of both. What is exported is the
largest network, trained on all of them.

Reference: Banko and Brill 2001; Hestness et al. 2017; Ng, Machine learning
yearning, 2018.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.98),)
SHOWN = 10_000  # images an epoch, or more; few are shown again and again
# Hidden units, and the peak of Adam's learning rate: of 0.001, 0.003 and 0.01
# the best on the validation images, with all training images.
NETWORKS = {
    "softmax": ((), 0.01),
    "small": ((16,), 0.01),
    "medium": ((128,), 0.01),
    "large": ((512, 512), 0.003),
}
Network = Literal["softmax", "small", "medium", "large"]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    networks: tuple[Network, ...] = ()
    """Which of them to compare, instead of all; the last is exported."""
    images: tuple[Count, ...] = (100, 300, 1_000, 3_000, 10_000, 30_000)
    """Numbers of training images, before all of them."""
    repeats: Count = 3
    """Seeds to train with."""
    epochs: Epochs = 10
    batch_size: BatchSize = 128
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import statistics

    from recipes.lab import runs, tasks

    with runs.open_run(config, DATASET) as run:
        data, task = run.data, tasks.Classification(run.data)
        whole = len(data.train)
        counts = sorted({whole, *(n for n in config.images if n < whole)})

        # What is exported was fixed in advance: the last network, all images.
        networks = [*dict.fromkeys(config.networks or NETWORKS)]
        largest = networks[-1]
        model, history = _fit(run, largest, whole, 0, "train")
        scores = task.score(model, data.test)

        # All others, each tested once.
        accuracies, histories = {}, []
        for repeat in range(config.repeats):
            for name in networks:
                for count in counts:
                    tested = scores
                    if (name, count, repeat) != (largest, whole, 0):
                        phase = f"{name}-{count}-{repeat}"
                        other, seconds = _fit(run, name, count, repeat, phase)
                        histories.append(seconds)
                        tested = task.score(other, data.test, quiet=True)
                    accuracies.setdefault((name, count), []).append(
                        tested.metrics["test_accuracy"]
                    )
        for name in networks:
            mean = statistics.mean(accuracies[name, whole])
            scores.metrics[f"{name}_{ACCURACY.name}"] = mean
        return run.finish(
            *(task, model, scores, history, *histories),
            sections=[_picture(networks, counts, accuracies)],
        )


def _fit(run, name, count, repeat, phase):
    """Train a network on some of the images; return it and its history."""
    from dataclasses import replace

    import keras
    import numpy as np

    from recipes.lab import training
    from recipes.lab.data.splits import steps_per_epoch

    hidden_units, rate = NETWORKS[name]
    seed = training.seed_repeat(run, repeat)
    few = run.data.train
    if count < len(few):  # the first of an order: the more there are, the same
        order = np.random.default_rng(seed).permutation(len(few))
        few = few[order[:count]]
    few = replace(few, passes=max(1, SHOWN // count))
    batch_size = min(run.config.batch_size, count)
    batch_size -= batch_size % run.devices.replicas
    steps = run.config.epochs * steps_per_epoch(few, batch_size)
    with run.scope():
        model = training.create_model(
            run.data, "mlp", hidden_units=hidden_units, dropout=0.0
        )
        model.compile(
            optimizer=keras.optimizers.Adam(
                training.one_cycle(rate, steps, warmup=0.1)
            ),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    is_exported = phase == "train"
    history = training.fit(
        *(run, model, few),
        validation=run.data.validation if is_exported else None,
        phase=phase,
        batch_size=batch_size,
        seed=seed,
        quiet=not is_exported,
    )
    return model, history


def _picture(networks, counts, accuracies):
    """Return the report's section on error against images."""
    from recipes.lab.report import comparisons, page

    lines, sizes = {}, {}
    for name in networks:
        hidden_units, _ = NETWORKS[name]
        label = f"{name} ({'-'.join(map(str, hidden_units))})"
        sizes[name] = label if hidden_units else "softmax regression"
        lines[sizes[name]] = {
            count: [100 * (1 - share) for share in accuracies[name, count]]
            for count in counts
        }
    panel = comparisons.Panel(
        lines,
        x_label="training images",
        y_label="test error in %",
        log_x=True,
        log_y=True,
    )
    rows = [
        (
            f"{count:,}",
            *(
                comparisons.write_spread(ACCURACY, accuracies[name, count])
                for name in sizes
            ),
        )
        for count in counts
    ]
    html = page.table(rows, ("training images", *sizes.values()))
    caption = (
        "Where a line bends to the right, its network has no room for what "
        "more images teach. Each seed draws images of its own."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "learning_curve"),
        heading="What more data are worth",
        caption=caption,
        panels=(panel,),
        html=html,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
