"""Inverse graphics on MNIST: a number for how a digit is turned, and no other.

    python -m recipes.mnist_dcign

A variational autoencoder finds a code in which a picture can be told, and what
each number means is up to it. Here four of them are to mean something: how far
a digit is turned, how large it is, how far it is moved right and down. Nobody
tells the network these values. It sees each digit in views that differ in one
of the four alone, and there one number of the code may differ and all others
are clamped to their mean. So that number is left to explain the difference.

The test digits are posed at random, and the report says how well each number
follows its factor and how little the others do: as correlations. Expect 0.85
for the own factor, in the mean over the four. Moving one number turns a digit,
and leaves it the digit that it is.

Reference: Kulkarni, Whitney, Kohli and Tenenbaum 2015; Kingma and Welling 2014.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import FACTOR_CORRELATION, OTHER_CORRELATION

DATASET = "mnist"
TARGETS = (Target(FACTOR_CORRELATION, 0.80), Target(OTHER_CORRELATION, 0.40))
INK_SEED = 1  # of the validation images, the same for every run


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    latent_dim: Count = 24
    """Length of the code, of which four numbers are graphics codes."""
    views: Count = 4
    """Views of a digit that differ in one factor, two or more."""
    importance_samples: Count = 100
    """Codes that the likelihood of a test image is estimated from."""
    epochs: Epochs = 4
    batch_size: Count = 16
    """Digits in one step; each is seen in `views` views."""
    learning_rate: Rate = 0.002
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def nats_of_ink(pixels, pictures):
    """Return the nats that a picture leaves open about the pixels of an image.

    The layers `clamping` and `sampling` of the model add the rest of the loss.
    """
    from keras import ops

    nats = ops.binary_crossentropy(pixels, pictures)
    return ops.sum(nats, axis=(1, 2, 3))


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import dataclasses

    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation, poses

    factors = poses.FACTORS

    def augment(images, draw):
        """Return black and white views of the digits of a batch."""
        views = poses.views_by_factor(images, draw, config.views)
        count = len(factors) * config.views
        return augmentation.random_ink(views, draw, count)

    with runs.open_run(config, DATASET) as run:
        steps = training.steps(run)
        # What is watched and what is scored is in poses of one seed.
        data, values = poses.in_random_poses(run.data)
        ink = tasks.binarized(data.validation.inputs, INK_SEED)
        validation = dataclasses.replace(data.validation, inputs=ink)

        with run.scope():
            model = training.create_model(
                data,
                "dcign",
                latent_dim=config.latent_dim,
                factors=len(factors),
                views=config.views,
            )
            model.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1),
                    global_clipnorm=500.0,  # an outlier's is up to 1e7
                ),
                loss=nats_of_ink,
            )
        task = tasks.InverseGraphics(
            *(data, config.importance_samples, factors, values)
        )
        history = training.fit(
            run,
            model,
            data.train.to_reconstruct(),
            validation=validation.to_reconstruct(),
            augment=augment,
            watch=lambda: task.draw_few(model),
        )

        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
