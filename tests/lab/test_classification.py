"""Scores of classifiers so small that the right answers are known."""

import numpy as np
import pytest
from helpers.models import classifier, score_classifier

from recipes.lab.data.splits import Split


def test_accuracy_and_cross_entropy_are_means_over_the_images():
    images = np.array([[255, 0, 0], [51, 204, 0], [0, 102, 153]], "uint8")
    split = Split(images, np.array([0, 0, 2]))
    metrics, probabilities = score_classifier(classifier(), split)
    assert metrics["test_accuracy"] == pytest.approx(2 / 3)
    nats = -(np.log(1) + np.log(0.2) + np.log(0.6)) / 3
    assert metrics["test_loss"] == pytest.approx(nats)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, images / 255, rtol=1e-6)


def test_what_was_held_for_impossible_costs_much_and_not_everything():
    split = Split(np.array([[255, 0, 0]], "uint8"), np.array([1]))
    metrics, _ = score_classifier(classifier(), split)
    assert metrics["test_accuracy"] == 0
    assert metrics["test_loss"] == pytest.approx(-np.log(1e-7))
