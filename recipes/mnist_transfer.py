"""What was learnt from the digits 0 to 4 recognises the digits 5 to 9.

    python -m recipes.mnist_transfer
    python -m recipes.mnist_transfer --mode full
    python -m recipes.mnist_transfer --labels-per-class 10 30 100 300 1000

A small CNN learns 0 to 4; then its head is replaced. The lecture's three modes:
`frozen` trains the new head only, on features that are computed once; `partial`
also the last convolution; `full` starts from the trained weights and trains
everything. Expect 99.4 % of the digits 5 to 9 from the first, 99.5 % from the
last, in half a minute on two CPU cores.

The third command shows when transfer pays off: it plots accuracy against the
number of labels, with transfer and from scratch.

Reference: Yosinski et al. 2014; Chollet, Keras examples: mnist_transfer_cnn.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9920),)
DRAWS = 3  # of the labels, for each point of the picture


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    mode: Literal["frozen", "partial", "full"] = "frozen"
    """What is trained on the digits 5 to 9."""
    labels_per_class: tuple[Count, ...] = ()
    """Numbers of labels a class to train with, for the picture."""
    epochs: Epochs = 5
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks, training
    from recipes.lab.errors import UsageError

    with runs.open_run(config, DATASET) as run:
        names = run.data.class_names
        if len(names) < 4:
            raise UsageError(
                "There must be four classes or more, two for each half. "
                f"Received: {', '.join(names)}"
            )
        before = run.data.of_classes(names[: len(names) // 2])  # 0 to 4
        data = run.data.of_classes(names[len(names) // 2 :])  # 5 to 9
        for half in (before, data):
            training.steps(run, half.train)  # or refuse now

        # The first half of the digits, for the weights. There is no hidden
        # layer: it would keep what 0 to 4 need and drop what 5 to 9 will.
        with run.scope():
            donor = training.create_model(
                before, "cnn", filters=(32, 96), hidden_units=None
            )
        splits = before.train, before.validation
        pretraining = _fit(run, donor, "full", *splits, "pretrain")

        # The second half, with those weights and a new head.
        model = _transferred(run, data, donor, config.mode)
        splits = data.train, data.validation
        history = _fit(run, model, config.mode, *splits, "train")

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        sections = []
        if config.labels_per_class:
            sections.append(_picture(run, task, donor))
        return run.finish(
            *(task, model, scores, history, pretraining), sections=sections
        )


def _transferred(run, data, donor, mode):
    """Return a classifier of the second half that starts from a donor."""
    import zoo

    with run.scope():
        return zoo.create_model(
            "transfer_classifier",
            input_shape=data.inputs.shape,
            num_classes=data.num_classes,
            backbone=donor,
            mode=mode,
            thaw=("conv2", "norm2") if mode == "partial" else (),
        )


def _fit(run, model, mode, train, validation, phase, epochs=None, quiet=False):
    """Train a classifier in one of the modes; return the history."""
    import keras

    import zoo
    from recipes.lab import tasks, training
    from recipes.lab.data import augmentation
    from recipes.lab.data.splits import steps_per_epoch

    epochs = epochs or run.config.epochs
    batch_size = min(run.config.batch_size, len(train))
    augment = augmentation.random_shift
    if mode == "frozen":
        # The body stays as it is, and so do its features: once is enough.
        body = zoo.feature_extractor(model)
        with run.scope():
            model = zoo.classifier_head(model)
        train = tasks.features_of(body, train)
        validation = validation and tasks.features_of(body, validation)
        augment = None
    steps = epochs * steps_per_epoch(train, batch_size)
    with run.scope():
        model.compile(
            optimizer=keras.optimizers.Adam(
                training.one_cycle(run.config.learning_rate, steps, warmup=0.25)
            ),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    return training.fit(
        *(run, model, train),
        validation=validation,
        augment=augment,
        phase=phase,
        epochs=epochs,
        batch_size=batch_size,
        quiet=quiet,
    )


def _picture(run, task, donor):
    """Train with few labels, and return the report's section on that."""
    import statistics

    import keras

    from recipes.lab.report import page

    with run.scope():
        untrained = keras.models.clone_model(donor)
    ways = {
        "transfer, head only": (donor, "frozen"),
        "transfer, everything": (donor, "full"),
        "from scratch": (untrained, "full"),
    }
    lines = {way: {} for way in ways}
    for count in run.config.labels_per_class:
        for i, (way, (start, mode)) in enumerate(ways.items()):
            accuracies = []
            for draw in range(DRAWS):
                few = task.data.train.of_each_class(count, seed=draw)
                model = _transferred(run, task.data, start, mode)
                _fit(
                    *(run, model, mode, few, None),
                    f"labels-{count}-{i}-{draw}",
                    # Few labels are seen as often as 200 of each class.
                    epochs=run.config.epochs * max(1, 200 // count),
                    quiet=True,
                )
                scores = task.score(model, task.data.test, quiet=True)
                accuracies.append(100 * scores.metrics["test_accuracy"])
            lines[way][count] = statistics.mean(accuracies)
    return lambda plots: page.lines_section(
        plots,
        "labels",
        heading="What transfer is for",
        caption="The fewer labels there are, the more it helps to start from "
        "what was learnt elsewhere. To train the head alone is enough for the "
        f"fewest. Each point is the mean of {DRAWS} draws of the labels.",
        x_label="labels of each class",
        y_label="test accuracy in %",
        lines=lines,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
