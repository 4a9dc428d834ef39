"""Ridge regression, solved: sums over batches, penalties, probabilities."""

import numpy as np
import pytest
from helpers.tasks import classification
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge

from recipes.lab.errors import RecipeError
from recipes.lab.training.closed_form import ridge
from recipes.lab.training.normal_equations import (
    NormalEquations,
    regress_classes,
    sharpness,
)


@pytest.fixture
def problem():
    """Features far from zero, float32 `(500, 20)`, and targets `(500, 3)`."""
    random = np.random.default_rng(0)
    features = random.normal(3, 2, (500, 20)).astype("float32")
    kernel = random.normal(size=(20, 3))
    return features, features @ kernel + random.normal(size=(500, 3)) - 4


def equations_of(features, targets, size):
    equations = NormalEquations()
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        equations.add(features[part], targets[part])
    return equations


@pytest.mark.parametrize("penalty", [0.0, 0.3, 1000.0])
def test_solution_is_that_of_scikit_learn(problem, penalty):
    features, targets = problem
    kernel, bias = ridge([problem], penalty)
    expected = Ridge(alpha=penalty, solver="svd")
    expected.fit(features.astype("float64"), targets)
    np.testing.assert_allclose(kernel, expected.coef_.T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(bias, expected.intercept_, rtol=1e-8)


@pytest.mark.parametrize("size", [1, 64, 500])
def test_batches_add_up_to_the_whole(problem, size):
    by_parts = equations_of(*problem, size)
    whole = equations_of(*problem, 500)
    np.testing.assert_allclose(by_parts.squares, whole.squares, rtol=1e-12)
    np.testing.assert_allclose(by_parts.products, whole.products, rtol=1e-12)
    for left, right in zip(by_parts.solve(1.0), whole.solve(1.0), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9)


def test_sums_are_float64_and_symmetrical_to_the_bit(problem):
    equations = equations_of(*problem, 64)
    assert equations.squares.dtype == "float64"
    np.testing.assert_array_equal(equations.squares, equations.squares.T)


def test_error_is_known_from_the_sums_alone(problem):
    features, targets = problem
    equations = equations_of(*problem, 64)
    for penalty in (0.0, 100.0):
        kernel, bias = equations.solve(penalty)
        expected = np.mean((features @ kernel + bias - targets) ** 2)
        assert equations.error(kernel, bias) == pytest.approx(expected)


def test_features_that_depend_on_each_other_need_a_penalty(problem):
    features, targets = problem
    features = np.round(features)  # sums of whole numbers are exact
    equations = equations_of(np.hstack([features, features]), targets, 500)
    with pytest.raises(RecipeError, match="no single solution.*penalty"):
        equations.solve(0.0)
    kernel, _ = equations.solve(1.0)
    np.testing.assert_allclose(kernel[:20], kernel[20:], rtol=1e-6)


def cross_entropy(factor, scores, labels):
    logits = factor * scores
    logs = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    return -np.mean(logs[np.arange(len(labels)), labels])


def test_sharpness_has_the_least_cross_entropy():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 300)
    scores = np.eye(4)[labels] + random.normal(0, 0.4, (300, 4))
    found = sharpness(scores, labels)
    best = minimize_scalar(
        cross_entropy, (1, 10), args=(scores, labels), options={"xtol": 1e-9}
    )
    assert found == pytest.approx(best.x, rel=1e-5)
    # The same scores in another unit are the same probabilities.
    assert sharpness(10 * scores, labels) == pytest.approx(found / 10)


def test_sharpness_is_finite_where_every_answer_is_right():
    assert 10 < sharpness(np.eye(4), np.arange(4)) < 1000


def test_sharpness_of_scores_that_are_worse_than_none_is_zero():
    assert sharpness(-np.eye(4), np.arange(4)) == pytest.approx(0)


def test_classes_are_regressed_with_the_best_of_the_penalties():
    data = classification().data

    def features(split):
        return split.inputs.reshape(len(split), -1) / 255

    penalties = [1e-3, 1.0, 1e3]
    kernel, bias, metrics = regress_classes(features, data, penalties)
    one_hot = np.eye(data.num_classes)
    errors = {}
    for penalty in penalties:
        model = Ridge(penalty).fit(
            features(data.train), one_hot[data.train.targets]
        )
        scores = model.predict(features(data.validation))
        wrong = scores - one_hot[data.validation.targets]
        errors[penalty] = np.mean(wrong**2)
    assert metrics["penalty"] == min(errors, key=errors.get)
    assert metrics["val_loss"] == pytest.approx(min(errors.values()), 1e-6)
    answers = (features(data.validation) @ kernel + bias).argmax(axis=1)
    right = np.mean(answers == data.validation.targets)
    assert metrics["val_accuracy"] == right > 0.8
