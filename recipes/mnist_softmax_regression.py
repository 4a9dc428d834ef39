"""Softmax regression on MNIST: how far one layer of weights gets.

    python -m recipes.mnist_softmax_regression

Expect 92 to 93 % in seconds. The report draws each class's weights as an image:
that is all the model knows.

Reference: LeCun et al. 1998 report 8.4 to 12 % error for linear classifiers.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, run_command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions

DATASET = "mnist"
TARGETS = (Target("test_accuracy", 0.923),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: Epochs = 20
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.005
    """Adam's, at the start; it falls to zero along a cosine."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab.data import sources, splits
    from recipes.lab.export import exporting
    from recipes.lab.report import reports
    from recipes.lab.runs.run import open_run
    from recipes.lab.tasks import scoring
    from recipes.lab.training import fitting
    from recipes.lab.training.devices import set_up

    devices = set_up(config)
    data = sources.load(DATASET, config.run)
    steps = config.epochs * splits.steps_per_epoch(
        data.train, config.batch_size
    )

    with open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model("softmax_regression")
            model.compile(
                optimizer=keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(
                        config.learning_rate, steps
                    )
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        history = fitting.fit(
            run,
            model,
            data.train,
            batch_size=config.batch_size,
            epochs=config.epochs,
            validation=data.validation,
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
