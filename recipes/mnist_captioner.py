"""A network that spells out what is on an image: one image, many letters.

    python -m recipes.mnist_captioner

A convolutional network sees a digit, and recurrent units write its name, letter
by letter: s-e-v-e-n. After the first letters only a few names are left, so the
first one is the one that matters. A caption counts if all of its letters are
right, and where it ends, too: expect 99.4 % of them.

Reference: Vinyals et al. 2015.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import EXACT

DATASET = "mnist"
TARGETS = (Target(EXACT, 0.9925),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 64
    """Width of the recurrent units that write."""
    epochs: Epochs = 6
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation, captions

    with runs.open_run(config, DATASET) as run:
        data, steps = captions.spelled(run.data), training.steps(run)
        rate = training.one_cycle(config.learning_rate, steps, warmup=0.25)

        with run.scope():
            model = training.create_model(
                data, "captioner", hidden_units=config.hidden_units
            )
            # The same layers, but told what they should have written so far.
            told = zoo.teacher_forced(model)
            told.compile(
                # A short memory suits a short training, hence the low betas.
                optimizer=keras.optimizers.Adam(rate, beta_1=0.7, beta_2=0.9),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        history = training.fit(
            run,
            told,
            data.train.to_write(),
            validation=data.validation.to_write(),
            augment=augmentation.random_shift,
        )

        # Scored is the model that reads what it has written itself.
        task = tasks.Translation(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
