"""Several answers out: how a model of many heads is scored and exported."""

import numpy as np
import pytest
from helpers.kinds import several_heads

import zoo
from recipes.lab import tasks
from recipes.lab.data import digit_tasks


@pytest.fixture(scope="module")
def kind():
    """The task, and a model that has not been trained."""
    return several_heads()


@pytest.fixture(scope="module")
def scores(kind):
    """What the model is worth on the test set."""
    task, model = kind
    return task.score(model, task.data.test, quiet=True)


def test_metrics_are_scikit_learns_and_their_mean(kind, scores):
    from sklearn import metrics

    task, model = kind
    test, expected = task.data.test, {}
    answers = model.predict(test.inputs, verbose=0)
    for head in task.data.heads:
        truth, said = test.targets[head.name], answers[head.name]
        if head.class_names:
            found = metrics.accuracy_score(truth, said.argmax(axis=1))
            expected[f"{head.name}_test_accuracy"] = found
        else:
            found = metrics.r2_score(truth, said[:, 0])
            expected[f"{head.name}_test_r2"] = found
    expected["test_mean_score"] = np.mean([*expected.values()])
    assert scores.metrics == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_answers_of_the_signatures_are_scored_alike(kind, scores):
    task, model = kind
    expect = task.signatures(model)["serving_default"].expect
    again = task.score_answers(expect(task.data.test.inputs), task.data.test)
    assert again.metrics == pytest.approx(scores.metrics, rel=1e-5)


@pytest.mark.parametrize("heads", [{"digit": 10}, {"digit": 9, "slant": 2}])
def test_a_model_of_other_heads_is_refused(heads):
    task, _ = several_heads(("digit", "slant"))
    model = zoo.create_model("multi_task_cnn", heads=heads)
    with pytest.raises(ValueError, match="must have the outputs .*'slant'"):
        task.check(model)


def test_a_model_of_one_output_is_refused(kind):
    with pytest.raises(ValueError, match="must have the outputs"):
        kind[0].check(zoo.create_model("softmax_regression"))


def test_card_and_assets_say_what_each_output_is(kind):
    task, _ = kind
    rows = task.assets()["heads.csv"].splitlines()
    assert rows[0] == "head,unit,about,classes"
    assert len(rows) == 13
    assert rows[2] == "parity,,whether it is odd,even|odd"
    assert "| `digit` | probabilities of 0, 1, 2, 3, 4 and 5 more |" in (
        task.output()
    )
    assert "| `slant` | a number, in degrees |" in task.output()
    assert "12 heads" in task.output()


@pytest.mark.thorough
def test_report_shows_all_answers(kind, scores, tmp_path):
    task, model = kind
    parts = task.report(model, scores, tmp_path)
    assert len(parts.facts) == 12
    assert "12 heads" in parts.headline
    assert {path.stem for path in tmp_path.iterdir()} == {
        *("answers", "truths", "filters")
    }


def test_heads_of_the_data_are_those_that_are_named(kind):
    names = [tasks.name_of_score(head) for head in digit_tasks.HEADS]
    assert names[0] == "digit_test_accuracy"
    assert names[-1] == "upper_ink_test_r2"
