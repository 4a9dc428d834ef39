"""What was learnt from digits recognises clothes.

    python -m recipes.mnist_to_fashion_mnist
    python -m recipes.mnist_to_fashion_mnist --mode frozen

The network of `mnist_cnn`, as it ships, gets a new head for Fashion-MNIST. In
the lecture's third mode, `full`, everything is trained from its weights: expect
91 % after half a minute on two CPU cores. A network without those weights is
trained beside it, in the same way, and with all 55,000 labels it is as good:
transfer is for those who have few (see `mnist_transfer`). In mode `frozen` only
the head is trained, on features that are computed once, and `partial` trains
the layers of `--thaw` too.

Reference: Yosinski et al. 2014.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, run_command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions

DATASET = "fashion_mnist"
TARGETS = (Target("test_accuracy", 0.9050),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    backbone: str = "mnist_cnn@shipped"
    """Name or path of an export, or name of a model of the zoo."""
    mode: Literal["frozen", "partial", "full"] = "full"
    """What is trained on clothes."""
    thaw: tuple[str, ...] = ()
    """Layers of the backbone that mode partial trains."""
    epochs: Epochs = 6
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.005
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab.data import augmentation, sources, splits
    from recipes.lab.errors import UsageError
    from recipes.lab.export import exporting
    from recipes.lab.report import reports
    from recipes.lab.runs.run import open_run
    from recipes.lab.tasks import scoring
    from recipes.lab.training import fitting, schedules
    from recipes.lab.training.devices import set_up

    devices = set_up(config)
    data = sources.load(DATASET, config.run)
    steps = config.epochs * splits.steps_per_epoch(
        data.train, config.batch_size
    )

    loads = (config.backbone,)
    with open_run(config, data, devices, loads=loads) as run:
        with devices.scope():
            try:
                model = zoo.create_model(
                    "transfer_classifier",
                    backbone=config.backbone,
                    mode=config.mode,
                    thaw=config.thaw,
                )
            except ValueError as error:
                raise UsageError(str(error)) from error
            scratch = keras.models.clone_model(model)  # with weights of its own

        def fit(model, phase):
            """Train a classifier in the chosen mode."""
            train, validation = data.train, data.validation
            augment = augmentation.random_flip
            if config.mode == "frozen":
                # The body stays as it is, and so do its features.
                body = zoo.feature_extractor(model)
                with devices.scope():
                    model = zoo.classifier_head(model)
                train = scoring.features_of(body, train)
                validation = scoring.features_of(body, validation)
                augment = None
            with devices.scope():
                model.compile(
                    optimizer=keras.optimizers.Adam(
                        schedules.one_cycle(
                            config.learning_rate, steps, warmup=0.25
                        )
                    ),
                    loss="sparse_categorical_crossentropy",
                    metrics=["accuracy"],
                )
            return fitting.fit(
                *(run, model, train),
                batch_size=config.batch_size,
                epochs=config.epochs,
                validation=validation,
                augment=augment,
                phase=phase,
            )

        history = fit(model, "train")
        metrics, probabilities = scoring.score_classifier(model, data.test)
        metrics |= fitting.train_seconds(history)

        fit(scratch, "scratch")
        scores, _ = scoring.score_classifier(scratch, data.test)
        metrics["scratch_test_accuracy"] = scores["test_accuracy"]

        export = exporting.export_classifier(run, model, metrics)
        reports.report_classifier(run, model, history, metrics, probabilities)
        return run.finish(model, metrics, export)


def main(argv=None) -> int:
    """Run the recipe from the command line."""
    return run_command(train, Config, TARGETS, argv)


if __name__ == "__main__":
    sys.exit(main())
