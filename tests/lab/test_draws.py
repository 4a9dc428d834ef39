"""Under tf.distribute chance belongs to the example, not to the replica."""

import contextlib
import dataclasses
import sys
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import draws
from helpers.commands import run_python
from helpers.tasks import sample
from helpers.workers import launch
from keras import layers, ops
from keras.src.backend.tensorflow import image as keras_image
from keras.src.backend.tensorflow import random as keras_random

from recipes.lab.data.splits import Split
from recipes.lab.errors import RecipeError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import distributed, fitting
from recipes.lab.training.devices import set_up

TWO = {"strategy": "mirrored", "cpu_devices": 2}

# --- what is drawn ------------------------------------------------------

FEW = [
    ("per example", "dropout"),
    ("per example", "normal around each"),
    ("for the batch", "dropout"),
    ("of each replica", "order of the examples"),
    ("of each replica", "as many rows as half the batch"),
]


def assert_as_on_one_device(found, one, replicas):
    drawn, seeds = found
    expected, seeds_on_one = one
    assert drawn.keys() == expected.keys()
    for group, name in drawn:
        values, on_one = drawn[group, name], expected[group, name]
        first, *others = np.split(values, replicas)
        alike = {np.array_equal(first, share) for share in others}
        assert alike == {group == "for the batch"}, name
        if group == "of each replica":
            assert not np.array_equal(values, on_one), name
        else:
            np.testing.assert_array_equal(values, on_one, name)
    assert len(seeds) == replicas
    for of_replica in seeds:
        np.testing.assert_array_equal(of_replica, seeds_on_one[0])


def test_replicas_draw_what_one_device_draws():
    one, two = draws.draws_of(names=FEW), draws.draws_of("mirrored", 2, FEW)
    assert_as_on_one_device(two, one, replicas=2)
    masks = two[0]["per example", "dropout"].reshape(draws.BATCH, -1)
    assert len(np.unique(masks, axis=0)) == draws.BATCH


def saved(folder):
    """Return what the processes that shared a batch have saved, in order."""
    files = [np.load(file) for file in sorted(folder.glob("*.npz"))]
    seeds = np.concatenate([file["seeds"] for file in files])
    return {
        name: np.concatenate([file[f"arr_{number}"] for file in files])
        for number, name in enumerate(draws.ALL)
    }, seeds


@pytest.fixture(scope="module")
def on_one_device():
    return draws.draws_of()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "replicas", [2, pytest.param(4, marks=pytest.mark.slow)]
)
def test_all_layers_draw_what_one_device_draws(
    replicas, on_one_device, tmp_path
):
    command = (draws.__file__, tmp_path, "mirrored", replicas)
    done = run_python(*command, timeout=240)
    assert done.returncode == 0, done.stderr
    assert_as_on_one_device(saved(tmp_path), on_one_device, replicas)


@pytest.mark.faults
def test_workers_draw_what_one_device_draws(on_one_device, tmp_path):
    command = (sys.executable, draws.__file__, tmp_path, "multi_worker", 1)
    done = launch(*command, timeout=240)
    assert done.returncode == 0, done.stdout
    assert_as_on_one_device(saved(tmp_path), on_one_device, replicas=2)


@pytest.mark.thorough
def test_keras_itself_gives_all_replicas_the_same():
    """Should it draw for each replica some day, the patch is to go."""
    drawn, _ = draws.draws_of("mirrored", 2, FEW, wrap=lambda step: step)
    shares = [np.split(v, 2) for v in drawn.values() if v.ndim > 1]
    each = ("per example", "normal around each")
    shares.append(np.split(drawn[each] - np.arange(16)[:, np.newaxis], 2))
    assert [np.allclose(*pair) for pair in shares].count(True) == 4


@pytest.mark.parametrize("error", [None, ValueError])
def test_keras_draws_as_ever_after_a_step(error):
    def functions():
        return {**vars(keras_random)}, keras_image.draw_seed

    as_ever = functions()

    def step(x):
        assert functions() != as_ever
        if error:
            raise error
        return x

    devices = set_up(draws.Config(run=RunOptions(**TWO)))
    step = distributed.draw_for_whole_batch(step)
    with pytest.raises(error) if error else contextlib.nullcontext():
        devices.strategy.run(step, args=(tf.ones((2, 3)),))
    assert functions() == as_ever


# --- what is trained ----------------------------------------------------

STEPS, BATCH = 5, 32


@dataclass(frozen=True)
class Config:
    epochs: int = 2
    batch_size: int = BATCH
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    """Digits whose last batch of validation gives one replica 100 of 500."""
    whole = sample()
    train, validation = (
        Split(
            np.resize(whole.train.inputs, (size, 28, 28, 1)),
            np.resize(whole.train.targets, size),
        )
        for size in (STEPS * BATCH, 1_600)
    )
    return dataclasses.replace(whole, train=train, validation=validation)


@pytest.fixture
def train(digits, tmp_path):
    """A function that trains a small model with a layer on some devices."""

    def function(layer, options=None, **compiled):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        options = RunOptions(output_dir=folder, **options or {})
        with open_run(Config(run=options), digits) as run:
            with run.scope():
                image = keras.Input((28, 28, 1))
                x = layers.Rescaling(1 / 255)(image)
                x = layers.Flatten()(x)
                x = layer()(x)
                x = layers.Dense(10, "softmax")(x)
                model = keras.Model(image, x)
                model.compile(
                    "adam", "sparse_categorical_crossentropy", **compiled
                )
            history = fitting.fit(
                run, model, digits.train, validation=digits.validation
            )
        return model, history

    return function


class Noise(layers.Layer):
    """Noise while training, and in inference mode, too."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        return inputs + keras.random.normal(
            ops.shape(inputs), seed=self.seed_generator
        )


@pytest.mark.parametrize(
    "compiled",
    [
        pytest.param({}, marks=pytest.mark.thorough),
        pytest.param({"run_eagerly": True}, marks=pytest.mark.thorough),
    ],
    ids=["graph", "eager"],
)
def test_two_devices_train_with_the_noise_of_one(compiled, train):
    """Ten steps, and two validations that draw, differ by rounding only.

    Other noise makes 1e-1 of a loss and 1e-2 of a weight; the wrong rows of it
    in the last batch of validation make 6e-3 of its loss.
    """
    one, two = (train(Noise, on, **compiled) for on in ({}, TWO))
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(one[1][name], two[1][name], rtol=1e-5)
    pairs = zip(one[0].get_weights(), two[0].get_weights(), strict=True)
    assert max(np.max(np.abs(a - b)) for a, b in pairs) < 1e-5


class Centered(layers.Layer):
    """Subtracts the mean of the batch, which it remembers for inference."""

    def __init__(self, aggregation):
        super().__init__(name="centered")
        self.aggregation = aggregation

    def build(self, shape):
        self.mean = self.add_weight(
            shape=shape[1:],
            initializer="zeros",
            trainable=False,
            aggregation=self.aggregation,
            name="mean",
        )

    def call(self, inputs, training=None):
        if training:
            self.mean.assign(ops.mean(inputs, axis=0))
        return inputs - self.mean


def test_what_drifts_apart_is_named(train):
    with pytest.raises(RecipeError, match="^The replicas' copies of centered/"):
        train(lambda: Centered("none"), TWO)


@pytest.mark.thorough
def test_what_says_how_to_aggregate_it_does_not_drift_apart(train):
    model, _ = train(lambda: Centered("mean"), TWO)
    assert np.any(model.get_layer("centered").mean.numpy())
