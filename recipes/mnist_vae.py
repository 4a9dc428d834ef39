"""A variational autoencoder on MNIST: digits that nobody wrote.

    python -m recipes.mnist_vae

The encoder answers with a distribution of codes instead of one code, and is
pulled towards a standard normal one. So the decoder knows a code that is drawn
from the normal one, and draws a digit. Expect 88 nats for a test image, its
negative log-likelihood, after four minutes on two CPU cores. To estimate it
from 5,000 codes for each image takes as long again; fewer
`--importance-samples` take less, and give a worse bound.

The images are black and white: chance makes each pixel ink as often as its
brightness says, anew in every epoch, and in the same way for every run when
they are validated and tested. So the numbers are likelihoods of images, and
comparable with those of the literature on dynamically binarized MNIST.

Reference: Kingma and Welling 2014; Burda, Grosse and Salakhutdinov 2016.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import NEGATIVE_ELBO, NLL

DATASET = "mnist"
TARGETS = (Target(NLL, 90.0), Target(NEGATIVE_ELBO, 95.0))
INK_SEED = 1  # of the validation images, the same for every run


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: tuple[Count, ...] = (160, 160)
    """Widths of the encoder's hidden layers; the decoder has them in reverse.

    The paper has (200, 200), and codes of 50 numbers, which make larger files.
    """
    latent_dim: Count = 40
    """Length of the code."""
    importance_samples: Count = 5_000
    """Codes that the likelihood of a test image is estimated from."""
    epochs: Epochs = 200
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.005
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def nats_of_ink(pixels, pictures):
    """Return the nats that a picture leaves open about the pixels of an image.

    That is the first term of the negative ELBO, `(batch,)`. The layer
    `sampling` of the model adds the second.
    """
    from keras import ops

    nats = ops.binary_crossentropy(pixels, pictures)
    return ops.sum(nats, axis=(1, 2, 3))


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import dataclasses

    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(
                data,
                "vae",
                hidden_units=config.hidden_units,
                latent_dim=config.latent_dim,
            )
            model.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1),
                    global_clipnorm=500.0,  # an outlier's is up to 1e7
                ),
                loss=nats_of_ink,
            )

        # The ELBO is of codes that are drawn, in validation, too. Afterwards
        # the model takes the mean code, and answers the same each time.
        sampling = model.get_layer("sampling")
        sampling.draws_always = True
        ink = tasks.binarized(data.validation.inputs, INK_SEED)
        validation = dataclasses.replace(data.validation, inputs=ink)
        task = tasks.VariationalGeneration(data, config.importance_samples)
        history = training.fit(
            run,
            model,
            data.train.to_reconstruct(),
            validation=validation.to_reconstruct(),
            augment=augmentation.random_ink,
            watch=lambda: task.draw_few(model),
        )
        sampling.draws_always = False

        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
