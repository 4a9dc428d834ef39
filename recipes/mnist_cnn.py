"""A small convolutional network on MNIST: the main job.

python -m recipes.mnist_cnn
"""

import sys
from dataclasses import dataclass

from recipes._config import RunOptions, Target, run_command

DATASET = "mnist"
TARGETS = (Target("test_accuracy", 0.9930),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: int = 2
    """Times that training sees every image."""
    batch_size: int = 256
    """Images in one step, over all devices."""
    learning_rate: float = 0.01
    """Peak of the one-cycle schedule."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes import _data, _devices, _export, _report, _runs, _training

    # Seeds and devices come first, then the data.
    devices = _devices.set_up(config.run, config.batch_size)
    data = _data.load(DATASET, config.run)
    steps = config.epochs * _data.steps_per_epoch(data.train, config.batch_size)

    with _runs.open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model("cnn")
            model.compile(
                optimizer=keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(
                        0.001,
                        decay_steps=steps - steps // 4,
                        warmup_target=config.learning_rate,
                        warmup_steps=steps // 4,
                    ),
                    beta_1=0.7,
                    beta_2=0.9,
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

        # The test set is scored once, after every choice has been made.
        metrics, probabilities = _training.score_classifier(model, data.test)
        metrics |= _training.train_seconds(history)

        export = _export.export_classifier(run, model, metrics)
        _report.report_classifier(run, model, history, metrics, probabilities)
        return run.finish(model, metrics, export)


def main(argv=None) -> int:
    """Run the recipe from the command line."""
    return run_command(train, Config, TARGETS, argv)


if __name__ == "__main__":
    sys.exit(main())
