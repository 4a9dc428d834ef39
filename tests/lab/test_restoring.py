"""The game of restoring pictures: its losses, on one device and on several."""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import kinds
from helpers.small_recipe import TWO, without_times

import zoo
from recipes.lab import training
from recipes.lab.data.degradation import random_degradation
from recipes.lab.flags import BatchSize, Epochs, RunOptions
from recipes.lab.runs import open_run


@dataclass(frozen=True)
class Config:
    """The settings of the small game below."""

    epochs: Epochs = 1
    batch_size: BatchSize = 16
    run: RunOptions = RunOptions()


def game_of(generator, discriminator, weight=10.0, rate=0.0):
    game = training.AdversarialRestoration(generator, discriminator, weight)
    game.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    return game


@pytest.mark.thorough
def test_losses_are_those_of_the_game_and_of_the_pixels():
    """The generator changes nothing, and the discriminator knows nothing."""
    image, picture = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    generator = keras.Model(image, keras.layers.Identity()(image))
    pair = keras.layers.Concatenate()([image, picture])
    odds = keras.layers.Conv2D(1, 1, kernel_initializer="zeros")(pair)
    game = game_of(generator, keras.Model([image, picture], odds))
    random = np.random.default_rng(0)
    seen, truth = random.random((2, 8, 4, 4, 1), "float32")
    data = tf.data.Dataset.from_tensor_slices((seen, truth)).batch(4)
    history = game.fit(data, shuffle=False, verbose=0).history
    assert history["generator_loss"] == [pytest.approx(np.log(2))]
    assert history["discriminator_loss"] == [pytest.approx(2 * np.log(2))]
    error = np.mean(np.abs(seen - truth))
    assert history["pixel_loss"] == [pytest.approx(error, rel=1e-5)]


@pytest.mark.thorough
def test_the_pixels_teach_the_generator_by_their_weight():
    """Where the discriminator knows nothing they are all that teaches it."""
    image, picture = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    brightness = keras.layers.Dense(1, kernel_initializer="zeros")
    generator = keras.Model(image, brightness(image))
    pair = keras.layers.Concatenate()([image, picture])
    odds = keras.layers.Conv2D(1, 1, kernel_initializer="zeros")(pair)
    game = game_of(generator, keras.Model([image, picture], odds), 3.0, 0.1)
    game.discriminator_optimizer.learning_rate = 0.0
    data = np.zeros((8, 4, 4, 1), "float32"), np.ones((8, 4, 4, 1), "float32")
    batch = tf.data.Dataset.from_tensors(data)
    game.fit(batch, shuffle=False, verbose=0)
    [bias] = brightness.bias.numpy()
    assert bias == pytest.approx(0.1 * 3.0, rel=1e-5)


@pytest.mark.thorough
def test_two_devices_restore_what_one_does(tmp_path):
    task, _ = kinds.restorer()
    data = dataclasses.replace(
        task.data, train=task.data.train[:64], validation=task.data.test[:20]
    )

    def play(folder, **options):
        config = Config(run=RunOptions(output_dir=tmp_path / folder, **options))
        with open_run(config, data) as run:
            with run.scope():
                model = zoo.deblurring_gan(filters=(4, 4), critic_filters=(4,))
                players = map(model.get_layer, ("generator", "discriminator"))
                game = game_of(*players, rate=0.05)
            history = training.fit(
                *(run, game, data.train),
                validation=data.validation,
                augment=random_degradation(1.5, 0.1),
            )
        return without_times(history)

    alone = play("one")
    assert {"pixel_loss", "val_pixel_loss"} <= alone.keys()
    for name, loss in play("two", **TWO).items():
        np.testing.assert_allclose(loss, alone[name], rtol=1e-3, err_msg=name)
