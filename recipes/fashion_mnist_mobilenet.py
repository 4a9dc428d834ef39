"""A MobileNet that has seen ImageNet, frozen, with a new head for clothes.

    python -m recipes.fashion_mnist_mobilenet
    python -m recipes.fashion_mnist_mobilenet --weights mobilenet.weights.h5
    python -m recipes.fashion_mnist_mobilenet --weights None

The images are enlarged to 96 pixels a side, and their features are computed
once. Keras downloads the ImageNet weights on the first use; without a network
give a file of them, as `keras.applications` has it for networks without their
top. With torchvision's of MobileNetV2, which `scripts/port_mobilenet.py` brings
to Keras, expect 89 %, after five minutes. `--weights None` leaves a network
untrained, as a dry run does, which shows what they are worth.

Reference: Howard et al. 2019 (MobileNetV3); Yosinski et al. 2014.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Between, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
TARGETS = (Target(ACCURACY, 0.8500),)


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

    start = {"weights": config.weights, "image_size": config.image_size}
    if config.run.dry_run:
        start = {"weights": None, "image_size": 32}  # the least that it takes
    loads = (config.backbone, start["weights"])
    with runs.open_run(config, DATASET, loads=loads) as run:
        data, steps = run.data, training.steps(run)
        rate = training.one_cycle(config.learning_rate, steps, warmup=0.25)
        with run.scope():
            model = training.create_transfer_model(
                run, data, config.backbone, **start
            )
            head = zoo.classifier_head(model)
            head.compile(
                optimizer=keras.optimizers.Adam(rate),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        # The body stays as it is, and so do its features: once is enough.
        body = zoo.feature_extractor(model)
        features = tasks.features_of(body, data.train)
        watched = tasks.features_of(body, data.validation)
        history = training.fit(run, head, features, validation=watched)

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
