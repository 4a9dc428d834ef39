"""A generative adversarial network (GAN) on MNIST: a forger and a critic.

    python -m recipes.mnist_gan
    python -m recipes.mnist_gan --network gan

The generator draws digits from noise; the discriminator learns to tell them
from real ones; the generator learns to draw what the discriminator takes for
real. No loss says how good the pictures are, so the network of `mnist_cnn`, as
it ships, judges them. Expect a classifier score of 9.6 to 9.8 after a quarter
of an hour on two CPU cores; 10 is the most, and the real test images get 9.8.

With the second command both networks are of dense layers, as in 2014.

Reference: Goodfellow et al. 2014; Radford, Metz and Chintala 2016; Mescheder,
Geiger and Nowozin 2018 (the penalty).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import CLASSES_DRAWN, CLASSIFIER_SCORE

DATASET = "mnist"
TARGETS = (Target(CLASSIFIER_SCORE, 9.4), Target(CLASSES_DRAWN, 10))
PENALTY = {"dcgan": 0.0, "gan": 1.0}  # on the discriminator's slope


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    network: Literal["dcgan", "gan"] = "dcgan"
    """Of convolutions, or of dense layers alone as in 2014."""
    latent_dim: Count = 64
    """Length of the code that a picture is drawn from, for dcgan 10 or more."""
    epochs: Epochs = 20
    batch_size: BatchSize = 64
    learning_rate: Rate = 0.001
    """Of both Adams, at its peak after a twentieth of the steps."""
    judge: str = "mnist_cnn@shipped"
    """Name or path of the export of a classifier of the same classes."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.inputs.noise import Noise

    loads = (config.judge,)
    with runs.open_run(config, DATASET, loads=loads) as run:
        data, steps = run.data, training.steps(run)
        judge = tasks.load_judge(config.judge, data)
        task = tasks.Generation(data, Noise(config.latent_dim), judge)
        with run.scope():
            model = training.create_model(
                *(data, config.network),
                image_shape=data.inputs.shape,
                latent_dim=config.latent_dim,
            )

        # Two networks and two optimizers, which take turns: see
        # recipes/lab/training/adversarial.py.
        with run.scope():
            generator = model.get_layer("generator")
            game = training.Adversarial(
                *(generator, model.get_layer("discriminator")),
                penalty=PENALTY[config.network],
            )
            rate = training.one_cycle(config.learning_rate, steps, warmup=0.05)
            # A short memory suits a target that moves, hence the low betas.
            # What is exported is the average of the generator's last 1,000
            # steps or so: at each of them it runs after the discriminator.
            game.compile(
                keras.optimizers.Adam(
                    *(rate, 0.5, 0.99), use_ema=True, ema_momentum=0.999
                ),
                keras.optimizers.Adam(rate, 0.5, 0.99),
            )

        history = training.fit(
            run,
            game,
            data.train.to_reconstruct(),
            validation=data.validation.to_reconstruct(),
            watch=lambda: task.draw_few(generator),
        )

        scores = task.score(generator, data.test)
        return run.finish(task, generator, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
