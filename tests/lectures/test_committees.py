"""Lectures: the multi-column network, 0.23 % errors on MNIST in 2012."""

import numpy as np
from helpers.builders import build, count, noise, outputs
from helpers.facts import Facts

from zoo import multicolumn

fact = Facts()


@fact("A46", 3, "Multi-column Deep Neural Networks (MCDNN): MNIST 0.23 %")
def a_column_has_the_published_layers():
    column = build("mcdnn", widths=(20,))
    shapes = {layer.name: layer.output.shape[1:] for layer in column.layers}
    assert shapes["column1_conv1"] == (26, 26, 20)
    assert shapes["column1_pool1"] == (13, 13, 20)
    assert shapes["column1_conv2"] == (9, 9, 40)
    assert shapes["column1_pool2"] == (3, 3, 40)
    assert shapes["column1_hidden"] == (150,)
    assert count(column.weights) == 76_040
    assert count(build("mcdnn").weights) == 7 * 76_040


@fact("A46", 3, "Multi-column: the columns' probabilities are averaged")
def an_average_is_no_worse_than_its_columns_are_on_average():
    """Of the cross-entropy: that is Jensen's inequality."""
    pixels, labels = noise(16, 28, 28, 1), np.arange(16) % 10
    columns = [build("mcdnn", widths=(width,)) for width in (10, 14, None)]
    whole = build("mcdnn", widths=(10, 14, None))
    multicolumn.set_columns(whole, columns)

    def loss(model):
        probabilities = outputs(model, pixels)
        return -np.log(probabilities[np.arange(16), labels]).mean()

    assert loss(whole) < np.mean([loss(column) for column in columns])


test_lecture = fact.test()
