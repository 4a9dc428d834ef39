"""Maps: what units answer, and where they are."""

import keras
import numpy as np

import zoo
from zoo.self_organizing import SelfOrganizingMap


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_units_answer_by_their_distance_and_the_sharper_the_fewer():
    layer = SelfOrganizingMap(2, 3, sharpness=0.7)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    found = plain(layer(x))
    squares = np.square(x[:, np.newaxis] - plain(layer.prototypes)).sum(axis=2)
    expected = np.exp(-0.7 * squares)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    layer.factor.assign([1e4])
    winners = np.eye(6)[squares.argmin(axis=1)]
    np.testing.assert_allclose(plain(layer(x)), winners, atol=1e-6)


def test_prototypes_far_from_zero_and_near_each_other_cost_no_digits():
    layer = SelfOrganizingMap(20, 20, sharpness=0.8)
    random = np.random.default_rng(0)
    x = random.random((50, 784), "float32")
    layer.build(x.shape)
    layer.prototypes.assign(0.5 + random.normal(0, 0.02, (400, 784)))
    prototypes = plain(layer.prototypes).astype("float64")
    products = x.astype("float64") @ prototypes.T
    expected = np.exp(1.6 * products - 0.8 * np.square(prototypes).sum(axis=1))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(plain(layer(x)), expected, rtol=4e-5)


def test_units_are_on_a_grid_row_by_row():
    apart = SelfOrganizingMap(2, 3).squared_distances_on_the_map()
    assert apart[0].tolist() == [0, 1, 4, 1, 2, 5]
    np.testing.assert_array_equal(apart, apart.T)


def test_only_the_names_of_the_classes_are_for_a_gradient():
    model = zoo.create_model("kohonen")
    assert [weight.path for weight in model.trainable_weights] == [
        "predictions/kernel",
        "predictions/bias",
    ]
