"""The multi-column network on MNIST: seven widths, seven columns, one vote.

    python -m recipes.mnist_mcdnn
    python -m recipes.mnist_mcdnn --widths 14 18

Each column is a small network that sees all digits stretched or squeezed to a
width of its own, and warped anew in each epoch, less and less. The columns
train one after another; a run that was stopped resumes in the column where it
was. Then their probabilities are averaged, by one network that is exported as a
whole. Expect 99.67 %, after 25 to 45 minutes of one core: 32 and 35 mistakes in
two runs, where the columns alone make 33 to 51. With warps as strong to the end
(`--last-warps 1`) it made 38: so small a network has no room for shapes that
nobody writes. Columns may see digits upright (`--deslanted`): two runs with
three that do, from all images, made 31 and 33.

Reference: Ciresan, Meier and Schmidhuber 2012: 0.23 % errors of 35 columns;
Meier et al. 2011 (deslanted).
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from recipes.lab.command import Target, command
from recipes.lab.flags import (
    Amount,
    BatchSize,
    Between,
    Count,
    Rate,
    RunOptions,
    Share,
)
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9970),)
Width = Annotated[int, Between(1, 1_024)]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    widths: tuple[Width, ...] = (10, 12, 14, 16, 18, 20)
    """Widths in pixels that the columns see digits in; one more column sees
    them as they are."""
    deslanted: tuple[Width, ...] = ()
    """Those of the widths whose columns see digits upright."""
    max_stretch: Annotated[float, Between(1.0, 100.0)] = 1.5
    """How many times as wide as it is a digit may become: a 1 that is stretched
    far looks like a 7."""
    filters: tuple[Count, ...] = (20, 40)
    """Number of maps of the two convolutions of a column."""
    hidden_units: Count = 150
    """Width of the hidden layer of a column."""
    epochs: Count = 25
    """Epochs of each column."""
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.005
    """Adam's, at its peak after a fifth of the steps."""
    label_smoothing: Share = 0.05
    """Share of each label that is spread over all the classes."""
    last_warps: Amount = 0.2
    """How strong the warps are at the end, as a share of those at first."""
    all_images: bool = False
    """Learn from the validation images, too, once everything is chosen."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation
    from recipes.lab.errors import UsageError
    from zoo import multicolumn

    if strange := set(config.deslanted) - set(config.widths):
        raise UsageError(
            "--deslanted must be some of --widths. "
            f"Received: {', '.join(map(str, sorted(strange)))}"
        )
    widths = (*config.widths, None)
    if config.run.dry_run:
        widths = widths[-2:]
    upright = set(config.deslanted) & set(widths)
    sizes = {"filters": config.filters, "hidden_units": config.hidden_units}
    sizes |= {"activation": "relu", "batch_norm": True}
    sizes["max_stretch"] = config.max_stretch
    with runs.open_run(config, DATASET) as run:
        data = run.data
        train, validation = data.train, data.validation
        if config.all_images:
            train, validation = train + validation, None
        steps = training.steps(run, train)

        def augment(images, draw):
            # Weaker and weaker: the last steps, of small rates, are for digits
            # as they are written.
            return augmentation.random_warp(
                *(images, draw),
                rotation=12,
                zoom=0.12,
                shear=0.15,
                elastic=0.8,
                strength=draw.fading(steps, config.last_warps),
            )

        task = tasks.Classification(data)
        columns, histories, errors = [], [], []
        for i, width in enumerate(widths, start=1):
            print(f"column {i} of {len(widths)}: {_in_words(width, upright)}")
            # Each sees digits in an order and warped in a way of its own, or
            # they would err on the same ones.
            seed = training.seed_repeat(run, i - 1)
            rate = training.one_cycle(config.learning_rate, steps, warmup=0.2)
            with run.scope():
                column = training.create_model(
                    *(data, "mcdnn"),
                    widths=(width,),
                    deslanted=tuple({width} & upright),
                    **sizes,
                )
                column.compile(
                    optimizer=keras.optimizers.Adam(rate),
                    loss=keras.losses.CategoricalCrossentropy(
                        label_smoothing=config.label_smoothing
                    ),
                    metrics=["accuracy"],
                )
            history = training.fit(
                run,
                column,
                train.one_hot(data.num_classes),
                validation=validation and validation.one_hot(data.num_classes),
                augment=augment,
                phase=f"column{i}",
                seed=seed,
            )
            alone = task.score(column, data.test, quiet=True)
            columns.append(column)
            histories.append(history)
            errors.append(100 * (1 - alone.metrics["test_accuracy"]))

        # The columns are scored to be seen; which of them vote is decided.
        model = training.create_model(
            *(data, "mcdnn"),
            widths=widths,
            deslanted=tuple(sorted(upright)),
            **sizes,
        )
        multicolumn.set_columns(model, columns)
        scores = task.score(model, data.test)
        section = _columns_section(widths, upright, errors, scores)
        return run.finish(task, model, scores, *histories, sections=[section])


def _in_words(width: int | None, upright: set[int]) -> str:
    words = f"{width} pixels wide" if width else "as wide as they come"
    return f"{words}, upright" if width in upright else words


def _columns_section(widths, upright, errors, scores):
    """Return the report's section on each column and on their vote."""
    from recipes.lab.report import page

    voted = 100 * (1 - scores.metrics["test_accuracy"])
    rows = [
        (f"column {i}, {_in_words(width, upright)}", f"{error:.2f} %")
        for i, (width, error) in enumerate(
            zip(widths, errors, strict=True), start=1
        )
    ]
    rows.append(("all, averaged", f"{voted:.2f} %"))
    caption = (
        "Each column errs on digits of its own, so the average of their "
        "probabilities errs on fewer than most of them, as a rule."
    )
    table = page.table(rows, ("digits", "test error"))
    return lambda plots: ("Columns and their vote", caption, table)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
