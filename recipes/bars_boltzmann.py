"""A Boltzmann machine of twelve units, small enough to see all of it.

    python -m recipes.bars_boltzmann

Nine pixels and three hidden units are all joined to each other, and each is on
or off by chance. The pictures that it learns have whole rows of ink, or whole
columns. Learning asks how often two units are on together while the pixels are
clamped to an image, and how often while nothing is clamped. That is answered as
it was in 1985: units decide in turns, many times, and what they do is counted.

All states of twelve units can be summed over, too. So the machine's
probabilities here are exact, and beside it a twin learns from exact sums
instead of chance. A third one is restricted: its pixels are not joined, nor are
its hidden units. With as many of them it cannot represent rows and columns.
Expect a divergence from the data (KL) of 0.052 nats.

Reference: Ackley, Hinton and Sejnowski 1985; Tieleman 2008 (chains that go on).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import (
    BatchSize,
    Count,
    Epochs,
    Rate,
    RunOptions,
)
from recipes.lab.metrics import DIVERGENCE, MARGINALS

DATASET = "bars_3"
TARGETS = (Target(DIVERGENCE, 0.1), Target(MARGINALS, 0.03))


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 3
    """Number of hidden units."""
    sweeps: Count = 5
    """How often each unit decides before a weight changes."""
    chains: Count = 200
    """Chains of states that run free."""
    epochs: Epochs = 100
    batch_size: BatchSize = 200
    learning_rate: Rate = 0.03
    """Adam's at the beginning; it falls to a hundredth on a straight line."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks

    with runs.open_run(config, DATASET) as run:
        task = tasks.CountedGeneration(run.data)
        model, history = _fit(run, "train")
        scores = task.score(model, run.data.test)
        histories = {"chance": history}
        for name in ("exact", "restricted"):
            other, histories[name] = _fit(
                *(run, name), exact=True, restricted=name == "restricted"
            )
            found = task.score(other, run.data.test, quiet=True).metrics
            scores.metrics[f"{name}_{DIVERGENCE.name}"] = found[DIVERGENCE.name]
        return run.finish(
            *(task, model, scores, *histories.values()),
            sections=[_curves(histories, task, run.data.validation)],
        )


def _fit(run, phase, **kind):
    """Train a machine; return its model and its history."""
    import keras

    from recipes.lab import training

    config, data = run.config, run.data
    with run.scope():
        model = training.create_model(
            *(data, "boltzmann_machine"),
            hidden_units=config.hidden_units,
            sweeps=config.sweeps,
            chains=config.chains,
            **kind,
        )
        rate = keras.optimizers.schedules.PolynomialDecay(
            config.learning_rate,
            training.steps(run),
            config.learning_rate / 100,
        )
        model.compile(optimizer=keras.optimizers.Adam(rate))
    history = training.fit(
        *(run, model, data.train),
        validation=data.validation,
        phase=phase,
    )
    return model, history


def _curves(histories, task, validation):
    """Return the report's section on how the machines learn."""
    import numpy as np

    from recipes.lab.report import comparisons

    truth = task.distribution_of(validation)
    entropy = -np.sum(truth[truth > 0] * np.log(truth[truth > 0]))
    names = {
        "chance": "from chance",
        "exact": "from exact sums",
        "restricted": "restricted, from exact sums",
    }
    lines = {
        names[name]: {
            epoch: [max(float(loss - entropy), 1e-5)]
            for epoch, [loss] in comparisons.by_epoch(
                [history], "val_loss"
            ).items()
        }
        for name, history in histories.items()
    }
    panel = comparisons.Panel(
        lines, x_label="epoch", y_label="KL divergence, nats", log_y=True
    )
    caption = (
        "How far the machines are from the distribution of the data, in exact "
        "numbers, which no machine sees that learns from chance. Without "
        "weights between the pixels the same units cannot come near to it."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "divergence"),
        heading="Chance, and what is exact",
        caption=caption,
        panels=(panel,),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
