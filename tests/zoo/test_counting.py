"""Multiplications are counted wherever a kernel is."""

import keras
import pytest
from helpers.builders import build
from keras import layers

import zoo
from recipes.lab.export import costs


def one_layer(layer, *shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        ((layers.Dense, 3), (5,), 15),
        ((layers.Dense, 3), (7, 5), 7 * 15),
        ((layers.Conv2D, 4, 3), (8, 9, 2), 6 * 7 * 4 * 9 * 2),
        ((layers.DepthwiseConv2D, 3), (8, 9, 2), 6 * 7 * 9 * 2),
        ((layers.Conv2DTranspose, 4, 3, 2), (5, 5, 2), 25 * 4 * 9 * 2),
        ((layers.SimpleRNN, 4), (6, 3), 6 * (3 * 4 + 4 * 4)),
        ((layers.LSTM, 4), (6, 3), 6 * 4 * (3 * 4 + 4 * 4)),
        ((layers.GRU, 4), (6, 3), 6 * 3 * (3 * 4 + 4 * 4)),
        ((layers.BatchNormalization,), (6, 3), 0),
    ],
    ids=lambda value: (
        getattr(value[0], "__name__", None)
        if isinstance(value, tuple)
        else None
    ),
)
def test_a_layer(layer, shape, expected):
    kind, *arguments = layer
    model = one_layer(kind(*arguments), *shape)
    assert zoo.count_multiplications(model) == expected


def test_both_directions():
    model = one_layer(layers.Bidirectional(layers.GRU(4)), 6, 3)
    assert zoo.count_multiplications(model) == 2 * 6 * 3 * (3 * 4 + 4 * 4)


def test_models_in_models():
    model = build("autoencoder")
    assert zoo.count_multiplications(model) == 2 * 784 * 32


@pytest.mark.parametrize(
    "name", ["radial_basis", "kohonen", "hopfield", "hydranet"]
)
def test_layers_of_our_own_know_what_they_cost(name):
    model = build(name)
    assert zoo.count_multiplications(model) == costs.multiplications(model)


def test_machines_cost_their_products():
    """TensorFlow would do more to learn from what they are asked."""
    machine = build("rbm")
    assert zoo.count_multiplications(machine) == 2 * 784 * 500
    machine = build("boltzmann_machine")
    found = zoo.count_multiplications(machine)
    # Less than a thousandth is for the biases.
    assert found == pytest.approx(costs.multiplications(machine), rel=1e-3)


def test_what_depends_on_the_size_of_the_image_is_refused():
    model = one_layer(layers.Conv2D(4, 3, name="edges"), None, None, 1)
    with pytest.raises(ValueError, match="'edges' multiplies depends"):
        zoo.count_multiplications(model)
