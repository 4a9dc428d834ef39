"""A deeper CNN on Fashion-MNIST, in minutes on a CPU.

    python -m recipes.fashion_mnist_cnn

Expect 93 % after five minutes of training on two CPU cores.

Clothes are harder than digits: more layers, more epochs, and more against
learning by heart. Images are mirrored, which digits would not survive, and
shifted; features are dropped, weights decay, labels are smoothed.

Reference: Xiao, Rasul and Vollgraf 2017 (Fashion-MNIST); Loshchilov and Hutter
2019 (decoupled weight decay).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, run_command
from recipes.lab.flags import Amount, BatchSize, Epochs, Rate, RunOptions, Share

DATASET = "fashion_mnist"
TARGETS = (Target("test_accuracy", 0.925),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: Epochs = 16
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.004
    """AdamW's, at its peak after a quarter of the steps."""
    weight_decay: Amount = 0.05
    """AdamW's pull of the weights to zero, times the learning rate."""
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

    def augment(images, draw):
        images = augmentation.random_flip(images, draw)
        return augmentation.random_shift(images, draw)

    with open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model(
                "cnn",
                filters=(32, 32, 64, 64, 128),
                kernel_sizes=(5, 3, 3, 3, 3),
                strides=(2, 1, 2, 1, 2),
                pool_sizes=(1, 1, 1, 1, 1),
                padding="same",
                hidden_units=(),
                dropout=0.3,
            )
            model.compile(
                optimizer=keras.optimizers.AdamW(
                    schedules.one_cycle(
                        config.learning_rate, steps, warmup=0.25
                    ),
                    weight_decay=config.weight_decay,
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
            augment=augment,
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
