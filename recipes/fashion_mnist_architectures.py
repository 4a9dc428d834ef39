"""Four winners of ImageNet on clothes: accuracy against multiplications.

    python -m recipes.fashion_mnist_architectures
    python -m recipes.fashion_mnist_architectures --networks vgg resnet

AlexNet, a VGG, GoogLeNet and a ResNet, for small images and at three widths
each, learn the same with the same optimizer. The report draws what each answer
costs against what it is worth: an architecture is better than another if its
line is above, not if its largest network is. Here those of the VGG and of the
ResNet are. What is exported is the network that is best on the validation
images. Expect 92.2 %, of the widest ResNet; the twelve trainings take three
quarters of an hour on one core.

Reference: Krizhevsky, Sutskever and Hinton 2012; Simonyan and Zisserman 2015;
Szegedy et al. 2015; He et al. 2016.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Between, Epochs, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
TARGETS = (Target(ACCURACY, 0.9200),)
# The peaks of Adam's learning rate; without batch normalization it is lower.
NETWORKS = {
    "alexnet": 0.001,
    "vgg": 0.003,
    "googlenet": 0.003,
    "resnet": 0.003,
}
Network = Literal["alexnet", "vgg", "googlenet", "resnet"]
Width = Annotated[float, Between(0.05, 1.0)]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    networks: tuple[Network, ...] = ()
    """Which of them to compare, instead of all."""
    widths: tuple[Width, ...] = (0.0625, 0.125, 0.25)
    """Factors on the published numbers of maps."""
    epochs: Epochs = 5
    batch_size: BatchSize = 128
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks

    widths = sorted(set(config.widths))
    if config.run.dry_run:
        widths = widths[:1]
    with runs.open_run(config, DATASET) as run:
        models, histories = {}, {}
        for name in dict.fromkeys(config.networks or NETWORKS):
            for width in widths:
                key = name, width
                models[key], histories[key] = _fit(run, name, width)

        # The test set, once for each, has no part in the choice.
        best = max(models, key=lambda key: histories[key]["val_accuracy"][-1])
        task = tasks.Classification(run.data)
        scores = {
            key: task.score(model, run.data.test, quiet=key != best)
            for key, model in models.items()
        }
        section = _picture(models, histories, scores)
        first = histories.pop(best)
        return run.finish(
            *(task, models[best], scores[best], first, *histories.values()),
            sections=[section],
        )


def _fit(run, name, width):
    """Train a network of a width; return it and its history."""
    import keras

    from recipes.lab import training
    from recipes.lab.data import augmentation

    def augment(images, draw):
        images = augmentation.random_flip(images, draw)
        return augmentation.random_shift(images, draw)

    data, steps = run.data, training.steps(run)
    rate = training.one_cycle(NETWORKS[name], steps, warmup=0.25)
    print(f"{name}, {width:g} of its published width")
    # Every network begins with draws of its own, however many come before it.
    seed = training.seed_repeat(run, 0)
    with run.scope():
        model = training.create_model(data, name, width=width)
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, data.train),
        validation=data.validation,
        augment=augment,
        phase=f"{name}-{width:g}",
        seed=seed,
    )
    return model, history


def _picture(models, histories, scores):
    """Return the report's section on accuracy against multiplications."""
    import zoo
    from recipes.lab.report import comparisons, page

    lines, rows = {}, []
    for key, model in models.items():
        (name, width), cost = key, zoo.count_multiplications(model)
        accuracy = scores[key].metrics["test_accuracy"]
        lines.setdefault(name, {})[cost / 1e6] = [100 * accuracy]
        rows.append(
            (
                f"{name}, {width:g}",
                f"{model.count_params():,}",
                f"{cost / 1e6:.1f} million",
                f"{sum(histories[key]['seconds']):.0f} s",
                ACCURACY.write(accuracy),
            )
        )
    panel = comparisons.Panel(
        lines,
        x_label="multiplications of an answer, in millions",
        y_label="test accuracy in %",
        log_x=True,
    )
    header = (
        *("width", "parameters", "multiplications", "training"),
        "test accuracy",
    )
    caption = (
        "Each architecture at several widths: the higher a line, the more it "
        "makes of a multiplication."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "architectures"),
        heading="What a multiplication is worth",
        caption=caption,
        panels=(panel,),
        html=page.table(rows, header),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
