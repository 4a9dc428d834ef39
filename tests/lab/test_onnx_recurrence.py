"""Layers that take step after step answer in ONNX as they do in Keras."""

import pytest
from helpers.marks import only_thorough
from helpers.onnx_files import assert_written
from keras import layers

RECURRENT = {
    f"{kind}, {words}": (kind, arguments)
    for kind in ("SimpleRNN", "LSTM", "GRU")
    for words, arguments in {
        "sequences": {"activation": "relu", "return_sequences": True},
        "backwards": {"go_backwards": True},
        "sequences backwards": {
            "go_backwards": True,
            "return_sequences": True,
            "use_bias": False,
        },
    }.items()
} | {
    "GRU of the paper": ("GRU", {"reset_after": False}),
    "other gates": (
        "LSTM",
        {"activation": "softsign", "recurrent_activation": "softplus"},
    ),
}
BOTH_WAYS = {
    "SimpleRNN, sum": ("SimpleRNN", {}, "sum"),
    "LSTM, mean": ("LSTM", {"return_sequences": True}, "ave"),
    "LSTM, concatenated": ("LSTM", {}, "concat"),
    "GRU, product": ("GRU", {}, "mul"),
    "GRU, sequences": ("GRU", {"return_sequences": True}, "concat"),
}


@pytest.mark.parametrize(
    "case",
    only_thorough(
        RECURRENT,
        [
            *("SimpleRNN, sequences", "GRU, sequences backwards"),
            *("LSTM, backwards", "GRU of the paper", "other gates"),
        ],
    ),
)
def test_recurrent_layers(case):
    kind, arguments = RECURRENT[case]
    assert_written(getattr(layers, kind)(5, **arguments), (4, 3))


@pytest.mark.parametrize(
    "case",
    only_thorough(BOTH_WAYS, ["LSTM, mean", "GRU, sequences"]),
)
def test_recurrent_layers_in_both_directions(case):
    kind, arguments, mode = BOTH_WAYS[case]
    layer = getattr(layers, kind)(5, **arguments)
    assert_written(layers.Bidirectional(layer, merge_mode=mode), (4, 3))


@pytest.mark.thorough
def test_directions_with_activations_of_their_own():
    backward = layers.GRU(5, activation="relu", go_backwards=True)
    both = layers.Bidirectional(layers.GRU(5), backward_layer=backward)
    assert_written(both, (4, 3))
