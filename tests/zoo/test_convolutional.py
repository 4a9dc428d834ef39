"""What a convolution in one dimension is, and what padding does."""

import numpy as np
import pytest
from helpers.builders import build, outputs

import zoo
from zoo.multicolumn import Deslanting


def banded(kernel, steps, padding):
    """Return the matrix that convolves a sequence as one long vector."""
    size, inputs, filters = kernel.shape
    before = (size - 1) // 2 if padding == "same" else 0
    rows = steps if padding == "same" else steps - size + 1
    matrix = np.zeros((rows, filters, steps, inputs))
    for row in range(rows):
        for j in range(size):
            step = row + j - before
            if 0 <= step < steps:
                matrix[row, :, step] = kernel[j].T
    return matrix.reshape(rows * filters, steps * inputs)


@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv1d_equals_the_banded_matrix(padding, kernel_size):
    model = build(
        "conv1d",
        input_shape=(9, 3, 2),
        filters=(5,),
        kernel_size=kernel_size,
        padding=padding,
        activation=None,
    )
    layer = model.get_layer("conv1")
    layer.bias.assign(np.arange(5))
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 3, 2), "uint8")
    matrix = banded(layer.kernel.numpy(), 9, padding)
    expected = images.reshape(4, -1) / 255 @ matrix.T
    expected = expected.reshape(4, -1, 5) + np.arange(5)
    found = zoo.feature_extractor(model, "conv1")(images)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_conv1d_names_the_padding_that_it_refuses():
    with pytest.raises(ValueError, match="some"):
        zoo.create_model("conv1d", padding="some")


def test_maps_of_a_deep_cnn_without_padding_shrink_by_each_kernel():
    model = build(
        "deep_cnn",
        filters=(4, 6, 8),
        kernel_sizes=(7, 5, 3),
        strides=(1, 1, 2),
        padding="valid",
    )
    maps = [model.get_layer(f"relu{i}").output.shape[1:] for i in (1, 2, 3)]
    assert maps == [(22, 22, 4), (18, 18, 6), (8, 8, 8)]


def test_a_deep_cnn_may_see_digits_upright(pixels):
    sizes = {"filters": (4,), "kernel_sizes": (3,), "strides": (4,)}
    plain = build("deep_cnn", **sizes)
    model = build("deep_cnn", deslanted=True, **sizes)
    model.set_weights(plain.get_weights())
    upright = np.array(Deslanting()(pixels.astype("float32")))
    assert np.abs(upright - pixels).mean() > 1
    np.testing.assert_allclose(
        outputs(model, pixels), outputs(plain, upright), atol=1e-5
    )
