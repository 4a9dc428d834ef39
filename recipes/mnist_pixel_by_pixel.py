"""Networks read MNIST's digits pixel by pixel, and must remember the first.

    python -m recipes.mnist_pixel_by_pixel
    python -m recipes.mnist_pixel_by_pixel --permuted
    python -m recipes.mnist_pixel_by_pixel --network simple_rnn

A network sees one pixel at a step, and says after 784 of them which digit it
was. What it learns from the first pixels, a gradient must carry back through
all steps. In a plain recurrent network each step multiplies it by a matrix and
by the slope of tanh, and in an `lstm` by how far its forget gate is open:
little is left of it. An `irnn` begins with the identity as that matrix, and
with ReLUs. The `lru`, the default, multiplies by numbers just below 1 and does
nothing else; all of its steps can be computed together, so it is by far the
fastest, too. Expect 99.0 to 99.1 % of it, and 96.7 % with `--permuted`, after
half an hour of training on two CPU cores.

The report shows how much of the gradient reaches each pixel, in each of the
four networks before the training, and in the trained one after it. With
`--permuted` the pixels come in an order without any sense, always the same.

Reference: Le, Jaitly and Hinton 2015 (the task, irnn); Orvieto et al. 2023
(lru); Bengio, Simard and Frasconi 1994 (gradients that vanish).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.98),)
# What is built, and the learning rate that suits it.
NETWORKS = {
    "lru": ({"stride": 4}, 0.004),
    "irnn": ({}, 0.0003),
    "simple_rnn": ({}, 0.0003),
    "lstm": ({}, 0.002),
}
MEASURED = 128  # images that a gradient is of


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    network: Literal["lru", "irnn", "simple_rnn", "lstm"] = "lru"
    """What reads the pixels."""
    permuted: bool = False
    """Read them in an order without any sense."""
    hidden_units: tuple[Count, ...] | None = None
    """Width of each layer; three of 64 for lru, one of 100 for the others."""
    epochs: Epochs = 20
    batch_size: BatchSize = 50
    learning_rate: Rate | None = None
    """AdamW's, at its peak after a fifth of the steps, instead of the one that
    suits the network."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        few = data.train[:MEASURED]
        read = "permuted_pixels" if config.permuted else "pixels"

        def build(name):
            sizes = config.hidden_units if name == config.network else None
            usual = (64, 64, 64) if name == "lru" else (100,)
            options, _ = NETWORKS[name]
            return training.create_model(
                *(data, name),
                read=read,
                hidden_units=sizes or usual,
                **options,
            )

        with run.scope():
            model = build(config.network)
            _, rate = NETWORKS[config.network]
            rate = config.learning_rate or rate
            model.compile(
                optimizer=keras.optimizers.AdamW(
                    training.one_cycle(rate, steps, warmup=0.2),
                    clipnorm=1.0,  # of each weight, for gradients that explode
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
        before = {
            name: training.gradients_over_time(
                *(model if name == config.network else build(name), few, read)
            )
            for name in NETWORKS
        }
        history = training.fit(
            run, model, data.train, validation=data.validation
        )
        after = training.gradients_over_time(model, few, read)

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        section = _gradients(before, {config.network: after}, len(few))
        return run.finish(task, model, scores, history, sections=[section])


def _gradients(before, after, count):
    """Return the report's section on what reaches each pixel."""
    from recipes.lab import training
    from recipes.lab.report import comparisons

    panels = [
        comparisons.Panel(
            lines,
            x_label="step, a pixel each",
            y_label="gradient, relative to the last step",
            title=title,
            log_y=True,
        )
        for title, lines in (
            ("before training", before),
            ("after training", after),
        )
    ]
    return lambda plots: comparisons.panels_section(
        plots,
        "gradients",
        heading="How far back the gradient reaches",
        caption="How much the loss changes with each pixel, as the root of the "
        f"mean square over {count} training images; 1 is that of the last "
        f"pixel, and what is below {training.NOTHING:g} is drawn there. A line "
        "that falls to the left is a gradient that vanishes on its way back: "
        "from there nothing is learned. That of an untrained irnn is zero "
        "where all is black yet, for its states are, too, and there a ReLU has "
        "no slope.",
        panels=panels,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
