"""Decision regions: what one, three and eight hidden neurons can tell apart.

    python -m recipes.moons_mlp
    python -m recipes.moons_mlp --shape circles
    python -m recipes.moons_mlp --shape xor
    python -m recipes.moons_mlp --shape spirals

Expect 98.6 %, for the moons overlap a little. Points in the plane are blue or
orange, and a network learns which, everywhere. The report shows its decision
regions as they form, from epoch to epoch, and beside them those of smaller
networks. One hidden neuron cuts the plane along a straight line, which cannot
enclose a circle; three neurons can. Spirals take a second layer.

Reference: Minsky and Papert 1969 (XOR); Lang and Witbrock 1988 (spirals);
Smilkov et al. 2017 (the TensorFlow Playground).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "moons"
TARGETS = (Target(ACCURACY, 0.96),)
SMALLER = ((1,), (3,), (8,))  # hidden units of networks to compare with
PANELS = 8  # of the regions as they form


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    shape: Literal["moons", "circles", "xor", "spirals"] = "moons"
    """How the points lie."""
    hidden_units: tuple[Count, ...] = (8, 8)
    """Width of each layer; the report also has 1, 3 and 8 in one layer."""
    epochs: Epochs = 100
    batch_size: BatchSize = 20
    learning_rate: Rate = 0.05
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks

    with runs.open_run(config, config.shape) as run:
        task = tasks.Classification(run.data)
        model, history = _fit(run, config.hidden_units, "train")
        networks, histories = {}, []
        for units in SMALLER:
            networks[units], one = _fit(run, units, f"hidden-{units[0]}")
            histories.append(one)
        networks[tuple(config.hidden_units)] = model

        scores = task.score(model, run.data.test)
        return run.finish(
            *(task, model, scores, history, *histories),
            sections=[_formation(run, model), _comparison(task, networks)],
        )


def _fit(run, hidden_units, phase):
    """Train a network of some hidden units; return it, and its history."""
    import keras

    from recipes.lab import training

    data = run.data
    with run.scope():
        model = training.create_model(
            data, "table_mlp", hidden_units=hidden_units
        )
        model.get_layer("standardization").adapt(data.train.inputs)
        rate = training.one_cycle(
            run.config.learning_rate, training.steps(run), warmup=0.1
        )
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, data.train),
        validation=data.validation,
        callbacks=[_keeper(run, model)] if phase == "train" else (),
        phase=phase,
        quiet=phase != "train",
    )
    return model, history


# --- how the regions form -------------------------------------------------


def _keeper(run, model):
    """Return a callback that keeps the weights of some epochs in files.

    A run that is cut off finds those of the epochs before.
    """
    import keras
    import numpy as np

    from recipes.lab import files

    last = run.config.epochs
    shown = {0, *np.geomspace(1, last, PANELS - 1).round().astype(int)}
    folder = run.folder / "formation"

    def keep(epoch):
        path = folder / f"{epoch:06}.npz"
        if run.devices.is_chief and epoch in shown and not path.exists():
            folder.mkdir(exist_ok=True)
            weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
            files.write_npz(path, weights)

    return keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: keep(0),
        on_epoch_end=lambda epoch, logs: keep(epoch + 1),
    )


def _formation(run, model):
    """Return the report's section on how the regions form."""
    import keras
    import numpy as np

    from recipes.lab.report import classified

    twin = keras.models.clone_model(model)

    def network_of(path):
        def answer(rows):
            with np.load(path) as file:
                twin.set_weights([file[name] for name in file])
            return twin(rows, training=False)

        return answer

    def section(plots):
        panels = {}
        for path in sorted((run.folder / "formation").glob("*.npz")):
            epoch = int(path.stem)
            title = f"epoch {epoch}" if epoch else "before training"
            panels[title] = network_of(path)
        train = run.data.train
        return classified.regions_section(
            *(plots, "formation", panels, train.inputs, train.targets),
            heading="How the decision regions form",
            caption="The dots are the training points, the color behind them "
            "is what the network says of a point there; where it is pale, the "
            "network is in doubt.",
        )

    return section


def _comparison(task, networks):
    """Return the report's section with networks of several sizes."""
    from recipes.lab.report import classified

    panels = {}
    for units, model in networks.items():
        scores = task.score(model, task.data.validation, quiet=True)
        accuracy = scores.metrics["test_accuracy"]
        size = " + ".join(map(str, units)) or "no"
        panels[f"{size} hidden: {accuracy:.1%}"] = model
    train = task.data.train
    return lambda plots: classified.regions_section(
        *(plots, "comparison", panels, train.inputs, train.targets),
        heading="What fewer neurons can do",
        caption="Networks with so many hidden neurons, and what they get right "
        "of the validation points.",
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
