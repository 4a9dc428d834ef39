"""Convolutions and what is like them, as ONNX has them: windows over maps.

Convolutions, pooling, and the branches of a network that runs some of them; see
`onnx_layers`.
"""

from dataclasses import replace

import keras
import numpy as np
from keras import layers

from recipes.lab.export.onnx_layers import (
    NotInOnnx,
    Writers,
    activate,
    array,
    check,
)
from zoo import hydra, kernels, lenet, multicolumn, random_features

writes = Writers()


@writes(layers.Conv1D, layers.Conv2D)
def _convolution(graph, layer, x):
    check(graph, layer, data_format="channels_last")
    if layer.padding == "causal":
        raise NotInOnnx(graph, "its `padding` is 'causal'")
    return _convolve(graph, layer, x, _turned(layer.kernel), layer.groups)


@writes(kernels.FourierFeatures2D)
def _fourier_features(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node("Conv", x, _turned(layer.kernel), layer.phases)
    return graph.node("Mul", graph.node("Cos", x), (2 / layer.filters) ** 0.5)


@writes(layers.DepthwiseConv2D)
def _depthwise_convolution(graph, layer, x):
    check(graph, layer, data_format="channels_last")
    channels = x.shape[-1]
    height, width = layer.kernel_size
    kernel = array(layer.kernel).transpose(2, 3, 0, 1)
    kernel = kernel.reshape(-1, 1, height, width)
    return _convolve(graph, layer, x, kernel, channels)


def _convolve(graph, layer, x, kernel, groups):
    window = [
        (size - 1) * dilation + 1
        for size, dilation in zip(
            layer.kernel_size, layer.dilation_rate, strict=True
        )
    ]
    x = graph.node(
        "Conv",
        *(graph.channels_first(x), kernel, layer.bias),
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        pads=_pads(x, window, layer.strides, layer.padding),
    )
    return activate(graph, layer.activation, x)


@writes(layers.Conv2DTranspose)
def _transposed_convolution(graph, layer, x):
    check(
        *(graph, layer),
        data_format="channels_last",
        output_padding=None,
        dilation_rate=(1, 1),
    )
    sides = layer.compute_output_shape((None, *x.shape))[1:3]
    # Whole windows, one at each place, would give this much more than asked.
    excess = [
        (side - 1) * stride + size - wanted
        for side, stride, size, wanted in zip(
            *(x.shape[:2], layer.strides, layer.kernel_size, sides), strict=True
        )
    ]
    x = graph.node(
        "ConvTranspose",
        *(graph.channels_first(x), _turned(layer.kernel), layer.bias),
        strides=layer.strides,
        pads=_halves([max(number, 0) for number in excess]),
        output_padding=[max(-number, 0) for number in excess],
    )
    return activate(graph, layer.activation, x)


@writes(lenet.TableConv2D)
def _table_convolution(graph, layer, x):
    size, weights = layer.kernel_size, iter(array(layer.kernel).T)
    kernel = np.zeros((len(layer.table), x.shape[-1], size, size), "float32")
    for output, row in enumerate(layer.table):
        for map_number in row:
            kernel[output, map_number] = next(weights).reshape(size, size)
    x = graph.node("Conv", graph.channels_first(x), kernel, layer.bias)
    return activate(graph, layer.activation, x)


@writes(layers.MaxPooling1D, layers.MaxPooling2D)
def _max_pooling(graph, layer, x):
    return _pool(graph, "MaxPool", layer, x)


@writes(layers.AveragePooling2D)
def _average_pooling(graph, layer, x):
    return _pool(graph, "AveragePool", layer, x)


def _pool(graph, operation, layer, x):
    check(graph, layer, data_format="channels_last")
    return graph.node(
        operation,
        graph.channels_first(x),
        kernel_shape=layer.pool_size,
        strides=layer.strides,
        pads=_pads(x, layer.pool_size, layer.strides, layer.padding),
    )


@writes(layers.GlobalAveragePooling1D)
def _global_average_pooling_1d(graph, layer, x):
    check(graph, layer, data_format="channels_last")
    x = graph.channels_last(x)
    return graph.node("ReduceMean", x, [1], keepdims=int(layer.keepdims))


@writes(layers.GlobalAveragePooling2D)
def _global_average_pooling(graph, layer, x):
    check(graph, layer, data_format="channels_last")
    keepdims = int(layer.keepdims)
    x = graph.channels_first(x)
    return graph.node("ReduceMean", x, [2, 3], keepdims=keepdims)


@writes(lenet.TrainableSubsampling2D)
def _trainable_subsampling(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    coefficient = 4 * array(layer.coefficient)  # of the sum of four
    x = graph.node("Mul", x, coefficient.reshape(-1, 1, 1))
    x = graph.node("Add", x, array(layer.bias).reshape(-1, 1, 1))
    return activate(graph, layer.activation, x)


@writes(random_features.SquareRootPooling2D)
def _square_root_pooling(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node(
        "AveragePool",
        graph.node("Mul", x, x),
        kernel_shape=[layer.pool_size] * 2,
        strides=[layer.strides] * 2,
    )
    return graph.node("Sqrt", graph.node("Add", x, layer.EPSILON))


@writes(multicolumn.Deslanting)
def _deslanting(graph, layer, x):
    ink = graph.node("Sub", graph.channels_last(x), layer.black)
    rows, columns = layer.places((None, *x.shape))

    def total(*factors):
        product = ink
        for factor in factors:
            product = graph.node("Mul", product, factor)
        return graph.node("ReduceSum", product, [1, 2, 3], keepdims=1)

    def ratio(part, whole):
        whole = graph.node("Max", whole, keras.config.epsilon())
        return graph.node("Div", part, whole)

    mass = total()
    below, right = (
        graph.node("Add", graph.node("Neg", ratio(total(along), mass)), along)
        for along in (rows, columns)
    )
    slant = ratio(total(below, right), total(below, below))
    slant = graph.node("Clip", slant, -layer.steepest, layer.steepest)
    moved = graph.node("Mul", slant, below)
    # For each row a matrix, from the old columns to the new ones.
    distance = graph.node("Sub", moved, columns.T - columns)
    near = graph.node("Sub", graph.node("Abs", distance), 1.0)
    mixing = graph.node("Clip", graph.node("Neg", near), 0.0, 1.0)
    upright = graph.node("MatMul", mixing, ink)
    return graph.node("Add", upright, layer.black)


@writes(multicolumn.WidthNormalization)
def _width_normalization(graph, layer, x):
    x = graph.channels_first(x)
    if not layer.black:
        return _normalized_width(graph, layer, x)
    x = _normalized_width(graph, layer, graph.node("Sub", x, layer.black))
    return graph.node("Add", x, layer.black)


def _normalized_width(graph, layer, x):
    if layer.width is None:
        return graph.node("Pad", x, [0, 0, 0, 0, 0, 0, 1, 1])
    padded = graph.node("Pad", x, [0, 0, 0, 0, 0, 0, 1, 0])
    columns = graph.node("ReduceMax", x, [1, 2], keepdims=1)
    brightest = graph.node("ReduceMax", columns, [3], keepdims=1)
    least = graph.node("Mul", brightest, layer.ink)
    inked = graph.node("GreaterOrEqual", columns, least)
    inked = graph.cast(inked, "float32")
    old, new = layer.places(x.shape[1])
    last = graph.node("Mul", inked, old)
    last = graph.node("ReduceMax", last, [3], keepdims=1)
    before_first = graph.node("Mul", inked, len(old) - old)
    before_first = graph.node("ReduceMax", before_first, [3], keepdims=1)
    extent = graph.node("Add", last, before_first)
    extent = graph.node("Add", extent, float(1 - len(old)))
    scale = graph.node("Div", extent, float(layer.width))
    if layer.max_stretch is not None:
        scale = graph.node("Max", scale, 1 / layer.max_stretch)
    middle = graph.node("Sub", last, before_first)
    middle = graph.node("Add", middle, float(len(old)))
    middle = graph.node("Mul", middle, 0.5)
    source = graph.node("Add", graph.node("Mul", scale, new), middle)
    reach = graph.node("Max", scale, 1.0)
    distance = graph.node("Sub", source, old[:, np.newaxis])
    distance = graph.node("Abs", distance)
    farthest = graph.node("Mul", graph.node("Add", reach, 1.0), 0.5)
    mixing = graph.node("Sub", farthest, distance)
    mixing = graph.node("Clip", mixing, 0.0, 1.0)
    mixing = graph.node("Div", mixing, reach)
    return graph.node("MatMul", padded, mixing)


def _turned(kernel):
    """Return a kernel with its sides last; the last two axes change places."""
    kernel = array(kernel)
    return kernel.transpose(-1, -2, *range(kernel.ndim - 2))


def _pads(x, window, strides, padding):
    """Return how much a layer pads: above, left, below and right."""
    if padding == "valid":
        return [0, 0] * len(window)
    return _halves(
        [
            max((-(-side // stride) - 1) * stride + size - side, 0)
            for side, size, stride in zip(
                x.shape[:-1], window, strides, strict=True
            )
        ]
    )


def _halves(numbers):
    """Split each in two, the second of which gets what is odd."""
    first = [number // 2 for number in numbers]
    return first + [n - half for n, half in zip(numbers, first, strict=True)]


# --- branches ------------------------------------------------------------


@writes(hydra.TopBranches)
def _top_branches(graph, layer, gate):
    numbers = graph.node("TopK", gate, [layer.chosen], output=1, axis=-1)
    return replace(numbers, dtype="int64")


@writes(hydra.BranchConv2D)
def _branch_convolution(graph, layer, maps, choice):
    size, step = layer.kernel_size, layer.strides
    maps = graph.channels_last(maps)
    *branches, height, width, channels = maps.shape
    sides = replace(maps, shape=(height, width, channels))
    above, left, below, right = _pads(sides, [size] * 2, [step] * 2, "same")
    others = [0] * (1 + len(branches))
    zeros = [*others, above, left, 0, *others, below, right, 0]
    padded = graph.node("Pad", maps, zeros)
    places = [-(-side // step) for side in (height, width)]
    reached = [(count - 1) * step + 1 for count in places]
    axes = [len(others), len(others) + 1]
    moved = [
        graph.node(
            *("Slice", padded, start, np.add(start, reached), axes),
            [step] * 2,
        )
        for start in np.ndindex(size, size)
    ]
    patches = graph.node("Concat", *moved, axis=-1)
    shape = [0, *(branches or [1]), np.prod(places), size**2 * channels]
    patches = graph.node("Reshape", patches, shape)
    found = graph.node(
        "MatMul", patches, _of_branches(graph, layer.kernels, choice)
    )
    shape = [0, *choice.shape, *places, layer.filters]
    return graph.node("Reshape", found, shape)


@writes(hydra.BranchDense)
def _branch_dense(graph, layer, maps, choice):
    maps = graph.channels_last(maps)
    means = graph.node("ReduceMean", maps, [2, 3], keepdims=0)
    means = graph.node("Unsqueeze", means, [2])
    found = graph.node(
        "MatMul", means, _of_branches(graph, layer.kernels, choice)
    )
    return graph.node("Squeeze", found, [2])


@writes(hydra.BranchNormalization)
def _branch_normalization(graph, layer, x, choice):
    x = graph.channels_last(x)
    variance = np.asarray(layer.moving_variance, "float32")
    scale = 1 / np.sqrt(variance + np.float32(layer.epsilon))
    offset = np.asarray(layer.beta) - np.asarray(layer.moving_mean) * scale
    between = list(range(2, len(x.shape)))

    def chosen(values):
        values = values.reshape(layer.branches, -1).astype("float32")
        values = _of_branches(graph, values, choice)
        return graph.node("Unsqueeze", values, between) if between else values

    return graph.node(
        "Add", graph.node("Mul", x, chosen(scale)), chosen(offset)
    )


@writes(hydra.Combiner)
def _combiner(graph, layer, features, choice, gate):
    return graph.node("ReduceMean", features, [1], keepdims=0)


def _of_branches(graph, weights, choice):
    """Return the weights of the branches that an example goes through."""
    return replace(
        graph.node("Gather", weights, choice, axis=0), dtype="float32"
    )
