"""Perceptrons without their hidden layers, jumps and blocks are others."""

import numpy as np
import pytest
from helpers.builders import build, outputs, with_weights_of

import zoo


def test_mlp_without_hidden_layers_is_softmax_regression(pixels):
    regression = build("softmax_regression")
    bare_mlp = with_weights_of(regression, build("mlp", hidden_units=()))
    np.testing.assert_array_equal(
        outputs(bare_mlp, pixels), outputs(regression, pixels)
    )


@pytest.mark.parametrize("batch_norm", [False, True])
def test_noise_is_of_training_alone(batch_norm, pixels):
    arguments = {
        "hidden_units": (16,),
        "dropout": 0.0,
        "batch_norm": batch_norm,
    }
    noisy = zoo.create_model("mlp", noise=0.3, **arguments)
    plain = with_weights_of(noisy, zoo.create_model("mlp", **arguments))
    np.testing.assert_array_equal(
        outputs(noisy, pixels), outputs(plain, pixels)
    )
    first, second = (outputs(noisy, pixels, training=True) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


def test_jump_mlp_adds_what_pixels_and_hidden_units_say(pixels):
    options = {"classifier_activation": None, "hidden_units": (32,)}
    jump = build("jump_mlp", **options)
    hidden, (kernel, bias) = jump.get_weights()[:2], jump.get_weights()[2:]
    mlp = zoo.create_model("mlp", **options)
    mlp.set_weights([*hidden, kernel[784:], bias])
    regression = zoo.create_model(
        "softmax_regression", classifier_activation=None
    )
    regression.set_weights([kernel[:784], 0 * bias])
    np.testing.assert_allclose(
        outputs(jump, pixels),
        outputs(mlp, pixels) + outputs(regression, pixels),
        atol=1e-4,
    )


def test_jump_needs_a_layer_to_go_past():
    with pytest.raises(ValueError, match=r"`hidden_units`.*\(\)"):
        zoo.create_model("jump_mlp", hidden_units=())


def test_without_residual_connections_it_is_a_plain_perceptron(pixels):
    residual = build("residual_mlp", units=16, blocks=3)
    plain = with_weights_of(
        residual, build("residual_mlp", units=16, blocks=3, residual=False)
    )
    x = pixels.reshape(4, -1) / 255
    weights = iter(plain.get_weights())
    pairs = list(zip(weights, weights, strict=True))
    for i, (kernel, bias) in enumerate(pairs[:-1]):
        x = x @ kernel + bias
        x = x if i == 0 else np.maximum(x, 0)
    expected = x @ pairs[-1][0] + pairs[-1][1]
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs(plain, pixels), expected, atol=1e-5)
    assert not np.allclose(outputs(residual, pixels), expected, atol=1e-3)


def test_layer_norm_stands_before_each_block_and_the_predictions():
    model = build("residual_mlp", units=8, blocks=2, layer_norm=True)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if "norm" in name] == [
        *("block1_norm", "block2_norm", "norm")
    ]
    for i in (1, 2):
        block = model.get_layer(f"block{i}_add")
        skipped, _ = block.input
        assert model.get_layer(f"block{i}_norm").input is skipped
