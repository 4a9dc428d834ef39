"""A Kohonen network on MNIST: digits find their places on a map.

    python -m recipes.mnist_kohonen

Each unit of a sheet has a prototype, an image of its own. An image goes to the
unit whose prototype is nearest, and all units around take a part of it: so
neighbors become alike, and the sheet becomes a map of the images. Their radius
shrinks from epoch to epoch. Nobody tells the map which digit is which; a layer
behind it, computed at the end, names the classes on it.

Two errors tell how good the map is: how far images are from their prototypes
(quantization), and how often the two nearest units are no neighbors on the map
(topographic). Expect a quantization error of 5.2. An epoch shows some of the
images, others each time.

Reference: Kohonen 1982; Kohonen 2013 (the rule for many images at a time).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, Count, Epochs, RunOptions
from recipes.lab.metrics import ACCURACY, QUANTIZATION, TOPOGRAPHIC

DATASET = "mnist"
TARGETS = (
    Target(QUANTIZATION, 5.279),
    Target(TOPOGRAPHIC, 0.072),
    Target(ACCURACY, 0.82),
)
SHARPNESSES = (0.1, 0.2, 0.4, 0.8)  # validation chooses


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    rows: Count = 20
    """Units of the map from top to bottom."""
    columns: Count = 20
    """Units of the map from left to right."""
    images: Count = 4000
    """Images that an epoch shows."""
    first_radius: Amount = 7.0
    """How far a winner takes its neighbors along in the first epoch."""
    last_radius: Amount = 1.0
    """And in the last one."""
    epochs: Epochs = 20
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.errors import UsageError
    from recipes.lab.training import closed_form, normal_equations

    with runs.open_run(config, DATASET) as run:
        if not 0 < config.last_radius <= config.first_radius:
            raise UsageError(
                "--last-radius must be above 0 and at most --first-radius, "
                f"{config.first_radius}. Received: {config.last_radius}"
            )
        data = run.data
        model = training.create_model(
            data,
            "kohonen",
            rows=config.rows,
            columns=config.columns,
            radius=config.first_radius,
        )
        sheet = model.get_layer("map")

        # The prototypes begin as images, each of which may be anywhere.
        pixels = zoo.feature_extractor(model, "flatten")
        random = np.random.default_rng(run.options.seed)
        units = config.rows * config.columns
        chosen = random.integers(len(data.train), size=units)
        sheet.prototypes.assign(
            tasks.features_of(pixels, data.train[chosen]).inputs
        )
        rows = tasks.features_of(pixels, data.test).inputs
        at_first = closed_form.map_errors(sheet, rows)

        ratio = config.last_radius / config.first_radius
        moved = closed_form.fit(
            run,
            model,
            closed_form.self_organizing_map(
                *(model, sheet),
                images=config.images,
                shrinking=ratio ** (1 / max(1, config.epochs - 1)),
            ),
            data.train,
            validation=data.validation,
            phase="map",
        )

        # The classes on the map: ridge regression from what its units answer.
        one_hot = np.eye(data.num_classes)
        extractor = zoo.feature_extractor(model)

        def equations_of(split):
            equations = normal_equations.NormalEquations()
            features = tasks.features_of(extractor, split).inputs
            equations.add(features, one_hot[split.targets])
            return equations, features

        def solution():
            """Compute the sharpness and the last layer; return the metrics."""
            best = None
            for sharpness in SHARPNESSES:
                sheet.factor.assign([sharpness])
                fitted, _ = equations_of(data.train)
                watched, features = equations_of(data.validation)
                kernel, bias = fitted.solve(penalty=1.0)
                error = watched.error(kernel, bias)
                if best is None or error < best["val_loss"]:
                    best = {"loss": fitted.error(kernel, bias)}
                    best |= {"val_loss": error, "sharpness": sharpness}
                    chosen = kernel, bias, features @ kernel + bias
            kernel, bias, scores = chosen
            labels = data.validation.targets
            factor = normal_equations.sharpness(scores, labels)
            sheet.factor.assign([best["sharpness"]])
            model.get_layer("predictions").set_weights(
                [factor * kernel, factor * bias]
            )
            right = scores.argmax(axis=1) == labels
            return {**best, "val_accuracy": np.mean(right), "factor": factor}

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        errors = {"": closed_form.map_errors(sheet, rows), "first_": at_first}
        for owner, (quantization, topographic) in errors.items():
            scores.metrics[f"{owner}{QUANTIZATION.name}"] = quantization
            scores.metrics[f"{owner}{TOPOGRAPHIC.name}"] = topographic
        return run.finish(
            *(task, model, scores, moved, history), sections=[_picture(model)]
        )


def _picture(model):
    """Return the report's section with the map."""
    import numpy as np

    from recipes.lab.report import page

    sheet = model.get_layer("map")
    height, width, channels = model.input_shape[1:]
    pictures = sheet.prototypes.numpy().reshape(
        sheet.rows, sheet.columns, height, width, channels
    )
    whole = pictures.transpose(0, 2, 1, 3, 4).reshape(
        sheet.rows * height, sheet.columns * width, channels
    )
    caption = (
        f"The prototypes of all {sheet.rows} × {sheet.columns} units, where "
        "they are on the map. Neighbors are alike: from one digit to another "
        "there is a way of small steps."
    )

    def section(plots):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.8, 8.8 * whole.shape[0] / whole.shape[1]))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(np.clip(whole, 0, 1).squeeze(), cmap="gray", aspect="auto")
        axes.set_axis_off()
        alt = f"A map of {sheet.rows * sheet.columns} images of digits."
        html = page.figure_html(plots / "map.png", figure, alt)
        return "The map", caption, html

    return section


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
