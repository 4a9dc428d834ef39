"""The adding problem: what a plain recurrent network cannot remember.

    python -m recipes.adding_problem
    python -m recipes.adding_problem --steps 1000

A sequence has a number at each of 200 steps, two of which are marked; their sum
is the answer. To learn that, a network must notice in the end what it should
have kept in the first half. Always answering 1 has a mean squared error of
0.167, and there a plain recurrent network stays: the gradient that says what to
keep is gone before it gets there. A network of linear recurrent units, which
keeps it, solves the problem: expect a mean squared error of 0.0001, and 0.0006
of a thousand steps.

Reference: Hochreiter and Schmidhuber 1997 (the problem); Orvieto et al. 2023
(linear recurrent units); Le, Jaitly and Hinton 2015 (irnn).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, RunOptions
from recipes.lab.metrics import MSE

DATASET = "adding_200"
TARGETS = (Target(MSE, 0.01),)
# The learning rate of each, Adam's, at its peak after a fifth of the steps.
RATES = {
    "lru": 0.01,
    "lstm": 0.003,
    "gru": 0.003,
    "irnn": 0.001,
    "simple_rnn": 0.001,
}
Name = Literal["lru", "lstm", "gru", "irnn", "simple_rnn"]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    steps: Literal[200, 1000] = 200
    """Length of a sequence."""
    networks: tuple[Name, ...] = ("lru", "simple_rnn")
    """What to train, one after the other; the first one is exported."""
    hidden_units: Count = 64
    """Width of all layers."""
    epochs: Epochs = 30
    batch_size: BatchSize = 50
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.errors import UsageError

    if not config.networks:
        raise UsageError("--networks must name one or more. Received: none")
    with runs.open_run(config, f"adding_{config.steps}") as run:
        task, (first, *others) = tasks.Regression(run.data), config.networks
        model, history = _fit(run, first, "train")
        scores = task.score(model, run.data.test)
        histories = {first: history}
        for name in others:
            other, histories[name] = _fit(run, name, name)
            other_scores = task.score(other, run.data.test, quiet=True)
            metric = f"{name}_{MSE.name}"
            scores.metrics[metric] = other_scores.metrics[MSE.name]
        return run.finish(
            *(task, model, scores, *histories.values()),
            sections=[_curves(histories)],
        )


def _fit(run, name, phase):
    """Train a network; return it and its history."""
    import keras

    from recipes.lab import training
    from recipes.lab.data.synthetic import adding

    with run.scope():
        model = training.create_model(
            *(run.data, "sequence_regressor"),
            cell=name,
            hidden_units=run.config.hidden_units,
        )
        rate = training.one_cycle(RATES[name], training.steps(run), warmup=0.2)
        model.compile(
            optimizer=keras.optimizers.Adam(rate, clipnorm=1.0), loss="mse"
        )
    history = training.fit(
        *(run, model, run.data.train),
        validation=run.data.validation,
        augment=adding.random_numbers,
        phase=phase,
    )
    return model, history


def _curves(histories):
    """Return the report's section on how the networks fare."""
    from recipes.lab.data.synthetic import adding
    from recipes.lab.report import comparisons

    lines = {
        name: comparisons.by_epoch([history], "val_loss")
        for name, history in histories.items()
    }
    epochs = max(map(len, lines.values()))
    lines["always answering 1"] = {
        epoch: [adding.VARIANCE] for epoch in {1, epochs}
    }
    panel = comparisons.Panel(
        lines,
        x_label="epoch",
        y_label="validation MSE",
        log_y=True,
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "networks"),
        heading="What can be remembered",
        caption="A network at the height of always answering 1 has learned "
        "nothing but the mean of the sums.",
        panels=(panel,),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
