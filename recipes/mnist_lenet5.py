"""LeNet-5 of 1998 on MNIST, without augmentation.

    python -m recipes.mnist_lenet5
    python -m recipes.mnist_lenet5 --loss paper

The paper reports 0.95 % error without distorted training images; expect 0.9 %
here, in two minutes on two CPU cores. The network is the paper's, down to the
connection table of C3 and the bitmaps that the output compares with. The
optimizer is of our days, and so is the default loss: see `ours`.

Reference: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to
document recognition, 1998.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, BatchSize, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9905),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    loss: Literal["ours", "paper"] = "ours"
    """Equation 9 with bitmaps that compete in earnest, or to the letter."""
    epochs: Epochs = 25
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.005
    """AdamW's, at its peak after a tenth of the steps."""
    weight_decay: Amount = 0.05
    """AdamW's pull of the weights to zero, times the learning rate."""
    run: RunOptions = RunOptions()


def paper(labels, scores):
    """Pull to the right bitmap, push from all others: the paper's equation 9.

    With y_i for the squared distance to bitmap i and D for the right one, it is
    y_D + log(exp(-j) + sum_i exp(-y_i)). The constant j stands for whatever is
    no digit; without it the push would never end.

    Args:
        labels: Integer classes, `(batch,)` or `(batch, 1)`.
        scores: Negative squared distances to the bitmaps, `(batch, classes)`.

    Returns:
        The loss of each image, `(batch,)`.
    """
    from keras import ops

    labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    right = ops.take_along_axis(scores, labels, axis=1)
    no_digit = ops.full_like(right, -0.1)
    everything = ops.concatenate([scores, no_digit], axis=1)
    return ops.logsumexp(everything, axis=1) - ops.squeeze(right, axis=1)


def ours(labels, scores):
    """Equation 9 again, its two terms on a scale on which both are felt.

    No two bitmaps are closer than 52, so the exponentials of equation 9 vanish
    and the wrong ones push next to nothing. Here distances count a tenth, which
    makes the second term a cross-entropy worth the name. Its labels are
    smoothed, and that does what j did: the push ends.

    Args:
        labels: Integer classes, `(batch,)` or `(batch, 1)`.
        scores: Negative squared distances to the bitmaps, `(batch, classes)`.

    Returns:
        The loss of each image, `(batch,)`.
    """
    import keras
    from keras import ops

    scores = scores / 10
    labels = ops.one_hot(
        ops.cast(ops.reshape(labels, (-1,)), "int32"), scores.shape[-1]
    )
    pull = -ops.sum(labels * scores, axis=1)
    push = keras.losses.categorical_crossentropy(
        labels, scores, from_logits=True, label_smoothing=0.1
    )
    return pull + push


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(data, "lenet5")
            # The loss is about distances, so training stops short of the
            # softmax, which only turns them into probabilities.
            scorer = keras.Model(
                model.inputs, model.get_layer("negative_distances").output
            )
            scorer.compile(
                optimizer=keras.optimizers.AdamW(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1),
                    weight_decay=config.weight_decay,
                ),
                loss={"ours": ours, "paper": paper}[config.loss],
                metrics=["accuracy"],
            )

        history = training.fit(
            run,
            scorer,
            data.train,
            validation=data.validation,
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
