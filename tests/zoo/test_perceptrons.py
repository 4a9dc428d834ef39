"""A perceptron without hidden layers is softmax regression."""

import numpy as np
from helpers.builders import build, outputs, with_weights_of


def test_mlp_without_hidden_layers_is_softmax_regression(pixels):
    regression = build("softmax_regression")
    bare_mlp = with_weights_of(regression, build("mlp", hidden_units=()))
    np.testing.assert_array_equal(
        outputs(bare_mlp, pixels), outputs(regression, pixels)
    )
