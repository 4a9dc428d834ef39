"""A radial basis function network on MNIST: a thousand centers, one solution.

    python -m recipes.mnist_radial_basis

Each hidden unit has a center, an image of its own, and answers to images near
it. Where the centers are, k-means decides, which knows no classes: in the
middle of groups of images. Then the last layer is computed, by ridge regression
from the answers to the ten classes. No gradient trains anything. Expect 3.2 %
mistakes.

The report shows the centers. Many look like digits that somebody has written,
for they are means of images that are much alike.

Reference: Moody and Darken 1989; Lloyd 1982 (k-means); LeCun et al. 1998, whose
network of a thousand such units made 3.6 % mistakes.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.964),)
# Of the Gaussians, in root mean squared distances from the nearest center, and
# of the squared weights; validation chooses.
WIDTHS = (1.0, 1.4, 2.0)
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
SHOWN = 60  # centers, in the report


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    centers: Count = 1000
    """Number of centers; at most as many as training images."""
    epochs: Count = 6
    """How often k-means moves them."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.errors import UsageError
    from recipes.lab.training import closed_form, normal_equations

    with runs.open_run(config, DATASET) as run:
        data = run.data
        if config.centers > len(data.train):
            raise UsageError(
                f"--centers must be at most {len(data.train):,}, for so many "
                f"training images. Received: {config.centers}"
            )
        model = training.create_model(
            data, "radial_basis", centers=config.centers
        )
        kernels = model.get_layer("kernels")

        # The centers: images that are drawn, moved to the means around them.
        random = np.random.default_rng(run.options.seed)
        chosen = random.choice(len(data.train), config.centers, replace=False)
        pixels = zoo.feature_extractor(model, "flatten")
        drawn = tasks.features_of(pixels, data.train[chosen])
        kernels.centers.assign(drawn.inputs)
        moved = closed_form.fit(
            run,
            model,
            closed_form.k_means(model, kernels),
            data.train,
            validation=data.validation,
            phase="centers",
            quiet=True,
        )
        distance = np.sqrt(moved["loss"][-1])

        # The rest: ridge regression, as of an extreme learning machine.
        one_hot = np.eye(data.num_classes)
        extractor = zoo.feature_extractor(model)

        def equations_of(split):
            """Add up, batch by batch, what ridge regression has to solve."""
            equations = normal_equations.NormalEquations()
            for batch in split.in_batches(5_000):
                batch = tasks.features_of(extractor, batch)
                equations.add(batch.inputs, one_hot[batch.targets])
            return equations

        def solution():
            """Compute the width and the last layer; return the metrics."""
            best = None
            for width in WIDTHS:
                kernels.widths.assign([width * distance])
                fitted = equations_of(data.train)
                watched = equations_of(data.validation)
                for penalty in PENALTIES:
                    solved = fitted.solve(penalty)
                    error = watched.error(*solved)
                    if best is None or error < best["val_loss"]:
                        kernel, bias = solved
                        best = {"loss": fitted.error(*solved)}
                        best |= {"val_loss": error, "penalty": penalty}
                        best["width"] = width * distance
            kernels.widths.assign([best["width"]])
            validation = tasks.features_of(extractor, data.validation)
            scores = validation.inputs @ kernel + bias
            factor = normal_equations.sharpness(scores, validation.targets)
            model.get_layer("predictions").set_weights(
                [factor * kernel, factor * bias]
            )
            right = scores.argmax(axis=1) == validation.targets
            return {**best, "val_accuracy": np.mean(right), "factor": factor}

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(
            *(task, model, scores, history, moved), sections=[_centers(model)]
        )


def _centers(model):
    """Return the report's section with the centers, as images."""
    from recipes.lab.report import page

    *shape, channels = model.input_shape[1:]
    centers = model.get_layer("kernels").centers.numpy()[:SHOWN]
    pictures = centers.reshape(-1, *shape, channels)
    caption = (
        f"The first {len(pictures)}, none chosen. A hidden unit answers to "
        "images near its center: each center is the mean of those that are "
        "nearer to it than to any other."
    )

    def section(plots):
        figure = page.tiles(pictures, None, 10, cmap="gray", limits=(0, 1))
        alt = f"{len(pictures)} centers as images."
        html = page.figure_html(plots / "centers.png", figure, alt)
        return "The centers", caption, html

    return section


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
