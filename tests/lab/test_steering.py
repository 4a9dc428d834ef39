"""A direction out of many outputs: its centroid, and the export's answer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from recipes.lab import tasks
from recipes.lab.data.synthetic import roads


@pytest.fixture(scope="module")
def task():
    return tasks.Steering(roads.load(small=True))


def test_the_centroid_of_a_hill_is_where_it_lies():
    targets = np.array([5.0, 14.25, 20.5], "float32")
    _, hills = roads._image_and_hill(None, targets)
    found = tasks.centroid(hills.numpy())
    np.testing.assert_allclose(found, targets, atol=1e-3)


def test_the_error_is_in_units(task):
    test = task.data.test
    scores = task.score_answers(test.targets + np.float32(2), test)
    assert scores.metrics == {"test_centroid_error": pytest.approx(2)}


def test_signatures_say_what_the_model_says(task):
    model = zoo.create_model("alvinn", input_shape=(30, 32, 1))
    images = task.data.test.inputs[:3]
    found = task.signatures(model)["serving_default"]
    answer = found.function(tf.constant(images))
    expected = found.expect(images)
    for name, array in expected.items():
        np.testing.assert_allclose(answer[name], array, rtol=1e-5, atol=1e-6)
    units = np.arange(30)
    np.testing.assert_allclose(
        *(answer["direction"], answer["probabilities"].numpy() @ units),
        rtol=1e-5,
    )


def test_a_model_of_one_output_is_refused(task):
    model = keras.Sequential([keras.Input((30, 32, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    with pytest.raises(ValueError, match="must have an output of shape"):
        task.check(model)
