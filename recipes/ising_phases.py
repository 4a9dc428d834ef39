"""Phases of matter: at which temperature does a magnet lose its order?

    python -m recipes.ising_phases

A network sees how the spins of the Ising model lie, and learns whether they are
above the critical temperature, where they lose their order. Nobody tells it
what order is. The temperature at which it is undecided, in the mean over many
lattices, depends on their size, as everything does that is measured near a
phase transition. Extrapolated from three sizes to lattices without end it is
the critical temperature, which Onsager computed to be 2.269. Expect to miss it
by 0.005.

Beside it is what the magnetization says, the share of the spins that agree. At
each size the network is right about more lattices, for it sees how spins lie
beside each other, and its undecided temperature moves less from size to size.

Reference: Carrasquilla and Melko 2017; Onsager 1944.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY, CRITICAL_ERROR

DATASET = "ising_40"
SMALLER = ("ising_10", "ising_20")
TARGETS = (Target(CRITICAL_ERROR, 0.02), Target(ACCURACY, 0.95))
WITHOUT_END = float("inf")  # as a size


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: Epochs = 20
    batch_size: BatchSize = 64
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.data import sources
    from recipes.lab.data.synthetic import ising

    with runs.open_run(config, DATASET) as run:
        model, history = _fit(run, run.data, "train")
        task = tasks.Classification(run.data)
        scores = task.score(model, run.data.test)
        answers = {DATASET: scores.outputs}
        magnets = {DATASET: _by_magnetization(run.data)}

        # The same with lattices of other sizes.
        histories = []
        for name in SMALLER:
            data = sources.load(name, config.run)
            smaller, one = _fit(run, data, name)
            answers[name] = task.answer(smaller, data.test)
            magnets[name] = _by_magnetization(data)
            histories.append(one)

        found = {"network": answers, "magnetization": magnets}
        found = {name: _undecided(of) for name, of in found.items()}
        for name, temperatures in found.items():
            error = abs(temperatures[WITHOUT_END] - ising.CRITICAL)
            owner = "" if name == "network" else f"{name}_"
            scores.metrics[f"{owner}{CRITICAL_ERROR.name}"] = error
        return run.finish(
            *(task, model, scores, history, *histories),
            sections=[_picture(answers, found)],
        )


def _fit(run, data, phase):
    """Train a network on lattices of a size; return it and its history."""
    import keras

    from recipes.lab import training

    with run.scope():
        model = training.create_model(data, "ising_phases")
        model.compile(
            optimizer=keras.optimizers.Adam(
                training.one_cycle(
                    *(run.config.learning_rate, training.steps(run)),
                    warmup=0.1,
                )
            ),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, data.train),
        validation=data.validation,
        phase=phase,
        quiet=phase != "train",
    )
    return model, history


def _by_magnetization(data):
    """Return what the magnetization of the test lattices says of each class."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    def magnetization(split):
        up = np.mean(split.inputs > 0, axis=(1, 2))  # the share of the spins
        return np.abs(2 * up - 1)

    regression = LogisticRegression(C=1e4)
    regression.fit(magnetization(data.train), data.train.targets)
    return regression.predict_proba(magnetization(data.test))


def _undecided(answers):
    """Return the temperature at which answers are even, by the lattices' size.

    Args:
        answers: Probabilities of the classes for the test lattices, by the
            name of the data set.

    Returns:
        For each size, and for lattices without end: those of a line through
        the temperatures over one by the size.
    """
    import numpy as np

    from recipes.lab.errors import RecipeError

    found = {}
    for name, probabilities in answers.items():
        temperatures, means = _by_temperature(probabilities)
        # The logarithms of the odds are almost a line there.
        near = (0.05 < means) & (means < 0.95)
        if near.sum() < 2:
            raise RecipeError(
                f"Of {name} the network answers nothing between 5 and 95 %, so "
                "there is no temperature at which its answers are even. Has "
                "it learned anything? Try another --learning-rate, or more "
                "--epochs."
            )
        odds = np.log(means[near] / (1 - means[near]))
        slope, even = np.polyfit(odds, temperatures[near], 1)
        found[_size(name)] = float(even)
    inverse = [1 / size for size in found]
    slope, end = np.polyfit(inverse, [*found.values()], 1)
    return {**found, WITHOUT_END: float(end)}


def _by_temperature(probabilities):
    """Return temperatures, and the mean probability of disorder at each."""
    import numpy as np

    from recipes.lab.data.synthetic import ising

    at = ising.temperatures(len(probabilities))
    temperatures, places = np.unique(at, return_inverse=True)
    sums = np.bincount(places, weights=probabilities[:, 1])
    return temperatures, sums / np.bincount(places)


def _size(name):
    return int(name.removeprefix("ising_"))


def _picture(answers, found):
    """Return the report's section on the temperatures where answers are even.

    Args:
        answers: Of the network, as of `_undecided`.
        found: What `_undecided` returned, by what it is of.
    """
    from recipes.lab.data.synthetic import ising
    from recipes.lab.report import comparisons, page

    lines = {}
    for name in sorted(answers, key=_size):
        temperatures, means = _by_temperature(answers[name])
        points = zip(temperatures.tolist(), means.tolist(), strict=True)
        label = f"{_size(name)} × {_size(name)} spins"
        lines[label] = {at: [100 * mean] for at, mean in points}
    panel = comparisons.Panel(
        lines,
        x_label="temperature, in units of the coupling",
        y_label="answer “disordered” in %, mean over lattices",
    )
    rows = []
    for name, temperatures in found.items():
        sizes = sorted(size for size in temperatures if size != WITHOUT_END)
        cells = (temperatures[size] for size in (*sizes, WITHOUT_END))
        rows.append((name, *(f"{cell:.3f}" for cell in cells)))
    rows.append(("Onsager", *("" for _ in sizes), f"{ising.CRITICAL:.3f}"))
    header = ("undecided at", *(f"{size} × {size}" for size in sizes), "∞")
    caption = (
        "The larger the lattice, the sharper is the change, and the nearer to "
        "the critical temperature is the one at which the answer is even. The "
        "table has these, and what a line through them over one by the size "
        "says of lattices without end."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "phases"),
        heading="Where order ends",
        caption=caption,
        panels=(panel,),
        html=page.table(rows, header),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
