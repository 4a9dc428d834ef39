"""A small recipe: a few of the embedded digits, and a fit of a few epochs."""

import csv
import dataclasses
from dataclasses import dataclass

import keras
import numpy as np

import zoo
from helpers.ends import TIMES
from helpers.tasks import sample
from recipes.lab.data import splits
from recipes.lab.flags import BatchSize, Epochs, RunOptions
from recipes.lab.tasks import Classification
from recipes.lab.training import fitting

STEPS = 5  # of an epoch
TWO = {"strategy": "mirrored", "cpu_devices": 2}  # devices


@dataclass(frozen=True)
class Config:
    """The settings of the small recipe."""

    epochs: Epochs = 4
    batch_size: BatchSize = 32
    learning_rate: float = 0.01
    code_lengths: tuple[int, ...] = (4, 2)  # JSON knows no tuples
    run: RunOptions = RunOptions()


def few_digits(validation=50):
    """So few that an epoch is five batches and a remainder."""
    data = sample()
    return dataclasses.replace(
        data,
        train=first(data.train, STEPS * 32 + 7),
        validation=first(data.validation, validation),
        test=first(data.test, 50),
    )


def first(split, count):
    return splits.Split(split.inputs[:count], split.targets[:count])


def perceptron(dropout=0.0):
    return zoo.create_model("mlp", hidden_units=(16,), dropout=dropout)


@dataclass
class Training:
    """What a training has come to; None is what it did not reach."""

    folder: object = None
    model: keras.Model | None = None
    history: dict | None = None
    metrics: dict | None = None
    probabilities: np.ndarray | None = None

    def fit(self, run, build, **options):
        """Build a model and its optimizer, and train it in an open run."""
        self.folder = run.folder
        with run.scope():
            self.model, optimizer = build()
            self.model.compile(
                optimizer=optimizer,
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
        self.history = fitting.fit(
            run,
            self.model,
            run.data.train,
            validation=run.data.validation,
            **options,
        )

    def score(self, run):
        """Score the model once; return what finishes the run."""
        task = Classification(run.data)
        scores = task.score(self.model, run.data.test)
        self.metrics, self.probabilities = scores.metrics, scores.outputs
        return task, self.model, scores, self.history

    def weights(self):
        return [v.numpy() for v in self.model.variables]

    def bits(self):
        optimizer = self.model.optimizer
        return self.weights() + [v.numpy() for v in optimizer.variables]

    def checkpoints(self):
        return sorted((self.folder / "checkpoints" / "train").iterdir())

    def rows(self):
        with open(self.folder / "history.csv", newline="") as file:
            return list(csv.DictReader(file))


class Cut(keras.callbacks.Callback):
    """Ctrl-C, or another end, in the middle of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        super().__init__()
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, 2):
            raise self.error


def assert_same_training(one, other):
    """Two trainings have come to the same bits."""
    assert without_times(one.history) == without_times(other.history)
    for a, b in zip(one.bits(), other.bits(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def without_times(history):
    return {k: v for k, v in history.items() if k not in TIMES}
