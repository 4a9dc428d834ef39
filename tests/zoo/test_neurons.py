"""Neurons on tables: what they compute, count and keep."""

import itertools

import keras
import numpy as np
import pytest

import zoo
from zoo.neurons import Standardization, ThresholdUnit, step

BITS = np.array([*itertools.product((0, 1), repeat=2)], "float32")
XOR = (0, 1, 1, 0)


@pytest.fixture
def rows():
    """Twenty rows in units of their own; the last column is constant."""
    rows = np.random.default_rng(0).normal(
        (5, -200, 0.01, 0), (3, 50, 0.002, 0), (20, 4)
    )
    return (rows + (0, 0, 0, 7)).astype("float32")


def fired(inputs, **arguments):
    model = zoo.create_model(
        "mcculloch_pitts", input_shape=inputs.shape[1:], **arguments
    )
    return tuple(int(answer) for answer in model(inputs)[:, 0])


# --- McCulloch and Pitts ------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "threshold", "truth"),
    [
        ((1, 1), 2, (0, 0, 0, 1)),  # and
        ((1, 1), 1, (0, 1, 1, 1)),  # or
        ((-1, -1), 0, (1, 0, 0, 0)),  # neither
        ((1, -1), 1, (0, 0, 1, 0)),  # the first, and not the second
        ((0, 0), 0, (1, 1, 1, 1)),
        ((0.7, 0.9), 1.6, (0, 0, 0, 1)),  # rounding leaves 1.5999999
    ],
)
def test_threshold_unit_computes_boolean_functions(weights, threshold, truth):
    assert fired(BITS, weights=weights, threshold=threshold) == truth


def test_threshold_unit_negates():
    bits = np.array([[0], [1]], "float32")
    assert fired(bits, weights=(-1,), threshold=0) == (1, 0)


def test_fourteen_of_sixteen_functions_are_those_of_one_threshold_unit():
    """Small whole weights are enough for all that any weights can do."""
    found = set()
    for weights in itertools.product((-1, 0, 1), repeat=2):
        sums = BITS @ np.array(weights, "float32")
        for threshold in (-1.5, -0.5, 0.5, 1.5, 2.5):
            found.add(tuple((sums >= threshold).astype(int).tolist()))
            if weights == (1, -1):  # what has been counted is the layer's
                arguments = {"weights": weights, "threshold": threshold}
                assert fired(BITS, **arguments) in found
    every = set(itertools.product((0, 1), repeat=4))
    assert every - found == {XOR, tuple(1 - bit for bit in XOR)}


def test_threshold_unit_needs_a_weight_for_each_input():
    with pytest.raises(ValueError, match="2 for 3 inputs"):
        zoo.create_model("mcculloch_pitts", input_shape=(3,))


def test_threshold_unit_has_nothing_to_train():
    model = zoo.create_model("mcculloch_pitts")
    assert model.trainable_weights == []
    assert isinstance(model.layers[-1], ThresholdUnit)


# --- the first layer ----------------------------------------------------


def test_standardization_changes_nothing_before_it_is_adapted(rows):
    model = zoo.create_model("linear_neuron", input_shape=(4,))
    body = keras.Model(model.input, model.layers[-1].input)
    np.testing.assert_array_equal(body(rows), rows)


def test_standardization_is_that_of_the_rows_and_leaves_constants(rows):
    layer = Standardization()
    layer.build(rows.shape)
    layer.adapt(rows)
    standard = np.asarray(layer(rows), "float64")
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=0), (1, 1, 1, 0), atol=1e-4)


@pytest.mark.parametrize("constant", [0.1, 98.6, 1 / 3])
def test_a_constant_that_rounding_spreads_is_not_scaled(constant):
    layer = Standardization()
    layer.build((None, 1))
    layer.adapt(np.full((30, 1), constant))
    assert layer.deviation.numpy() == 1


def test_statistics_are_weights_and_go_where_weights_go(rows, tmp_path):
    model = zoo.create_model("logistic_neuron", input_shape=(4,))
    model.get_layer("standardization").adapt(rows)
    model.save(tmp_path / "model.keras")
    copies = {
        "file": keras.saving.load_model(tmp_path / "model.keras"),
        "weights": zoo.create_model("logistic_neuron", input_shape=(4,)),
    }
    copies["weights"].set_weights(model.get_weights())
    for copy in copies.values():
        np.testing.assert_array_equal(copy(rows), model(rows))
    assert len(model.non_trainable_weights) == 2


def test_statistics_are_those_of_float64_to_the_bit(rows):
    layer = Standardization()
    layer.build(rows.shape)
    layer.adapt(rows)
    mean, deviation = layer.get_weights()
    exact = rows.astype("float64")
    np.testing.assert_array_equal(mean, exact.mean(0).astype("float32"))
    expected = np.where(exact.std(0) > 0, exact.std(0), 1).astype("float32")
    np.testing.assert_array_equal(deviation, expected)


# --- one neuron in three dresses ----------------------------------------


def test_three_neurons_share_one_weighted_sum(rows):
    linear, logistic, perceptron = (
        zoo.create_model(name, input_shape=(4,))
        for name in ("linear_neuron", "logistic_neuron", "perceptron")
    )
    for model in (linear, logistic, perceptron):
        model.set_weights(linear.get_weights())
        model.get_layer("standardization").adapt(rows)
    sums = np.asarray(linear(rows))
    np.testing.assert_allclose(
        logistic(rows), 1 / (1 + np.exp(-sums)), rtol=1e-5
    )
    np.testing.assert_array_equal(perceptron(rows), sums > 0)
    bare = zoo.create_model(
        "logistic_neuron", input_shape=(4,), classifier_activation=None
    )
    bare.set_weights(logistic.get_weights())
    np.testing.assert_array_equal(bare(rows), sums)


def test_step_is_above_zero_and_not_at_it():
    numbers = np.array([-1.0, -0.0, 0.0, 1e-30, 2.0], "float32")
    np.testing.assert_array_equal(step(numbers), [0, 0, 0, 1, 1])


# --- a network of one hidden layer --------------------------------------


@pytest.mark.parametrize(
    ("p", "m", "k"), [(3, 1, 1), (4, 5, 3), (1, 7, 2), (784, 500, 10)]
)
def test_ann_has_the_parameters_of_the_formula(p, m, k):
    model = zoo.ann((p,), k, hidden_units=m)
    count = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert count == m * (p + 1) + k * (m + 1)


def test_ann_is_its_formula(rows):
    model = zoo.ann((4,), 2, hidden_units=3)
    model.get_layer("standardization").adapt(rows)
    mean, deviation = model.get_layer("standardization").get_weights()
    w, b = model.get_layer("hidden").get_weights()
    v, c = model.get_layer("prediction").get_weights()
    hidden = 1 / (1 + np.exp(-((rows - mean) / deviation @ w + b)))
    np.testing.assert_allclose(model(rows), hidden @ v + c, atol=1e-5)
