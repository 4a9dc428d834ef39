"""Back-propagation as the lectures have it, beside TensorFlow's own.

Lecture 4 derives the gradient of a network of 3 inputs, 4 hidden units and 2
outputs, gives the algorithm for sigmoid units, and lecture 1 stochastic
gradient descent. The deltas are computed here by hand. What `mnist_by_hand`
does in a step has to be the same.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from recipes import mnist_by_hand


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slope_of_sigmoid(x):
    return sigmoid(x) * (1 - sigmoid(x))


def identity(x):
    return x


def slopes(function, weights, width=1e-6):
    """The gradient of a function of some weights, by finite differences."""
    gradient = np.zeros_like(weights)
    for place in np.ndindex(weights.shape):
        for sign in (1, -1):
            moved = weights.copy()
            moved[place] += sign * width
            gradient[place] += sign * function(moved) / (2 * width)
    return gradient


# The example of lecture 4: 3 inputs, 4 hidden units, 2 outputs.


class Example:
    """Forward, then backward, with the letters of the slide; no biases.

    Row k of `w1` are the weights of hidden unit k, row k of `w2` of output k.
    """

    x, t = random(3, seed=1), random(2, seed=2)
    w1, w2 = random(4, 3, seed=3), random(2, 4, seed=4)

    @classmethod
    def loss(cls, w1, w2):
        y = w2 @ sigmoid(w1 @ cls.x)
        return 0.5 * np.sum((y - cls.t) ** 2)

    @classmethod
    def deltas(cls):
        a = cls.w1 @ cls.x
        y = cls.w2 @ sigmoid(a)
        delta2 = y - cls.t
        delta1 = slope_of_sigmoid(a) * (cls.w2.T @ delta2)
        return delta1, delta2

    @classmethod
    def gradients(cls):
        delta1, delta2 = cls.deltas()
        z = sigmoid(cls.w1 @ cls.x)
        return np.outer(delta1, cls.x), np.outer(delta2, z)


def test_single_derivatives_of_the_slide():
    delta1, delta2 = Example.deltas()
    x, t, w1, w2 = Example.x, Example.t, Example.w1, Example.w2
    a = w1 @ x
    z = sigmoid(a)
    y = w2 @ z
    of_w1, of_w2 = Example.gradients()
    # The slide divides by w(2,2,3) here, which belongs to z3: a slip.
    assert of_w2[1, 3] == pytest.approx((y[1] - t[1]) * z[3])
    by_hand = sum(w2[i, 0] * (y[i] - t[i]) for i in range(2))
    assert delta1[0] == pytest.approx(slope_of_sigmoid(a[0]) * by_hand)
    assert of_w1[0, 0] == pytest.approx(delta1[0] * x[0])
    assert delta2.shape == (2,)


def test_deltas_of_the_slide_are_the_slopes_of_the_loss():
    of_w1, of_w2 = Example.gradients()
    by_w1 = slopes(lambda w1: Example.loss(w1, Example.w2), Example.w1)
    by_w2 = slopes(lambda w2: Example.loss(Example.w1, w2), Example.w2)
    np.testing.assert_allclose(of_w1, by_w1, atol=1e-6)
    np.testing.assert_allclose(of_w2, by_w2, atol=1e-6)


def test_deltas_of_the_slide_are_the_gradients_of_tensorflow():
    w1, w2 = tf.Variable(Example.w1), tf.Variable(Example.w2)
    with tf.GradientTape() as tape:
        y = tf.linalg.matvec(w2, tf.sigmoid(tf.linalg.matvec(w1, Example.x)))
        loss = tf.reduce_sum((y - Example.t) ** 2) / 2
    for found, expected in zip(
        tape.gradient(loss, [w1, w2]), Example.gradients(), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


# The algorithm of lecture 4: sigmoid units, one example at a time.


def test_algorithm_for_sigmoid_units_goes_down_the_squared_error():
    x, y = random(3, seed=1), np.array([0.0, 1.0])
    hidden, outputs, rate = random(4, 3, seed=2), random(2, 4, seed=3), 0.3

    def error(hidden, outputs):
        return 0.5 * np.sum((y - sigmoid(outputs @ sigmoid(hidden @ x))) ** 2)

    o_h = sigmoid(hidden @ x)
    o_k = sigmoid(outputs @ o_h)
    delta_k = o_k * (1 - o_k) * (y - o_k)
    delta_h = o_h * (1 - o_h) * (outputs.T @ delta_k)
    # These deltas point downhill, so what is learned is added.
    by_outputs = slopes(lambda w: error(hidden, w), outputs)
    by_hidden = slopes(lambda w: error(w, outputs), hidden)
    np.testing.assert_allclose(
        rate * np.outer(delta_k, o_h), -rate * by_outputs, atol=1e-6
    )
    np.testing.assert_allclose(
        rate * np.outer(delta_h, x), -rate * by_hidden, atol=1e-6
    )


def test_gradient_of_a_sigmoid_unit_has_a_plus():
    # With y the output and t the target, the slide's minus is a slip: it takes
    # the derivative of t, and then writes that of y.
    x, t, w = random(20, 3, seed=1), random(20, seed=2) > 0, random(3, seed=3)

    def error(w):
        return 0.5 * np.sum((sigmoid(x @ w) - t) ** 2)

    y = sigmoid(x @ w)
    gradient = ((y - t) * y * (1 - y)) @ x
    np.testing.assert_allclose(gradient, slopes(error, w), atol=1e-6)
    assert error(w - 0.01 * gradient) < error(w) < error(w + 0.01 * gradient)


# A step of the recipe, and Algorithm 1 of lecture 1.


def small_mlp(hidden_units=(6, 5), activation="tanh"):
    set_seed(0)
    return zoo.create_model(
        "mlp",
        input_shape=(4, 4, 1),
        num_classes=3,
        hidden_units=hidden_units,
        activation=activation,
        dropout=0.0,
    )


IMAGES = np.random.default_rng(1).integers(0, 256, (48, 4, 4, 1), "uint8")
LABELS = np.random.default_rng(2).integers(0, 3, 48)


def gradients_of_step(model, images, labels):
    """What a step takes off the weights, with a learning rate of one."""
    before = model.get_weights()
    mnist_by_hand.step(model, images, labels, learning_rate=1.0)
    after = model.get_weights()
    return [b - a for b, a in zip(before, after, strict=True)]


def gradients_by_deltas(model, images, labels):
    """The same from the deltas of the lecture, for tanh and softmax."""
    weights = [w.astype("float64") for w in model.get_weights()]
    kernels, biases = weights[::2], weights[1::2]
    z = [images.reshape(len(images), -1) / 255]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        z.append(np.tanh(z[-1] @ kernel + bias))
    e = np.exp(z[-1] @ kernels[-1] + biases[-1])
    y = e / e.sum(axis=1, keepdims=True)

    delta = (y - np.eye(3)[labels]) / len(images)
    gradients = []
    for layer in reversed(range(len(kernels))):
        gradients = [z[layer].T @ delta, delta.sum(axis=0), *gradients]
        # f'(a) is 1 - z² for tanh.
        delta = (1 - z[layer] ** 2) * (delta @ kernels[layer].T)
    return gradients


@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 5)], ids=str)
def test_step_moves_each_weight_by_the_deltas_of_the_lecture(hidden_units):
    model = small_mlp(hidden_units)
    expected = gradients_by_deltas(model, IMAGES, LABELS)
    found = gradients_of_step(model, IMAGES, LABELS)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_step_returns_the_cross_entropy_before_it():
    model = small_mlp()
    given = model(IMAGES).numpy()[np.arange(48), LABELS]
    loss = mnist_by_hand.step(model, IMAGES, LABELS, 0.5)
    assert float(loss) == pytest.approx(-np.mean(np.log(given)), rel=1e-6)
    after = mnist_by_hand.step(model, IMAGES, LABELS, 0.5)
    assert float(after) < float(loss)


def test_explicit_loop_equals_fit_with_the_same_batches():
    by_hand, by_keras = (
        small_mlp(activation="relu"),
        small_mlp(activation="relu"),
    )
    by_keras.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        run_eagerly=True,  # nine steps do not pay for tracing a graph
    )
    by_keras.fit(
        IMAGES, LABELS, batch_size=16, epochs=3, shuffle=False, verbose=0
    )
    for _ in range(3):
        for start in range(0, 48, 16):
            batch = slice(start, start + 16)
            mnist_by_hand.step(by_hand, IMAGES[batch], LABELS[batch], 0.1)
    for left, right in zip(
        by_hand.get_weights(), by_keras.get_weights(), strict=True
    ):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_one_batch_of_all_examples_is_gradient_descent():
    # The mean of what single examples ask for, whatever their order.
    model = small_mlp()
    weights = model.get_weights()

    def gradients(chosen):
        model.set_weights(weights)
        return gradients_of_step(model, IMAGES[chosen], LABELS[chosen])

    of_each = [gradients([number]) for number in range(8)]
    found = gradients([3, 7, 0, 5, 6, 1, 2, 4])
    for left, *rights in zip(found, *of_each, strict=True):
        np.testing.assert_allclose(left, np.mean(rights, axis=0), atol=1e-6)
