"""A sparse autoencoder on MNIST: a long code, used sparingly.

    python -m recipes.mnist_sparse_autoencoder

A code of 128 numbers has room for most of what there is to say. An activity
regularizer, an L1 penalty on the code, makes each number cost something: so an
image gets fewer of them, and smaller ones. Expect a mean squared error of
0.0021 per pixel. The same network without the penalty is trained beside it,
from the same weights. The report has the mean activation
of the code before training, and after it with and without the penalty.

Reference: Olshausen and Field 1996; Ng 2011 (Sparse autoencoder); Chollet,
Building autoencoders in Keras, 2016.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import MEAN_ACTIVATION, MSE

DATASET = "mnist"
TARGETS = (Target(MSE, 0.0080), Target(MEAN_ACTIVATION, 2.0))


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    sparsity: Amount = 1e-5
    """Weight of the L1 penalty on the code."""
    latent_dim: Count = 128
    """Length of the code."""
    epochs: Epochs = 20
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        task = tasks.Reconstruction(data)
        activity = {}  # of each unit of the code, in the mean over images

        def measure(model, when):
            """Note how active the code is on the test images."""
            encoder = zoo.feature_extractor(model)
            activity[when] = tasks.features_of(encoder, data.test).inputs

        def fit(sparsity, phase, when):
            """Train an autoencoder with a penalty, or none; score it."""
            training.seed_repeat(run, 0)  # both begin with the same weights
            with run.scope():
                model = training.create_model(
                    data,
                    "autoencoder",
                    latent_dim=config.latent_dim,
                    code_activation="relu",
                    sparsity=sparsity,
                )
                model.compile(
                    optimizer=keras.optimizers.Adam(
                        training.one_cycle(
                            config.learning_rate, steps, warmup=0.1
                        )
                    ),
                    loss="mse",
                    metrics=["mse"],  # the loss without the penalty
                )
            measure(model, "before training")
            history = training.fit(
                run,
                model,
                data.train.to_reconstruct(),
                validation=data.validation.to_reconstruct(),
                phase=phase,
                quiet=phase != "train",
            )
            measure(model, when)
            return model, history, task.score(model, data.test)

        _, plain_history, plain = fit(0.0, "plain", "without it")
        model, history, scores = fit(config.sparsity, "train", "with a penalty")
        for whose, when in {
            "": "with a penalty",
            "plain_": "without it",
            "untrained_": "before training",
        }.items():
            mean = float(activity[when].mean())
            scores.metrics[whose + MEAN_ACTIVATION.name] = mean
        scores.metrics[f"plain_{MSE.name}"] = plain.metrics[MSE.name]
        return run.finish(
            *(task, model, scores, history, plain_history),
            sections=[_activities(activity)],
        )


def _activities(activity: dict):
    """Return the report's section on how active the code is."""
    import numpy as np

    from recipes.lab.report import comparisons, page

    lines = {
        when: dict(enumerate(np.sort(codes.mean(axis=0))[::-1, None].tolist()))
        for when, codes in activity.items()
    }
    rows = [
        (
            when,
            MEAN_ACTIVATION.write(codes.mean()),
            f"{100 * np.mean(codes > 0):.1f} %",
            f"{100 * np.mean((codes > 0).any(axis=0)):.1f} %",
        )
        for when, codes in activity.items()
    ]
    header = (
        *("", "mean activation", "units active for an image"),
        "units active for any",
    )
    panel = comparisons.Panel(
        lines, "units of the code, the busiest first", "mean activation"
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "activity"),
        heading="How active the code is",
        caption="Over the test images. A unit is active where it is not zero.",
        panels=[panel],
        html=page.table(rows, header),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
