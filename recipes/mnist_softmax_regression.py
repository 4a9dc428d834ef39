"""Softmax regression on MNIST: how far one layer of weights gets.

    python -m recipes.mnist_softmax_regression

Expect 92 to 93 % in seconds. The report draws each class's weights as an image:
that is all the model knows.

Reference: LeCun et al. 1998 report 8.4 to 12 % error for linear classifiers.
"""

import sys
from dataclasses import dataclass

from recipes._config import RunOptions, Target, run_command

DATASET = "mnist"
TARGETS = (Target("test_accuracy", 0.923),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: int = 20
    """How often training sees every image."""
    batch_size: int = 128
    """Images in one step, over all devices."""
    learning_rate: float = 0.005
    """Adam's, at the start; it falls to zero along a cosine."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes import (
        _data,
        _devices,
        _export,
        _report,
        _runs,
        _scoring,
        _training,
    )

    devices = _devices.set_up(config)
    data = _data.load(DATASET, config.run)
    steps = config.epochs * _data.steps_per_epoch(data.train, config.batch_size)

    with _runs.open_run(config, data, devices) as run:
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

        history = _training.fit(
            run,
            model,
            data.train,
            batch_size=config.batch_size,
            epochs=config.epochs,
            validation=data.validation,
        )

        metrics, probabilities = _scoring.score_classifier(model, data.test)
        metrics |= _training.train_seconds(history)
        export = _export.export_classifier(run, model, metrics)
        _report.report_classifier(run, model, history, metrics, probabilities)
        return run.finish(model, metrics, export)


def main(argv=None) -> int:
    """Run the recipe from the command line."""
    return run_command(train, Config, TARGETS, argv)


if __name__ == "__main__":
    sys.exit(main())
