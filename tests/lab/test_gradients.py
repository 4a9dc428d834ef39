"""The length of a gradient is that of the loss, in every layer."""

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
