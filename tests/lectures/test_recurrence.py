"""Lectures: recurrent networks, step by step."""

import keras
import numpy as np
import tensorflow as tf
from helpers.builders import build
from helpers.facts import Facts

import zoo

fact = Facts()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unrolled(name, images, kernel, recurrent_kernel, bias):
    """Return the last state of a recurrent layer, step by step in NumPy."""
    rows = images[..., 0].astype("float64") / 255
    units = recurrent_kernel.shape[0]
    h = c = np.zeros((len(images), units))
    for x in rows.transpose(1, 0, 2):
        if name == "simple_rnn":
            h = np.tanh(x @ kernel + h @ recurrent_kernel + bias)
        elif name == "lstm":
            gates = x @ kernel + h @ recurrent_kernel + bias
            i, f, candidate, o = np.split(gates, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
            h = sigmoid(o) * np.tanh(c)
        else:
            xz, xr, xh = np.split(x @ kernel + bias[0], 3, axis=1)
            hz, hr, hh = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            h = z * h + (1 - z) * np.tanh(xh + r * hh)
    return h


def with_random_biases(model):
    """Replace the zeros, which would hide a bias in the wrong place."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "bias" in weight.path:
            weight.assign(random.normal(size=weight.shape))
    return model


@fact("A60", 3, "RNN rolled over time")
def unrolled_by_hand_is_the_layer():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
    for name in ("simple_rnn", "lstm", "gru"):
        model = with_random_biases(zoo.create_model(name, hidden_units=(16,)))
        found = zoo.feature_extractor(model)(images.astype("uint8"))
        weights = model.get_layer(f"{name}1").get_weights()
        expected = unrolled(name, images, *weights)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)


@fact("A60", 3, "A simple RNN: h (d + h + 1) parameters")
def parameters_of_recurrent_layers():
    d = 28
    for h in (7, 128):
        for name, formula in {
            "simple_rnn": h * (d + h + 1),
            "lstm": 4 * h * (d + h + 1),
            "gru": 3 * h * (d + h + 2),
        }.items():
            model = zoo.create_model(name, hidden_units=(h,))
            assert model.get_layer(f"{name}1").count_params() == formula


@fact("A60", 3, "Back-propagation through time: one W for all the steps")
def gradient_of_shared_weights_is_the_sum_over_the_steps():
    layer = build("simple_rnn", hidden_units=(8,)).get_layer("simple_rnn1")
    kernel, recurrent, bias = (tf.constant(w) for w in layer.get_weights())
    rows = np.random.default_rng(0).normal(size=(4, 5, 28)).astype("float32")
    with tf.GradientTape(persistent=True) as tape:
        copies = [tf.identity(kernel) for _ in range(5)]
        tape.watch(copies)
        h = tf.zeros((4, 8))
        for step, copy in enumerate(copies):
            h = tf.tanh(rows[:, step] @ copy + h @ recurrent + bias)
        by_hand = tf.reduce_sum(h**2)
        by_layer = tf.reduce_sum(layer(rows) ** 2)
    np.testing.assert_allclose(by_layer, by_hand, rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(by_layer, layer.cell.kernel.value),
        sum(tape.gradient(by_hand, copies)),
        atol=1e-4,
    )


@fact("A62", 3, "Many to one: a sequence goes in, one answer comes out")
def what_is_classified_is_the_state_after_the_last_row():
    model = build("lstm", hidden_units=(8, 4))
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1))
    assert model.get_layer("rows").output.shape == (None, 28, 28)
    states = zoo.feature_extractor(model)(images.astype("uint8"))
    assert states.shape == (3, 4)
    np.testing.assert_allclose(
        model.get_layer("predictions")(states), model(images), atol=1e-6
    )


@fact("A64", 4, "Recurrent neural networks, LSTM")
def open_gates_carry_a_memory_through_every_step():
    """With f = 1 and i = 0 nothing is forgotten; a plain RNN's state fades."""
    cell = keras.layers.LSTMCell(1)
    cell.build((None, 28))
    wide = np.array([-50, 50, 0, 50], "float32")  # i, f, candidate, o
    cell.kernel.assign(np.zeros((28, 4)))
    cell.recurrent_kernel.assign(np.zeros((1, 4)))
    cell.bias.assign(wide)
    h, c = np.zeros((1, 1), "float32"), np.full((1, 1), 0.7, "float32")
    for _ in range(200):
        _, (h, c) = cell(np.ones((1, 28), "float32"), (h, c))
    np.testing.assert_allclose(c, 0.7, rtol=1e-5)


test_lecture = fact.test()
