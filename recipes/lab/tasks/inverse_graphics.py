"""Codes of which some numbers follow factors of the scene."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

import zoo
from recipes.lab.data.splits import Split
from recipes.lab.metrics import FACTOR_CORRELATION, NLL, OTHER_CORRELATION
from recipes.lab.report import generated, page
from recipes.lab.tasks.scores import Parts, Scores, predict
from recipes.lab.tasks.variational import Likelihoods, VariationalGeneration

SHOWN = 2  # images whose factors are changed


@dataclass(frozen=True)
class InverseGraphics(VariationalGeneration):
    """A variational autoencoder whose first numbers follow factors of a scene.

    Attributes:
        factors: Name of each factor.
        values: Their values in the images to score, `(n, factors)`.
    """

    factors: tuple[str, ...] = ()
    values: np.ndarray = field(default=None, repr=False, compare=False)

    hub_metric: ClassVar = "correlation"
    metrics: ClassVar = (FACTOR_CORRELATION, OTHER_CORRELATION, NLL)

    def score(self, model: keras.Model, split: Split) -> Likelihoods:
        """Score the likelihood of images, and what their codes follow.

        Args:
            model: A variational autoencoder.
            split: The images whose factors have the `values`.

        Returns:
            As of `VariationalGeneration`, and in the mean over the factors:

            - `test_factor_correlation`: the correlation of a factor with the
              number of the code that is to follow it, without its sign.
            - `test_other_correlation`: the highest with any other number.
        """
        scores = super().score(model, split)
        own, others = self._followed(model, scores)
        scores.metrics[FACTOR_CORRELATION.name] = float(own.mean())
        scores.metrics[OTHER_CORRELATION.name] = float(others.mean())
        return scores

    def _followed(self, model, scores: Scores):
        """Return how well each factor is followed: by its number, by others."""
        codes = predict(zoo.feature_extractor(model), scores.inputs)
        found = np.abs(correlations(self.values, codes))
        count = len(self.factors)
        own = np.eye(count, codes.shape[1], dtype=bool)
        return found[own], np.where(own, 0, found).max(axis=1)

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        parts = super().report(model, scores, plots)
        rows = [
            (name, f"{own:.2f}", f"{other:.2f}")
            for name, own, other in zip(
                self.factors, *self._followed(model, scores), strict=True
            )
        ]
        header = ("factor", "its own number", "the best of the others")
        codes = predict(zoo.feature_extractor(model), scores.inputs)
        moved = moved_codes(codes, len(self.factors), codes[:SHOWN])
        pictures = predict(model.get_layer("decoder"), moved)
        section = generated.factors_section(
            plots, pictures, self.factors, page.table(rows, header)
        )
        correlation = FACTOR_CORRELATION.write(
            scores.metrics[FACTOR_CORRELATION.name]
        )
        other = OTHER_CORRELATION.write(scores.metrics[OTHER_CORRELATION.name])
        headline = (
            f'<p class="number">{correlation}</p>\n'
            "<p>is the correlation of a factor of the scene with the number of "
            f"the code that follows it, in the mean over {len(rows)} factors. "
            f"With the best of the other numbers it is {other}.</p>"
        )
        return parts._replace(
            headline=headline, before=[section, *parts.before]
        )


def correlations(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the correlation of each value with each number of a code.

    Args:
        values: `(n, values)`.
        codes: `(n, latent_dim)`.

    Returns:
        `(values, latent_dim)`, from -1 to 1; 0 of what never changes.
    """
    values, codes = (
        (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
        for x in (values.astype("float64"), codes.astype("float64"))
    )
    return values.T @ codes / len(values)


def moved_codes(codes, count: int, some, steps: int = page.STRIP):
    """Return codes with one number moved, `(count * len(some) * steps, ...)`.

    Each goes through the range that it has, but for a hundredth at each end.

    Args:
        codes: Codes that say how far a number goes.
        count: How many of the first numbers to move.
        some: The codes in which they are moved.
        steps: Values that a number is given.
    """
    low, high = np.quantile(codes[:, :count], (0.01, 0.99), axis=0)
    moved = np.tile(some[np.newaxis, :, np.newaxis], (count, 1, steps, 1))
    for unit in range(count):
        moved[unit, :, :, unit] = np.linspace(low[unit], high[unit], steps)
    return moved.reshape(-1, codes.shape[1])
