"""A long short-term memory reads pictures of clothes row by row.

    python -m recipes.fashion_mnist_lstm

Expect 90.6 % after three to five minutes on two CPU cores. Training mirrors
half of the images: a shoe that points to the right is a shoe. It does not shift
them, as they are all centred.

Reference: Hochreiter and Schmidhuber 1997.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, run_command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions, Share

DATASET = "fashion_mnist"
TARGETS = (Target("test_accuracy", 0.8950),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: Epochs = 20
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.006
    """AdamW's, at its peak after a fifth of the steps."""
    label_smoothing: Share = 0.1
    """Share of each label that is spread over all the classes."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab.data import augmentation, sources, splits
    from recipes.lab.export import exporting
    from recipes.lab.report import reports
    from recipes.lab.runs.run import open_run
    from recipes.lab.tasks import scoring
    from recipes.lab.training import fitting, schedules
    from recipes.lab.training.devices import set_up

    devices = set_up(config)
    data = sources.load(DATASET, config.run)
    steps = config.epochs * splits.steps_per_epoch(
        data.train, config.batch_size
    )

    with open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model("lstm")
            model.compile(
                optimizer=keras.optimizers.AdamW(
                    schedules.one_cycle(config.learning_rate, steps, warmup=0.2)
                ),
                loss=keras.losses.CategoricalCrossentropy(
                    label_smoothing=config.label_smoothing
                ),
                metrics=["accuracy"],
            )

        history = fitting.fit(
            run,
            model,
            data.train.one_hot(),
            batch_size=config.batch_size,
            epochs=config.epochs,
            validation=data.validation.one_hot(),
            augment=augmentation.random_flip,
        )

        metrics, probabilities = scoring.score_classifier(model, data.test)
        metrics |= fitting.train_seconds(history)
        export = exporting.export_classifier(run, model, metrics)
        reports.report_classifier(run, model, history, metrics, probabilities)
        return run.finish(model, metrics, export)


def main(argv=None) -> int:
    """Run the recipe from the command line."""
    return run_command(train, Config, TARGETS, argv)


if __name__ == "__main__":
    sys.exit(main())
