"""Markov chains: what is counted, what stays, and what a chain walks."""

import keras
import numpy as np
import pytest

import zoo
from zoo import chains

TEXTS = [[0, 1, 2], [2, 1, 2], [0, 0, 1]]
# Between three states, the last of which is rare.
MATRIX = np.array([[0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.8, 0.1, 0.1]])


def test_each_text_is_counted_from_its_beginning_to_its_end():
    counts = chains.count_transitions(TEXTS, 3)
    assert counts.tolist() == [[0, 2, 1], [1, 0, 2], [2, 1, 0]]
    # As often as a state is left it is come to.
    np.testing.assert_array_equal(counts.sum(axis=0), counts.sum(axis=1))


def test_small_integers_are_counted_as_large_ones_are():
    tokens = np.array([[20, 21]])
    few = chains.count_transitions(tokens.astype("uint8"), 39)
    np.testing.assert_array_equal(few, chains.count_transitions(tokens, 39))


def test_counts_of_whole_texts_are_visits_that_no_step_changes():
    counts = chains.count_transitions(TEXTS, 3)
    matrix = chains.transition_matrix(counts)
    visits = counts.sum(axis=1) / counts.sum()
    np.testing.assert_allclose(chains.stationary_distribution(matrix), visits)


def test_the_stationary_distribution_is_where_every_start_ends():
    found = chains.stationary_distribution(MATRIX)
    np.testing.assert_allclose(found @ MATRIX, found, atol=1e-12)
    assert found.sum() == pytest.approx(1)
    far = np.linalg.matrix_power(MATRIX, 60)
    np.testing.assert_allclose(far, np.tile(found, (3, 1)), atol=1e-9)


def test_no_other_probabilities_make_the_texts_more_likely():
    counts = chains.count_transitions(TEXTS, 3)
    matrix = chains.transition_matrix(counts, smoothing=1e-9)
    best = np.sum(counts * np.log(matrix))
    random = np.random.default_rng(0)
    for _ in range(100):
        other = matrix * np.exp(random.normal(0, 0.1, (3, 3)))
        other /= other.sum(axis=1, keepdims=True)
        assert np.sum(counts * np.log(other)) < best


def test_the_longer_a_walk_the_nearer_are_its_counts():
    random, errors = np.random.default_rng(0), []
    for steps in (100, 10_000):
        walked = chains.walk(MATRIX, steps, 20, random)
        pairs = walked[:, :-1] * 3 + walked[:, 1:]
        error = 0
        for row in pairs:
            counts = np.bincount(row, minlength=9).reshape(3, 3)
            found = chains.transition_matrix(counts, 0.01)
            error += np.abs(found - MATRIX).mean() / 20
        errors.append(error)
    # A hundred times the steps, a tenth of the error.
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.3)
    shares = np.bincount(walked.ravel()) / walked.size
    expected = chains.stationary_distribution(MATRIX)
    np.testing.assert_allclose(shares, expected, atol=0.01)


def test_a_model_answers_the_row_of_its_last_letter():
    model = zoo.markov_chain((4,), alphabet="ab")
    chains.set_transitions(model, MATRIX)
    answers = keras.ops.convert_to_numpy(
        model(np.array([[1, 1, 1, 2], [2, 2, 2, 1], [0, 0, 0, 0]]))
    )
    np.testing.assert_allclose(answers, MATRIX[[2, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(chains.transitions_of(model), MATRIX, rtol=1e-6)


def test_what_cannot_be_is_refused():
    counts = np.array([[1, 1], [0, 0]])
    with pytest.raises(ValueError, match="State 1 was never seen"):
        chains.transition_matrix(counts)
    matrix = chains.transition_matrix(counts, smoothing=1)
    assert matrix.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    model = zoo.markov_chain((4,), alphabet="ab")
    with pytest.raises(ValueError, match="probability above 0"):
        chains.set_transitions(model, np.eye(3))
    for alphabet in ("", "aba"):
        with pytest.raises(ValueError, match="letters, each of them once"):
            zoo.markov_chain(alphabet=alphabet)
