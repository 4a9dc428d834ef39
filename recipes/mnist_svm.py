"""A support vector machine on MNIST: the widest margin, without its vectors.

    python -m recipes.mnist_svm

A support vector machine looks for the plane with the widest margin between two
classes, in a space that a kernel stands for: how alike two images are. Random
Fourier features are coordinates in such a space, so that a linear layer with
the hinge loss is enough. They are computed once. The loss of an image is zero
as soon as its class is ahead of all others by a margin; the penalty of large
weights makes that margin wide.

The report shows the images on the margin or on the wrong side of it, which
alone still move the weights: the support vectors. Expect 0.87 % mistakes.

Reference: Cortes and Vapnik 1995; Crammer and Singer 2001 (the hinge loss of
many classes); Rahimi and Recht 2007 (random Fourier features).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.985),)
SHOWN = 20  # support vectors, in the report


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    features: Count = 96
    """Random features of a field of the image."""
    penalty: Amount = 3e-6
    """Of the squared weights: the more, the wider the margin."""
    epochs: Epochs = 20
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import normal_equations

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        with run.scope():
            machine = training.create_model(
                data,
                "svm",
                features=config.features,
                penalty=config.penalty,
                classifier_activation=None,  # the hinge loss is of scores
            )
            head = zoo.classifier_head(machine)
            head.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.2)
                ),
                loss="categorical_hinge",
                metrics=["accuracy"],
            )
        body = zoo.feature_extractor(machine)
        fitted = tasks.features_of(body, data.train)
        watched = tasks.features_of(body, data.validation)
        history = training.fit(
            run,
            head,
            fitted.one_hot(data.num_classes),
            validation=watched.one_hot(data.num_classes),
        )

        # Softmax makes probabilities of the scores, once they are multiplied
        # by a number that validation chooses.
        task = tasks.Classification(data)
        scores = tasks.features_of(head, watched).inputs
        factor = normal_equations.sharpness(scores, data.validation.targets)
        model = training.create_model(data, "svm", features=config.features)
        *fixed, kernel, bias = machine.get_weights()
        model.set_weights([*fixed, factor * kernel, factor * bias])
        return run.finish(
            *(task, model, task.score(model, data.test), history),
            sections=[_support(head, data.train, fitted)],
        )


def _support(head, train, fitted):
    """Return the report's section on the images that hold the margin."""
    import numpy as np

    from recipes.lab import tasks
    from recipes.lab.report import page

    scores = tasks.features_of(head, fitted).inputs
    rows, labels = np.arange(len(train)), train.targets
    own = scores[rows, labels].copy()
    scores[rows, labels] = -np.inf
    ahead = own - scores.max(axis=1)
    share = np.mean(ahead <= 1)
    on_it = np.argsort(np.abs(ahead - 1), kind="stable")[:SHOWN]
    beyond = np.argsort(ahead, kind="stable")[:SHOWN]
    caption = (
        f"Of {len(train):,} training images {100 * share:.1f} % are on the "
        "margin or on the wrong side of it: their own class is ahead of all "
        "others by 1 or less. The weights depend on these alone. In the first "
        "rows are images on the margin, below those that are furthest on the "
        "wrong side: the machine would take them for another class."
    )

    def section(plots):
        parts = []
        for name, chosen in {"margin": on_it, "beyond": beyond}.items():
            figure = page.tiles(
                *(train.inputs[chosen], None, 10),
                cmap="gray",
                limits=(0, 255),
            )
            alt = f"{len(chosen)} support vectors as images: {name}."
            parts.append(page.figure_html(plots / f"{name}.png", figure, alt))
        html = '<p class="caption"></p>'.join(parts)
        return "The support vectors", caption, html

    return section


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
