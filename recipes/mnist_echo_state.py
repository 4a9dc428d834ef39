"""An echo state network on MNIST: memories drawn at random, and one solution.

    python -m recipes.mnist_echo_state

A reservoir is a recurrent network that nobody trains. It reads an image row by
row, and each state is an echo of the rows so far, the fainter the longer ago.
Another one reads it column by column. What is computed is one layer behind
them, by ridge regression from the means of their states to the ten classes: no
gradient has to find its way back through time. Expect 98.6 %.

The only epoch is one pass over the images. Interrupted in it, the same command
repeats it. The report shows the states on their way, and the eigenvalues of the
weights that keep an echo from growing.

Reference: Jaeger 2001; Schaetti, Salomon and Couturier 2016 (MNIST).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, Count, RunOptions, Share
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.985),)
# Of the squared weights; validation chooses.
PENALTIES = (0.001, 0.01, 0.1, 1.0)
SHOWN, UNITS_SHOWN = 5, 150  # images, and their states in one reservoir


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    units: Count = 1000
    """Units of each of the two reservoirs."""
    spectral_radius: Amount = 0.9
    """Largest absolute eigenvalue of the weights between them."""
    leak: Share = 0.3
    """Which share of a state is new at each step."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form, normal_equations
    from zoo import reservoirs

    with runs.open_run(config, DATASET) as run:
        data = run.data
        model = training.create_model(
            data,
            "echo_state",
            units=config.units,
            spectral_radius=config.spectral_radius,
            leak=config.leak,
        )
        extractor = zoo.feature_extractor(model)

        def features(split):
            return tasks.features_of(extractor, split).inputs

        def solution():
            """Compute the weights of the last layer; return the metrics."""
            *weights, metrics = normal_equations.regress_classes(
                features, data, PENALTIES
            )
            model.get_layer("predictions").set_weights(weights)
            return metrics

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        for name, layer in _reservoirs(model).items():
            scores.metrics[f"{name}_spectral_radius"] = (
                reservoirs.spectral_radius(layer.recurrent_kernel)
            )
        return run.finish(
            *(task, model, scores, history),
            sections=[_states(model, data.test), _eigenvalues(model)],
        )


def _states(model, split):
    """Return the report's section on the states of a reservoir on their way."""
    import zoo
    from recipes.lab import tasks
    from recipes.lab.report import page

    shown, reservoir = split[:SHOWN], zoo.feature_extractor(model, "down")
    images, states = shown.inputs, tasks.features_of(reservoir, shown).inputs
    states = states[..., :UNITS_SHOWN]
    caption = (
        "The first test images, and what the reservoir that reads them from "
        f"the top makes of them: a column for each of {states.shape[-1]} "
        "units, in the order of where they end for the first image, and a row "
        "for each row of the image. What was read is in the states for a while "
        "after it."
    )

    def section(plots):
        from matplotlib.figure import Figure

        order = states[0, -1].argsort()
        figure = Figure(figsize=(8.8, 1.5 * len(images)), layout="constrained")
        grid = figure.subplots(
            *(len(images), 2), squeeze=False, width_ratios=(1, 4.6)
        )
        for (left, right), image, state in zip(
            grid, images, states, strict=True
        ):
            left.imshow(image.squeeze(), cmap="gray", aspect="auto")
            drawn = right.imshow(
                *(state[:, order], "RdBu"), vmin=-1, vmax=1, aspect="auto"
            )
            for axes in (left, right):
                axes.set_xticks([])
                axes.set_yticks([])
        grid[-1, 1].set_xlabel("units")
        figure.colorbar(drawn, ax=grid[:, 1], label="state", aspect=40)
        alt = f"{len(images)} images, and the states of a reservoir."
        html = page.figure_html(plots / "states.png", figure, alt)
        return "What a reservoir makes of an image", caption, html

    return section


def _eigenvalues(model):
    """Return the report's section on the eigenvalues of the weights."""
    import numpy as np

    from recipes.lab.report import page
    from zoo import reservoirs

    found = _reservoirs(model)
    caption = (
        "The weights between the units of each reservoir have these "
        "eigenvalues, the largest of which is its spectral radius: measured, "
        "above each plot. As long as all are within the dashed circle of "
        "radius 1 an echo fades."
    )

    def section(plots):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.8, 4.6), layout="constrained")
        grid = figure.subplots(1, len(found), sharey=True)
        circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
        for axes, (name, layer) in zip(grid, found.items(), strict=True):
            kernel = layer.recurrent_kernel.numpy().astype("float64")
            values = np.linalg.eigvals(kernel)
            axes.plot(circle.real, circle.imag, "--", color=page.INK)
            axes.plot(
                *(values.real, values.imag, "."),
                color=page.TRAINING,
                markersize=3,
            )
            radius = reservoirs.spectral_radius(kernel)
            axes.set_title(f"{name}: {radius:.4f}", fontsize="medium")
            axes.set_xlabel("real part")
            axes.set_aspect("equal")
            axes.spines[["top", "right"]].set_visible(False)
        grid[0].set_ylabel("imaginary part")
        alt = "Eigenvalues of matrices, within a circle."
        html = page.figure_html(plots / "eigenvalues.png", figure, alt)
        return "The spectral radius", caption, html

    return section


def _reservoirs(model):
    """Return the reservoirs of a network, by what they read."""
    from zoo.reservoirs import Reservoir

    return {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, Reservoir)
    }


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
