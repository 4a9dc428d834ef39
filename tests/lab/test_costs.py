"""Multiplications are counted in the graph, and match those counted by hand."""

import keras
import pytest
from helpers.builders import build, noise
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


@pytest.mark.thorough
def test_times_are_measured_in_both_runtimes():
    model = build("softmax_regression")
    times = costs.microseconds(model, noise(2, 28, 28, 1))
    assert all(0 < time < 1e6 for time in times)
