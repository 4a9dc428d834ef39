"""A long short-term memory reads pictures of clothes row by row.

    python -m recipes.fashion_mnist_lstm

Expect 90.6 % after two to three minutes on two CPU cores. Training mirrors
half of the images: a shoe that points to the right is a shoe. It does not shift
them, as they are all centered.

Reference: Hochreiter and Schmidhuber 1997.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions, Share
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
TARGETS = (Target(ACCURACY, 0.8950),)


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

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(data, "lstm")
            model.compile(
                optimizer=keras.optimizers.AdamW(
                    training.one_cycle(config.learning_rate, steps, warmup=0.2)
                ),
                loss=keras.losses.CategoricalCrossentropy(
                    label_smoothing=config.label_smoothing
                ),
                metrics=["accuracy"],
            )

        history = training.fit(
            run,
            model,
            data.train.one_hot(data.num_classes),
            validation=data.validation.one_hot(data.num_classes),
            augment=augmentation.random_flip,
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
