"""Recurrent layers without a loop compute what Keras' layers do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from recipes.lab.training import unrolling

SEQUENCES = np.random.default_rng(0).normal(size=(5, 7, 3)).astype("float32")


def network(*stack):
    """Return a model whose weights, biases too, are not zero."""
    keras.utils.set_random_seed(0)
    sequence = x = keras.Input((None, 3))
    for layer in stack:
        x = layer(x)
    model = keras.Model(sequence, x)
    noise = np.random.default_rng(1)
    model.set_weights(
        [0.5 * noise.normal(size=w.shape) for w in model.get_weights()]
    )
    return model


def answer(model, sequences=SEQUENCES):
    """Return outputs, and gradients of a loss of each output's own."""
    sequences = tf.constant(sequences)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(sequences)
            outputs = model(sequences)
            weights = tf.reshape(tf.range(tf.size(outputs)), outputs.shape)
            loss = tf.reduce_sum(tf.sin(tf.cast(weights, "float32")) * outputs)
        of = [*(v.value for v in model.trainable_variables), sequences]
        return [outputs, *tape.gradient(loss, of)]

    return [x.numpy() for x in run()], run.get_concrete_function().graph


def graph_of(model):
    return tf.function(model).get_concrete_function(SEQUENCES).graph


def has_loop(graph):
    return any("While" in node.type for node in graph.get_operations())


@pytest.mark.parametrize(
    ("cell", "backwards"),
    [
        (layers.SimpleRNN, True),
        *(
            pytest.param(cell, backwards, marks=pytest.mark.thorough)
            for cell, backwards in (
                *((layers.SimpleRNN, False), (layers.GRU, True)),
                *((layers.GRU, False), (layers.LSTM, False)),
                (layers.LSTM, True),
            )
        ),
    ],
)
def test_outputs_and_gradients_are_those_of_keras(cell, backwards):
    model = network(
        cell(4, return_sequences=True, go_backwards=backwards), cell(2)
    )
    expected, graph = answer(model)
    assert has_loop(graph)
    unrolling.unroll(model)
    found, graph = answer(model)
    assert not has_loop(graph)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    unrolling.roll(model)
    _, graph = answer(model)
    assert has_loop(graph)


@pytest.mark.thorough
def test_both_directions_are_unrolled():
    model = network(layers.Bidirectional(layers.LSTM(4)))
    expected, _ = answer(model)
    unrolling.unroll(model)
    found, graph = answer(model)
    assert not has_loop(graph)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (layers.SimpleRNN, {"activation": "relu"}),
        (layers.GRU, {"reset_after": False}),
        (layers.LSTM, {"recurrent_dropout": 0.5}),
        (layers.LSTM, {"use_bias": False}),
        (layers.LSTM, {"return_state": True}),
    ],
)
def test_what_is_not_known_stays_as_it_is(layer, options):
    model = network(layer(4, **options))
    unrolling.unroll(model)
    assert has_loop(graph_of(model))


@pytest.mark.thorough
def test_long_sequences_and_masks_keep_the_loop():
    model = network(layers.GRU(4))
    unrolling.unroll(model)
    long = np.zeros((2, unrolling.MOST_STEPS + 1, 3), "float32")
    assert has_loop(answer(model, long)[1])
    masked = network(layers.Masking(), layers.GRU(4))
    expected, _ = answer(masked)
    unrolling.unroll(masked)
    found, graph = answer(masked)
    assert has_loop(graph)
    np.testing.assert_array_equal(found[0], expected[0])
