"""Softmax regression on MNIST: how far one layer of weights gets.

    python -m recipes.mnist_softmax_regression

Expect 92 to 93 % in seconds. The report draws each class's weights as an image:
that is all the model knows.

Reference: LeCun et al. 1998 report 8.4 to 12 % error for linear classifiers.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.923),)


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

    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(data, "softmax_regression")
            model.compile(
                optimizer=keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(
                        config.learning_rate, steps
                    )
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        history = training.fit(
            run,
            model,
            data.train,
            validation=data.validation,
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
