"""Kernels: centers that interpolate, and waves that stand for a Gaussian."""

import keras
import numpy as np
import pytest
from helpers.tasks import sample
from sklearn.svm import SVC

import zoo
from zoo.kernels import RadialBasis


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_a_unit_answers_as_a_gaussian_around_its_center():
    layer = RadialBasis(5, width=2.0)
    x = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    found = plain(layer(x))
    centers = plain(layer.centers)
    squares = np.square(x[:, np.newaxis] - centers).sum(axis=2)
    np.testing.assert_allclose(found, np.exp(-squares / 8), rtol=1e-5)


def test_with_a_center_at_each_point_it_interpolates():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 4, 4, 1))
    targets = random.normal(size=(40, 3))
    model = zoo.create_model(
        "radial_basis",
        input_shape=(4, 4, 1),
        num_classes=3,
        centers=40,
        width=0.7,
        classifier_activation=None,
    )
    kernels = model.get_layer("kernels")
    kernels.centers.assign(images.reshape(40, 16) / 255)
    features = plain(zoo.feature_extractor(model)(images)).astype("float64")
    # At its own center a unit says 1, and so the matrix can be solved.
    np.testing.assert_allclose(np.diag(features), 1, atol=1e-4)
    weights = np.linalg.solve(features, targets)
    model.get_layer("predictions").set_weights([weights, np.zeros(3)])
    np.testing.assert_allclose(plain(model(images)), targets, atol=1e-3)


def test_products_of_waves_are_the_kernel():
    size, gamma, count = 6, 0.05, 20_000
    keras.utils.set_random_seed(0)
    model = zoo.create_model(
        "svm", input_shape=(6, 6, 1), field=6, gamma=gamma, features=count
    )
    images = np.random.default_rng(0).integers(0, 256, (8, size, size, 1))
    waves = plain(zoo.feature_extractor(model)(images))
    pixels = images.reshape(8, -1) / 255
    squares = np.square(pixels[:, np.newaxis] - pixels).sum(axis=2)
    # A mean of so many numbers between -2 and 2.
    np.testing.assert_allclose(
        waves @ waves.T, np.exp(-gamma * squares), atol=4 * count**-0.5
    )


def test_it_agrees_with_the_machine_of_scikit_learn():
    """Two digits, the kernel of whole images, and the same margin."""
    data = sample().of_classes("38")
    images = data.train.inputs[:, ::4, ::4]
    labels, some, others = data.train.targets, slice(150), slice(150, None)
    gamma, strength = 0.05, 1.0
    keras.utils.set_random_seed(0)
    model = zoo.create_model(
        "svm",
        input_shape=(7, 7, 1),
        num_classes=2,
        field=7,
        gamma=gamma,
        features=1_000,
        penalty=1 / (strength * 150),  # half of it for each of two classes
        classifier_activation=None,
    )
    body, head = zoo.feature_extractor(model), zoo.classifier_head(model)
    schedule = keras.optimizers.schedules.CosineDecay(0.03, 150)
    head.compile(keras.optimizers.Adam(schedule), "categorical_hinge")
    waves, truth = plain(body(images[some])), np.eye(2)[labels[some]]
    for _ in range(150):
        head.train_on_batch(waves, truth)
    scores = plain(head(body(images[others])))
    machine = SVC(C=strength, gamma=gamma)
    pixels = images.reshape(len(images), -1) / 255
    machine.fit(pixels[some], labels[some])
    theirs = machine.decision_function(pixels[others])
    ours = scores[:, 1] - scores[:, 0]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert np.mean((ours > 0) == (theirs > 0)) > 0.97


def test_a_field_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="must fit into the image"):
        zoo.create_model("svm", field=29)
