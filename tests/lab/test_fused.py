"""Fewer operations train as Keras' own do, and leave nothing behind."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import only_thorough
from helpers.small_recipe import perceptron

from recipes.lab.training import fused

STEPS, EPOCHS, BATCH = 6, 3, 8
# With an epsilon for which a gradient of almost nothing is nothing.
ADAM = functools.partial(keras.optimizers.Adam, 0.01, epsilon=1e-3)
ADAMW = functools.partial(keras.optimizers.AdamW, 0.01, epsilon=1e-3)
OPTIMIZERS = {
    "adam": functools.partial(ADAM, beta_1=0.7),
    "adamw": functools.partial(ADAMW, weight_decay=0.1),
    "amsgrad": functools.partial(ADAM, amsgrad=True),
    "average": functools.partial(ADAM, use_ema=True),
    "clipped": functools.partial(ADAM, clipnorm=0.1),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, STEPS * EPOCHS),
        epsilon=1e-3,
    ),
    "sgd": functools.partial(keras.optimizers.SGD, 0.1, momentum=0.9),
}


def batches():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (STEPS * BATCH, 28, 28, 1), "uint8")
    labels = random.integers(0, 10, (STEPS * BATCH, 1))
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return dataset.batch(BATCH, drop_remainder=True).repeat()


def trained(optimizer, *, fuse, callbacks=()):
    """Return a model after its training, and the history."""
    keras.utils.set_random_seed(1)
    model = perceptron(dropout=0.3)
    model.compile(
        optimizer=OPTIMIZERS[optimizer](),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    if fuse:
        fused.fuse(model, batches(), STEPS)
    history = model.fit(
        batches(),
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
    ).history
    if fuse:
        fused.unfuse(model)
    return model, history


@pytest.mark.parametrize(
    "optimizer", only_thorough([*OPTIMIZERS], ["schedule"])
)
def test_training_is_that_of_keras(optimizer):
    model, history = trained(optimizer, fuse=True)
    expected, expected_history = trained(optimizer, fuse=False)
    assert history.keys() == expected_history.keys()
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4)
    for one, other in zip(
        [*model.variables, *model.optimizer.variables],
        [*expected.variables, *expected.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_steps_at_once_change_no_bit(monkeypatch):
    """Neither do they when their number hangs on the clock."""
    several, _ = trained("adam", fuse=True)
    monkeypatch.setattr(fused, "CALL_SECONDS", 0.0)
    one_by_one, _ = trained("adam", fuse=True)
    for one, other in zip(several.variables, one_by_one.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_ends_with_its_last_step(monkeypatch):
    monkeypatch.setattr(fused, "CALL_SECONDS", 60.0)
    taken = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: taken.append(
            int(watch.model.optimizer.iterations)
        )
    )
    trained("sgd", fuse=True, callbacks=[watch])
    assert taken == [STEPS, 2 * STEPS, 3 * STEPS]


def test_a_training_step_is_traced_once(monkeypatch):
    traces = []
    step = keras.Model.train_step

    def counted(model, data):
        traces.append(model)
        return step(model, data)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    trained("adam", fuse=True)
    assert len(traces) == 1


def test_nothing_is_left_behind():
    model, _ = trained("adam", fuse=True)
    assert model.train_function is None
    assert "update_step" not in vars(model.optimizer)
    model.fit(
        batches(), steps_per_epoch=2, shuffle=False, verbose=0
    )  # Keras' own again
