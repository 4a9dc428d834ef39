"""The length of a gradient is that of the loss, in every layer and step."""

import keras
import numpy as np
import pytest
from helpers.tasks import sample

import zoo
from recipes.lab.training import gradients


def test_lengths_are_of_the_change_of_the_loss():
    model, few = zoo.mlp(hidden_units=(4,)), sample().train[:20]
    lengths = gradients.gradient_lengths(model, few)
    layers = gradients.layers_with_kernel(model)
    assert [*lengths] == [*range(1, len(layers) + 1)]
    # Along its last kernel's gradient the loss falls by its length.
    kernel = layers[-1].kernel.numpy()

    def loss(probabilities):
        chosen = probabilities.numpy()[np.arange(20), few.targets]
        return -np.mean(np.log(chosen))

    slopes = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        ends = []
        for step in (1e-2, -1e-2):
            moved = kernel.copy()
            moved[place] += step
            layers[-1].kernel.assign(moved)
            ends.append(loss(model(few.inputs)))
        slopes[place] = (ends[0] - ends[1]) / 2e-2
    layers[-1].kernel.assign(kernel)
    [length] = lengths[len(layers)]
    assert length == pytest.approx(np.sqrt(np.sum(slopes**2)), rel=1e-2)


def test_a_gradient_over_time_is_of_the_change_of_the_loss():
    keras.utils.set_random_seed(0)
    few = sample().train[:3]
    model = zoo.simple_rnn(hidden_units=(4,), rescale=(1.0, 0.0))
    sizes = gradients.gradients_over_time(model, few, "rows")
    assert [*sizes] == [*range(1, 29)]
    assert sizes[28] == [1.0]

    def size_at(row):
        slopes = []
        for image, column in np.ndindex(3, 28):
            ends = []
            for change in (0.03, -0.03):
                moved = few.inputs.astype("float32")
                moved[image, row, column] += change
                chosen = model(moved).numpy()[np.arange(3), few.targets]
                ends.append(-np.sum(np.log(chosen)))
            slopes.append((ends[0] - ends[1]) / 0.06)
        return np.sqrt(np.mean(np.square(slopes)))

    assert sizes[26] == pytest.approx([size_at(25) / size_at(27)], rel=2e-2)


def test_a_gradient_over_time_that_has_vanished_is_next_to_nothing():
    model, few = zoo.lstm(hidden_units=(4,)), sample().train[:3]
    layer = model.get_layer("lstm1")
    kernel, recurrent, bias = layer.get_weights()
    bias[:4] = -100  # nothing comes in, until it is asked for
    bias[4:8] = -100  # nothing stays
    layer.set_weights([kernel, recurrent, bias])
    sizes = gradients.gradients_over_time(model, few, "rows")
    assert sizes[1] == sizes[28] == [gradients.NOTHING]
