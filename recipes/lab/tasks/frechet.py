"""How far apart two sets of pictures are, by what a network sees in them."""

import numpy as np


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Return the squared Fréchet distance of two sets of features.

    Each set counts as the normal distribution of its mean m and covariance C:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al. 2017). It is zero
    if both have the same two, and falls with the number of examples, so what is
    compared is compared with as many.

    Args:
        features: Of one set, `(n, features)`, two or more examples.
        others: Of the other, `(m, features)`.
    """
    (mean, covariance), (other_mean, other_covariance) = map(
        moments, (features, others)
    )
    # C1 C2 has the eigenvalues of R C2 R with R R = C1, which is symmetric.
    root = square_root(covariance)
    eigenvalues = np.linalg.eigvalsh(root @ other_covariance @ root)
    trace_of_root = np.sum(np.sqrt(np.maximum(eigenvalues, 0)))
    return float(
        np.sum((mean - other_mean) ** 2)
        + np.trace(covariance)
        + np.trace(other_covariance)
        - 2 * trace_of_root
    )


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of features, in float64."""
    features = features.reshape(len(features), -1).astype("float64")
    mean = features.mean(axis=0)
    features -= mean
    return mean, features.T @ features / (len(features) - 1)


def square_root(matrix: np.ndarray) -> np.ndarray:
    """Return the root of a symmetric matrix without negative eigenvalues.

    Those that rounding has made negative count as zero.
    """
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(eigenvalues, 0)) @ vectors.T
