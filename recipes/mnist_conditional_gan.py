r"""A GAN that is told what to draw, and a classifier that learns from it alone.

    python -m recipes.mnist_conditional_gan
    python -m recipes.mnist_conditional_gan --dataset fashion_mnist \
        --judge fashion_mnist_cnn@shipped

Generator and discriminator both know the label: a good picture of another digit
does not pass. How good are pictures that one can ask for? Good enough to learn
from, if they are as good as real ones. So a small CNN is trained on as many
drawn pictures as there are training images, and scored on the real test images:
train on synthetic, test on real (TSTR). Expect 98.4 %, and 85.3 % of clothes
with the second command. The same network, trained on the real ones, is beside
it.

Reference: Mirza and Osindero 2014; Miyato and Koyama 2018 (projection);
Mescheder, Geiger and Nowozin 2018 (penalty); Esteban, Hyland and Raetsch 2017
(TSTR).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY, ACCURACY_FROM_DRAWN

DATASET = "mnist"
TARGETS = (Target(ACCURACY_FROM_DRAWN, 0.97),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    latent_dim: Count = 64
    """Length of the code that a picture is drawn from, behind the label."""
    epochs: Epochs = 20
    batch_size: BatchSize = 64
    learning_rate: Rate = 0.004
    """Of both Adams, at its peak after a twentieth of the steps."""
    penalty: Amount = 0.3
    """Weight of the squared slope of the discriminator at real images."""
    judge: str = "mnist_cnn@shipped"
    """Name or path of the export of a classifier of the same classes."""
    classifier_epochs: Count = 3
    """Epochs of the classifiers that learn from drawn or real digits."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.inputs.noise import LabeledNoise

    loads = (config.judge,)
    with runs.open_run(config, DATASET, loads=loads) as run:
        data, steps = run.data, training.steps(run)
        judge = tasks.load_judge(config.judge, data)
        inputs = LabeledNoise(config.latent_dim, data.class_names)
        task = tasks.ConditionalGeneration(data, inputs, judge)

        # Two networks and two optimizers as in mnist_gan, and the labels. The
        # penalty is what keeps pictures of one label from being all the same.
        with run.scope():
            model = training.create_model(
                *(data, "conditional_gan"),
                image_shape=data.inputs.shape,
                latent_dim=config.latent_dim,
            )
            generator = model.get_layer("generator")
            game = training.ConditionalAdversarial(
                *(generator, model.get_layer("discriminator")),
                penalty=config.penalty,
            )
            rate = training.one_cycle(config.learning_rate, steps, warmup=0.05)
            game.compile(
                keras.optimizers.Adam(
                    *(rate, 0.5, 0.99), use_ema=True, ema_momentum=0.999
                ),
                keras.optimizers.Adam(rate, 0.5, 0.99),
            )
        history = training.fit(
            run,
            game,
            data.train.to_draw(data.num_classes),
            validation=data.validation.to_draw(data.num_classes),
            watch=lambda: task.draw_few(generator),
        )
        scores = task.score(generator, data.test)

        # Train on drawn pictures, test on real ones; and on real ones, too.
        print("training a classifier on drawn pictures, and on real ones")
        drawn = task.draw(generator, data.train)
        taught, first = classify(run, drawn, "from-drawn")
        rival, second = classify(run, data.train, "from-real")
        for name, classifier in {
            ACCURACY_FROM_DRAWN.name: taught,
            f"real_{ACCURACY.name}": rival,
        }.items():
            scores.metrics[name] = classifier.metrics[ACCURACY.name]
        return run.finish(
            *(task, generator, scores, history, first, second),
            sections=[_section(data, taught, rival)],
        )


def classify(run, train, phase: str):
    """Train a small CNN on pictures; return its scores and the history."""
    import keras

    from recipes.lab import tasks, training
    from recipes.lab.data import augmentation, splits

    data, epochs = run.data, run.config.classifier_epochs
    # Four times as large as the game's, if there are so many pictures.
    batch_size = run.config.batch_size
    if 4 * batch_size <= train.passes * len(train):
        batch_size *= 4
    steps = epochs * splits.steps_per_epoch(train, batch_size)
    rate = training.one_cycle(0.01, steps, warmup=0.25)
    training.seed_repeat(run, 0)  # both begin with the same weights
    with run.scope():
        model = training.create_model(data, "cnn")
        model.compile(
            optimizer=keras.optimizers.Adam(rate, beta_1=0.7, beta_2=0.9),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, train.one_hot(data.num_classes)),
        validation=data.validation.one_hot(data.num_classes),
        augment=augmentation.random_shift,
        phase=phase,
        epochs=epochs,
        batch_size=batch_size,
    )
    task = tasks.Classification(data)
    return task.score(model, data.test, quiet=True), history


def _section(data, *scores):
    """Return the report's section on what the classifiers have learned."""
    import numpy as np

    from recipes.lab.report import page

    labels = np.asarray(data.test.targets)
    right = [x.outputs.argmax(axis=1) == labels for x in scores]
    rows = [
        (str(name), *(ACCURACY.write(x[labels == i].mean()) for x in right))
        for i, name in enumerate(data.class_names)
    ]
    header = ("class", "learned from drawn pictures", "from real ones")
    caption = (
        "Of the real test images of each class, how many a classifier "
        "recognizes that has seen drawn pictures only, and how many the same "
        "network that has seen as many real ones."
    )
    table = page.table(rows, header)
    return lambda plots: ("Good enough to learn from?", caption, table)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
