"""What was learned from the digits 0 to 4 recognizes the digits 5 to 9.

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

With `--backbone mnist_cnn@shipped`, or another export, a network that is
trained already learns all the classes instead, usually of other pictures:
`--dataset photos`. It may be of keras.applications, with a file of its weights:
`--backbone MobileNetV2 --weights FILE`. The pictures are resized to what it
takes, and get or lose their colors.

Reference: Yosinski et al. 2014; Chollet, Keras examples: mnist_transfer_cnn.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import (
    BatchSize,
    Between,
    Count,
    Epochs,
    Rate,
    RunOptions,
)
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9920),)
DRAWS = 3  # of the labels, for each point of the picture


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    backbone: str | None = None
    """Name or path of an export, or a network of keras.applications, to start
    from, instead of what the first half of the classes has taught."""
    weights: str | None = None
    """File of weights of the backbone, without its top; or imagenet."""
    image_size: Annotated[int, Between(4, 1_024)] | None = None
    """Side in pixels of what the backbone gets to see, instead of the usual."""
    mode: Literal["frozen", "partial", "full"] = "frozen"
    """What is trained on the second half, or on all classes for --backbone."""
    thaw: tuple[str, ...] = ()
    """Layers of the backbone that mode partial trains, instead of its last."""
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

    loads = (config.backbone, config.weights)
    with runs.open_run(config, DATASET, loads=loads) as run:
        _check(run)
        if config.backbone is not None:
            data, donor, pretraining = run.data, config.backbone, []
        else:
            names = run.data.class_names
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
            pretraining = [_fit(run, donor, "full", *splits, "pretrain")]

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
            *(task, model, scores, history, *pretraining), sections=sections
        )


def _check(run):
    """Refuse before anything is trained what would come to nothing."""
    import numpy as np

    from recipes.lab.errors import UsageError

    config, names = run.config, run.data.class_names
    if config.backbone is None:
        for flag in ("weights", "image_size"):
            if getattr(config, flag) is not None:
                raise UsageError(
                    f"--{flag.replace('_', '-')} goes with --backbone, which "
                    "is missing."
                )
        if len(names) < 4:
            raise UsageError(
                "There must be four classes or more, two for each half, or a "
                "--backbone that was trained on others. "
                f"Received: {', '.join(names)}"
            )
    fewest = np.bincount(run.data.train.targets).min()
    most = max(config.labels_per_class, default=0)
    if most > fewest and not run.is_demonstration:
        raise UsageError(
            f"--labels-per-class must be at most {fewest:,}, for so many "
            "training pictures there are of the smallest class. "
            f"Received: {most:,}"
        )


def _transferred(run, data, donor, mode):
    """Return a classifier of the data that starts from a donor."""
    from recipes.lab import training
    from recipes.lab.errors import UsageError

    config = run.config
    named = {}
    if donor == config.backbone:
        named = {"weights": config.weights, "image_size": config.image_size}
    with run.scope():
        model = training.create_transfer_model(
            *(run, data, donor),
            mode=mode,
            thaw=config.thaw if mode == config.mode else (),
            **named,
        )
    if named and not (config.weights or run.settings["loaded"]):
        raise UsageError(
            f"{donor} has learned nothing yet. Give its --weights, or the name "
            "of an export, such as mnist_cnn@shipped."
        )
    return model


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
    from dataclasses import replace

    import keras

    from recipes.lab.report import page

    if not isinstance(donor, keras.Model):
        donor = _transferred(run, task.data, donor, "full")  # loaded once
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
                few = replace(few, passes=1)
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
        "what was learned elsewhere. To train the head alone is enough for the "
        f"fewest. Each point is the mean of {DRAWS} draws of the labels.",
        x_label="labels of each class",
        y_label="test accuracy in %",
        lines=lines,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
