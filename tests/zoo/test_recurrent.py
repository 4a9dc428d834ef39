"""Recurrent networks: their arguments, and how they are served."""

import numpy as np
import pytest
from helpers.tasks import classification

import zoo

RECURRENT = ("simple_rnn", "lstm", "gru")
each_network = pytest.mark.parametrize("name", RECURRENT)


def small(name, **arguments):
    return zoo.create_model(name, hidden_units=(8,), **arguments)


@each_network
def test_unrolled_or_in_a_loop_is_the_same(name, images):
    loop, unrolled = small(name, unroll=False), small(name, unroll=True)
    unrolled.set_weights(loop.get_weights())
    np.testing.assert_allclose(unrolled(images), loop(images), atol=1e-6)


@each_network
def test_only_the_last_layer_keeps_its_last_state_alone(name):
    model = zoo.create_model(name, hidden_units=(8, 6, 4))
    shapes = [model.get_layer(f"{name}{i}").output.shape for i in (1, 2, 3)]
    assert shapes == [(None, 28, 8), (None, 28, 6), (None, 4)]


@each_network
def test_both_ways_joins_two_states_with_weights_of_their_own(name):
    one_way, both_ways = small(name), small(name, bidirectional=True)
    layer = both_ways.get_layer("both_ways1")
    assert layer.output.shape == (None, 16)
    assert layer.count_params() == 2 * one_way.layers[3].count_params()


@each_network
def test_layer_norm_and_dropout_come_after_the_recurrent_layers(name):
    model = zoo.create_model(
        name, hidden_units=(8, 8), layer_norm=True, dropout=0.5
    )
    assert [layer.name for layer in model.layers][3:] == [
        *(f"{name}1", "norm1", f"{name}2", "norm2", "dropout", "predictions")
    ]
    assert model.get_layer("norm1").count_params() == 2 * 8


@each_network
def test_rows_are_read_from_the_top(name):
    """What changes in the last row cannot change what came before."""
    model = zoo.create_model(name, hidden_units=(8, 4))
    states = zoo.feature_extractor(model, f"{name}1")
    image = np.zeros((1, 28, 28, 1), "uint8")
    before = np.array(states(image))
    image[:, -1] = 255
    changed = np.any(np.array(states(image)) != before, axis=(0, 2))
    assert changed.tolist() == [False] * 27 + [True]


@each_network
def test_no_layers_are_refused(name):
    with pytest.raises(ValueError, match=r"hidden_units.*\(\)"):
        zoo.create_model(name, hidden_units=())


@each_network
def test_any_batch_size_is_served(name, images):
    model = small(name)
    signature = classification().signatures(model)
    serve = signature["serving_default"].function
    together = serve(images)["probabilities"]
    for start, end in [(0, 1), (1, 4), (4, 8)]:
        np.testing.assert_allclose(
            serve(images[start:end])["probabilities"],
            together[start:end],
            atol=1e-6,
        )
