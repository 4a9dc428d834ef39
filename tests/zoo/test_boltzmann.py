"""Machines all of whose units are joined, and whose states can be counted."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from zoo import boltzmann


def states_of(units):
    return np.array([*itertools.product((0, 1), repeat=units)], "float32")


def full_machine(visible=5, hidden=3, **arguments):
    """A machine of few units, with random weights of some size."""
    set_seed(0)
    machine = boltzmann.Boltzmann(hidden, **arguments)
    machine.build((None, visible))
    random = np.random.default_rng(0)
    for weight in machine.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return machine


def joint_of(machine):
    """Return -E of all states of all units, pair by pair, and the states."""
    kernel, bias = (
        weight.numpy().astype("float64") for weight in machine.trainable_weights
    )
    states = states_of(len(bias)).astype("float64")
    exponents = states @ bias
    for i, j in itertools.combinations(range(len(bias)), 2):
        joined = (i < machine.visible) != (j < machine.visible)
        if joined or not machine.restricted:
            exponents += kernel[i, j] * states[:, i] * states[:, j]
    return exponents, states


@pytest.fixture(params=[False, True], ids=["full", "restricted"])
def small(request):
    return full_machine(restricted=request.param)


def test_energy_is_that_of_pairs(small):
    exponents, states = joint_of(small)
    np.testing.assert_allclose(
        small.energy(states.astype("float32")), -exponents, atol=1e-5
    )


def test_distribution_sums_over_the_hidden_units(small):
    exponents, _ = joint_of(small)
    expected = np.exp(exponents).reshape(2**5, 2**3).sum(axis=1)
    log_z = np.log(expected.sum())
    np.testing.assert_allclose(
        boltzmann.distribution(small), expected / expected.sum(), rtol=1e-5
    )
    found = float(boltzmann.log_partition(small))
    assert found == pytest.approx(log_z, rel=1e-6)


def test_a_pixel_is_as_probable_as_all_others_make_it(small):
    exponents, _ = joint_of(small)
    joint = np.exp(exponents).reshape((2,) * 5 + (8,)).sum(axis=5)
    visible = states_of(5)
    answers = keras.ops.convert_to_numpy(small(visible))
    for state, answer in zip(visible.astype(int), answers, strict=True):
        for unit in range(5):
            off, on = (
                joint[(*state[:unit], value, *state[unit + 1 :])]
                for value in (0, 1)
            )
            assert answer[unit] == pytest.approx(on / (on + off), rel=1e-4)


def test_exact_learning_goes_down_the_negative_log_likelihood():
    machine = full_machine(exact=True)
    visible = states_of(5)[[3, 7, 7, 20]]
    with tf.GradientTape() as tape:
        machine(visible, training=True)
        [loss] = machine.losses
    truth = boltzmann.distribution(machine)[[3, 7, 7, 20]]
    assert float(loss) == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    of_kernel = tape.gradient(loss, machine.kernel.value).numpy()
    # The rule of 1985: together in the model, less together with the data.
    exponents, states = joint_of(machine)
    joint = np.exp(exponents) / np.exp(exponents).sum()
    numbers = np.arange(2**8) // 2**3
    held = np.zeros_like(joint)
    for number in (3, 7, 7, 20):
        some = numbers == number
        held[some] += joint[some] / joint[some].sum() / 4
    expected = np.triu((states.T * (joint - held)) @ states, 1)
    np.testing.assert_allclose(of_kernel, expected, atol=1e-5)


def test_chance_leads_where_exact_sums_do():
    """Its gradient is theirs in the mean, and its loss is the exact one."""
    visible = np.repeat(states_of(5)[[3, 7, 7, 20]], 250, axis=0)
    gradients = {}
    for exact in (True, False):
        machine = full_machine(exact=exact, chains=1_000, sweeps=6)
        with tf.GradientTape() as tape:
            machine(visible, training=True)
            [loss] = machine.losses
        gradients[exact] = tape.gradient(
            loss, [weight.value for weight in machine.trainable_weights]
        )
        truth = boltzmann.distribution(machine)[[3, 7, 7, 20]]
        assert float(loss) == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    for one, other in zip(*gradients.values(), strict=True):
        # Of 1,000 chains the share with two units on is 0.016 off at most, in
        # the mean.
        np.testing.assert_allclose(one, other, atol=0.07)
        assert np.corrcoef(np.ravel(one), np.ravel(other))[0, 1] > 0.99
    assert {*np.unique(machine.states.numpy())} == {0, 1}


def test_a_machine_too_large_to_be_counted_learns_what_pixels_say_of_others():
    machine = full_machine(visible=30)
    assert not machine.can_be_counted
    visible = np.random.default_rng(1).integers(0, 2, (6, 30)).astype("float32")
    answers = keras.ops.convert_to_numpy(machine(visible))
    [loss] = machine.losses
    right = np.where(visible > 0, answers, 1 - answers)
    expected = -np.log(right).sum(axis=1).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="At most 20 units"):
        boltzmann.distribution(machine)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden_units": 0}, "`hidden_units` must be 1 or more"),
        ({"hidden_units": 13}, "at most 12, all of whose states"),
        ({"sweeps": 0}, "`sweeps` must be 1 or more"),
        ({"chains": 0}, "`chains` must be 1 or more"),
        ({"exact": True}, "at most 20 units. Received: 787"),
    ],
)
def test_what_no_full_machine_can_be_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        zoo.boltzmann_machine(**arguments)
