"""Reservoirs: their spectral radius, their steps, and what they forget."""

import keras
import numpy as np
import pytest
from helpers.seeds import set_seed

import zoo
from zoo.reservoirs import (
    READINGS,
    Reservoir,
    WindowMoments,
    spectral_radius,
)

RANDOM = np.random.default_rng(0)
SEQUENCES = RANDOM.normal(size=(3, 7, 2)).astype("float32")


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def states_of(layer, sequences, states):
    """Return the states after each step, from some that are given."""
    for step in range(sequences.shape[1]):
        states = plain(layer.step(sequences[:, step], states))
        yield states


def test_the_spectral_radius_is_that_of_a_known_matrix():
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])  # eigenvalues of ±2i
    assert spectral_radius(turn) == pytest.approx(2)


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.5])
def test_the_weights_have_the_spectral_radius_that_was_asked_for(radius):
    layer = Reservoir(60, spectral_radius=radius)
    layer.build((None, 5, 2))
    assert spectral_radius(layer.recurrent_kernel) == pytest.approx(
        radius, rel=1e-5
    )


def test_states_are_those_of_the_formula():
    layer = Reservoir(4, leak=0.3, return_sequences=True)
    found = plain(layer(SEQUENCES))
    w, u, b = layer.get_weights()
    h = np.zeros((3, 4))
    for step in range(7):
        h = 0.7 * h + 0.3 * np.tanh(SEQUENCES[:, step] @ w + h @ u + b)
        np.testing.assert_allclose(found[:, step], h, atol=1e-6)
    again = [*states_of(layer, SEQUENCES, np.zeros((3, 4), "float32"))]
    np.testing.assert_allclose(found, np.stack(again, axis=1), atol=1e-6)


def test_going_backwards_is_reading_the_last_step_first():
    layer = Reservoir(4, leak=0.5)
    other = Reservoir(4, leak=0.5, go_backwards=True)
    expected = plain(layer(SEQUENCES[:, ::-1]))
    other.build(SEQUENCES.shape)
    other.set_weights(layer.get_weights())
    np.testing.assert_allclose(plain(other(SEQUENCES)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("radius", "leak", "is_forgotten"),
    [(0.5, 1.0, True), (0.9, 1.0, True), (0.9, 0.5, True), (2.0, 1.0, False)],
)
def test_where_it_began_is_forgotten_if_the_radius_is_small(
    radius, leak, is_forgotten
):
    """The echo state property, with small inputs, which force nothing."""
    set_seed(0)
    layer = Reservoir(50, spectral_radius=radius, leak=leak, bias_scale=0.0)
    series = RANDOM.uniform(-0.1, 0.1, (1, 250, 1)).astype("float32")
    series = np.repeat(series, 2, axis=0)  # the same, from two states
    layer.build(series.shape)
    first = RANDOM.uniform(-1, 1, (2, 50)).astype("float32")
    *_, last = states_of(layer, series, first)
    apart = np.linalg.norm(last[0] - last[1])
    assert apart < 1e-4 if is_forgotten else apart > 0.5


def test_moments_are_of_windows_of_time():
    layer = WindowMoments(3)
    found = plain(layer(SEQUENCES))
    assert found.shape == (3, 12)
    # Seven steps: two, then three, then two.
    for i, (start, end) in enumerate([(0, 2), (2, 5), (5, 7)]):
        window = SEQUENCES[:, start:end]
        means, squares = np.split(found[:, 4 * i : 4 * i + 4], 2, axis=1)
        np.testing.assert_allclose(means, window.mean(axis=1), rtol=1e-5)
        expected = np.square(window).mean(axis=1)
        np.testing.assert_allclose(squares, expected, rtol=1e-5)


def test_only_the_last_layer_is_for_a_gradient():
    for name, head in (
        ("echo_state", "predictions"),
        ("echo_state_regressor", "prediction"),
    ):
        model = zoo.create_model(name, units=5)
        assert [weight.path for weight in model.trainable_weights] == [
            f"{head}/kernel",
            f"{head}/bias",
        ]


def test_an_image_is_read_from_all_sides():
    """What a reservoir reads last is fresh, what it read first has faded."""
    set_seed(0)
    model = zoo.create_model("echo_state", units=30, readings=READINGS)
    blank = np.zeros((1, 28, 28, 1))
    for reading, stripe in {
        "down": np.s_[:, -1],
        "up": np.s_[:, 0],
        "right": np.s_[:, :, -1],
        "left": np.s_[:, :, 0],
    }.items():
        image = blank.copy()
        image[stripe] = 255
        states = zoo.feature_extractor(model, reading)
        changed = np.abs(plain(states(image)) - plain(states(blank)))[0]
        assert changed[:-1].max() == 0
        assert changed[-1].max() > 0.1


def test_readings_and_windows_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`readings` must be some of"):
        zoo.create_model("echo_state", readings=("down", "sideways"))
    with pytest.raises(ValueError, match="`readings` must be some of"):
        zoo.create_model("echo_state", readings=())
    with pytest.raises(ValueError, match="`windows` must be from 1 to the 28"):
        zoo.create_model("echo_state", windows=29, units=4)
