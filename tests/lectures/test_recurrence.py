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


def rows_of(images):
    """Return the rows that a network reads, one step after the other."""
    return (images[..., 0].astype("float64") / 255).transpose(1, 0, 2)


def unrolled(name, rows, kernel, recurrent_kernel, bias):
    """Return the last state of a recurrent layer, step by step in NumPy."""
    h, _ = forward(name, rows, kernel, recurrent_kernel, bias)
    return h


def forward(name, rows, kernel, recurrent_kernel, bias):
    """Return the last state, and what each step would need to go back."""
    units = recurrent_kernel.shape[0]
    h = c = np.zeros((rows.shape[1], units))
    kept = []
    for x in rows:
        h_before, c_before = h, c
        if name == "simple_rnn":
            h = np.tanh(x @ kernel + h @ recurrent_kernel + bias)
            kept.append((h,))
        elif name == "lstm":
            gates = x @ kernel + h @ recurrent_kernel + bias
            i, f, candidate, o = np.split(gates, 4, axis=1)
            i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
            candidate = np.tanh(candidate)
            c = f * c + i * candidate
            h = o * np.tanh(c)
            kept.append((i, f, candidate, o, c, c_before))
        else:
            xz, xr, xh = np.split(x @ kernel + bias[0], 3, axis=1)
            hz, hr, hh = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            candidate = np.tanh(xh + r * hh)
            h = z * h + (1 - z) * candidate
            kept.append((z, r, hh, candidate))
        kept[-1] = (x, h_before, *kept[-1])
    return h, kept


def back_through_time(name, kept, by_h, kernel, recurrent_kernel, bias):
    """Return the gradients of the weights, from the last step to the first.

    Each step adds its own part, for all of them have the same weights.

    Args:
        name: Name of the network.
        kept: What `forward` has kept of each step.
        by_h: The gradient of the last state.
        kernel, recurrent_kernel, bias: The weights.
    """
    by_kernel = np.zeros_like(kernel, "float64")
    by_recurrent = np.zeros_like(recurrent_kernel, "float64")
    by_bias = np.zeros_like(bias, "float64")
    by_c = 0
    for x, h, *values in reversed(kept):
        by_last = 0
        if name == "simple_rnn":
            [after] = values
            inner = outer = by_h * (1 - after**2)
        elif name == "lstm":
            i, f, candidate, o, c, c_before = values
            by_c = by_c + by_h * o * (1 - np.tanh(c) ** 2)
            inner = outer = np.concatenate(
                [
                    by_c * candidate * i * (1 - i),
                    by_c * c_before * f * (1 - f),
                    by_c * i * (1 - candidate**2),
                    by_h * np.tanh(c) * o * (1 - o),
                ],
                axis=1,
            )
            by_c = by_c * f
        else:
            z, r, hh, candidate = values
            by_last = by_h * z
            by_z = by_h * (h - candidate) * z * (1 - z)
            by_candidate = by_h * (1 - z) * (1 - candidate**2)
            by_r = by_candidate * hh * r * (1 - r)
            inner = np.concatenate([by_z, by_r, by_candidate], axis=1)
            outer = np.concatenate([by_z, by_r, by_candidate * r], axis=1)
        by_kernel += x.T @ inner
        by_recurrent += h.T @ outer
        both = np.stack([inner.sum(0), outer.sum(0)])
        by_bias += both if bias.ndim == 2 else both[0]
        by_h = by_last + outer @ recurrent_kernel.T
    return by_kernel, by_recurrent, by_bias


def linear_states(rows, log_decay, log_angle, kernel):
    """Return λ, the scaled B, and the states of a linear recurrent unit."""
    eigenvalues = np.exp(-np.exp(log_decay) + 1j * np.exp(log_angle))
    real, imaginary = np.split(kernel.astype("float64"), 2, axis=1)
    scale = np.sqrt(1 - abs(eigenvalues) ** 2)
    states = [np.zeros((rows.shape[1], len(eigenvalues)))]
    for x in rows:
        states.append(
            eigenvalues * states[-1] + x @ (scale * (real + 1j * imaginary))
        )
    return eigenvalues, scale, states[1:]


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
        expected = unrolled(name, rows_of(images), *weights)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)


@fact("A60", 3, "RNN rolled over time, from both ends")
def both_ways_by_hand_are_the_layer():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
    rows = rows_of(images)
    for name in ("simple_rnn", "lstm", "gru"):
        model = with_random_biases(
            zoo.create_model(name, hidden_units=(8,), bidirectional=True)
        )
        found = zoo.feature_extractor(model)(images.astype("uint8"))
        weights = model.get_layer("both_ways1").get_weights()
        down = unrolled(name, rows, *weights[:3])
        up = unrolled(name, rows[::-1], *weights[3:])
        expected = np.concatenate([down, up], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)


@fact("A60", 3, "RNN rolled over time: a linear one, all steps at once")
def linear_recurrence_by_hand_is_the_layer():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
    model = build("lru", hidden_units=(8, 8), state_units=6)
    states = zoo.feature_extractor(model, "lru1")(images.astype("uint8"))
    weights = model.get_layer("lru1").get_weights()
    *_, expected = linear_states(rows_of(images), *weights)
    expected = np.transpose(expected, (1, 0, 2))
    np.testing.assert_allclose(states[..., :6], expected.real, atol=1e-5)
    np.testing.assert_allclose(states[..., 6:], expected.imag, atol=1e-5)


@fact("A60", 3, "Back-propagation through time, written out")
def back_propagation_by_hand_is_the_tape():
    """The loss is the sum of the squares of the last state."""
    rows = np.random.default_rng(0).normal(size=(28, 4, 5))
    sequence = rows.transpose(1, 0, 2).astype("float32")
    for layer in (
        keras.layers.SimpleRNN(6, name="simple_rnn"),
        keras.layers.LSTM(6, name="lstm"),
        keras.layers.GRU(6, name="gru"),
    ):
        layer.build(sequence.shape)
        with_random_biases(layer)
        weights = layer.get_weights()
        h, kept = forward(layer.name, rows, *weights)
        expected = back_through_time(layer.name, kept, 2 * h, *weights)
        found = gradients_of(layer, layer.cell.weights, sequence)
        both_ways = keras.layers.Bidirectional(type(layer)(6), name="both")
        both_ways.build(sequence.shape)
        both_ways.set_weights([*weights, *weights])
        of_both = gradients_of(both_ways, both_ways.weights, sequence)
        h, kept = forward(layer.name, rows[::-1], *weights)
        upwards = back_through_time(layer.name, kept, 2 * h, *weights)
        for one, other in zip(
            (*found, *of_both), (*expected, *expected, *upwards), strict=True
        ):
            np.testing.assert_allclose(
                one, other, rtol=1e-3, atol=1e-4, err_msg=layer.name
            )


@fact("A60", 3, "Back-propagation through time: λ, once for each step")
def back_propagation_through_a_linear_recurrence_is_the_tape():
    rows = np.random.default_rng(0).normal(size=(50, 4, 5))
    sequence = rows.transpose(1, 0, 2).astype("float32")
    layer = zoo.linear_recurrences.LinearRecurrence(3, return_sequences=False)
    layer.build(sequence.shape)
    weights = layer.get_weights()
    eigenvalues, scale, (*_, last) = linear_states(rows, *weights)
    by_state, by_kernel = 2 * last, 0
    for x in reversed(rows):
        by_kernel = by_kernel + scale * (x.T @ by_state)
        by_state = np.conj(eigenvalues) * by_state
    expected = np.concatenate([by_kernel.real, by_kernel.imag], axis=1)
    [found] = gradients_of(layer, [layer.kernel], sequence)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def gradients_of(layer, variables, sequence):
    """Return the gradients of the sum of the squares of what a layer gives."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(sequence) ** 2)
    return tape.gradient(loss, [variable.value for variable in variables])


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
