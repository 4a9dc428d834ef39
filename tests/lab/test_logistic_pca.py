"""Logistic PCA: what falls at each turn, and what it can tell of images."""

import numpy as np

from recipes.lab.tasks import logistic_pca


def images_of_two_numbers(count, pixels=20):
    """Images whose log-odds are a plane, which PCA cannot be right about."""
    random = np.random.default_rng(0)
    axes = 4 * random.standard_normal((3, pixels))
    codes = np.hstack([random.standard_normal((count, 2)), np.ones((count, 1))])
    return logistic_pca.sigmoid(codes @ axes).astype("float32")


def cross_entropy(pixels, odds):
    return np.sum(np.logaddexp(0, odds) - pixels * odds)


def test_a_turn_raises_no_cross_entropy():
    random = np.random.default_rng(1)
    targets = random.random((6, 30))
    features = random.standard_normal((4, 30))
    offsets = random.standard_normal(30)
    weights = 3 * random.standard_normal((6, 4))

    def objective(weights):
        penalty = logistic_pca.PENALTY / 2 * np.sum(weights**2)
        return cross_entropy(targets, weights @ features + offsets) + penalty

    found = [objective(weights)]
    for _ in range(200):
        weights = logistic_pca.regressed(targets, features, weights, offsets)
        found.append(objective(weights))
    assert (np.diff(found) < 1e-9).all()
    # In the end it is a minimum: the gradient is zero.
    errors = logistic_pca.sigmoid(weights @ features + offsets) - targets
    gradient = errors @ features.T + logistic_pca.PENALTY * weights
    np.testing.assert_allclose(gradient, 0, atol=1e-4)


def test_two_numbers_are_enough_where_the_log_odds_have_two():
    images = images_of_two_numbers(300)
    axes = logistic_pca.fit(images[:200], 2)
    others = images[200:]
    codes = logistic_pca.encode(others, axes)
    drawn = logistic_pca.sigmoid(codes @ axes)
    assert np.mean((drawn - others) ** 2) < 1e-3
    centered = images[:200] - images[:200].mean(axis=0)
    variances = np.linalg.svd(centered, compute_uv=False) ** 2 / 200 / 20
    assert np.sum(variances[2:]) > 0.01  # of a pixel, which PCA leaves
