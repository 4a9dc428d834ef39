"""Ridge regression as sums over batches, and what makes its scores logits."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.errors import RecipeError

SMALLEST_SHARE = 1e-12  # of a feature; what is less, rounding may have left
AT_ONCE = 5_000  # examples whose features are computed together


class NormalEquations:
    """What a linear layer with the least squared error has to solve.

    They are sums over examples, so these are added a batch at a time: the
    memory that they need does not grow with the number of examples.

    Attributes:
        squares: The sum of each row of features, with a 1 for the bias, times
            itself, float64 `(p + 1, p + 1)`, symmetrical.
        products: The sum of those rows times the targets, `(p + 1, k)`.
    """

    def __init__(self):
        self.squares = self.products = self._of_targets = 0.0
        self._count = 0

    def add(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Add a batch.

        Args:
            features: `(n, p)`; they are multiplied as float64.
            targets: `(n, k)`.
        """
        rows = np.hstack([features, np.ones((len(features), 1))])
        # NumPy computes half of this product, and mirrors it.
        self.squares += rows.T @ rows
        self.products += rows.T @ targets
        self._of_targets += np.sum(np.square(targets, dtype="float64"))
        self._count += targets.size

    def solve(self, penalty: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel `(p, k)` and the bias `(k,)` of the least error.

        That is the sum of squared errors plus the penalty times the sum of the
        squared kernel. The bias is not punished.

        Args:
            penalty: Weight of the kernel's squares; 0 is ordinary least
                squares.

        Raises:
            RecipeError: If the features depend on each other, and nothing is
                punished: then many kernels are the best.
        """
        punished = np.full(len(self.squares), penalty)
        punished[-1] = 0
        squares = self.squares + np.diag(punished)
        try:
            # Of a symmetrical matrix, half as much work as `solve` has.
            root = tf.linalg.cholesky(squares)
            # What is left of each feature without those before it.
            shares = np.diag(root) ** 2 / np.diag(squares)
        except tf.errors.InvalidArgumentError:
            shares = np.zeros(1)
        if not shares.min() > SMALLEST_SHARE:
            raise RecipeError(
                "The normal equations have no single solution: some features "
                "are sums of others. Punish large weights, with a penalty "
                "above 0."
            )
        solved = tf.linalg.cholesky_solve(root, self.products).numpy()
        return solved[:-1], solved[-1]

    def error(self, kernel: np.ndarray, bias: np.ndarray) -> float:
        """Return the mean squared error over all the examples that were added.

        Args:
            kernel: The kernel of a linear layer, `(p, k)`.
            bias: Its bias, `(k,)`.
        """
        weights = np.vstack([kernel, bias])
        of_answers = np.sum(weights * (self.squares @ weights))
        of_both = np.sum(weights * self.products)
        return (of_answers - 2 * of_both + self._of_targets) / self._count


def sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return by what scores are multiplied to be logits: softmax's factor.

    It is the one with the least cross-entropy; the slope of that grows with the
    factor, so it is zero in one place. The reciprocal is called a temperature.

    Args:
        scores: A row of scores for each example, `(n, k)`, that the layer which
            gives them has not been fitted to.
        labels: The true classes, `(n,)`.
    """
    scores = np.asarray(scores, "float64")
    of_the_truth = scores[np.arange(len(labels)), labels]

    def slope(factor):
        logits = factor * scores
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = np.sum(weights * scores, axis=1) / weights.sum(axis=1)
        return np.mean(expected - of_the_truth)

    low, high = 0.0, 1.0
    # Where every answer is right, this ends when the others' share rounds to 0.
    while slope(high) < 0:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def regress_classes(
    features: Callable[[Split], np.ndarray],
    data: Data,
    penalties: Sequence[float],
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Compute a softmax layer by ridge regression from features to classes.

    Validation chooses the penalty, and the factor that makes scores logits.

    Args:
        features: Function of a part of a split, its features `(n, p)`.
        data: Its training split is fitted.
        penalties: Weights of the kernel's squares to choose from.

    Returns:
        The kernel `(p, k)`, the bias `(k,)` and metrics: the mean squared
        errors of the scores as `loss` and `val_loss`, `val_accuracy`, and the
        `penalty` and the `factor` that were chosen.
    """
    one_hot = np.eye(data.num_classes)

    def equations_of(split):
        equations = NormalEquations()
        for batch in split.in_batches(AT_ONCE):
            equations.add(features(batch), one_hot[batch.targets])
        return equations

    fitted, watched = equations_of(data.train), equations_of(data.validation)
    solved = {penalty: fitted.solve(penalty) for penalty in penalties}
    penalty = min(solved, key=lambda p: watched.error(*solved[p]))
    kernel, bias = solved[penalty]

    # Scores are no probabilities. Softmax makes them some, once they are
    # multiplied by a number.
    scores = features(data.validation) @ kernel + bias
    factor = sharpness(scores, data.validation.targets)
    right = scores.argmax(axis=1) == data.validation.targets
    return (
        *(factor * kernel, factor * bias),
        {
            "loss": fitted.error(kernel, bias),
            "val_loss": watched.error(kernel, bias),
            "val_accuracy": np.mean(right),
            "penalty": penalty,
            "factor": factor,
        },
    )
