"""Numbers out: how a regression is scored, served and reported."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from recipes.lab import tasks
from recipes.lab.data import tables
from recipes.lab.tasks.classification import of_every_class


@pytest.fixture(scope="module")
def task():
    """The task of predicting how diabetes goes on."""
    return tasks.Regression(tables.diabetes())


@pytest.fixture(scope="module")
def model(task):
    """A neuron that has not been trained."""
    set_seed(0)
    model = zoo.create_model("linear_neuron")
    model.get_layer("standardization").adapt(task.data.train.inputs)
    return model


def test_metrics_are_scikit_learns(task, model):
    from sklearn import metrics

    scores = task.score(model, task.data.test, quiet=True)
    truth = task.data.test.targets
    answers = np.asarray(model(task.data.test.inputs))[:, 0]
    np.testing.assert_allclose(scores.outputs, answers, rtol=1e-5)
    expected = {
        "test_rmse": metrics.root_mean_squared_error(truth, answers),
        "test_mae": metrics.mean_absolute_error(truth, answers),
        "test_r2": metrics.r2_score(truth, answers),
        "test_mse": metrics.mean_squared_error(truth, answers),
    }
    assert scores.metrics == pytest.approx(expected, rel=1e-4)


def test_answer_is_one_number_a_row(task, model):
    rows = task.data.test.inputs[:5]
    for signature in task.signatures(model).values():
        arguments = map(tf.constant, signature.ask(rows).values())
        answer = signature.function(*arguments)
        assert answer["prediction"].shape == (5,)
        np.testing.assert_allclose(
            answer["prediction"],
            signature.expect(rows)["prediction"],
            rtol=1e-5,
        )


def test_a_model_of_several_numbers_is_refused(task):
    with pytest.raises(ValueError, match=r"\(None, 1\)"):
        task.check(zoo.ann((10,), 2))


def test_card_and_assets_say_what_the_number_is(task):
    assert task.hub_task == "tabular-regression"
    assert task.assets() == {"target.txt": "progression (points)\n"}
    assert "`progression`" in task.output()
    assert 'answer["prediction"]' in task.use("a", "1")
    assert "features=features" in task.use("a", "1")


def test_report_compares_with_the_mean(task, model, tmp_path):
    scores = task.score(model, task.data.test, quiet=True)
    parts = task.report(model, scores, tmp_path)
    deviation = np.std(task.data.test.targets)
    assert f"the mean: {deviation:.4g} points" in parts.facts["Test RMSE"]
    assert {path.stem for path in tmp_path.iterdir()} == {
        *("truth", "errors", "weights")
    }


# --- classes of one output ----------------------------------------------


def test_one_output_is_the_probability_of_the_second_class():
    outputs = np.array([[0.25], [1.0]], "float32")
    expected = [[0.75, 0.25], [0, 1]]
    np.testing.assert_array_equal(of_every_class(outputs), expected)
    np.testing.assert_array_equal(
        of_every_class(tf.constant(outputs)), expected
    )
    np.testing.assert_array_equal(
        of_every_class(expected := np.eye(3)), expected
    )


def test_one_output_is_enough_for_two_classes_only():
    data = tables.breast_cancer()
    model = zoo.create_model("logistic_neuron")
    tasks.Classification(data).check(model)
    three = replace(data, class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match="3 classes"):
        tasks.Classification(three).check(model)


def test_log_odds_are_no_probabilities():
    task = tasks.Classification(tables.breast_cancer())
    model = zoo.create_model("logistic_neuron", classifier_activation=None)
    rows = task.data.test.inputs[:5]
    with pytest.raises(Exception, match="do not lie in"):
        task.signatures(model)["serving_default"].expect(rows)
