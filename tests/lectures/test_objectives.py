"""Lectures: what training minimizes, how it descends, and when it stops."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.builders import noise, outputs
from helpers.facts import Facts

import zoo
from recipes.lab.data.splits import Split, steps_per_epoch

fact = Facts()


def gradients(model, inputs, objective):
    """Return the gradient of an objective of the outputs, for each weight."""
    with tf.GradientTape() as tape:
        value = objective(model(inputs))
    weights = [weight.value for weight in model.trainable_variables]
    return [gradient.numpy() for gradient in tape.gradient(value, weights)]


@fact("A7", 0, "categorical: R = - sum of y_ik log f_k(x_i)")
def cross_entropy_pulls_by_the_differences_of_probabilities():
    model = zoo.create_model("softmax_regression", num_classes=4)
    images = noise(6, 28, 28, 1)
    y = np.eye(4, dtype="float32")[np.arange(6) % 4]
    loss = keras.losses.CategoricalCrossentropy(reduction="sum")
    f = outputs(model, images)
    expected = -np.sum(y * np.log(f))
    assert float(loss(y, f)) == pytest.approx(expected, rel=1e-5)
    pixels = images.reshape(6, 784) / np.float32(255)
    kernel, bias = gradients(model, images, lambda f: loss(y, f))
    np.testing.assert_allclose(kernel, pixels.T @ (f - y), atol=1e-4)
    np.testing.assert_allclose(bias, np.sum(f - y, axis=0), atol=1e-5)


@fact("A7", 0, "continuous: R = sum of (y_ik - f_k(x_i))^2")
def squares_pull_by_twice_the_differences():
    model = zoo.create_model("linear_neuron", input_shape=(3,))
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    y = rows[:, :1] ** 2
    f = outputs(model, rows)
    kernel, bias = gradients(
        model, rows, lambda f: tf.reduce_sum(tf.square(y - f))
    )
    np.testing.assert_allclose(kernel, 2 * rows.T @ (f - y), atol=1e-4)
    np.testing.assert_allclose(bias, 2 * np.sum(f - y, axis=0), atol=1e-5)


@fact("A28", 2, "how the loss changes with the change of each theta")
def each_direction_shrinks_by_one_minus_rate_times_curvature():
    """On a bowl, in steps: too high a rate climbs out of it."""
    model = zoo.create_model("linear_neuron", input_shape=(2,))
    kernel = model.layers[-1].kernel
    # The mean of squares over these two has the curvatures 1 and 4.
    rows, curvatures = np.diag([1, 2]).astype("float32"), np.array([1, 4])
    for rate in (0.1, 0.3, 0.6):
        kernel.assign([[1.0], [1.0]])
        optimizer = keras.optimizers.SGD(rate)
        for step in range(1, 6):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(rows)))
            slope = tape.gradient(loss, kernel.value)
            optimizer.apply([slope], [kernel])
            expected = (1 - rate * curvatures) ** step
            np.testing.assert_allclose(kernel[:, 0], expected, rtol=1e-4)
    assert abs(kernel[1, 0]) > 1 > abs(kernel[0, 0])


@fact("A24", 3, "1.2 M images, 512 mini-batch size: ~2400 iterations")
def an_epoch_is_2344_iterations():
    images = Split(np.zeros((1_200_000, 0), "uint8"), np.zeros(1_200_000))
    # The last of them is not full, and training leaves it out.
    assert steps_per_epoch(images, 512) == 2_343
    assert len(list(images.in_batches(512))) == 2_344


@fact("A24", 3, "Early stopping: stop if no improving after certain epochs")
def early_stopping_restores_the_best_epoch():
    model = zoo.create_model("softmax_regression", num_classes=3)
    images, labels = noise(12, 28, 28, 1), np.arange(12) % 3
    model.compile(
        optimizer=keras.optimizers.SGD(0.05),
        loss="sparse_categorical_crossentropy",
    )
    # The other labels get less likely the better these are learned.
    validation = images, (labels + 1) % 3
    history = model.fit(
        *(images, labels),
        epochs=20,
        batch_size=12,
        validation_data=validation,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
        ],
        verbose=0,
    ).history["val_loss"]
    assert len(history) == np.argmin(history) + 1 + 2 < 20
    best = model.evaluate(*validation, verbose=0)
    assert best == pytest.approx(min(history), rel=1e-5)


test_lecture = fact.test()
