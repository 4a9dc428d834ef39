"""A training step that hides nothing: stochastic gradient descent, written out.

    python -m recipes.mnist_by_hand

Expect 98 % in a minute on two CPU cores, from a multi-layer perceptron and the
algorithm of the lecture, line by line: shuffle, take a mini-batch, go forward,
compute the loss, go backward, move each weight against its gradient. There is
no optimizer and no `model.fit`. Only the gradients come from TensorFlow;
tests/lectures/test_backpropagation.py computes them by the lecture's delta
rules as well.

Reference: Robbins and Monro 1951; Rumelhart, Hinton and Williams 1986.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.98),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: tuple[Count, ...] = (256, 128)
    """Width of each hidden layer."""
    epochs: Epochs = 12
    batch_size: BatchSize = 64
    learning_rate: Rate = 0.2
    """How far each weight moves against its gradient."""
    run: RunOptions = RunOptions(strategy="none")


def step(model, images, labels, learning_rate):
    """Take one step downhill; return the loss before it."""
    import tensorflow as tf

    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        # Forward: a row of probabilities for each image.
        probabilities = model(images, training=True)
        # The loss: minus the logarithm of what the true class was given.
        of_the_truth = tf.gather(probabilities, labels, batch_dims=1)
        loss = -tf.reduce_mean(tf.math.log(tf.cast(of_the_truth, "float32")))
    # Backward: by the chain rule, from the loss to each weight.
    gradients = tape.gradient(loss, weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.assign(weight - learning_rate * gradient)
    return loss


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np
    import tensorflow as tf

    from recipes.lab import runs, tasks, training
    from recipes.lab.data.splits import steps_per_epoch

    with runs.open_run(config, DATASET) as run:
        training.check_one_device(
            run, "this loop does not add up the gradients of several devices"
        )
        data, size, rate = run.data, config.batch_size, config.learning_rate
        images, labels = data.train.inputs, data.train.targets
        steps = steps_per_epoch(data.train, size)
        model = training.create_model(
            data, "mlp", hidden_units=config.hidden_units, dropout=0.0
        )
        task = tasks.Classification(data)
        graph_step = tf.function(step)  # several times as fast

        # A run that was cut off resumes here, after its last whole epoch.
        progress = training.Progress(run, model.variables)
        for epoch in progress:
            # Shuffle: in an order of this seed and this epoch.
            random = np.random.default_rng([run.options.seed, epoch])
            order = random.permutation(data.train.passes * len(images))
            batches = order[: steps * size].reshape(steps, size) % len(images)
            losses = [
                graph_step(model, images[batch], labels[batch], rate)
                for batch in batches
            ]
            watched = task.score(model, data.validation, quiet=True).metrics
            progress.end_epoch(
                {
                    "loss": np.mean(losses),
                    "val_loss": watched["test_loss"],
                    "val_accuracy": watched["test_accuracy"],
                }
            )

        scores = task.score(model, data.test)
        return run.finish(task, model, scores, progress.history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
