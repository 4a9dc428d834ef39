"""Cross-validation of digits: the folds, the scores and the mistakes."""

import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from recipes import digits_cross_validation
from recipes.lab.data import sample
from recipes.lab.flags import RunOptions


@pytest.mark.thorough
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_fold_has_the_accuracy_that_scikit_learn_finds(
    shuffle, tmp_path, monkeypatch, no_export
):
    reports = []

    def report(run, task, model, scores, history, sections):
        reports.append([section(tmp_path) for section in sections])

    monkeypatch.setattr("recipes.lab.runs.run.write_report", report)
    options = RunOptions(strategy="none", output_dir=tmp_path, seed=3)
    config = digits_cross_validation.Config(
        folds=3, shuffle=shuffle, run=options
    )
    metrics = digits_cross_validation.train(config)
    [[(_, caption, table), (_, _, mistakes)]] = reports

    # What the report says is not what the recipe has had scikit-learn say.
    data = sample.digits_8x8()
    digits, labels = data.train.inputs, data.train.targets
    folds = StratifiedKFold(
        3, shuffle=shuffle, random_state=3 * shuffle or None
    )
    theirs = cross_val_score(
        LogisticRegression(tol=1e-6, max_iter=10_000),
        digits.reshape(1_797, 64) / 255,
        labels,
        cv=folds,
    )
    assert "cross_val_score (the rings) finds the same." in caption
    rows = re.findall(r'row">\d</th><td>([\d.]+) %</td><td>([\d.]+) %', table)
    np.testing.assert_allclose(
        np.float64(rows), 100 * np.stack([theirs, theirs], axis=1), atol=0.006
    )
    # Each digit is tested once.
    wrong = 1_797 - round(1_797 * metrics["test_accuracy"])
    assert f"{wrong} images that were classified wrongly" in mistakes
    share = [len(left) / 1_797 for _, left in folds.split(digits, labels)]
    assert metrics["test_accuracy"] == pytest.approx(theirs @ share)
