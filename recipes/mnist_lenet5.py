"""LeNet-5 of 1998 on MNIST, with the paper's own loss.

    python -m recipes.mnist_lenet5

The paper reports 0.95 % error without distorted training images. The network
here is the paper's, down to the connection table of C3 and the bitmaps that the
output compares with, and so is the loss, equation 9. Only the optimizer is of
our days: Adam instead of stochastic diagonal Levenberg-Marquardt.

Reference: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to
document recognition, 1998.
"""

import sys
from dataclasses import dataclass

from recipes._config import RunOptions, Target, run_command

DATASET = "mnist"
TARGETS = (Target("test_accuracy", 0.9905),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: int = 20
    """How often training sees every image."""
    batch_size: int = 128
    """Images in one step, over all devices."""
    learning_rate: float = 0.002
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def map_loss(labels, scores):
    """Pull towards the right bitmap, push away from all others: equation 9.

    With y_i for the distance to bitmap i and D for the right one, the loss is
    y_D + log(exp(-j) + sum_i exp(-y_i)). The constant j stands for whatever is
    no digit; without it the push would never end.

    Args:
        labels: Integer classes, `(batch,)` or `(batch, 1)`.
        scores: Negative squared distances to the bitmaps, `(batch, 10)`.

    Returns:
        The loss of each image, `(batch,)`.
    """
    from keras import ops

    labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    right = ops.take_along_axis(scores, labels, axis=1)
    no_digit = ops.full_like(right, -0.1)
    everything = ops.concatenate([scores, no_digit], axis=1)
    return ops.logsumexp(everything, axis=1) - ops.squeeze(right, axis=1)


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes import _data, _devices, _export, _report, _runs, _training

    devices = _devices.set_up(config.run, config.batch_size)
    data = _data.load(DATASET, config.run)
    steps = config.epochs * _data.steps_per_epoch(data.train, config.batch_size)

    with _runs.open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model("lenet5")
            # The loss is about distances, so training stops short of the
            # softmax, which only turns them into probabilities.
            scorer = keras.Model(
                model.inputs, model.get_layer("negative_distances").output
            )
            scorer.compile(
                optimizer=keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(
                        config.learning_rate / 10,
                        warmup_target=config.learning_rate,
                        warmup_steps=steps // 5,
                        decay_steps=steps - steps // 5,
                    )
                ),
                loss=map_loss,
                metrics=["accuracy"],
            )

        history = _training.fit(
            run,
            scorer,
            data.train,
            batch_size=config.batch_size,
            epochs=config.epochs,
            validation=data.validation,
        )

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
