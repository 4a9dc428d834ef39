"""The series follow their equations, and no line explains them."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from recipes.lab.data.synthetic import series


def test_narma_follows_its_equation():
    u, y = series.narma(400, np.random.default_rng(0))
    assert 0 <= u.min() < 0.01
    assert 0.49 < u.max() <= 0.5
    for t in range(9, 399):
        expected = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum()
        expected += 1.5 * u[t - 9] * u[t] + 0.1
        assert y[t + 1] == pytest.approx(expected)
    assert 0 < y.min() < y.max() < 1


def test_a_series_that_grows_without_end_is_drawn_again():
    class Random:
        """Draws the largest numbers first, with which no answer is finite."""

        draws = 0

        def uniform(self, low, high, size):
            self.draws += 1
            share = 1.0 if self.draws == 1 else 0.5
            return np.full(size, share * high)

    random = Random()
    _, y = series.narma(400, random)
    assert random.draws == 2
    assert y.max() < 1


def test_mackey_glass_follows_its_equation():
    x = series.mackey_glass(1_200, np.random.default_rng(0))
    # Its slope from the steps around, where the fourth difference is small.
    t = np.arange(30, 1_190)
    slope = (x[t - 2] - 8 * x[t - 1] + 8 * x[t + 1] - x[t + 2]) / 12
    late = x[t - series.DELAY]
    expected = 0.2 * late / (1 + late**10) - 0.1 * x[t]
    np.testing.assert_allclose(slope, expected, atol=2e-3)
    assert 0.2 < x.min() < 0.5
    assert 1.2 < x.max() < 1.4


def test_mackey_glass_is_chaotic():
    """A small change grows, and the series still goes the same ways."""

    class Random:
        def __init__(self, moved):
            self.moved = moved

        def uniform(self, low, high):
            return self.moved

    one, other = (
        series.mackey_glass(3_000, Random(moved)) for moved in (0.0, 1e-5)
    )
    apart = np.abs(one - other)
    assert apart[:100].max() < 0.01
    assert apart.max() > 0.3
    assert one.std() == pytest.approx(other.std(), rel=0.05)


@pytest.mark.parametrize("name", series.TITLES)
def test_windows_are_one_step_apart_and_what_follows_is_asked(name):
    data = series.load(name, small=True)
    split = data.test
    assert split.inputs.shape == (series.SMALL, series.SMALL_STEPS, 1)
    np.testing.assert_array_equal(split.inputs[1:, :-1], split.inputs[:-1, 1:])
    if name == series.MACKEY_GLASS:
        np.testing.assert_array_equal(
            split.targets[:-1], split.inputs[1:, -1, 0]
        )
    assert not np.array_equal(data.train.inputs, data.validation.inputs)


def test_answers_of_narma_are_of_what_came_in_before():
    split = series.load(series.NARMA10, small=True).train
    # The product of the last input and that of nine steps before it.
    product = split.inputs[:, -1, 0] * split.inputs[:, -10, 0]
    assert np.corrcoef(product, split.targets)[0, 1] > 0.5
    of_others = split.inputs[:, -2, 0] * split.inputs[:, -11, 0]
    assert np.corrcoef(of_others, split.targets)[0, 1] < 0.5


def test_a_line_leaves_much_of_narma_unexplained_and_products_do_not():
    split = series.load(series.NARMA10).train
    rows = split.inputs[:, -30:, 0]
    last = rows[:, -10:]
    products = last[:, :, np.newaxis] * last[:, np.newaxis]
    both = np.hstack([rows, products[:, *np.triu_indices(10)]])
    seen, held_out = slice(4_000), slice(4_000, None)
    line, curve = (
        LinearRegression()
        .fit(found[seen], split.targets[seen])
        .score(found[held_out], split.targets[held_out])
        for found in (rows, both)
    )
    assert 1 - line > 0.12
    assert 1 - curve < 0.5 * (1 - line)
