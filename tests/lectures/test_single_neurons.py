"""What the lectures say of single neurons, and of one network on a table."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from recipes.lab import tasks
from recipes.lab.data import tables
from recipes.lab.flags import RunOptions
from recipes.lab.report.classified import count_confusions
from recipes.lab.runs import open_run
from recipes.lab.training import minimize


def standard(name, columns=None):
    """The training rows of a table, standardized, and their targets."""
    train = tables.TABLES[name]().train
    rows = train.inputs[:, :columns].astype("float64")
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return rows.astype("float32"), train.targets.astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- learning by the gradient of the squared error ----------------------


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_the_lectures_step_is_that_of_the_gradient(activation):
    """Each neuron moves by its rate times the sum of (d - y) f'(z) x."""
    rows, desired = standard("breast_cancer", 5)
    model = zoo.create_model(
        "logistic_neuron", input_shape=(5,), classifier_activation=activation
    )
    kernel, bias = model.layers[-1].weights
    w, b = kernel.numpy().astype("float64"), bias.numpy().astype("float64")

    z = rows @ w + b
    y = z if activation == "linear" else sigmoid(z)
    slope = np.ones_like(z) if activation == "linear" else y * (1 - y)
    delta = (desired[:, np.newaxis] - y) * slope
    step_of_bias, step_of_weights = delta.sum(axis=0), rows.T @ delta

    with tf.GradientTape() as tape:
        answers = model(rows)[:, 0]
        squares = tf.reduce_sum(tf.square(desired - answers))
    gradients = tape.gradient(squares, [kernel.value, bias.value])
    for step, gradient in zip(
        (step_of_weights, step_of_bias), gradients, strict=True
    ):
        np.testing.assert_allclose(-gradient / 2, step, rtol=1e-5, atol=1e-4)


def descend(slope_of, steps, rates):
    """Learn from the radius and texture of tumors by the lecture's steps."""
    rows, desired = standard("breast_cancer", 2)
    rows, desired = rows.astype("float64"), desired.astype("float64")
    weights, bias = np.zeros(2), 0.0
    for _ in range(steps):
        z = rows @ weights + bias
        y, slope = slope_of(z)
        delta = (desired - y) * slope
        bias += rates[0] * delta.sum()
        weights += rates[1] * rows.T @ delta
    return rows, desired, weights, bias


def test_with_the_identity_it_ends_at_least_squares():
    rows, desired, weights, bias = descend(
        lambda z: (z, 1.0), 1_000, (2e-3, 1e-3)
    )
    exact, *_ = np.linalg.lstsq(
        np.column_stack([rows, np.ones(len(rows))]), desired
    )
    np.testing.assert_allclose([*weights, bias], exact, atol=1e-9)


def test_with_the_logistic_curve_it_is_no_logistic_regression():
    """The lecture calls the two similar, and so they are; the same, no."""
    from sklearn.linear_model import LogisticRegression

    def curve(z):
        y = sigmoid(z)
        return y, y * (1 - y)

    rows, desired, weights, bias = descend(curve, 3_000, (0.02, 0.03))
    theirs = LogisticRegression(C=np.inf, tol=1e-9, max_iter=10_000)
    theirs.fit(rows, desired)
    ours = rows @ weights + bias > 0
    assert np.mean(ours == theirs.predict(rows)) > 0.95
    difference = np.abs(weights - theirs.coef_[0]).max()
    assert difference > 0.1 * np.abs(theirs.coef_).max()


# --- logistic regression ------------------------------------------------


def test_gradient_of_the_cross_entropy_is_rows_times_errors():
    rows, labels = standard("breast_cancer", 10)
    model = zoo.create_model("logistic_neuron", input_shape=(10,))
    with tf.GradientTape() as tape:
        p = model(rows)[:, 0]
        loss = tf.reduce_sum(
            keras.losses.binary_crossentropy(
                labels[:, np.newaxis], p[:, np.newaxis]
            )
        )
    kernel, bias = model.layers[-1].weights
    gradients = tape.gradient(loss, [kernel.value, bias.value])
    errors = p.numpy() - labels
    np.testing.assert_allclose(
        gradients[0][:, 0], rows.T @ errors, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(gradients[1], [errors.sum()], rtol=1e-3)


def test_weighted_sum_is_the_log_odds():
    rows, _ = standard("breast_cancer", 10)
    model = zoo.create_model("logistic_neuron", input_shape=(10,))
    p = np.asarray(model(rows), "float64")[:, 0]
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(
        np.log(p / (1 - p)), (rows @ kernel + bias)[:, 0], rtol=1e-3, atol=1e-4
    )


# --- R's infert ---------------------------------------------------------

# controls/cases of each row of parity, induced and spontaneous abortions
CELLS = """
100:39/4 101:12/21 110:15/8 200:17/2 201:8/1 202:3/13 210:15/4 211:3/3 220:8/4
300:4/1 301:3/0 302:3/4 310:3/0 311:3/2 312:0/3 320:7/1 321:1/1 401:2/0 402:3/0
411:4/0 412:0/1 420:1/3 421:2/2 502:1/0 511:1/0 512:1/1 521:1/1 602:1/1 612:0/1
620:4/1
"""


@dataclass(frozen=True)
class Config:
    """There is nothing to choose."""

    run: RunOptions = RunOptions()


def test_infert_is_the_table_of_the_lecture():
    train = tables.infert().train
    rows, cells = np.unique(train.inputs, axis=0, return_inverse=True)
    counts = np.bincount(2 * cells + train.targets).reshape(-1, 2)
    found = [
        "{:.0f}{:.0f}{:.0f}:{}/{}".format(*row, *count)
        for row, count in zip(rows, counts, strict=True)
    ]
    assert found == CELLS.split()
    assert counts.sum(axis=0).tolist() == [165, 83]
    # Nothing gets further than to know the majority of each.
    assert counts.max(axis=1).sum() == 192


def fit_infert(folder, units, restarts):
    """Fit a network as R's neuralnet does; return its loss and its table."""

    def half_squares(truth, outputs):
        return tf.reduce_sum(tf.square(outputs[:, 0] - truth)) / 2

    config = Config(RunOptions(output_dir=folder))
    with open_run(config, tables.infert()) as run:
        model = zoo.create_model("ann", hidden_units=units)
        model.get_layer("standardization").adapt(run.data.train.inputs)
        history = minimize(
            *(run, model, run.data.train, half_squares),
            restarts=restarts,
            loss_in_words="half the sum of squared errors",
        )
        train = run.data.train
        answers = tasks.Classification(run.data).answer(model, train)
    table = count_confusions(train.targets, answers.argmax(axis=1), 2)
    return min(history["loss"]), table.ravel().tolist(), model


def test_one_hidden_neuron_makes_the_lectures_table(tmp_path):
    loss, table, model = fit_infert(tmp_path, units=1, restarts=1)
    assert table == [143, 22, 37, 46]
    assert loss == pytest.approx(21.2188, abs=2e-4)
    count = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert count == 6


@pytest.mark.thorough
def test_a_wider_network_gets_as_far_as_any_can(tmp_path):
    loss, table, _ = fit_infert(tmp_path, units=12, restarts=1)
    assert table[0] + table[3] == 192
    assert loss < 19.1


def test_support_vectors_make_the_lectures_other_table():
    """As R's e1071 has them: scaled columns, cost 1, gamma one third."""
    from sklearn.svm import SVC

    rows = tables.infert().train.inputs.astype("float64")
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    labels = tables.infert().train.targets
    answers = SVC(C=1.0, gamma=1 / 3).fit(rows, labels).predict(rows)
    table = count_confusions(labels, answers, 2)
    assert table.ravel().tolist() == [149, 16, 43, 40]
