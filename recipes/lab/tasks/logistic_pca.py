"""Logistic principal component analysis: PCA for what lies in [0, 1].

An image x has a code z, and its pixels are sigmoid(z W + b). Codes and axes are
those of the least cross-entropy. There is no formula for them, so they take
turns: given the one, the other are logistic regressions, all at once.

Reference: Schein, Saul and Ungar 2003 (A generalized linear model for principal
component analysis of binary data); Jaakkola and Jordan 2000 (the bound).
"""

import numpy as np

from recipes.lab.data.splits import Data, in_unit_range
from recipes.lab.tasks.reconstruction import fit_pca, squared_errors

FITTED = 10_000  # training images, which take seconds; more change little
TURNS = 30
PENALTY = 0.1  # of codes and axes, which could else be without bounds


def score_logistic_pca(data: Data, length: int) -> float:
    """Score logistic PCA as an autoencoder.

    Args:
        data: The data set.
        length: Number of components: length of the code.

    Returns:
        The mean squared error of the test images' pixels.
    """
    train, test = (
        in_unit_range(split.inputs).reshape(len(split), -1)
        for split in (data.train[:FITTED], data.test)
    )
    axes = fit(train, length)
    pictures = sigmoid(encode(test, axes) @ axes)
    return float(np.mean(squared_errors(pictures, test)))


def fit(pixels: np.ndarray, length: int) -> np.ndarray:
    """Return the axes, `(length + 1, pixels)`; the last is the bias b.

    Args:
        pixels: Images in [0, 1], `(n, pixels)`.
        length: Number of components.
    """
    # From the codes of PCA, with a variance of 1.
    codes = fit_pca(pixels, length).transform(pixels)
    codes = _with_a_one(codes / (codes.std(axis=0) + 1e-6))
    axes = np.zeros((codes.shape[1], pixels.shape[1]), "float32")
    for _ in range(TURNS):
        axes = regressed(pixels.T, codes.T, axes.T).T
        codes = _regressed_codes(pixels, axes, codes)
    return axes


def encode(pixels: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the codes of images, each with a 1 at its end.

    Args:
        pixels: Images in [0, 1], `(n, pixels)`.
        axes: What `fit` returned.
    """
    codes = _with_a_one(np.zeros((len(pixels), len(axes) - 1), "float32"))
    for _ in range(TURNS):
        codes = _regressed_codes(pixels, axes, codes)
    return codes


def regressed(targets, features, weights, offsets=0.0):
    """Return weights of less cross-entropy, one logistic regression a row.

    With the other numbers as they are, log(1 + exp t) is at most a parabola in
    t that touches it where t is now, and where that is least there is a
    formula. So the cross-entropy never rises.

    Args:
        targets: In [0, 1], `(n, m)`.
        features: `(k, m)`, the same for all rows.
        weights: Those of now, `(n, k)`.
        offsets: What is added to the log-odds, `(m,)`.
    """
    count, length = weights.shape
    odds = np.abs(weights @ features + offsets) + 1e-6
    curvatures = np.tanh(odds / 2) / (2 * odds)
    pairs = (features[:, np.newaxis] * features).reshape(length**2, -1)
    matrices = (curvatures @ pairs.T).reshape(count, length, length)
    matrices += PENALTY * np.eye(length, dtype="float32")
    sides = (targets - 0.5 - curvatures * offsets) @ features.T
    return np.linalg.solve(matrices, sides[..., np.newaxis])[..., 0]


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log-odds."""
    return 1 / (1 + np.exp(-odds))


def _regressed_codes(pixels, axes, codes):
    codes = regressed(pixels, axes[:-1], codes[:, :-1], axes[-1])
    return _with_a_one(codes)


def _with_a_one(codes):
    return np.hstack([codes, np.ones((len(codes), 1), "float32")])
