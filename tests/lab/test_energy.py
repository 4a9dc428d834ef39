"""Codes and weights in turns: what falls, and what it is in the limit."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import only_thorough
from helpers.seeds import set_seed
from helpers.small_recipe import TWO, Config, few_digits, without_times

import zoo
from recipes.lab import training
from recipes.lab.data.splits import in_unit_range
from recipes.lab.runs import open_run

PIXELS = in_unit_range(np.random.default_rng(0).integers(0, 256, (16, 4, 5, 1)))


def small_autoencoder(agreement, optimizer="sgd", shape=(4, 5, 1), **options):
    set_seed(0)
    model = zoo.create_model(
        "deep_autoencoder",
        input_shape=shape,
        hidden_units=(8,),
        latent_dim=3,
    )
    energy = training.EnergyAutoencoder(model, agreement, **options)
    energy.compile(keras.optimizers.get(optimizer))
    return energy


def test_the_energy_is_what_the_lecture_says():
    energy = small_autoencoder(agreement=0.7)
    encoded = np.array(energy.encoder(PIXELS))
    codes = encoded + np.float32([0.1, -0.2, 0.3])
    drawn = np.array(energy.decoder(codes))
    expected = 0.7 * 0.14 + ((PIXELS - drawn) ** 2).sum(axis=(1, 2, 3))
    found = energy.energies(PIXELS, encoded, codes)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("agreement", only_thorough([0.01, 1.0, 100.0], [1.0]))
def test_inference_raises_the_energy_of_no_image(agreement):
    energy = small_autoencoder(agreement)
    encoded = energy.encoder(PIXELS)
    before = np.array(energy.energies(PIXELS, encoded, encoded))
    codes = energy.infer(PIXELS, encoded)
    after = np.array(energy.energies(PIXELS, encoded, codes))
    assert (after <= before).all()
    assert after.mean() < before.mean()


@pytest.mark.thorough
def test_in_the_limit_the_gradient_is_that_of_a_plain_autoencoder():
    def moves(agreement):
        energy = small_autoencoder(agreement, keras.optimizers.SGD(1.0))
        before = [w.numpy() for w in energy.trainable_variables]
        energy.train_step((None, tf.constant(PIXELS)))
        after = [w.numpy() for w in energy.trainable_variables]
        return np.concatenate(
            [(b - a).ravel() for a, b in zip(before, after, strict=True)]
        )

    plain = small_autoencoder(1.0)
    weights = plain.trainable_variables
    with tf.GradientTape() as tape:
        drawn = plain.decoder(plain.encoder(PIXELS))
        errors = tf.reduce_sum(tf.square(drawn - PIXELS), [1, 2, 3])
        loss = tf.reduce_mean(errors)
    gradients = tape.gradient(loss, [w.value for w in weights])
    gradients = np.concatenate([-np.ravel(g) for g in gradients])

    def distance(agreement):
        apart = np.linalg.norm(moves(agreement) - gradients)
        return apart / np.linalg.norm(gradients)

    assert distance(1e3) < 0.01 < distance(1.0)


@pytest.mark.thorough
def test_two_devices_do_what_one_does(tmp_path):
    """Plain gradient descent, for Adam would hide a doubled gradient."""
    data = few_digits()

    def history(folder, **options):
        config = Config(epochs=2)
        run = dataclasses.replace(
            config.run, output_dir=tmp_path / folder, **options
        )
        with open_run(dataclasses.replace(config, run=run), data) as run:
            with run.scope():
                energy = small_autoencoder(
                    *(1.0, keras.optimizers.SGD(0.01)), data.inputs.shape
                )
            return without_times(
                training.fit(
                    *(run, energy, data.train.to_reconstruct()),
                    validation=data.validation.to_reconstruct(),
                )
            )

    alone = history("one")
    for name, values in history("two", **TWO).items():
        np.testing.assert_allclose(values, alone[name], rtol=1e-3)
