"""The deep autoencoder of 2006 on MNIST: 784-1000-500-250-30 and back.

    python -m recipes.mnist_autoencoder_2006

With this network Hinton and Salakhutdinov showed that deep autoencoders can be
trained at all: a stack of Boltzmann machines found weights to start from, and
back-propagation went on from there. It left 3.00 of squared error an image,
0.00383 a pixel, where PCA of 30 components leaves 13.87 and logistic PCA 8.01.

Here no pre-training is needed: the activation does not saturate, and Muon makes
the update of each inner matrix orthogonal, so that small singular values learn
as fast as large ones. The two matrices at the pixels, which are the largest,
have Adam. It learns so well that it would memorize the training images: so each
is moved by up to a pixel whenever it is seen. PCA and logistic PCA run beside
it. Expect a mean squared error of 0.0026 per pixel.

With 2.8 million weights the export is larger than those that ship.

Reference: Hinton and Salakhutdinov 2006; Schein, Saul and Ungar 2003 (logistic
PCA); Jordan et al. 2024 (Muon).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import MSE

DATASET = "mnist"
TARGETS = (Target(MSE, 0.0033),)
PAPER = {  # squared error of an image
    "the network of 2006": 3.00,
    "logistic PCA of 2006": 8.01,
    "PCA of 2006": 13.87,
}


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: tuple[Count, ...] = (1_000, 500, 250)
    """Width of each hidden layer; the decoder has them in reverse."""
    latent_dim: Count = 30
    """Length of the code."""
    epochs: Epochs = 60
    batch_size: BatchSize = 512
    learning_rate: Rate = 0.01
    """Muon's, at its peak after a tenth of the steps; Adam's is a fifth."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(
                data,
                "deep_autoencoder",
                hidden_units=config.hidden_units,
                latent_dim=config.latent_dim,
            )
            model.compile(
                optimizer=keras.optimizers.Muon(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1),
                    exclude_layers=["hidden1/", "pixels/"],
                    adam_lr_ratio=0.2,
                ),
                loss="mse",
            )

        history = training.fit(
            run,
            model,
            data.train.to_reconstruct(),
            validation=data.validation.to_reconstruct(),
            augment=augmentation.random_shift,
        )

        task = tasks.Reconstruction(data)
        scores = task.score(model, data.test)
        length = config.latent_dim
        print(f"fitting PCA and logistic PCA of {length} components")
        pca = tasks.score_pca(data, [length])[length]
        scores.metrics["pca_test_mse"] = pca
        logistic = tasks.score_logistic_pca(data, length)
        scores.metrics["logistic_pca_test_mse"] = logistic
        found = {
            "this network": scores.metrics[MSE.name],
            "logistic PCA": logistic,
            "PCA, clipped to [0, 1]": pca,
        }
        pixels = data.test.inputs[0].size
        return run.finish(
            *(task, model, scores, history),
            sections=[_beside_others(found, pixels)],
        )


def _beside_others(found: dict, pixels: int):
    """Return the report's section with the errors of several methods.

    Args:
        found: Name of each method to its mean squared error of a pixel.
        pixels: Number of pixels of an image.
    """
    from recipes.lab.report import page

    rows = [
        (name, f"{error:.5f}", f"{pixels * error:.2f}")
        for name, error in found.items()
    ]
    rows += [
        (name, f"{error / 784:.5f}", f"{error:.2f}")
        for name, error in PAPER.items()
    ]
    caption = (
        "Squared error of the test images, which lie in [0, 1]. The last three "
        "rows are what Hinton and Salakhutdinov (2006) state of MNIST."
    )
    table = page.table(rows, ("", "a pixel", "an image"))
    return lambda plots: ("As many numbers, three ways", caption, table)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
