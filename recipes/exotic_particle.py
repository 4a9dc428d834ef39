"""Is there a heavy particle? What physicists compute, and what a network finds.

    python -m recipes.exotic_particle

A detector sees four light particles. In half of the simulated events they come
from a heavy one, by way of two bosons. No measured column tells: by itself each
is much the same with a heavy particle and without. What tells are the masses of
pairs, products and cosines of the columns, which physicists add by hand.

Five networks see the same events: with the measured columns, with the masses,
or with both, and with one hidden layer or with four. From measured columns a
deep network gets further than a shallow one, for it makes up a part of the
masses by itself. With 60,000 events it does not make up all of them; the paper
had millions, and there masses hardly helped a deep network any more. Expect an
area under the curve (AUC) of 0.94 from both, with four layers.

Reference: Baldi, Sadowski and Whiteson 2014.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import AUC

DATASET = "collisions"
TARGETS = (Target(AUC, 0.93),)
# What each network sees, and whether it is deep; the first is exported.
NETWORKS = (
    ("both", True),
    ("masses", True),
    ("masses", False),
    ("measured", True),
    ("measured", False),
)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: tuple[Count, ...] = (200, 200, 200, 200)
    """Width of each hidden layer; a shallow network has the first of them."""
    epochs: Epochs = 20
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from sklearn.metrics import roc_auc_score

    from recipes.lab import runs, tasks

    with runs.open_run(config, DATASET) as run:
        histories, signals, areas = [], {}, {}
        for columns, is_deep in NETWORKS:
            name = f"{columns}, {'deep' if is_deep else 'shallow'}"
            phase = name.replace(", ", "-") if histories else "train"
            data = _with_columns(run.data, columns)
            units = config.hidden_units[: None if is_deep else 1]
            network, history = _fit(run, data, units, phase)
            histories.append(history)
            task = tasks.Classification(data)
            if len(histories) == 1:
                model, scores = network, task.score(network, data.test)
                signals[name] = scores.outputs[:, 1]
            else:
                signals[name] = task.answer(network, data.test)[:, 1]
            areas[name] = float(roc_auc_score(data.test.targets, signals[name]))

        first, *others = areas
        scores.metrics[AUC.name] = areas[first]
        for name in others:
            owner = name.replace(", ", "_")
            scores.metrics[f"{owner}_{AUC.name}"] = areas[name]
        return run.finish(
            *(tasks.Classification(run.data), model, scores, *histories),
            sections=[_picture(run.data.test.targets, signals, areas)],
        )


def _with_columns(data, which):
    """Return the data with the measured columns, the masses, or both."""
    from dataclasses import replace

    from recipes.lab.data.synthetic import collisions
    from recipes.lab.inputs.tables import Tables

    count = len(collisions.RAW)
    chosen = {"measured": slice(count), "masses": slice(count, None)}
    chosen = chosen.get(which, slice(None))

    def keep(split):
        return replace(split, inputs=split.inputs[:, chosen].copy())

    return replace(
        data,
        train=keep(data.train),
        validation=keep(data.validation),
        test=keep(data.test),
        inputs=Tables(data.inputs.columns[chosen]),
    )


def _fit(run, data, hidden_units, phase):
    """Train a network on some columns; return it and its history."""
    import keras

    from recipes.lab import training

    rate = training.one_cycle(
        run.config.learning_rate, training.steps(run), warmup=0.1
    )
    with run.scope():
        model = training.create_model(
            data, "table_mlp", hidden_units=hidden_units, activation="relu"
        )
        model.get_layer("standardization").adapt(data.train.inputs)
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
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


def _picture(labels, signals, areas):
    """Return the report's section on what each network finds."""
    import numpy as np
    from sklearn.metrics import roc_curve

    from recipes.lab.report import comparisons, page

    lines = {}
    for name, answers in signals.items():
        taken, found, _ = roc_curve(labels, answers)
        at = np.linspace(0, 1, 51)
        found = 100 * np.interp(at, taken, found)
        points = zip((100 * at).tolist(), found.tolist(), strict=True)
        lines[name] = {x: [y] for x, y in points}
    panel = comparisons.Panel(
        lines,
        x_label="background taken for signal in %",
        y_label="signal found in %",
    )
    rows = [(name, AUC.write(area)) for name, area in areas.items()]
    caption = (
        "The further up a line goes on the left, the better: whoever wants to "
        "find more of the signal must take more of the background for it. The "
        "area under it is the share of pairs of a signal and a background "
        "event of which the network prefers the signal."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "columns"),
        heading="Measured columns, and masses",
        caption=caption,
        panels=(panel,),
        html=page.table(rows, ("network", AUC.words)),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
