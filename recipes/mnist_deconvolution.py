"""A picture from a label: a convolutional network that runs backwards.

    python -m recipes.mnist_deconvolution

Which digit, how it leans, how thick its strokes are, how wide and how high it
is: from this row of numbers the network draws the digit. It learns from the
labels of the training images, and from what can be measured on them. Of all
images that a row describes it draws the mean, for that has the least squared
error. So the more a row says the sharper is the picture. Expect a mean squared
error of 0.0331 per pixel: that of the mean image of each class, which is all
that a label alone can tell, is 0.0529.

Reference: Dosovitskiy, Springenberg and Brox 2015; Zeiler et al. 2010.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions
from recipes.lab.metrics import MSE

DATASET = "mnist"
TARGETS = (Target(MSE, 0.0350),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: Epochs = 10
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import styles

    with runs.open_run(config, DATASET) as run:
        steps = training.steps(run)
        # The other way around: what can be said of an image is the input.
        data = styles.to_draw(run.data)

        with run.scope():
            model = training.create_model(
                data, "deconvolution", image_shape=run.data.inputs.shape
            )
            model.get_layer("standardization").adapt(data.train.inputs)
            model.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1)
                ),
                loss="mse",
            )

        history = training.fit(
            run, model, data.train, validation=data.validation
        )

        task = tasks.Drawing(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
