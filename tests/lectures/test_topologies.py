"""Lectures: how units are connected, in what order they run, what they do."""

import graphlib

import numpy as np
import pytest
from helpers.builders import build, outputs
from helpers.facts import Facts

import zoo

fact = Facts()


def network(*hidden_units, inputs=1, **arguments):
    """Build a network from numbers to one number."""
    return zoo.create_model(
        "mlp",
        input_shape=(inputs, 1, 1),
        num_classes=1,
        hidden_units=hidden_units,
        dropout=0.0,
        rescale=(1.0, 0.0),
        **{"classifier_activation": None, **arguments},
    )


def answers(model, rows):
    return outputs(model, np.float32(rows).reshape(len(rows), -1, 1, 1))


# --- the chart of networks -----------------------------------------------


@fact("A73", 3, "A mostly complete chart of neural networks, of 13 cell types")
def the_chart_has_27_networks_of_13_kinds_of_cells():
    networks = zoo.list_models(chart="2016")
    assert len(networks) == 27
    assert len({cell for one in networks for cell in one.cells}) == 13


# --- the constant term ---------------------------------------------------


@fact("A18", 4, "Modeling bias with an extra unit")
def a_unit_that_is_always_one_takes_the_place_of_biases():
    plain, extra = network(3, 4, inputs=2), network(4, 5, inputs=3)
    noise = np.random.default_rng(0)
    weights = [noise.normal(size=w.shape) for w in plain.get_weights()]
    plain.set_weights(weights)
    with_units = []
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        kernel = np.vstack([kernel, bias])
        if kernel.shape[1] > 1:  # the next layer needs a one, too
            constant = np.eye(len(kernel))[:, -1:]
            kernel = np.hstack([kernel, constant])
        with_units += [kernel, np.zeros(kernel.shape[1])]
    extra.set_weights(with_units)
    rows = noise.normal(size=(16, 2))
    np.testing.assert_allclose(
        answers(extra, np.hstack([rows, np.ones((16, 1))])),
        answers(plain, rows),
        atol=1e-5,
    )
    # The weights into the ones are no parameters.
    into_ones = (2 + 1) + (3 + 1)
    kernels = sum(w.size for w in with_units[::2]) - into_ones
    assert kernels == plain.count_params()


# --- topologies ----------------------------------------------------------


def run_in_order(sources, neurons, values):
    """Execute a network unit by unit: each after all that it hears of.

    Args:
        sources: Of each unit, the units that it hears of, in order.
        neurons: Of each unit that computes, the neuron.
        values: Of each input unit, `(n, 1)`; the other units' are added.
    """
    for unit in graphlib.TopologicalSorter(sources).static_order():
        if unit in neurons:
            heard = np.hstack([values[source] for source in sources[unit]])
            values[unit] = outputs(neurons[unit], heard)
    return values


@fact("A19", 4, "feedforward (directed, acyclic)")
def units_in_topological_order_are_the_layered_network():
    model = network(
        *(3, 2),
        inputs=2,
        activation="sigmoid",
        classifier_activation="sigmoid",
    )
    weights = model.get_weights()
    sources, neurons, below = {}, {}, ["x0", "x1"]
    for layer, (kernel, bias) in enumerate(
        zip(weights[::2], weights[1::2], strict=True)
    ):
        units = [f"{layer}.{number}" for number in range(len(bias))]
        for number, unit in enumerate(units):
            sources[unit] = below
            neurons[unit] = zoo.create_model(
                "logistic_neuron", input_shape=(len(below),)
            )
            neurons[unit].layers[-1].set_weights(
                [kernel[:, [number]], bias[[number]]]
            )
        below = units
    rows = np.random.default_rng(0).normal(size=(8, 2))
    # Any order of the list will do, for the arrows decide.
    shuffled = dict(sorted(sources.items(), reverse=True))
    values = {"x0": rows[:, :1], "x1": rows[:, 1:]}
    run_in_order(shuffled, neurons, values)
    [last] = below
    np.testing.assert_allclose(values[last], answers(model, rows), atol=1e-6)


@fact("A19", 4, "recurrent (feedback connections)")
def feedback_has_no_order_but_one_in_time():
    with pytest.raises(graphlib.CycleError):
        run_in_order({"h": ["x", "h"]}, {}, {})
    # Unrolled over time it has: a state hears of the state before.
    model = build("simple_rnn")
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1))
    upside_down = image[:, ::-1]
    assert not np.allclose(outputs(model, image), outputs(model, upside_down))


# --- what they can do ----------------------------------------------------


@fact("A20", 4, "Universality theorem, Cybenko 1989: one hidden layer")
def wider_layers_come_closer_to_a_sine():
    x = np.linspace(-np.pi, np.pi, 400)[:, np.newaxis]
    errors = []
    for units in (2, 4, 8):
        model = network(units, activation="sigmoid")
        kernel = np.full((1, units), units / 2)
        bias = -kernel[0] * np.linspace(-np.pi, np.pi, units)
        body = zoo.feature_extractor(model)
        body.set_weights([kernel, bias])
        hidden = np.hstack([answers(body, x), np.ones_like(x)])
        outer, *_ = np.linalg.lstsq(hidden, np.sin(x), rcond=1e-7)
        model.get_layer("predictions").set_weights([outer[:-1], outer[-1]])
        errors.append(np.abs(answers(model, x) - np.sin(x)).max())
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


@fact("A20", 4, "Is being deep important: no conditioning on the number")
def depth_folds_what_width_has_to_list():
    """Two units a layer fold an interval in two, and the next fold it again."""
    folds = 6
    deep = network(*[2] * folds)
    tent = np.array([[2.0], [-4.0]])  # 2 relu(x) - 4 relu(x - 1/2)
    weights = []
    for layer in range(folds):
        kernel = np.ones((1, 2))
        kernel = tent @ kernel if layer else kernel
        weights += [kernel, np.array([0, -0.5])]
    deep.set_weights([*weights, tent, np.zeros(1)])
    x = np.linspace(0, 1, 2**12 + 1)[:, np.newaxis]
    assert pieces(answers(deep, x)) == 2**folds
    # As many units in one layer bend a line in as many places at most.
    shallow = network(2 * folds)
    noise = np.random.default_rng(0)
    for _ in range(20):
        shallow.set_weights(
            [noise.normal(size=w.shape) for w in shallow.get_weights()]
        )
        assert pieces(answers(shallow, x)) <= 2 * folds + 1


def pieces(y):
    """Count the monotone pieces of a function by its values in order."""
    rising = np.diff(y[:, 0]) > 0
    return 1 + np.count_nonzero(rising[1:] != rising[:-1])


test_lecture = fact.test()
