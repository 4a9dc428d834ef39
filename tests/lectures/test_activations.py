"""Lectures: single neurons and their activations."""

import numpy as np
import tensorflow as tf
from helpers.facts import Facts
from keras import ops

fact = Facts()


@fact("A6", 2, "softmax(.02, .16, .10, .13, .99) = .1431069 .1646121 ...")
def softmax_of_five_numbers():
    z = np.array([0.02, 0.16, 0.10, 0.13, 0.99], "float32")
    printed = [0.1431069, 0.1646121, 0.1550259, 0.1597471, 0.3775080]
    np.testing.assert_allclose(ops.softmax(z), printed, atol=1e-7)


@fact("A6", 2, "each component will be in (0, 1), and all add up to 1")
def softmax_makes_probabilities_of_any_numbers():
    z = np.random.default_rng(0).normal(0, 3, (50, 7)).astype("float32")
    p = ops.convert_to_numpy(ops.softmax(z))
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@fact("A6", 3, "Tanh is a scaled sigmoid")
def tanh_is_a_scaled_sigmoid():
    x = np.linspace(-5, 5, 101, dtype="float32")
    np.testing.assert_allclose(
        ops.tanh(x), 2 * ops.sigmoid(2 * x) - 1, atol=1e-6
    )


@fact("A6", 4, "sigmoid'(x) = sigmoid(x) (1 - sigmoid(x))")
def derivative_of_the_sigmoid():
    x = tf.linspace(-5.0, 5.0, 101)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.sigmoid(x)
    np.testing.assert_allclose(tape.gradient(y, x), y * (1 - y), atol=1e-6)


test_lecture = fact.test()
