"""Deblurring with a generative adversarial network, on Fashion-MNIST.

    python -m recipes.fashion_mnist_deblurring_gan

A telescope blurs what it looks at, and adds noise. A Wiener filter that knows
the blur, the noise and how pictures are in the mean undoes as much of that as a
filter can that is linear and the same everywhere. A network that has seen many
pictures draws what is behind the blur: Schawinski et al. restored galaxies so,
and here they are clothes.

The error of the pixels alone would teach it to draw the middle of all that may
be there, which is smooth. So a discriminator sees the blurred picture beside
the sharp one, and learns to tell true ones from drawn ones. Expect a ratio of
signal to noise of 20.0 dB, where the Wiener filter has 17.5. The report has the
pictures as they were, blurred, by the Wiener filter and by the network.

Every training picture is blurred under new noise in each epoch.

Reference: Schawinski, Zhang, Zhang, Fowler and Santhanam 2017; Isola, Zhu, Zhou
and Efros 2017.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from recipes.lab.command import Target, command
from recipes.lab.flags import (
    Amount,
    BatchSize,
    Between,
    Epochs,
    Rate,
    RunOptions,
)
from recipes.lab.metrics import PSNR, SSIM

DATASET = "fashion_mnist"
TARGETS = (Target(PSNR, 19.0), Target(SSIM, 0.65))


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    blur: Annotated[float, Between(0.1, 10.0)] = 1.5
    """Standard deviation of the point-spread function, in pixels."""
    noise: Amount = 0.1
    """Standard deviation of the noise; 1 is the range of a pixel."""
    pixel_weight: Amount = 50.0
    """What the absolute error of a pixel counts beside the game."""
    epochs: Epochs = 12
    batch_size: BatchSize = 64
    learning_rate: Rate = 0.001
    """Of both Adams, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import degradation

    level = config.blur, config.noise
    with runs.open_run(config, DATASET) as run:
        data = degradation.to_restore(run.data, *level)
        task = tasks.Restoration(data, *level)
        rate = training.one_cycle(
            config.learning_rate, training.steps(run), warmup=0.1
        )

        # Two networks and two optimizers, which take turns: see
        # recipes/lab/training/restoring.py.
        with run.scope():
            model = training.create_model(data, "deblurring_gan")
            generator = model.get_layer("generator")
            game = training.AdversarialRestoration(
                *(generator, model.get_layer("discriminator")),
                config.pixel_weight,
            )
            # A short memory suits a target that moves, hence the low betas.
            # What is exported is the average of the last 1,000 steps or so.
            game.compile(
                keras.optimizers.Adam(
                    *(rate, 0.5, 0.99), use_ema=True, ema_momentum=0.999
                ),
                keras.optimizers.Adam(rate, 0.5, 0.99),
            )
        # What comes of it takes raw pixels; the game gets them in [0, 1].
        pixels = model.get_layer("rescaling").output
        restorer = keras.Model(model.input, generator(pixels), name="restorer")

        history = training.fit(
            *(run, game, data.train),
            validation=data.validation,
            augment=degradation.random_degradation(*level),
            watch=lambda: task.draw_few(restorer),
        )

        scores = task.score(restorer, data.test)
        return run.finish(task, restorer, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
