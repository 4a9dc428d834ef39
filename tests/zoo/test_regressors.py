"""Networks that read a sequence of numbers."""

import keras
import numpy as np
import pytest
from helpers.marks import only_thorough

import zoo
from zoo.regressors import CELLS

SEQUENCES = np.random.default_rng(0).normal(size=(4, 12, 2)).astype("float32")


def network(cell, **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"input_shape": (12, 2), "hidden_units": 8}
    return zoo.sequence_regressor(cell=cell, **sizes, **arguments)


def answers(model, sequences=SEQUENCES):
    return keras.ops.convert_to_numpy(model(sequences))


@pytest.mark.parametrize("cell", only_thorough(CELLS, ("lru", "simple_rnn")))
def test_every_cell_reads_every_step(cell):
    model = network(cell)
    layer = model.get_layer(cell)
    if cell == "irnn":  # or it would hear of no step yet
        layer.cell.kernel.assign(np.random.default_rng(1).normal(size=(2, 8)))
    before = answers(model)
    assert before.shape == (4, 1)
    for step in range(12):
        changed = SEQUENCES.copy()
        changed[:, step] += 1
        assert np.abs(answers(model, changed) - before).max() > 1e-6


@pytest.mark.parametrize("cell", only_thorough(CELLS, ("gru",)))
def test_an_unrolled_network_says_the_same(cell):
    model, unrolled = network(cell), network(cell, unroll=True)
    unrolled.set_weights(model.get_weights())
    np.testing.assert_allclose(answers(unrolled), answers(model), atol=1e-6)


def test_the_states_of_an_lru_remember_the_whole_sequence():
    model = zoo.sequence_regressor((1_000, 2), cell="lru", hidden_units=500)
    real, imaginary = model.get_layer("lru").powers([1_000])
    left = np.hypot(real, imaginary)
    assert 0.1 < left.min() < 0.15
    assert 0.9 < left.max() < 0.98


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="`cell` must be one of.*'elman'"):
        zoo.sequence_regressor(cell="elman")
