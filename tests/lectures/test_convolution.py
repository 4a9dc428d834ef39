"""Lectures: convolution."""

import itertools

import numpy as np
import tensorflow as tf
from helpers.arrays import convolve
from helpers.facts import Facts
from keras import ops

import zoo

fact = Facts()


@fact("A36", 1, "y_i = sum_j w_j z_(i+j-1): six inputs, four outputs")
def convolution_in_one_dimension():
    z, w = np.random.default_rng(0).normal(size=(2, 6)).astype("float32")
    w = w[:3]
    y = ops.conv(z[None, :, None], w[:, None, None])[0, :, 0]
    expected = [sum(w[j] * z[i + j] for j in range(3)) for i in range(4)]
    np.testing.assert_allclose(y, expected, rtol=1e-5)


@fact("A37", 1, "Convolution with zero padding is a banded 6 x 6 matrix")
def convolution_is_multiplication_by_a_banded_matrix():
    z, w = np.random.default_rng(1).normal(size=(2, 6)).astype("float32")
    w = w[:3]
    matrix = sum(np.diag([w[1 + k]] * (6 - abs(k)), k) for k in (-1, 0, 1))
    assert np.count_nonzero(matrix) == 16
    y = ops.conv(z[None, :, None], w[:, None, None], padding="same")
    np.testing.assert_allclose(y[0, :, 0], matrix @ z, rtol=1e-4)


def six_inputs(padding):
    """Return a network with one filter of three weights, and its layer."""
    model = zoo.create_model(
        "conv1d",
        input_shape=(6, 1, 1),
        filters=(1,),
        kernel_size=3,
        padding=padding,
        activation="linear",
        rescale=(1.0, 0.0),
    )
    return zoo.feature_extractor(model, "conv1"), model.get_layer("conv1")


def banded(w, padding):
    """Write down the lecture's matrix, row by row."""
    rows = [[0] * i + [*w] + [0] * (3 - i) for i in range(4)]
    if padding == "same":
        rows = [[*w[1:], 0, 0, 0, 0], *rows, [0, 0, 0, 0, *w[:2]]]
    return np.array(rows)


@fact("A37", 1, "Zero padding: six inputs, six outputs; without it, four")
def layers_of_the_zoo_are_the_banded_matrices():
    z = np.random.default_rng(2).normal(size=6).astype("float32")
    for padding, outputs in (("valid", 4), ("same", 6)):
        convolution, layer = six_inputs(padding)
        matrix = banded(layer.kernel.numpy().ravel(), padding)
        assert matrix.shape == (outputs, 6)
        signal = tf.constant(z.reshape(1, 6, 1, 1))
        with tf.GradientTape() as tape:
            tape.watch(signal)
            y = convolution(signal)[0, :, 0]
        np.testing.assert_allclose(y, matrix @ z, atol=1e-6)
        upstream = np.arange(1, outputs + 1, dtype="float32")
        gradient = tape.gradient(y, signal, upstream)
        np.testing.assert_allclose(
            np.ravel(gradient), matrix.T @ upstream, atol=1e-5
        )


@fact("A37", 1, "All rows share three weights, and one bias")
def convolutions_share_their_weights():
    for padding in ("valid", "same"):
        _, layer = six_inputs(padding)
        assert layer.count_params() == 3 + 1


@fact("A38", 4, "Stride: the jump of the filter; padding: zeros around")
def size_after_convolution():
    for n, k, s, p in itertools.product((7, 28), (1, 3, 5), (1, 2, 3), (0, 2)):
        padded = np.pad(np.ones((n, n)), p)
        side = (n + 2 * p - k) // s + 1
        y = convolve(padded, np.ones((k, k)), strides=s)
        assert y.shape == (side, side), (n, k, s, p)


@fact("A38", 3, "Output aw + bx + ey + fz, ...: 3 x 4 input, 2 x 2 kernel")
def convolution_of_letters():
    z = np.arange(1, 13).reshape(3, 4)
    (a, b, c, d), (e, f, g, h), (i, j, k, m) = z
    w, x, y, v = 2, 3, 5, 7
    expected = [
        [
            a * w + b * x + e * y + f * v,
            b * w + c * x + f * y + g * v,
            c * w + d * x + g * y + h * v,
        ],
        [
            e * w + f * x + i * y + j * v,
            f * w + g * x + j * y + k * v,
            g * w + h * x + k * y + m * v,
        ],
    ]
    np.testing.assert_array_equal(convolve(z, [[w, x], [y, v]]), expected)


@fact("A40", 3, "5 x 5 input, 3 x 3 kernel: 12 12 17 / 10 17 19 / 9 6 14")
def convolution_of_five_by_five():
    rows = [
        [3, 3, 2, 1, 0],
        [0, 0, 1, 3, 1],
        [3, 1, 2, 2, 3],
        [2, 0, 0, 2, 2],
        [2, 0, 0, 0, 1],
    ]
    kernel = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
    printed = [[12, 12, 17], [10, 17, 19], [9, 6, 14]]
    np.testing.assert_array_equal(convolve(rows, kernel), printed)


@fact("A41", 0, "Emboss: the new pixel value is -8")
def emboss_gives_minus_eight():
    kernel = [[4, 0, 0], [0, 0, 0], [0, 0, -4]]
    source = [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
    np.testing.assert_array_equal(convolve(source, kernel), [[-8]])


@fact("A41", 3, "Filter 0 1 0 / 1 -4 1 / 0 1 0")
def laplacian_sees_curvature_only():
    kernel = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    y, x = np.mgrid[:6, :8]
    np.testing.assert_array_equal(convolve(3 * x + 2 * y + 1, kernel), 0)
    np.testing.assert_array_equal(convolve(x**2, kernel), 2)


@fact("A41", 3, "Kernel {-1, 1}: 320 x 280 gives 319 x 280")
def edge_filter_on_a_photograph():
    rows = np.zeros((280, 320))
    rows[:, 100:] = 1
    edges = convolve(rows, [[-1, 1]])
    assert edges.shape == (280, 319)
    np.testing.assert_array_equal(np.unique(edges.nonzero()[1]), [99])


@fact("A41", 3, "319 x 280 x 3 ops against 320 x 280 x 319 x 280")
def convolution_is_cheap():
    height, width = convolve(np.zeros((280, 320)), [[-1, 1]]).shape
    convolution = width * height * 3  # two products and a sum
    connected = 320 * 280 * width * height
    assert (convolution, connected) == (267_960, 8_003_072_000)


test_lecture = fact.test()
