"""Lectures: what lowers the complexity of a network, and what is equal."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.facts import Facts
from helpers.seeds import set_seed

import zoo
from recipes import mnist_regularization
from recipes.lab.data import tables

fact = Facts()

IMAGES = np.random.default_rng(1).integers(0, 256, (64, 4, 4, 1), "uint8")
LABELS = np.random.default_rng(2).integers(0, 3, 64)
STRENGTH = 0.05


def trained(optimizer, penalty=None, decay=None):
    """Return the weights of a small perceptron after ten steps.

    Args:
        optimizer: A class of `keras.optimizers`.
        penalty: The penalty on its weights, if there is one.
        decay: What the optimizer takes off them, if it does.
    """
    set_seed(0)
    model = zoo.create_model(
        "mlp",
        input_shape=(4, 4, 1),
        num_classes=3,
        hidden_units=(8,),
        dropout=0.0,
    )
    mnist_regularization.penalize(model, penalty)
    optimizer = optimizer(0.05, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    variables = model.trainable_variables
    weights = [variable.value for variable in variables]
    for _ in range(10):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    LABELS, model(IMAGES)
                )
            )
            loss += sum(model.losses)
        optimizer.apply(tape.gradient(loss, weights), variables)
    return np.concatenate([w.ravel() for w in model.get_weights()])


L2 = keras.regularizers.L2(STRENGTH)


@fact("A25", 2, "L2 regularization term = lambda |theta|^2")
def l2_under_sgd_is_weight_decay():
    """Its gradient is 2 lambda w: twice as strong a decay is the same."""
    plain = trained(keras.optimizers.SGD)
    penalized = trained(keras.optimizers.SGD, penalty=L2)
    decayed = trained(keras.optimizers.SGD, decay=2 * STRENGTH)
    np.testing.assert_allclose(penalized, decayed, atol=1e-5)
    assert np.abs(penalized - plain).max() > 0.02


@fact("A25", 3, "Weight decay penalizes big weights")
def l2_under_adam_is_not_adamw():
    """Adam divides what the penalty pulls with by the size of the gradients."""
    penalized = trained(keras.optimizers.Adam, penalty=L2)
    decayed = trained(keras.optimizers.Adam, decay=2 * STRENGTH)
    difference = np.linalg.norm(penalized - decayed) / np.linalg.norm(decayed)
    assert difference > 0.1


@fact("A25", 2, "Loss function + regularization term")
def penalty_is_added_to_the_loss():
    model = zoo.create_model("mlp", hidden_units=(8,))
    kernels = [
        model.get_layer(name).kernel for name in ("hidden1", "predictions")
    ]
    for penalty, size in (("L1", np.abs), ("L2", np.square)):
        penalty = getattr(keras.regularizers, penalty)(STRENGTH)
        mnist_regularization.penalize(model, penalty)
        expected = [
            STRENGTH * np.sum(size(kernel.numpy())) for kernel in kernels
        ]
        np.testing.assert_allclose(model.losses, expected, rtol=1e-5)


@fact("A25", 2, "1/N sum (y - prediction)^2 + lambda |theta|^2")
def l2_on_a_linear_neuron_is_ridge_regression():
    """At scikit-learn's solution there is no slope, and it is the only one."""
    from sklearn.linear_model import Ridge

    train = tables.TABLES["diabetes"]().train
    rows, targets = train.inputs, train.targets
    model = zoo.create_model("linear_neuron", input_shape=rows.shape[1:])
    model.get_layer("standardization").adapt(rows)
    mnist_regularization.penalize(model, L2)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    ridge = Ridge(alpha=STRENGTH * len(rows)).fit(rows, targets)
    neuron = model.layers[-1]
    neuron.set_weights([ridge.coef_[:, None], ridge.intercept_[None]])

    def slope():
        with tf.GradientTape() as tape:
            answers = model(train.inputs)[:, 0]
            loss = tf.reduce_mean(tf.square(targets - answers))
            loss += sum(model.losses)
        weights = [weight.value for weight in neuron.weights]
        return np.concatenate(
            [g.numpy().ravel() for g in tape.gradient(loss, weights)]
        )

    np.testing.assert_allclose(slope(), 0, atol=0.05)
    plain = Ridge(alpha=0).fit(rows, targets)
    neuron.set_weights([plain.coef_[:, None], plain.intercept_[None]])
    assert np.abs(slope()).max() > 1


@fact("A25", 2, "Nodes are temporarily removed, along with their connections")
def dropout_keeps_the_expectation():
    """What is left is divided by its share, so that nothing changes later."""
    layer = zoo.create_model("mlp", dropout=0.3).get_layer("dropout1")
    values = np.linspace(1, 2, 16, dtype="float32")
    many = np.tile(values, (20_000, 1))
    dropped = np.asarray(layer(many, training=True))
    left = dropped != 0
    np.testing.assert_allclose(dropped[left], (many / 0.7)[left], rtol=1e-6)
    assert left.mean() == pytest.approx(0.7, abs=0.005)
    np.testing.assert_allclose(dropped.mean(axis=0), values, rtol=0.03)
    np.testing.assert_array_equal(layer(many, training=False), many)


test_lecture = fact.test()
