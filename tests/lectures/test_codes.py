"""Lectures: autoencoders and their codes."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from helpers.builders import build, count
from helpers.facts import Facts
from helpers.seeds import set_seed

import zoo
from recipes.lab import training

fact = Facts()


def rank_two_points():
    """Return points on the lecture's line, Y = 2 X, around their mean."""
    x = np.random.default_rng(0).uniform(-1, 1, 200).astype("float32")
    return np.stack([x, 2 * x], axis=1)[:, None, :, None]


def fit_all_at_once(autoencoder, points, steps):
    whole = tf.data.Dataset.from_tensors((points, points)).repeat(steps)
    autoencoder.fit(whole, shuffle=False, verbose=0)


@functools.cache
def linear_autoencoder(latent_dim):
    """Return the data and a linear autoencoder that was trained on it."""
    set_seed(0)
    random = np.random.default_rng(0)
    # Eight directions of falling variance, and a mean that is not zero.
    axes, _ = np.linalg.qr(random.normal(size=(20, 8)))
    strengths = np.array([3, 2.5, 2, 1, 0.8, 0.6, 0.4, 0.2])
    points = random.normal(size=(512, 8)) * strengths @ axes.T + 1
    points = points.astype("float32").reshape(512, 4, 5, 1)
    model = zoo.create_model(
        "autoencoder",
        input_shape=(4, 5, 1),
        latent_dim=latent_dim,
        code_activation="linear",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.02, 800)
        ),
        loss="mse",
    )
    fit_all_at_once(model, points, steps=800)
    return points, model


@fact("A52", 3, "Y = 2X? We could just retain values of X and compute Y")
def one_number_tells_two_on_a_line():
    points = rank_two_points()
    model = zoo.create_model(
        "autoencoder",
        input_shape=(1, 2, 1),
        latent_dim=1,
        code_activation="linear",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    fit_all_at_once(model, points, steps=200)
    assert model.evaluate(points, points, verbose=0) < 1e-5
    direction = model.get_layer("decoder").get_layer("pixels").kernel[0]
    direction = np.abs(direction) / np.linalg.norm(direction)
    np.testing.assert_allclose(direction, [5**-0.5, 2 * 5**-0.5], atol=1e-2)


@fact("A53", 3, "L(X, Z; W*) < L(X, Z; W): infer the codes, then learn")
def energy_falls_when_codes_and_weights_take_turns():
    set_seed(0)
    points = rank_two_points()
    model = zoo.create_model(
        "autoencoder",
        input_shape=(1, 2, 1),
        latent_dim=1,
        code_activation="tanh",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    energy = training.EnergyAutoencoder(model, agreement=0.5, inference_steps=3)
    optimizer = keras.optimizers.SGD(0.1)
    weights = energy.trainable_variables
    optimizer.build(weights)
    codes, energies = energy.encoder(points), []
    for _ in range(20):
        with tf.GradientTape() as tape:
            encoded = energy.encoder(points)
            loss = tf.reduce_mean(energy.energies(points, encoded, codes))
        energies.append(float(loss))
        optimizer.apply(tape.gradient(loss, weights), weights)
        encoded = energy.encoder(points)
        loss = np.mean(energy.energies(points, encoded, codes))
        energies.append(float(loss))
        codes = energy.infer(points, encoded, codes)
    assert (np.diff(energies) < 0).all()
    assert energies[-1] < 0.2 * energies[0]


@fact("A54", 3, "784-32-784: 25120 + 25872 = 50,992; 24.5 times compression")
def parameters_of_the_autoencoder():
    model = build("autoencoder")
    halves = [model.get_layer(half) for half in ("encoder", "decoder")]
    counts = [count(half.trainable_weights) for half in halves]
    assert counts == [25_120, 25_872]
    assert count(model.trainable_weights) == 50_992
    assert math.prod(model.input_shape[1:]) / 32 == 24.5


@fact("A55", 3, "Sparsity can be introduced through an activity regularizer")
def sparsity_is_an_l1_penalty_on_the_code():
    model = zoo.create_model("autoencoder", sparsity=0.25)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1))
    model(images.astype("uint8"))
    codes = model.get_layer("encoder")(images.astype("float32") / 255)
    penalty = 0.25 * np.abs(codes).sum(axis=1).mean()
    # The encoder was called twice, with the same images.
    np.testing.assert_allclose(model.losses[0], penalty, rtol=1e-5)


@fact("A56", 3, "784-128-64-32-64-128-784: 222,384")
def parameters_of_the_deep_autoencoder():
    model = build("deep_autoencoder")
    counts = [
        layer.count_params()
        for half in ("encoder", "decoder")
        for layer in model.get_layer(half).layers
        if layer.weights
    ]
    assert counts == [100_480, 8_256, 2_080, 2_112, 8_320, 101_136]
    assert count(model.trainable_weights) == 222_384


@fact("A57", 3, "How does this method differ from PCA?")
def linear_autoencoder_finds_what_pca_finds():
    from sklearn.decomposition import PCA

    points, model = linear_autoencoder(3)
    flat = points.reshape(len(points), -1)
    pca = PCA(3).fit(flat)
    by_pca = pca.inverse_transform(pca.transform(flat))
    error = np.mean((model.predict(points, verbose=0) - points) ** 2)
    np.testing.assert_allclose(error, np.mean((by_pca - flat) ** 2), rtol=0.01)
    # The same subspace: the cosines of all principal angles are one.
    kernel = model.get_layer("decoder").get_layer("pixels").kernel
    ours, _ = np.linalg.qr(np.transpose(kernel))
    cosines = np.linalg.svd(pca.components_ @ ours, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


test_lecture = fact.test()
