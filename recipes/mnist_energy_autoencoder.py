"""An autoencoder with codes that are inferred, on MNIST.

    python -m recipes.mnist_energy_autoencoder
    python -m recipes.mnist_energy_autoencoder --agreements 0.1 1 10 100

Beside the weights W there is a code Z for each image X, and all have one
energy, of an encoder g and a decoder h:

    L(X, Z; W) = a |Z - g(X)|^2 + |X - h(Z)|^2

Training takes turns: infer codes of less energy, then move the weights so that
these codes have less. It is the lecture's 784-32-784 network again; a plain
autoencoder is what becomes of it when agreement, a, counts more and more.

Once it is trained, an image may be encoded in either way. The report has the
errors of both. Of g(X), which is what is exported, expect a mean squared error
of 0.0098 per pixel; the inferred code has 0.0068.
The second command draws them against agreement.

Reference: Ranzato, Poultney, Chopra and LeCun 2007; LeCun et al. 2006 (A
tutorial on energy-based learning).
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
)
from recipes.lab.metrics import MSE

DATASET = "mnist"
TARGETS = (Target(MSE, 0.0120),)
Agreement = Annotated[float, Between(1e-4, 1e4)]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    agreement: Agreement = 1.0
    """What the distance between a code and the encoder's is worth."""
    agreements: tuple[Agreement, ...] = ()
    """Further values of it to train with, for the picture."""
    inference_steps: Count = 5
    """Steps downhill that are tried for each code."""
    latent_dim: Count = 32
    """Length of the code."""
    epochs: Epochs = 20
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.02
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        task = tasks.Reconstruction(data)

        def fit(agreement, phase):
            """Train an autoencoder; return it, its scores and its history."""
            # One network that learns in two turns: see
            # recipes/lab/training/energy.py.
            with run.scope():
                model = training.create_model(
                    data, "autoencoder", latent_dim=config.latent_dim
                )
                energy = training.EnergyAutoencoder(
                    model, agreement, config.inference_steps
                )
                energy.compile(
                    keras.optimizers.Adam(
                        training.one_cycle(
                            config.learning_rate, steps, warmup=0.1
                        )
                    )
                )
            history = training.fit(
                run,
                energy,
                data.train.to_reconstruct(),
                validation=data.validation.to_reconstruct(),
                phase=phase,
                quiet=phase != "train",
            )
            scores = task.score(model, data.test, quiet=phase != "train")
            inferred = _error_of_inferred(energy, data.test)
            scores.metrics[f"inferred_{MSE.name}"] = inferred
            return model, scores, history

        model, scores, history = fit(config.agreement, "train")
        lines = {config.agreement: scores.metrics}
        for agreement in sorted({*config.agreements} - {*lines}):
            _, others, _ = fit(agreement, f"agreement-{agreement:g}")
            lines[agreement] = others.metrics
        sections = [_picture(lines)] if len(lines) > 1 else []
        return run.finish(task, model, scores, history, sections=sections)


def _error_of_inferred(energy, split):
    """Return the squared error of pixels that are drawn from inferred codes."""
    import numpy as np

    from recipes.lab.data.splits import in_unit_range

    squares = []
    for part in split.in_batches(1_000):
        pixels = in_unit_range(part.inputs)
        codes = energy.infer(pixels, energy.encode(pixels))
        pictures = energy.decoder(codes).numpy()
        squares.append(np.square(pictures - pixels).ravel())
    return float(np.mean(np.concatenate(squares)))


def _picture(lines: dict):
    """Return the report's section on what agreement is worth."""
    from recipes.lab.report import page

    return lambda plots: page.lines_section(
        plots,
        "agreements",
        heading="Error against agreement",
        caption="Of the test images, drawn from the encoder's codes and from "
        "inferred ones. The more agreement counts, the nearer they are to each "
        "other; to the right is a plain autoencoder.",
        x_label="what agreement is worth",
        y_label="mean squared error per pixel",
        lines={
            label: {a: metrics[name] for a, metrics in lines.items()}
            for label, name in {
                "code of the encoder": MSE.name,
                "inferred code": f"inferred_{MSE.name}",
            }.items()
        },
        log_y=True,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
