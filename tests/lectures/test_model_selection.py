"""Lectures: how a model is judged, and what it is to be compared with."""

import numpy as np
from helpers.facts import Facts
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

import zoo
from recipes.lab.data import tables
from recipes.lab.data.splits import Split
from recipes.lab.training import closed_form

fact = Facts()


def accuracy_of_newton(train, test, penalty):
    """Train a softmax to its optimum, and test it."""
    columns = train.inputs.shape[1]
    model = zoo.create_model(
        "softmax_regression",
        input_shape=(columns, 1, 1),
        num_classes=3,
        rescale=(1.0, 0.0),
    )
    rule = closed_form.newton(model, penalty)
    train, test = rule.prepare(train), rule.prepare(test)
    for _ in range(8):
        rule.step(train)
    return rule.measure(test)["accuracy"]


@fact("A26", 2, "k-fold cross-validation: each part is the test set once")
def cross_validation_is_scikit_learns():
    data = tables.wine()
    whole = data.train + data.validation + data.test
    rows = (whole.inputs - whole.inputs.mean(0)) / whole.inputs.std(0)
    images = rows.reshape(len(rows), -1, 1, 1).astype("float32")
    whole = Split(images, whole.targets)
    folds = [*StratifiedKFold(5).split(images, whole.targets)]
    tested = np.concatenate([left for _, left in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(whole)))
    ours = [
        accuracy_of_newton(whole[kept], whole[left], penalty=10.0)
        for kept, left in folds
    ]
    theirs = cross_val_score(
        LogisticRegression(C=0.1, tol=1e-6),
        rows.astype("float64"),
        whole.targets,
        cv=folds,
    )
    assert ours == theirs.tolist()
    assert len({*ours}) > 1  # or any would be equal


test_lecture = fact.test()
