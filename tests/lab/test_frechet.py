"""The distance of two normal distributions, beside what is known of it."""

import numpy as np
import pytest
import scipy.linalg

from recipes.lab.tasks import frechet

RANDOM = np.random.default_rng(0)
ONES = RANDOM.normal(size=(500, 6)) @ RANDOM.normal(size=(6, 6)) + 2
OTHERS = RANDOM.normal(size=(700, 6)) @ RANDOM.normal(size=(6, 6))


def with_moments(mean, covariance, count=50):
    """Features that have exactly this mean and this covariance."""
    features = RANDOM.normal(size=(count, len(mean)))
    features -= features.mean(axis=0)
    own = np.linalg.cholesky(np.cov(features.T))
    wanted = np.linalg.cholesky(covariance)
    return features @ np.linalg.inv(own).T @ wanted.T + mean


def test_of_independent_numbers_there_is_a_closed_form():
    """|m1 - m2|^2 + |s1 - s2|^2, with the standard deviations s."""
    means = np.float64([[1, -2, 0], [0, 0, 0.5]])
    deviations = np.float64([[1, 2, 0.5], [3, 2, 1]])
    ones, others = (
        with_moments(mean, np.diag(deviation**2))
        for mean, deviation in zip(means, deviations, strict=True)
    )
    expected = 5.25 + 4.25
    assert frechet.frechet_distance(ones, others) == pytest.approx(expected)


def test_it_is_what_the_root_of_another_library_gives():
    root = scipy.linalg.sqrtm(np.cov(ONES.T) @ np.cov(OTHERS.T))
    expected = np.sum((ONES.mean(axis=0) - OTHERS.mean(axis=0)) ** 2)
    expected += np.trace(np.cov(ONES.T) + np.cov(OTHERS.T) - 2 * root.real)
    found = frechet.frechet_distance(ONES, OTHERS)
    assert found == pytest.approx(expected)
    assert frechet.frechet_distance(OTHERS, ONES) == pytest.approx(found)


def test_a_set_is_no_distance_from_itself():
    assert frechet.frechet_distance(ONES, ONES) == pytest.approx(0, abs=1e-9)


def test_fewer_examples_than_features_have_a_distance_too():
    few = ONES[:4].astype("float32")
    distance = frechet.frechet_distance(few, OTHERS)
    assert np.isfinite(distance) and distance > 0
    assert frechet.frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_a_root_squared_is_the_matrix():
    matrix = np.cov(ONES.T)
    root = frechet.square_root(matrix)
    np.testing.assert_allclose(root @ root, matrix)
    np.testing.assert_allclose(root, root.T)
