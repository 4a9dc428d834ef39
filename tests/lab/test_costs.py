"""Multiplications are counted in the graph, and match those counted by hand."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from helpers.builders import build, noise, outputs
from keras import layers

from recipes.lab.export import costs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax_regression", 7_840),
        ("cnn", 542_464),
        pytest.param("googlenet", None, marks=pytest.mark.thorough),
    ],
)
def test_multiplications_are_those_of_the_docstring(name, expected):
    model = build(name)
    if expected is None:
        table = model_table(name)
        expected = int(table[-1].split("|")[-2].replace(",", ""))
    assert costs.multiplications(model) == expected


def model_table(name):
    import zoo

    lines = zoo.model_info(name).builder.__doc__.splitlines()
    return [line for line in lines if line.strip().startswith("| ")]


def test_convolutions_of_each_channel_count_too():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.DepthwiseConv2D(3)(image))
    assert costs.multiplications(model) == 6 * 6 * 3 * 9


def test_the_file_that_is_timed_has_the_weights():
    model, images = build("cnn"), noise(1, 28, 28, 1)
    file = Interpreter(model_content=costs.litert_file(model))
    (answer,) = file.get_signature_runner()(
        batch=images.astype("float32")
    ).values()
    np.testing.assert_allclose(answer, outputs(model, images), atol=1e-5)


@pytest.mark.thorough
def test_times_are_measured_in_both_runtimes():
    model = build("softmax_regression")
    times = costs.microseconds(model, noise(2, 28, 28, 1))
    assert all(0 < time < 1e6 for time in times)
