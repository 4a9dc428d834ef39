"""What a model draws while it learns: kept, and no part of the training."""

import types

import keras
import numpy as np
import pytest
from helpers import kinds
from helpers.small_recipe import (
    TWO,
    Config,
    Cut,
    Training,
    few_digits,
    without_times,
)
from helpers.small_recipe import perceptron as build

from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import watching


@pytest.mark.parametrize(
    ("epochs", "after"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (20, [1, 2, 3, 4, 5, 7, 10, 14, 20]),
        (200, [1, 2, 3, 6, 11, 19, 34, 62, 111, 200]),
    ],
)
def test_epochs_are_watched_often_at_first_and_at_the_end(epochs, after):
    assert watching.watched_epochs(epochs) == after


def test_pictures_are_kept_as_bytes_and_damaged_ones_passed_over(tmp_path):
    run = types.SimpleNamespace(folder=tmp_path)
    values = iter([0.5, 1.5, np.nan])
    watcher = watching.Watcher(
        watching.folder_of(run, "train"),
        epochs=13,
        draw=lambda: np.full((2, 3, 4, 1), next(values)),
    )
    watcher.set_model(keras.Sequential())
    for epoch in (0, 3, 8, 12):  # the ninth is passed over
        watcher.on_epoch_end(epoch)
    pictures = watching.watched_pictures(run, "train")
    largest = {epoch: int(drawn.max()) for epoch, drawn in pictures.items()}
    assert largest == {1: 128, 4: 255, 13: 0}
    assert pictures[1].shape == (2, 3, 4, 1)
    assert pictures[1].dtype == np.uint8
    assert watching.watched_pictures(run, "fine-tuning") == {}

    damaged = watching.folder_of(run, "train") / "000004.npz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert [*watching.watched_pictures(run, "train")] == [1, 13]


def train(folder, watched=True, cut=None, epochs=2, **options):
    """Train a small network; return that, its run and what it has drawn."""
    training = Training()

    def draw():
        """Its probabilities as a picture, of a single image."""
        image = few_digits().test.inputs[:1]
        return training.model(image).numpy().reshape(1, 2, 5, 1)

    config = Config(epochs, run=RunOptions(output_dir=folder, **options))
    with open_run(config, few_digits()) as run:
        training.fit(
            run,
            lambda: (build(dropout=0.3), keras.optimizers.Adam()),
            watch=draw if watched else None,
            callbacks=[cut] if cut else [],
        )
        return training, run, watching.watched_pictures(run, "train")


def assert_same_pictures(one, other):
    assert one.keys() == other.keys()
    for epoch, pictures in one.items():
        np.testing.assert_array_equal(pictures, other[epoch])


@pytest.mark.thorough
def test_a_training_that_is_watched_is_the_same(tmp_path):
    watched, _, drawn = train(tmp_path / "watched")
    alone, _, nothing = train(tmp_path / "alone", watched=False)
    assert nothing == {}
    assert without_times(watched.history) == without_times(alone.history)
    for one, other in zip(watched.bits(), alone.bits(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [*drawn] == [1, 2]
    assert drawn[1].shape == (1, 2, 5, 1)
    assert not np.array_equal(drawn[1], drawn[2])


@pytest.mark.thorough
def test_a_run_that_is_cut_off_has_the_pictures_of_before(tmp_path):
    _, _, unbroken = train(tmp_path / "unbroken", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", epochs=4, cut=Cut(2))
    _, run, resumed = train(tmp_path / "cut", epochs=4)
    assert run.folder.name == "1"
    assert [*resumed] == [1, 2, 3, 4]
    assert_same_pictures(resumed, unbroken)


@pytest.mark.thorough
def test_two_devices_draw_what_one_does(tmp_path):
    _, _, alone = train(tmp_path / "one")
    _, _, two = train(tmp_path / "two", **TWO)
    for epoch, pictures in alone.items():
        np.testing.assert_allclose(two[epoch].astype(int), pictures, atol=1)


DRAWING = ("generator", "machine", "restorer", "variational")


@pytest.mark.thorough
@pytest.mark.parametrize("kind", DRAWING)
def test_a_task_draws_the_same_few_pictures_each_time(kind):
    task, model = getattr(kinds, kind)()
    pictures = task.draw_few(model)
    assert pictures.shape == (10, 28, 28, 1)
    assert 0 <= pictures.min() and pictures.max() <= 1
    assert np.ptp(pictures, axis=0).max() > 0  # they differ from each other
    np.testing.assert_array_equal(task.draw_few(model), pictures)
