"""What was learned from digits recognizes clothes.

    python -m recipes.mnist_to_fashion_mnist
    python -m recipes.mnist_to_fashion_mnist --mode frozen

The network of `mnist_cnn`, as it ships, gets a new head for Fashion-MNIST. In
the lecture's third mode, `full`, everything is trained from its weights: expect
91 % after 13 seconds on two CPU cores. A network without those weights is
trained beside it, in the same way, and with all 55,000 labels it is as good:
transfer is for those who have few (see `mnist_transfer`). In mode `frozen` only
the head is trained, on features that are computed once, and `partial` trains
the last layers of the network too, or those of `--thaw`.

Reference: Yosinski et al. 2014.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
TARGETS = (Target(ACCURACY, 0.9050),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    backbone: str = "mnist_cnn@shipped"
    """Name or path of an export, or name of a model of the zoo."""
    mode: Literal["frozen", "partial", "full"] = "full"
    """What is trained on clothes."""
    thaw: tuple[str, ...] = ()
    """Layers of the backbone that mode partial trains, instead of its last."""
    epochs: Epochs = 6
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.005
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation

    loads = (config.backbone,)
    with runs.open_run(config, DATASET, loads=loads) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_transfer_model(
                *(run, data, config.backbone),
                mode=config.mode,
                thaw=config.thaw,
            )
            scratch = keras.models.clone_model(model)  # with weights of its own

        def fit(model, phase):
            """Train a classifier in the chosen mode."""
            train, validation = data.train, data.validation
            augment = augmentation.random_flip
            if config.mode == "frozen":
                # The body stays as it is, and so do its features.
                body = zoo.feature_extractor(model)
                with run.scope():
                    model = zoo.classifier_head(model)
                train = tasks.features_of(body, train)
                validation = tasks.features_of(body, validation)
                augment = None
            with run.scope():
                model.compile(
                    optimizer=keras.optimizers.Adam(
                        training.one_cycle(
                            config.learning_rate, steps, warmup=0.25
                        )
                    ),
                    loss="sparse_categorical_crossentropy",
                    metrics=["accuracy"],
                )
            return training.fit(
                *(run, model, train),
                validation=validation,
                augment=augment,
                phase=phase,
            )

        history = fit(model, "train")
        task = tasks.Classification(data)
        scores = task.score(model, data.test)

        fit(scratch, "scratch")
        others = task.score(scratch, data.test)
        scores.metrics["scratch_test_accuracy"] = others.metrics[
            "test_accuracy"
        ]
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
