"""Recurrent networks: their arguments, and how they are served."""

import numpy as np
import pytest
from helpers.tasks import classification

import zoo
from zoo.recurrent import READINGS

# How each is called, and its layers.
RECURRENT = {
    "simple_rnn": "simple_rnn",
    "irnn": "simple_rnn",
    "lstm": "lstm",
    "gru": "gru",
}
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
    shapes = [
        model.get_layer(f"{RECURRENT[name]}{i}").output.shape for i in (1, 2, 3)
    ]
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
        *(f"{RECURRENT[name]}1", "norm1", f"{RECURRENT[name]}2", "norm2"),
        *("dropout", "predictions"),
    ]
    assert model.get_layer("norm1").count_params() == 2 * 8


@each_network
def test_rows_are_read_from_the_top(name):
    """What changes in the last row cannot change what came before."""
    model = zoo.create_model(name, hidden_units=(8, 4))
    states = zoo.feature_extractor(model, f"{RECURRENT[name]}1")
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


def test_pixels_are_read_one_at_a_time(images):
    rows, pixels = (zoo.lstm(hidden_units=(4,), read=r) for r in READINGS[:2])
    read = zoo.feature_extractor(pixels, "pixels")(images)
    assert read.shape == (len(images), 784, 1)
    by_row = zoo.feature_extractor(rows, "rows")(images)
    np.testing.assert_array_equal(
        np.reshape(read, (-1, 28, 28)), np.array(by_row)
    )


def test_permuted_pixels_are_the_same_pixels(images):
    model = zoo.simple_rnn(hidden_units=(4,), read="permuted_pixels")
    before, after = (
        np.array(zoo.feature_extractor(model, name)(images))
        for name in READINGS[1:]
    )
    assert np.any(before != after)
    np.testing.assert_array_equal(np.sort(before, 1), np.sort(after, 1))


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match=r"`read`.*'columns'"):
        zoo.gru(read="columns")


def test_layers_of_an_irnn_begin_with_weights_of_their_own():
    model = zoo.irnn(hidden_units=(28, 28))
    first, second = (
        model.get_layer(f"simple_rnn{i}").cell.kernel.numpy() for i in (1, 2)
    )
    assert (first != second).all()


def test_an_irnn_begins_by_keeping_its_state():
    layer = zoo.irnn(hidden_units=(6,)).get_layer("simple_rnn1")
    kernel, recurrent, bias = layer.get_weights()
    np.testing.assert_array_equal(recurrent, np.eye(6))
    assert not bias.any()
    assert np.std(kernel) == pytest.approx(0.001, rel=0.2)
    state = np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]], "float32")
    kept, _ = layer.cell(np.zeros((1, 28), "float32"), [state])
    np.testing.assert_array_equal(kept, state)
