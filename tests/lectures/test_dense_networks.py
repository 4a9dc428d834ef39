"""Lectures: how many parameters feed-forward networks have."""

import keras
from helpers.builders import build, count
from helpers.facts import Facts

import zoo

fact = Facts()


def ann_parameters(inputs, hidden, outputs):
    """Parameters of a network with one hidden layer, as lecture 0 has it."""
    return hidden * (inputs + 1) + outputs * (hidden + 1)


@fact("A9", 0, "Parameters of an ANN: M (P + 1) and K (M + 1)")
def parameters_of_one_hidden_layer():
    for inputs, hidden, outputs in [(784, 500, 10), (3, 1, 2), (1, 7, 5)]:
        model = zoo.create_model(
            "mlp",
            input_shape=(inputs, 1, 1),
            hidden_units=(hidden,),
            num_classes=outputs,
        )
        expected = ann_parameters(inputs, hidden, outputs)
        assert count(model.trainable_weights) == expected
    assert ann_parameters(784, 500, 10) == 397_510


@fact("A31", 4, "Dense 512, dropout .2, Dense 512, dropout .2, softmax")
def lecture_mlp_has_669706_parameters():
    model = build("mlp")
    dense = [x for x in model.layers if isinstance(x, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [512, 512, 10]
    dropout = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert [layer.rate for layer in dropout] == [0.2, 0.2]
    assert count(model.trainable_weights) == 669_706


@fact("A42", 3, "400 x 400 x 3, fully connected: approximately 230 billion")
def hidden_layer_as_wide_as_a_photograph():
    pixels = 400 * 400 * 3
    assert pixels == 480_000
    assert round(ann_parameters(pixels, pixels, 1) / 1e9) == 230


@fact("A42", 3, "480000 x 1000 + 1000 + 1 = approximately 480 million")
def hidden_layer_of_a_thousand_on_a_photograph():
    # The lecture leaves out the 1000 weights of the output.
    assert ann_parameters(480_000, 1000, 1) == 480_002_001


test_lecture = fact.test()
