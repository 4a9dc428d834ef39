"""A neural Turing machine: it learns to write down, and to read it again.

    python -m recipes.copies_neural_turing

Rows of eight random bits are shown, one at each step, and then all of them are
asked for, in their order. Nobody tells the network how to do that. It has a
memory with a head to write and one to read, whose places are weights, and
gradients find a program: write each row to the next location, and when the end
mark comes, read from the first one on.

It learns that with up to 10 rows, goes on with up to 20, and is then asked for
40, which it has never seen. The network beside the memory is small, so that the
rows have to go to the memory. Expect 0.01 % wrong bits among up to 20 rows:
most seeds find the program, and make no mistake at all. The report shows where
both heads are at each step, and the wrong bits by the number of rows.

Reference: Graves, Wayne and Danihelka 2014; Collier and Beel 2018 (a memory
that begins with a constant).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Rate, RunOptions
from recipes.lab.metrics import BIT_ERROR

DATASET = "copies_20"
BEFORE = "copies_10"  # what it learns on before that
TWICE = "copies_40"  # and what it is asked in the end
TARGETS = (Target(BIT_ERROR, 0.001),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    controller_units: Count = 24
    """Width of the controller."""
    locations: Count = 48
    """Rows of the memory."""
    width: Count = 12
    """Numbers of a row."""
    epochs: Count = 8
    """Epochs on sequences of up to 10 rows, and as many on up to 20."""
    batch_size: BatchSize = 16
    learning_rate: Rate = 0.01
    """Adam's at the beginning of each; it falls to nothing on a cosine."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.data import sources

    with runs.open_run(config, DATASET) as run:
        model, histories = None, []
        for name in (BEFORE, DATASET):
            is_last = name == DATASET
            data = run.data if is_last else sources.load(name, config.run)
            phase = "train" if is_last else name
            model, history = _fit(run, data, phase, model)
            histories.insert(0, history)

        task = tasks.Copying(run.data)
        scores = task.score(model, run.data.test)
        # The same weights in a machine that has more steps.
        longer = sources.load(TWICE, config.run)
        machine = _machine(run, longer, model)
        found = tasks.Copying(longer).score(machine, longer.test)
        rows = (longer.test.targets >= 0).all(axis=2).sum(axis=1)
        wrong, asked = tasks.wrong_bits(found.outputs, longer.test.targets)
        by_rows = {
            int(count): float(
                wrong[rows == count].sum() / asked[rows == count].sum()
            )
            for count in sorted({*rows.tolist()})
        }
        scores.metrics[f"twice_as_long_{BIT_ERROR.name}"] = by_rows[rows.max()]
        return run.finish(
            *(task, model, scores, *histories),
            sections=[
                _longest(machine, longer.test[rows == rows.max()][:1]),
                _by_rows(by_rows),
            ],
        )


def _machine(run, data, before=None):
    """Return a machine for some data, with the weights of another one."""
    from recipes.lab import training

    config = run.config
    model = training.create_model(
        *(data, "neural_turing_machine"),
        controller_units=config.controller_units,
        locations=config.locations,
        width=config.width,
    )
    if before:
        model.set_weights(before.get_weights())
    return model


def _fit(run, data, phase, before):
    """Train a machine that begins where another one is; return both."""
    import dataclasses

    import keras

    from recipes.lab import tasks, training
    from recipes.lab.data import splits
    from recipes.lab.data.synthetic import copies

    config = run.config
    steps = splits.steps_per_epoch(data.train, config.batch_size)
    with run.scope():
        model = _machine(run, data, before)
        rate = keras.optimizers.schedules.CosineDecay(
            config.learning_rate, config.epochs * steps
        )
        model.compile(
            optimizer=keras.optimizers.Adam(rate, clipnorm=1.0),
            loss=tasks.asked_cross_entropy,
        )
    history = training.fit(
        *(run, model, dataclasses.replace(data.train, prepare=copies.to_copy)),
        validation=data.validation,
        augment=copies.random_bits,
        phase=phase,
    )
    return model, history


def _longest(machine, split):
    """Return the report's section on the longest sequence."""
    from recipes.lab import tasks

    return lambda plots: tasks.addresses_section(
        *(plots, "addresses_twice", machine, split),
        heading="Twice as many rows as it has learned with",
    )


def _by_rows(errors):
    """Return the report's section on wrong bits by the number of rows."""
    from recipes.lab.report import comparisons

    panel = comparisons.Panel(
        {"wrong bits": {rows: [100 * e] for rows, e in errors.items()}},
        x_label="rows",
        y_label="wrong bits, in %",
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "rows"),
        heading="The longer the sequence",
        caption="It was trained on up to 20 rows. Beyond them it does what it "
        "has learned to do, as long as it keeps its heads together and finds "
        "free locations.",
        panels=(panel,),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
