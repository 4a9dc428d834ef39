"""Lectures: LeNet-5, its table and its sizes."""

import math

import keras
import numpy as np
from helpers.builders import build, count
from helpers.facts import Facts
from keras import ops

from zoo import lenet

fact = Facts()


def lenet_parameters():
    layers = build("lenet5").layers
    return {x.name: count(x.trainable_weights) for x in layers if x.weights}


def lenet_connections():
    """Count the connections of each layer from its shapes and weights.

    A unit has a connection for every input that it sees, and one for its bias.
    """
    connections = {}
    for layer in build("lenet5").layers:
        places = math.prod(layer.output.shape[1:-1])
        if isinstance(layer, lenet.TrainableSubsampling2D):
            seen = math.prod(layer.input.shape[1:]) // places
            maps = layer.output.shape[-1]
            connections[layer.name] = places * (seen + maps)
        elif layer.weights:  # every place has each weight once
            connections[layer.name] = places * count(layer.weights)
    return connections


@fact("A44", 3, "LeNet-5: how many parameters to be trained in total?")
def lenet5_trains_60000_parameters():
    assert lenet_parameters() == {
        "c1": 156,
        "s2": 12,
        "c3": 1_516,
        "s4": 32,
        "c5": 48_120,
        "f6": 10_164,
        "distances": 0,
    }
    assert sum(lenet_parameters().values()) == 60_000


@fact("A44", 3, "LeNet-5 (Fig. 2); the paper counts its connections")
def lenet5_has_340908_connections():
    assert lenet_connections() == {
        "c1": 122_304,
        "s2": 5_880,
        "c3": 151_600,
        "s4": 2_000,
        "c5": 48_120,
        "f6": 10_164,
        "distances": 840,
    }
    assert sum(lenet_connections().values()) == 340_908


@fact("A44", 3, "Table I: which maps of S2 are combined in each map of C3")
def connection_table_has_sixty_crosses():
    table = build("lenet5").get_layer("c3").table
    # The rows as printed, for the S2 maps 0 to 5: an X for each C3 map.
    printed = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
    """.split()
    rows = [
        "".join("X" if s2 in seen else "." for seen in table) for s2 in range(6)
    ]
    assert rows == printed
    assert [row.count("X") for row in rows] == [10] * 6


@fact("A44", 3, "The first six C3 maps see three neighbors, and so on")
def connection_table_has_the_pattern_of_the_paper():
    sizes = [len(seen) for seen in lenet.C3_TABLE]
    assert sizes == [3] * 6 + [4] * 9 + [6]
    neighbors = [{(first + i) % 6 for i in range(3)} for first in range(6)]
    assert [set(seen) for seen in lenet.C3_TABLE[:6]] == neighbors
    assert len({frozenset(seen) for seen in lenet.C3_TABLE}) == 16


@fact("A44", 3, "Table I decides what C3 computes")
def table_convolution_equals_a_loop_over_the_crosses():
    layer = lenet.TableConv2D(lenet.C3_TABLE)
    x = np.random.default_rng(0).normal(size=(2, 8, 7, 6)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    layer.bias.assign(np.arange(16))
    biased = ops.convert_to_numpy(layer(x))

    kernels = iter(ops.convert_to_numpy(layer.kernel).T.reshape(-1, 5, 5))
    expected = np.zeros((2, 4, 3, 16))
    for c3, seen in enumerate(lenet.C3_TABLE):
        for s2 in seen:
            kernel = next(kernels)
            for row, column in np.ndindex(4, 3):
                window = x[:, row : row + 5, column : column + 5, s2]
                total = (window * kernel).sum(axis=(1, 2))
                expected[:, row, column, c3] += total
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(biased, expected + np.arange(16), atol=1e-5)


@fact("A44", 3, "S2 adds four inputs, times a coefficient, plus a bias")
def trainable_subsampling_equals_numpy():
    layer = lenet.TrainableSubsampling2D(activation=lenet.scaled_tanh)
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    layer.build(x.shape)
    layer.bias.assign([0.1, -0.2, 0.3])
    total = x.reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    weighted = total * ops.convert_to_numpy(layer.coefficient)
    expected = 1.7159 * np.tanh(2 / 3 * (weighted + [0.1, -0.2, 0.3]))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@fact("A44", 3, "F6: 1.7159 tanh(2x/3), which maps 1 to 1 and -1 to -1")
def scaled_tanh_keeps_plus_and_minus_one():
    x = np.array([-1, 0, 1], "float32")
    np.testing.assert_allclose(lenet.scaled_tanh(x), [-1, 0, 1], atol=1e-4)


@fact("A44", 3, "Output: the squared distance to the bitmap of each digit")
def distances_equal_numpy():
    layer = lenet.DigitCodeDistances()
    codes = lenet.digit_codes()
    x = np.random.default_rng(0).normal(size=(5, 84)).astype("float32")
    expected = ((x[:, None, :] - codes[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    between = ops.convert_to_numpy(layer(codes))
    np.testing.assert_array_equal(between.diagonal(), 0)
    assert (between + 999 * np.eye(10)).min() >= 4  # no two bitmaps alike


@fact("A44", 3, "The class with the nearest bitmap is the most probable")
def predictions_are_the_softmax_of_negative_distances():
    model = build("lenet5")
    both = keras.Model(
        model.input, [model.get_layer("distances").output, model.output]
    )
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1))
    distances, probabilities = both(images.astype("uint8"))
    np.testing.assert_allclose(
        probabilities, ops.softmax(-distances), atol=1e-6
    )


@fact("A44", 4, "LeNet in today's dress: dense C3, softmax")
def modern_lenet5_has_61706_parameters():
    model = build(
        "lenet5",
        connections="full",
        subsampling="average",
        activation="relu",
        output="softmax",
    )
    assert model.get_layer("c3").kernel.shape == (5, 5, 6, 16)
    assert count(model.trainable_weights) == 61_706


test_lecture = fact.test()
