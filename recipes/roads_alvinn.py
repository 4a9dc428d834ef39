"""ALVINN: four hidden neurons keep a van on a winding road.

    python -m recipes.roads_alvinn

A camera of 30×32 pixels looks at the road ahead, and a network of 3,994 weights
says which way to steer, as one of thirty directions. It learns from a driver
who keeps to the middle of the road, and so never sees how to get back there.
That is why each image is also shown as it would have looked from a little
beside the middle, with the direction that leads back.

Then the network drives: what it says moves the van, and so decides what the
camera sees next, while gusts of wind turn the van aside. Expect a direction to
be wrong by 0.30 of the thirty. The report shows the drive as an animated
picture, and how far from the middle the van was; beside it a network drives
that learned without the views from beside.

Reference: Pomerleau 1989.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import CENTROID_ERROR, FARTHEST

DATASET = "roads"
TARGETS = (Target(CENTROID_ERROR, 1.0), Target(FARTHEST, 1.3))
VIEWS_SEED = 1  # of the views from beside, the same for every run
METERS_A_FRAME = 4


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 4
    """Width of the hidden layer; 5 in other versions of ALVINN."""
    epochs: Epochs = 20
    batch_size: BatchSize = 100
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from dataclasses import replace

    from recipes.lab import runs, tasks
    from recipes.lab.data.synthetic import roads

    with runs.open_run(config, DATASET) as run:
        driver = run.data.train
        with_views = roads.with_views(driver, VIEWS_SEED)
        # As many steps without the views from beside.
        without = replace(driver, passes=len(with_views) // len(driver))
        model, history = _fit(run, with_views, "train")
        other, other_history = _fit(run, without, "without_views")

        task = tasks.Steering(run.data)
        scores = task.score(model, run.data.test)
        others = task.score(other, run.data.test, quiet=True)
        scores.metrics[f"without_views_{CENTROID_ERROR.name}"] = others.metrics[
            CENTROID_ERROR.name
        ]

        drives = {
            "with views from beside": _drive(run, model),
            "without": _drive(run, other),
        }
        for owner, drive in zip(
            ("", "without_views_"), drives.values(), strict=True
        ):
            farthest = float(abs(drive.offsets).max())
            scores.metrics[f"{owner}{FARTHEST.name}"] = farthest
        return run.finish(
            *(task, model, scores, history, other_history),
            sections=[_picture(model, drives)],
        )


def _fit(run, split, phase):
    """Train a network on images of the road; return it and its history."""
    import keras

    from recipes.lab import training
    from recipes.lab.data.splits import steps_per_epoch

    config = run.config
    steps = config.epochs * steps_per_epoch(split, config.batch_size)
    with run.scope():
        # Pixels from -1 to 1: where all are positive, all push a hidden neuron
        # the same way, and now and then to where it learns no more.
        model = training.create_model(
            *(run.data, "alvinn"),
            hidden_units=config.hidden_units,
            rescale=(2 / 255, -1.0),
        )
        model.compile(
            optimizer=keras.optimizers.Adam(
                training.one_cycle(config.learning_rate, steps, warmup=0.1)
            ),
            loss="kl_divergence",
        )
    history = training.fit(
        *(run, model, split),
        validation=run.data.validation,
        phase=phase,
        quiet=phase != "train",
    )
    return model, history


def _drive(run, model):
    """Let a network drive along a road that it has not seen."""
    from recipes.lab import tasks
    from recipes.lab.data.synthetic import roads

    def steer(image):
        return tasks.centroid(model(image, training=False).numpy())[0]

    return roads.drive(steer, meters=40 if run.config.run.dry_run else 300)


def _picture(model, drives):
    """Return the report's section on the drives."""
    from recipes.lab.data.synthetic import roads
    from recipes.lab.report import comparisons, page

    lines = {
        name: {meter: [offset] for meter, offset in enumerate(drive.offsets)}
        for name, drive in drives.items()
    }
    panel = comparisons.Panel(
        lines,
        x_label="meters along the road",
        y_label="meters right of the middle",
    )
    caption = (
        f"The road is {2 * roads.HALF:g} meters wide, and no network has seen "
        "it before. A line that ends early ends in the ditch."
    )

    def section(plots):
        first, *_ = drives.values()
        frames = [
            _frame(first, model, meter)
            for meter in range(0, len(first.offsets), METERS_A_FRAME)
        ]
        alt = "The drive as an animated picture: the camera, and a map."
        moving = page.animation_html(
            plots / "drive.gif", frames, alt, frame_ms=120
        )
        return comparisons.panels_section(
            *(plots, "offsets"),
            heading="The drive",
            caption=caption,
            panels=(panel,),
            html=moving,
        )

    return section


def _frame(drive, model, meter):
    """Return a picture of a moment of a drive: the camera, and a map."""
    import numpy as np
    from matplotlib.figure import Figure

    from recipes.lab.report import page

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    camera, map_ = figure.subplots(1, 2)
    image = drive.images[meter]
    camera.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    # What the network says of each direction, as bars in the sky.
    probabilities = model(image[np.newaxis], training=False).numpy()[0]
    wide = image.shape[1] / len(probabilities)
    places = wide * (np.arange(len(probabilities)) + 0.5) - 0.5
    camera.bar(
        *(places, -7 * probabilities / probabilities.max()),
        width=0.9 * wide,
        bottom=7,
        color=page.VALIDATION,
    )
    direction = wide * (drive.directions[meter] + 0.5) - 0.5
    camera.axvline(direction, color=page.TRAINING, linewidth=1.5)
    camera.set_axis_off()
    map_.plot(*drive.road.T, color=page.FAINT, linewidth=6)
    map_.plot(*drive.van[: meter + 1].T, color=page.VALIDATION, linewidth=1.5)
    map_.plot(*drive.van[meter], color=page.TRAINING, marker="o")
    map_.set_aspect("equal", "datalim")
    map_.set_xlabel("meters")
    map_.set_ylabel("meters")
    map_.spines[["top", "right"]].set_visible(False)
    return figure


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
