"""A model is asked about each image once, in order, whatever the batch."""

import keras
import numpy as np
import pytest
from helpers.models import classifier, model_of, score_classifier

from recipes.lab import tasks
from recipes.lab.data.splits import Split
from recipes.lab.tasks import scores


def test_every_image_is_scored_in_order_whatever_the_batch():
    count = 2_007  # no multiple of a batch
    images = np.random.default_rng(0).integers(0, 256, (count, 3), "uint8")
    split = Split(images, images.argmax(axis=1))
    metrics, probabilities = score_classifier(classifier(), split)
    np.testing.assert_allclose(probabilities, images / 255, rtol=1e-6)
    assert metrics["test_accuracy"] == 1


def test_a_model_of_several_inputs_gets_all_of_them():
    one, two = keras.Input((1,), name="one"), keras.Input((1,), name="two")
    layer = keras.layers.Subtract()
    model = keras.Model({"one": one, "two": two}, layer([one, two]))
    numbers = np.arange(2_007, dtype="float32")[:, np.newaxis]
    found = scores.predict(model, {"one": numbers, "two": numbers / 4})
    np.testing.assert_allclose(found, 0.75 * numbers)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_features_take_the_place_of_images(dtype, noise):
    extractor = model_of(keras.layers.Flatten(dtype=dtype))
    features = tasks.features_of(extractor, noise)
    assert features.inputs.dtype == np.float32
    # Pixels below 256 are whole numbers in bfloat16, too.
    np.testing.assert_array_equal(features.inputs, noise.inputs.reshape(20, 4))
    assert features.targets is noise.targets
