"""Linear recurrences: what is computed at once is what steps would give."""

import keras
import numpy as np
import pytest

import zoo
from zoo.linear_recurrences import LinearRecurrence
from zoo.recurrent import Permutation


def recurrence(shape, **arguments):
    """Return a built layer of 5 states, and what it may read."""
    keras.utils.set_random_seed(0)
    layer = LinearRecurrence(5, **arguments)
    sequence = np.random.default_rng(0).normal(size=shape).astype("float32")
    layer.build(shape)
    return layer, sequence


def step_by_step(layer, sequence):
    """Return all states in NumPy, complex `(steps, batch, units)`."""
    log_decay, log_angle, kernel = (
        weight.astype("float64") for weight in layer.get_weights()
    )
    eigenvalues = np.exp(-np.exp(log_decay) + 1j * np.exp(log_angle))
    real, imaginary = np.split(kernel, 2, axis=1)
    kernel = np.sqrt(1 - abs(eigenvalues) ** 2) * (real + 1j * imaginary)
    states = [np.zeros((len(sequence), layer.units))]
    for x in sequence.transpose(1, 0, 2):
        states.append(eigenvalues * states[-1] + x @ kernel)
    return np.array(states[1:])


@pytest.mark.parametrize("steps", [1, 2, 12, 16, 17, 200])
def test_all_states_at_once_are_those_of_each_step(steps):
    layer, sequence = recurrence((3, steps, 2))
    states = step_by_step(layer, sequence).transpose(1, 0, 2)
    expected = np.concatenate([states.real, states.imag], axis=-1)
    np.testing.assert_allclose(layer(sequence), expected, atol=2e-6)


@pytest.mark.parametrize("stride", [2, 3, 12])
def test_a_stride_leaves_out_states_and_no_inputs(stride):
    every, sequence = recurrence((3, 12, 2))
    some, _ = recurrence((3, 12, 2), stride=stride)
    some.set_weights(every.get_weights())
    np.testing.assert_allclose(
        some(sequence), every(sequence)[:, stride - 1 :: stride], atol=2e-6
    )


@pytest.mark.parametrize("steps", [1, 12, 17])
def test_the_last_state_alone_is_the_last_one(steps):
    every, sequence = recurrence((3, steps, 2))
    last, _ = recurrence((3, steps, 2), return_sequences=False)
    last.set_weights(every.get_weights())
    np.testing.assert_allclose(
        last(sequence), every(sequence)[:, -1], atol=2e-6
    )


def test_eigenvalues_begin_in_a_ring_and_never_leave_the_circle():
    keras.utils.set_random_seed(0)
    layer = LinearRecurrence(2_000, radii=(0.8, 0.9), largest_angle=0.5)
    layer.build((None, 3, 1))
    real, imaginary = (part[:, 0] for part in layer.powers([1]))
    eigenvalues = np.array(real) + 1j * np.array(imaginary)
    assert abs(eigenvalues).min() == pytest.approx(0.8, abs=1e-3)
    assert abs(eigenvalues).max() == pytest.approx(0.9, abs=1e-3)
    # As many in each part of the ring as it has of the area.
    middle = np.sqrt((0.8**2 + 0.9**2) / 2)
    assert np.median(abs(eigenvalues)) == pytest.approx(middle, abs=3e-3)
    assert 0 < np.angle(eigenvalues).min() < np.angle(eigenvalues).max() < 0.5
    layer.log_decay.assign(np.full(2_000, -9.0))
    real, imaginary = layer.powers([1])
    assert np.hypot(real, imaginary).max() < 1


def test_a_stride_that_does_not_divide_the_steps_is_refused():
    with pytest.raises(ValueError, match="divide the 784 steps.*5"):
        zoo.lru(read="pixels", stride=5)


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match=r"hidden_units.*\(\)"):
        zoo.lru(hidden_units=())


def test_layers_between_the_first_and_the_last_add_to_what_they_read():
    model = zoo.lru(hidden_units=(8, 8, 6, 6), state_units=4, stride=2)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name.startswith("sum")] == ["sum2"]
    assert model.get_layer("lru1").output.shape == (None, 14, 8)
    assert model.get_layer("lru4").output.shape == (None, 8)


@pytest.mark.parametrize("stride", [1, 4])
def test_all_steps_are_counted_whatever_is_handed_on(stride):
    model = zoo.lru(
        hidden_units=(8, 8), state_units=4, stride=stride, read="pixels"
    )
    given = 784 // stride
    first = 784 * (2 * 4 + 4 * 4)  # one pixel with B, and λ
    second = given * (8 * 2 * 4 + 4 * 4)
    dense = given * 8 * 8 + 8 * 8 + 8 * 10
    assert zoo.count_multiplications(model) == first + second + dense


def test_a_permutation_is_one_and_the_same_again():
    sequence = np.arange(20.0).reshape(1, 20, 1)
    one, same, other = (Permutation(seed)(sequence) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(np.sort(one, axis=1), sequence)
