"""Windows over maps answer in ONNX as they do in Keras."""

import pytest
from helpers.marks import only_thorough
from helpers.onnx_files import assert_written
from keras import layers

import zoo

WINDOWS = {
    "convolution": lambda: layers.Conv2D(6, 3, activation="gelu"),
    "padded": lambda: layers.Conv2D(6, (4, 3), padding="same", use_bias=False),
    "padded, with strides": lambda: layers.Conv2D(6, 3, (2, 3), padding="same"),
    "dilated": lambda: layers.Conv2D(6, 3, dilation_rate=(2, 1)),
    "dilated, padded": lambda: layers.Conv2D(
        6, 3, padding="same", dilation_rate=2
    ),
    "in groups": lambda: layers.Conv2D(6, 3, groups=2, activation="softmax"),
    "depthwise": lambda: layers.DepthwiseConv2D(
        3, (2, 2), "same", depth_multiplier=3
    ),
    "transposed": lambda: layers.Conv2DTranspose(6, 3, activation="tanh"),
    "transposed, apart": lambda: layers.Conv2DTranspose(6, 2, strides=3),
    "transposed, padded": lambda: layers.Conv2DTranspose(6, 4, (2, 3), "same"),
    "transposed, small": lambda: layers.Conv2DTranspose(6, 2, 3, "same"),
    "transposed, odd": lambda: layers.Conv2DTranspose(6, 5, 2, "same"),
    "maxima": lambda: layers.MaxPooling2D((3, 2), 2),
    "maxima, padded": lambda: layers.MaxPooling2D(3, 2, "same"),
    "means": lambda: layers.AveragePooling2D(2),
    "means, padded": lambda: layers.AveragePooling2D((2, 3), (2, 2), "same"),
    "one mean": lambda: layers.GlobalAveragePooling2D(),
    "one mean, kept": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "root mean squares": lambda: zoo.random_features.SquareRootPooling2D(3, 2),
}


@pytest.mark.parametrize(
    "kind",
    only_thorough(
        WINDOWS,
        [
            "padded, with strides",
            "dilated, padded",
            "in groups",
            "depthwise",
            "transposed, apart",
            "transposed, padded",
            "maxima, padded",
            "means, padded",
            "one mean, kept",
            "root mean squares",
        ],
    ),
)
def test_windows(kind):
    assert_written(WINDOWS[kind](), (7, 8, 4))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_convolutions_in_one_dimension(padding):
    layer = layers.Conv1D(4, 5, 3, padding, groups=2, activation="tanh")
    assert_written(layer, (11, 6))
