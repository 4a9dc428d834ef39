"""Lectures: the variations of stochastic gradient descent, step by step.

Each optimizer of the recipe that compares them moves a matrix of weights by
gradients that are given, and NumPy by the formula of the paper.
"""

import keras
import numpy as np
from helpers.facts import Facts

from recipes import mnist_optimizers

fact = Facts()

RATE, STEPS = 0.01, 4
DECAY = 0.1  # of AdamW and Muon
SHAPE = (5, 3)
EPSILON = 1e-7  # of Keras


def gradients(shape=SHAPE):
    return np.random.default_rng(0).normal(size=(STEPS, *shape))


def start(shape=SHAPE):
    return np.random.default_rng(1).normal(size=shape)


def moved_by(name, shape=SHAPE):
    """Let an optimizer of the recipe take all steps."""
    weights = keras.Variable(start(shape), dtype="float32")
    optimizer = mnist_optimizers.optimizer(name, RATE)
    for gradient in gradients(shape):
        gradient = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([gradient], [weights])
    return keras.ops.convert_to_numpy(weights)


def assert_moves_by(name, step, shape=SHAPE):
    """Compare with a formula, `step(w, g, memory, t) -> w`; t counts from 1."""
    w, memory = start(shape), {"m": 0.0, "v": 0.0}
    for t, g in enumerate(gradients(shape), start=1):
        w = step(w, g, memory, t)
    np.testing.assert_allclose(moved_by(name, shape), w, rtol=2e-5, atol=2e-6)


SAYS = "Variations of SGD: vanilla SGD, momentum, RMSprop, Adam, etc"


@fact("A23", 1, SAYS)
def sgd_moves_against_the_gradient():
    assert_moves_by("SGD", lambda w, g, memory, t: w - RATE * g)


@fact("A23", 1, SAYS)
def momentum_keeps_nine_tenths_of_the_last_step():
    def step(w, g, memory, t):
        memory["m"] = 0.9 * memory["m"] - RATE * g
        return w + memory["m"]

    assert_moves_by("momentum", step)


@fact("A23", 1, SAYS)
def nesterov_looks_ahead():
    """In the form of Sutskever et al. 2013, by the weights that lie ahead.

    The gradient is that where the momentum leads, 0.9 m further than w; what
    is kept and shown are those places.
    """
    ahead, m = start(), 0.0
    for g in gradients():
        w = ahead - 0.9 * m
        m = 0.9 * m - RATE * g
        w = w + m
        ahead = w + 0.9 * m
    np.testing.assert_allclose(
        moved_by("Nesterov"), ahead, rtol=2e-5, atol=2e-6
    )


@fact("A23", 1, SAYS)
def rmsprop_divides_by_the_size_of_the_gradient():
    def step(w, g, memory, t):
        memory["v"] = 0.9 * memory["v"] + 0.1 * g**2
        return w - RATE * g / np.sqrt(memory["v"] + EPSILON)

    assert_moves_by("RMSprop", step)


def adam(w, g, memory, t):
    memory["m"] = 0.9 * memory["m"] + 0.1 * g
    memory["v"] = 0.999 * memory["v"] + 0.001 * g**2
    m, v = memory["m"] / (1 - 0.9**t), memory["v"] / (1 - 0.999**t)
    return w - RATE * m / (np.sqrt(v) + EPSILON)


@fact("A23", 1, SAYS)
def adam_corrects_its_averages_for_their_start():
    assert_moves_by("Adam", adam)


@fact("A23", 1, "The first step of Adam is as long as its rate")
def adam_starts_with_the_sign():
    g = gradients()[0]
    first = start() - adam(start(), g, {"m": 0.0, "v": 0.0}, 1)
    np.testing.assert_allclose(first, RATE * np.sign(g), rtol=1e-5)


@fact("A23", 1, SAYS)
def adamw_shrinks_the_weights_as_well():
    def step(w, g, memory, t):
        return adam((1 - RATE * DECAY) * w, g, memory, t)

    assert_moves_by("AdamW", step)


def orthogonal(matrix):
    """Raise all singular values to about one by five Newton-Schulz steps."""
    x = matrix if len(matrix) <= len(matrix.T) else matrix.T
    x = x / np.linalg.norm(x)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x if len(matrix) <= len(matrix.T) else x.T


@fact("A23", 1, SAYS)
def muon_makes_the_momentum_of_a_matrix_orthogonal():
    """With the scale of Liu et al. 2025, that makes its steps as Adam's."""

    def step(w, g, memory, t):
        memory["m"] = 0.95 * memory["m"] + g
        update = orthogonal(0.95 * memory["m"] + g)
        length = 0.2 * np.sqrt(max(w.shape))
        return (1 - RATE * DECAY) * w - RATE * length * update

    for shape in (SHAPE, SHAPE[::-1]):
        assert_moves_by("Muon", step, shape)
    values = np.linalg.svd(orthogonal(gradients()[0]), compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.3


@fact("A23", 1, SAYS)
def muon_leaves_what_is_no_matrix_to_adam():
    assert_moves_by("Muon", adam_with_decay, shape=(7,))


def adam_with_decay(w, g, memory, t):
    decay = mnist_optimizers.optimizer("Muon", RATE).adam_weight_decay
    return adam((1 - RATE * decay) * w, g, memory, t)


test_lecture = fact.test()
