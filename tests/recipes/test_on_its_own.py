"""A network continues a series alone, and is held to the truth after that."""

import keras
import numpy as np
import pytest

import zoo
from recipes import series_echo_state
from recipes.lab.data.splits import Split

WINDOWS = np.random.default_rng(0).uniform(size=(4, 6, 1)).astype("float32")


def network(steps):
    keras.utils.set_random_seed(0)
    return zoo.create_model(
        "echo_state_regressor", input_shape=(steps, 1), units=5
    )


def test_each_step_hears_what_was_said_before():
    split = Split(WINDOWS, np.zeros(4, "float32"))
    said = [*series_echo_state._go_on(network(6), split, 3)]
    # The same as a longer window, the last steps of which are its answers.
    both = np.stack(said[:2], axis=1)[..., np.newaxis]
    longer = np.concatenate([WINDOWS, both], axis=1)
    expected = keras.ops.convert_to_numpy(network(8)(longer))[:, 0]
    np.testing.assert_allclose(said[2], expected, atol=1e-6)


def test_an_error_is_counted_where_the_network_has_come_to():
    """After three steps: what it says of a window is the target two later."""
    model = network(6)
    *_, said = series_echo_state._go_on(
        model, Split(WINDOWS, np.zeros(4, "float32")), 3
    )
    targets = np.array([9.0, 9.0, *said[:2]], "float32")
    split = Split(WINDOWS, targets)
    assert series_echo_state._error(model, split, 3) == pytest.approx(0)
    moved = Split(WINDOWS, targets + np.std(targets))
    assert series_echo_state._error(model, moved, 3) == pytest.approx(1)
