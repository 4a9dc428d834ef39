"""A restricted Boltzmann machine on MNIST: pixels and features, on or off.

    python -m recipes.mnist_rbm
    python -m recipes.mnist_rbm --chains 0 --steps 3 --momentum 0.9

Nobody tells the machine what to draw, nor which error to make smaller. Its
weights change such that each image becomes a little more probable, and a state
that the machine comes to by itself a little less. For that, chains wander from
state to state all through the training: hidden and visible units decide by
chance, in turns, and a chain goes on where it was at the last batch.

With the second command chains begin at the images each time: contrastive
divergence. It knows better what a missing pixel is, and has never looked far
from the images: chains that begin at noise come to states that are no digits.

The loss of an epoch is the free energy of the images less that of the states
of the chains. It says which way to go, and not how far that is: watch `mse`,
the squared error of an image that went up to the hidden units and down again.

The images are black and white, as in `recipes.mnist_vae`. Expect a pseudo-log-
likelihood (PLL) of -78.1 nats. The report shows what chains draw that begin at
noise, and the weights of the hidden units.

Reference: Hinton 2002 (contrastive divergence); Tieleman 2008 (persistent
chains); Hinton, A practical guide to training restricted Boltzmann machines,
2012.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from recipes.lab.command import Target, command
from recipes.lab.flags import (
    BatchSize,
    Between,
    Count,
    Epochs,
    Rate,
    RunOptions,
    Share,
)
from recipes.lab.metrics import PSEUDO_LIKELIHOOD

DATASET = "mnist"
TARGETS = (Target(PSEUDO_LIKELIHOOD, -80.0),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 500
    """Number of hidden units."""
    steps: Count = 5
    """How often the units are drawn before a weight changes."""
    chains: Annotated[int, Between(0, 100_000)] = 100
    """Persistent chains; 0 for chains that begin at each image."""
    epochs: Epochs = 15
    batch_size: BatchSize = 100
    learning_rate: Rate = 0.05
    """SGD's at the beginning; it falls to a hundredth on a straight line."""
    momentum: Share = 0.0
    """SGD's momentum."""
    run: RunOptions = RunOptions()


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
                "rbm",
                hidden_units=config.hidden_units,
                steps=config.steps,
                chains=config.chains,
            )
            rate = keras.optimizers.schedules.PolynomialDecay(
                config.learning_rate, steps, config.learning_rate / 100
            )
            model.compile(
                optimizer=keras.optimizers.SGD(rate, momentum=config.momentum),
                metrics=["mse"],  # the loss is within the model
            )

        ink = tasks.binarized(data.validation.inputs, seed=1)
        validation = dataclasses.replace(data.validation, inputs=ink)
        task = tasks.EnergyBasedGeneration(data)
        history = training.fit(
            run,
            model,
            data.train.to_reconstruct(),
            validation=validation.to_reconstruct(),
            augment=augmentation.random_ink,
            watch=lambda: task.draw_few(model),
        )

        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
