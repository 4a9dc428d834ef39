"""Random features: fixed weights from the seed, and what is pooled."""

import keras
import numpy as np
import pytest
from helpers.seeds import set_seed

import zoo


def test_images_that_leave_nothing_to_pool_are_refused():
    with pytest.raises(ValueError, match="must have 10×10 pixels or more"):
        zoo.create_model("elm", input_shape=(8, 8, 1))
    zoo.create_model("elm", input_shape=(8, 8, 1), pool_size=4)


def test_only_the_last_layer_is_trained():
    model = zoo.create_model("elm")
    assert [w.path for w in model.trainable_weights] == [
        "predictions/kernel",
        "predictions/bias",
    ]
    assert [w.path for w in model.non_trainable_weights] == [
        "random_filters/kernel"
    ]


def test_filters_come_from_the_seed():
    def filters(seed):
        set_seed(seed)
        return zoo.create_model("elm").get_layer("random_filters").get_weights()

    np.testing.assert_array_equal(filters(1), filters(1))
    assert not np.array_equal(filters(1), filters(2))


def test_filters_that_fit_in_their_field_are_orthonormal():
    model = zoo.create_model("elm", filters=25, kernel_size=5)
    [kernel] = model.get_layer("random_filters").get_weights()
    rows = kernel.reshape(25, 25)
    np.testing.assert_allclose(rows @ rows.T, np.eye(25), atol=1e-5)


def test_pooling_is_the_root_of_the_mean_square_in_a_window(images):
    model = zoo.create_model("elm", filters=3)
    parts = zoo.feature_extractor(model, ["random_filters", "pooling"])
    answers = parts(images)
    maps = keras.ops.convert_to_numpy(answers["random_filters"])
    pooled = keras.ops.convert_to_numpy(answers["pooling"])
    for row, column in [(0, 0), (2, 5), (6, 6)]:
        window = maps[:, 3 * row : 3 * row + 6, 3 * column : 3 * column + 6]
        expected = np.sqrt(np.mean(window**2, axis=(1, 2)))
        np.testing.assert_allclose(
            pooled[:, row, column], expected, rtol=1e-4, atol=1e-3
        )


def test_sign_of_a_filter_does_not_matter(images):
    model = zoo.create_model("elm", filters=3)
    before = keras.ops.convert_to_numpy(model(images))
    layer = model.get_layer("random_filters")
    layer.set_weights([-layer.get_weights()[0]])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(images)), before, atol=1e-5
    )
