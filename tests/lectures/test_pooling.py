"""Lectures: pooling, and the network that ends with it."""

import math

import numpy as np
import tensorflow as tf
from helpers.arrays import image, plain
from helpers.builders import build, count
from helpers.facts import Facts
from keras import ops

fact = Facts()


@fact("A39", 3, "Max pooling, 2 x 2, stride 2: 4 5 / 3 4")
def max_pooling_of_four_by_four():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    pooled = plain(ops.max_pool(image(rows), 2, 2))
    np.testing.assert_array_equal(pooled, [[4, 5], [3, 4]])


@fact("A39", 0, "2 x 2 filters retain only 25 % of the data")
def pooling_retains_a_quarter():
    pool = build("lecture_cnn").get_layer("pool")
    before, after = pool.input.shape[1:], pool.output.shape[1:]
    assert math.prod(after) == 0.25 * math.prod(before)


@fact("A39", 0, "One only routes the gradient to the highest value")
def gradient_of_max_pooling_goes_to_the_maximum():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    x = tf.constant(image(rows))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.max_pool(x, 2, 2) * image([[10, 20], [30, 40]])
    expected = [[0, 0, 20, 0], [10, 0, 0, 0], [30, 0, 0, 0], [0, 0, 0, 40]]
    np.testing.assert_array_equal(plain(tape.gradient(y, x)), expected)


@fact("A39", 3, "Average pooling: the average of a neighborhood")
def average_pooling_of_four_by_four():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    pooled = plain(ops.average_pool(image(rows), 2, 2))
    np.testing.assert_array_equal(pooled, [[2.5, 3], [1.25, 2]])


@fact("A39", 3, "Pooling: invariance to local translation")
def max_pooling_hides_a_step_within_its_window():
    x = np.zeros((8, 8))
    x[2, 4] = 1
    pooled = plain(ops.max_pool(image(x), 2, 2))
    moved = plain(ops.max_pool(image(np.roll(x, (1, 1), (0, 1))), 2, 2))
    np.testing.assert_array_equal(pooled, moved)
    assert pooled.sum() == 1


@fact("A45", 4, "Conv 32, conv 64, pool, .25, dense 128, .5, softmax")
def lecture_cnn_has_1199882_parameters():
    model = build("lecture_cnn")
    kinds = [type(layer).__name__ for layer in model.layers[2:]]
    assert (
        kinds
        == (
            "Conv2D Conv2D MaxPooling2D Dropout Flatten Dense Dropout Dense"
        ).split()
    )
    assert model.get_layer("conv1").kernel.shape == (3, 3, 1, 32)
    assert model.get_layer("conv2").kernel.shape == (3, 3, 32, 64)
    assert model.get_layer("dropout1").rate == 0.25
    assert model.get_layer("hidden").units == 128
    assert model.get_layer("dropout2").rate == 0.5
    assert count(model.trainable_weights) == 1_199_882


test_lecture = fact.test()
