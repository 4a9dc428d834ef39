"""A liquid state machine on MNIST: spikes that a digit stirs up.

    python -m recipes.mnist_liquid_state

Two pools of neurons that fire, or do not, are joined at random, as in a piece
of cortex. Into one of them an image falls row by row, into the other column by
column, like stones into water. Nobody trains the pools: a layer behind them is
computed, by ridge regression from the number of spikes of each neuron in four
windows of time to the ten classes. Expect 94.4 %. The same regression from the
pixels themselves, in the same run, shows what the liquid is worth: it has 86 %.

The report shows the spikes, and what makes them useful: two images that are a
little apart stir up states that are a little apart, and the farther the images
the farther the states (the separation property).

Reference: Maass, Natschläger and Markram 2002.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, Count, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9225),)
# Of the squared weights; validation chooses.
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
SHOWN = 3  # images, with their spikes
PAIRS = 200  # of images, to measure the separation
SHARES = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)  # of the other image in a mixture
FADING = 0.9  # what is left of a spike in a state, one step later


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    layers: Count = 5
    """A pool is a grid of so many layers of 8 x 8 neurons."""
    strength: Amount = 0.03125
    """The mean weight between two neurons; a neuron fires at 1."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form, normal_equations

    with runs.open_run(config, DATASET) as run:
        data = run.data
        model = training.create_model(
            data,
            "liquid_state",
            grid=(config.layers, 8, 8),
            strength=config.strength,
        )
        extractor = zoo.feature_extractor(model)

        def spikes(split):
            return tasks.features_of(extractor, split).inputs

        def pixels(split):
            return split.inputs.reshape(len(split), -1) / np.float32(255)

        def solution():
            """Compute the weights of the last layer; return the metrics."""
            *weights, metrics = normal_equations.regress_classes(
                spikes, data, PENALTIES
            )
            model.get_layer("predictions").set_weights(weights)
            return metrics

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        kernel, bias, _ = normal_equations.regress_classes(
            pixels, data, PENALTIES
        )
        answers = (pixels(data.test) @ kernel + bias).argmax(axis=1)
        of_pixels = float(np.mean(answers == data.test.targets))
        scores.metrics[f"ridge_on_pixels_{ACCURACY.name}"] = of_pixels
        return run.finish(
            *(task, model, scores, history),
            sections=[_raster(model, data.test), _separation(model, data.test)],
        )


def _spikes(model, images):
    """Return which neurons of the pool that reads rows fire, and when.

    Returns:
        0 or 1, `(n, steps, neurons)`.
    """
    import numpy as np

    import zoo

    rows = zoo.feature_extractor(model, "rows")(images)
    return np.stack(model.get_layer("down").spikes(rows), axis=1)


def _raster(model, split):
    """Return the report's section on the spikes of some images."""
    import numpy as np

    from recipes.lab.report import comparisons, page

    images = split.inputs[:SHOWN]
    spikes = _spikes(model, images)
    joints = model.get_layer("down").recurrent_kernel.numpy()
    inhibits = (joints < 0).any(axis=1)
    order = np.argsort(inhibits, kind="stable")
    rate = 100 * spikes.mean()
    caption = (
        "The first test images, and what they stir up in the pool that reads "
        "them row by row: a dot where a neuron fires, time from left to "
        "right. The neurons above, in the other color, inhibit those that "
        f"they send to. In the mean {rate:.0f} % of the neurons fire at a step."
    )

    def section(plots):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.8, 2.6 * len(images)), layout="constrained")
        grid = figure.subplots(
            *(len(images), 2), squeeze=False, width_ratios=(1, 3)
        )
        for (left, right), image, fired in zip(
            grid, images, spikes, strict=True
        ):
            left.imshow(image.squeeze(), cmap="gray")
            left.set_axis_off()
            for kind, color in zip(
                (False, True), comparisons.COLORS, strict=False
            ):
                shown = fired[:, order] * (inhibits[order] == kind)
                right.plot(*np.nonzero(shown), ".", color=color, markersize=1.5)
            right.set_xlim(-1, len(fired))
            right.set_ylabel("neuron")
            right.spines[["top", "right"]].set_visible(False)
        grid[-1, 1].set_xlabel("step")
        alt = f"{len(images)} images, and dots where neurons fire."
        html = page.figure_html(plots / "spikes.png", figure, alt)
        return "What an image stirs up", caption, html

    return section


def _separation(model, split):
    """Return the report's section on images and states that are apart."""
    import numpy as np

    from recipes.lab.report import comparisons

    count = min(PAIRS, len(split) // 2)
    one, other = (
        images.astype("float32")
        for images in (split.inputs[:count], split.inputs[count : 2 * count])
    )
    state = _faded(_spikes(model, one))
    over_time, by_distance = {}, {}
    for share in SHARES:
        mixed = (1 - share) * one + share * other
        apart = _faded(_spikes(model, mixed)) - state
        distances = np.linalg.norm(apart, axis=2).mean(axis=0)
        of_images = np.linalg.norm((mixed - one).reshape(count, -1), axis=1)
        of_images = float(of_images.mean()) / 255
        over_time[f"images {of_images:.1f} apart"] = {
            step: [float(x)] for step, x in enumerate(distances)
        }
        by_distance[of_images] = [float(distances[-1])]
    panels = (
        comparisons.Panel(
            over_time, x_label="step", y_label="distance of the states"
        ),
        comparisons.Panel(
            {"after the last step": by_distance},
            x_label="distance of the images",
            y_label="distance of the states",
        ),
    )
    caption = (
        f"{count} test images, and what they become when a part of another "
        "one is mixed in. The state is the spikes of all neurons, those of "
        f"the step before {FADING} times, and so on. Two images that are the "
        "same leave the same state; the farther they are apart, the farther "
        "are the states, in the mean over all pairs."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "separation"),
        heading="Separation",
        caption=caption,
        panels=panels,
    )


def _faded(spikes):
    """Return states, `(n, steps, neurons)`: spikes, and what old ones leave."""
    import numpy as np

    states = [spikes[:, 0]]
    for fired in np.moveaxis(spikes, 1, 0)[1:]:
        states.append(FADING * states[-1] + fired)
    return np.stack(states, axis=1)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
