"""The adding problem is what it says, and has no shortcut."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from recipes.lab.data import augmentation
from recipes.lab.data.synthetic import adding


@pytest.fixture(scope="module")
def sequences():
    return adding.sequences(4_000, 50, np.random.default_rng(0))


def test_one_number_is_marked_in_each_half(sequences):
    numbers, marks = sequences[..., 0], sequences[..., 1]
    assert {*np.unique(marks)} == {0, 1}
    assert (marks[:, :25].sum(axis=1) == 1).all()
    assert (marks[:, 25:].sum(axis=1) == 1).all()
    assert marks.mean(axis=0) == pytest.approx(np.full(50, 1 / 25), abs=0.012)
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    assert abs(np.corrcoef(numbers.ravel(), marks.ravel())[0, 1]) < 0.01


def test_the_answer_is_the_sum_of_the_marked_numbers(sequences):
    answers = adding.sums(sequences)
    for sequence, answer in zip(sequences[:50], answers, strict=False):
        first, second = np.flatnonzero(sequence[:, 1])
        assert answer == pytest.approx(sequence[first, 0] + sequence[second, 0])
    assert answers.mean() == pytest.approx(1, abs=0.02)
    assert answers.var() == pytest.approx(adding.VARIANCE, rel=0.05)


def test_what_is_linear_explains_next_to_nothing(sequences):
    """A number and its mark must be multiplied."""
    flat, answers = (
        sequences.reshape(len(sequences), -1),
        adding.sums(sequences),
    )
    line = LinearRegression().fit(flat[:3_000], answers[:3_000])
    assert line.score(flat[3_000:], answers[3_000:]) < 0.1


def test_two_sets_have_their_own_lengths():
    lengths = {s: adding.load(s, small=True).train for s in adding.STEPS}
    assert [split.inputs.shape[1:] for split in lengths.values()] == [
        (40, 2)
    ] * 2
    one, other = lengths.values()
    assert not np.array_equal(one.inputs, other.inputs)


def test_numbers_drawn_anew_leave_the_sums_as_they_are(sequences):
    few = sequences[:200]
    draw = augmentation.Drawing((0, 0), 200, 0, 200)
    drawn = adding.random_numbers(few, draw).numpy()
    np.testing.assert_array_equal(drawn[..., 1], few[..., 1])
    np.testing.assert_array_equal(adding.sums(drawn), adding.sums(few))
    same = drawn[..., 0] == few[..., 0]
    assert same.sum() == 2 * len(few)
    assert drawn[..., 0].var() == pytest.approx(1 / 12, rel=0.05)
