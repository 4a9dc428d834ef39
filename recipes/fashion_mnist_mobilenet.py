"""A MobileNet that has seen ImageNet, frozen, with a new head for clothes.

    python -m recipes.fashion_mnist_mobilenet
    python -m recipes.fashion_mnist_mobilenet --weights mobilenet.weights.h5
    python -m recipes.fashion_mnist_mobilenet --weights None

The images are enlarged to 96 pixels a side, and their features are computed
once; then the head is trained on those. Keras downloads the ImageNet weights on
the first use; without a network give a file of them, as `keras.applications`
has it for networks without their top.
`--weights None` leaves the network untrained, which shows what the weights are
worth. A dry run does so, too, on images of 32 pixels.

Reference: Howard et al. 2019 (MobileNetV3); Yosinski et al. 2014.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Between, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
# A modest aim, not a result: no run has had the ImageNet weights yet.
TARGETS = (Target(ACCURACY, 0.8500),)
WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    backbone: str = "MobileNetV3Small"
    """Network of keras.applications."""
    weights: str | None = "imagenet"
    """Weights of the backbone: imagenet, a local file, or None."""
    image_size: Annotated[int, Between(32, 1_024)] = 96
    """Side in pixels to which images are enlarged."""
    epochs: Epochs = 10
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.data import sources
    from recipes.lab.errors import DataError, UsageError

    weights, image_size = config.weights, config.image_size
    if config.run.dry_run:
        weights, image_size = None, 32  # the least that it takes
    hint = (
        "Without a network give a file of them, without the network's top: "
        f"--weights FILE. It is at {WEIGHTS_URL}"
    )
    loads = (config.backbone, weights)
    with runs.open_run(config, DATASET, loads=loads) as run:
        data, steps = run.data, training.steps(run)
        if weights == "imagenet" and not (
            _is_downloaded(config.backbone)
            or sources.can_fetch(WEIGHTS_URL, config.run)
        ):
            raise DataError(
                f"The ImageNet weights of {config.backbone} are not here and "
                f"cannot be fetched. {hint}"
            )

        with run.scope():
            try:
                model = zoo.create_model(
                    "transfer_classifier",
                    input_shape=data.inputs.shape,
                    num_classes=data.num_classes,
                    backbone=config.backbone,
                    weights=weights,
                    image_size=image_size,
                )
            except ConnectionError as error:
                raise DataError(f"{error} {hint}") from error
            except (ValueError, FileNotFoundError) as error:
                raise UsageError(str(error)) from error
            head = zoo.classifier_head(model)
            head.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.25)
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        # The body stays as it is, and so do its features: once is enough.
        body = zoo.feature_extractor(model)
        history = training.fit(
            run,
            head,
            tasks.features_of(body, data.train),
            validation=tasks.features_of(body, data.validation),
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


def _is_downloaded(backbone: str) -> bool:
    """Whether Keras seems to have fetched the weights of a network before."""
    home = Path(os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras")))
    names = (path.name for path in home.glob("models/*no_top*"))
    return any(backbone.lower() in name.replace("_", "") for name in names)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
