"""LeNet-5 has parts to choose from, and refuses others."""

import numpy as np
import pytest
from helpers.builders import outputs

import zoo


@pytest.mark.parametrize("connections", ["table", "full"])
@pytest.mark.parametrize("subsampling", ["trainable", "average", "max"])
@pytest.mark.parametrize("output", ["rbf", "softmax"])
def test_lenet5_dresses_in_every_combination(
    connections, subsampling, output, pixels
):
    model = zoo.create_model(
        "lenet5",
        connections=connections,
        subsampling=subsampling,
        activation="relu",
        output=output,
    )
    probabilities = outputs(model, pixels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    table = connections == "table"
    assert model.get_layer("c3").count_params() == (1516 if table else 2416)


@pytest.mark.parametrize(
    "arguments",
    [
        {"connections": "some"},
        {"subsampling": "median"},
        {"output": "linear"},
        {"num_classes": 11},
        {"input_shape": (11, 28, 1)},
    ],
    ids=str,
)
def test_lenet5_names_the_argument_that_it_refuses(arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=argument) as refusal:
        zoo.create_model("lenet5", **arguments)
    assert str(value) in str(refusal.value)
