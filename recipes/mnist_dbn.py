"""A deep belief network on MNIST: each layer learns before there are labels.

    python -m recipes.mnist_dbn
    python -m recipes.mnist_dbn --draws

Three restricted Boltzmann machines learn one after another: the first sees the
images, each of the others what those below it make of them. Then a layer of
classes comes on top, and back-propagation moves all weights a little further,
from where they have understood the images to where they tell the digits apart.
Expect 98.8 %.

Before that the stack can draw. A chain of the uppermost machine goes from noise
to states that are probable there, and the machines below turn these into
pixels; the report shows such pictures. With `--draws` a machine hands on states
of its units, as chance has them, and not their probabilities.

Reference: Hinton, Osindero and Teh 2006; Bengio et al. 2007.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Rate, RunOptions, Share
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.988),)
DRAWN, STEPS = 100, 1_000  # pictures, and steps of the chain behind each


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: tuple[Count, ...] = (500, 500, 2000)
    """Width of each machine, from the pixels up."""
    draws: bool = False
    """Whether machines hand on states instead of probabilities."""
    machine_epochs: Count = 10
    """Epochs of each machine."""
    machine_rate: Rate = 0.05
    """SGD's at the beginning; it falls to a hundredth on a straight line."""
    momentum: Share = 0.9
    """Of the machines' training."""
    epochs: Count = 40
    """Epochs of back-propagation."""
    batch_size: BatchSize = 100
    learning_rate: Rate = 2.0
    """SGD's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation, splits

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        task = tasks.Classification(data)
        per_epoch = splits.steps_per_epoch(data.train, config.batch_size)
        epochs = config.machine_epochs
        with run.scope():
            model = training.create_model(
                *(data, "dbn"),
                hidden_units=config.hidden_units,
                draws=config.draws,
            )
        machines = [x for x in model.layers if hasattr(x, "contrastive")]

        def draw_few():
            """Return what the stack draws while its last machine learns."""
            pictures = draw(machines, config.run.seed, count=10, steps=200)
            return pictures.reshape(-1, *data.inputs.shape)

        # The machines, from the pixels up: one learns, those below are frozen.
        histories = []
        for machine in machines:
            print(f"training {machine.name}, of {machine.units} hidden units")
            machine.contrastive = True
            rate = keras.optimizers.schedules.PolynomialDecay(
                *(config.machine_rate, epochs * per_epoch),
                config.machine_rate / 100,
            )
            with run.scope():
                part = keras.Model(model.input, machine.output)
                part.compile(
                    keras.optimizers.SGD(rate, momentum=config.momentum)
                )
            histories.append(
                training.fit(
                    *(run, part, data.train),
                    validation=data.validation,
                    augment=augmentation.random_ink,
                    watch=draw_few if machine is machines[-1] else None,
                    phase=machine.name,
                    epochs=epochs,
                )
            )
            machine.contrastive = machine.trainable = False
        pictures = draw(machines, config.run.seed)

        # All of them, by back-propagation from the labels.
        print("training all layers to tell the classes apart")
        for machine in machines:
            machine.trainable = True
        with run.scope():
            model.compile(
                optimizer=keras.optimizers.SGD(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1)
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
        history = training.fit(
            *(run, model, data.train),
            validation=data.validation,
            augment=augmentation.random_ink,
        )

        scores = task.score(model, data.test)
        pictures = pictures.reshape(-1, *data.inputs.shape)
        return run.finish(
            *(task, model, scores, history, *histories),
            sections=[_pictures_section(pictures)],
        )


def draw(machines, seed: int, count: int = DRAWN, steps: int = STEPS):
    """Return what a stack of machines draws, `(count, pixels)` in [0, 1]."""
    from recipes.lab import tasks

    *below, top = machines
    _, states = tasks.run_chains(top, seed, count, steps)
    for machine in reversed(below):
        states = machine.visible_probabilities(states)
    return states.numpy()


def _pictures_section(pictures):
    """Return the report's section on what the stack of machines draws."""
    from recipes.lab.report import generated

    return lambda plots: generated.samples_section(plots, pictures)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
