"""The layers of a network as ONNX has them, one small function each.

A function takes the graph, the layer and what goes into it, adds nodes, and
returns what comes out. A new layer of the zoo is a function here. What a layer
does in training only (dropout, noise, the statistics of a batch) is left out.

Images have their channels last in Keras, and before their sides in ONNX's
convolutions. `graph.channels_first` and `graph.channels_last` put them where a
function needs them; what works number by number takes them as they are.
"""

from dataclasses import replace

import keras
import numpy as np
from keras import activations, layers

from zoo import (
    associative,
    boltzmann,
    chains,
    encoder_decoders,
    gans,
    generators,
    graphics,
    hydra,
    imagenet,
    kernels,
    lenet,
    linear_recurrences,
    multicolumn,
    neural_turing,
    neurons,
    random_features,
    recurrent,
    reservoirs,
    self_organizing,
    spiking,
    transfer,
)


class NotInOnnx(ValueError):
    """A model has a layer that no function here can write."""

    def __init__(self, graph, reason: str):
        super().__init__(
            f"The layer `{graph.path}` cannot be written as ONNX: {reason}."
        )


def write(graph, layer, *inputs):
    """Write a layer.

    Args:
        graph: Where to.
        layer: A Keras layer.
        *inputs: What the layer is called with, as tensors of the graph.

    Returns:
        What the layer gives, as a tensor of the graph.

    Raises:
        NotInOnnx: If there is no function for it, or it has an option that the
            function does not know.
    """
    # Its type and no other: a subclass may do something else.
    if type(layer) not in _LAYERS:
        raise NotInOnnx(
            graph, f"layers of the type {type(layer).__name__} are not known"
        )
    return _LAYERS[type(layer)](graph, layer, *inputs)


def check_call(graph, options: dict) -> None:
    """Refuse what a layer may be called with besides its inputs."""
    for option, value in options.items():
        values = keras.tree.flatten(value)  # a mask of several is a list
        if any(value is not None and value is not False for value in values):
            raise NotInOnnx(graph, f"it is called with `{option}`")


def activate(graph, function, x):
    """Apply an activation function.

    Args:
        graph: Where to.
        function: A function of Keras or of the zoo.
        x: What it is applied to, as a tensor of the graph.
    """
    if function in _OPERATIONS:
        operation, attributes = _OPERATIONS[function]
        return graph.node(operation, x, **attributes)
    if function in _ACTIVATIONS:
        return _ACTIVATIONS[function](graph, x)
    raise NotInOnnx(graph, f"the activation {_name_of(function)} is not known")


_LAYERS, _ACTIVATIONS = {}, {}


def _writes(*types):
    """Register the decorated function for layers of these types."""

    def register(function):
        _LAYERS.update(dict.fromkeys(types, function))
        return function

    return register


def _applies(activation):
    """Register the decorated function for this activation."""

    def register(function):
        _ACTIVATIONS[activation] = function
        return function

    return register


def _check(graph, layer, **options):
    """Refuse a layer with other options than these, which a function knows."""
    for option, known in options.items():
        value = getattr(layer, option)
        if value != known:
            raise NotInOnnx(graph, f"its `{option}` is {value!r}")


def _name_of(function):
    return getattr(function, "__name__", repr(function))


# --- activations ---------------------------------------------------------

# What ONNX has as an operation, with the attributes.
_OPERATIONS = {
    activations.celu: ("Celu", {}),
    activations.elu: ("Elu", {}),
    activations.exponential: ("Exp", {}),
    activations.hard_sigmoid: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    activations.hard_silu: ("HardSwish", {}),
    activations.leaky_relu: ("LeakyRelu", {"alpha": 0.2}),
    activations.mish: ("Mish", {}),
    activations.relu: ("Relu", {}),
    activations.selu: ("Selu", {}),
    activations.sigmoid: ("Sigmoid", {}),
    activations.softplus: ("Softplus", {}),
    activations.softsign: ("Softsign", {}),
    activations.tanh: ("Tanh", {}),
}


@_applies(activations.linear)
def _linear(graph, x):
    return x


@_applies(activations.softmax)
def _softmax(graph, x):
    return graph.node("Softmax", graph.channels_last(x), axis=-1)


@_applies(activations.log_softmax)
def _log_softmax(graph, x):
    return graph.node("LogSoftmax", graph.channels_last(x), axis=-1)


@_applies(activations.relu6)
def _relu6(graph, x):
    return graph.node("Clip", x, 0.0, 6.0)


@_applies(activations.silu)
def _silu(graph, x):
    return graph.node("Mul", x, graph.node("Sigmoid", x))


@_applies(activations.gelu)
def _gelu(graph, x):
    # x Φ(x) = x (1 + erf(x / √2)) / 2, an operation of its own since opset 20
    error = graph.node("Erf", graph.node("Div", x, 2**0.5))
    share = graph.node("Mul", graph.node("Add", error, 1.0), 0.5)
    return graph.node("Mul", x, share)


@_applies(lenet.scaled_tanh)
def _scaled_tanh(graph, x):
    x = graph.node("Tanh", graph.node("Mul", x, 2 / 3))
    return graph.node("Mul", x, 1.7159)


@_applies(associative.signs)
def _signs(graph, x):
    above = graph.cast(graph.node("Greater", x, 0.0), "float32")
    return graph.node("Sub", graph.node("Mul", above, 2.0), 1.0)


@_applies(associative.ink)
def _ink(graph, x):
    return _signs(graph, graph.node("Sub", x, 0.5))


@_applies(neurons.step)
def _step(graph, x):
    return graph.cast(graph.node("Greater", x, 0.0), "float32")


@_writes(layers.Activation)
def _activation(graph, layer, x):
    return activate(graph, layer.activation, x)


@_writes(layers.Softmax)
def _softmax_layer(graph, layer, x):
    _check(graph, layer, axis=-1)
    return _softmax(graph, x)


@_writes(layers.ReLU)
def _relu(graph, layer, x):
    _check(graph, layer, threshold=0)
    if layer.negative_slope:
        x = graph.node("LeakyRelu", x, alpha=float(layer.negative_slope))
    else:
        x = graph.node("Relu", x)
    if layer.max_value is not None:
        x = graph.node("Min", x, float(layer.max_value))
    return x


@_writes(layers.LeakyReLU)
def _leaky_relu(graph, layer, x):
    return graph.node("LeakyRelu", x, alpha=float(layer.negative_slope))


@_writes(layers.ELU)
def _elu(graph, layer, x):
    return graph.node("Elu", x, alpha=float(layer.alpha))


# --- shapes, and what draws in training only -----------------------------


@_writes(
    layers.ActivityRegularization,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
)
def _nothing(graph, layer, x):
    return x


@_writes(generators.Sampling)
def _sampling(graph, layer, distributions):
    mean, _ = distributions
    return mean


@_writes(boltzmann.RestrictedBoltzmann)
def _restricted_boltzmann(graph, layer, visible):
    hidden = graph.node("MatMul", visible, layer.kernel)
    hidden = graph.node("Sigmoid", graph.node("Add", hidden, layer.bias))
    if not layer.reconstructs:
        return hidden
    # The same constant, turned around: another would double the file.
    inputs = graph.node(
        "Gemm", hidden, layer.kernel, layer.visible_bias, transB=1
    )
    return [hidden, graph.node("Sigmoid", inputs)]


@_writes(boltzmann.Boltzmann)
def _boltzmann(graph, layer, visible):
    weights = _array(layer.weights_between())
    bias, split = _array(layer.bias), layer.visible
    hidden = boltzmann.states_of(layer.units)
    # -E of the visible units alone, of the hidden ones, and between them.
    among = graph.node("MatMul", visible, weights[:split, :split])
    alone = graph.node("Add", graph.node("Mul", among, 0.5), bias[:split])
    alone = graph.node("ReduceSum", graph.node("Mul", visible, alone), [1])
    of_hidden = hidden @ bias[split:] + 0.5 * np.sum(
        hidden * (hidden @ weights[split:, split:]), axis=1
    )
    between = graph.node("MatMul", visible, weights[:split, split:] @ hidden.T)
    exponents = graph.node("Add", graph.node("Add", between, of_hidden), alone)
    # What each unit hears, with each state of the hidden ones.
    inputs = graph.node("Add", among, bias[:split])
    inputs = graph.node("Unsqueeze", inputs, [1])
    inputs = graph.node("Add", inputs, hidden @ weights[split:, :split])
    heard = graph.node("Mul", graph.node("Unsqueeze", visible, [1]), inputs)
    without = graph.node("Unsqueeze", exponents, [2])
    without = graph.node("Sub", without, heard)
    on, off = (
        graph.node("ReduceLogSumExp", x, [1], keepdims=0)
        for x in (graph.node("Add", without, inputs), without)
    )
    return graph.node("Sigmoid", graph.node("Sub", on, off))


@_writes(graphics.ClampedCodes)
def _clamped_codes(graph, layer, distributions):
    return distributions


@_writes(generators.ImportanceSampling)
def _importance_sampling(graph, layer, distributions):
    mean, _ = distributions
    first = graph.node("Slice", mean, [0], [1], [1])
    return mean, graph.node("Mul", first, 0.0)


@_writes(generators.ImportanceWeighting)
def _importance_weighting(graph, layer, inputs):
    _, pictures, _ = inputs
    return pictures


@_writes(gans.Choice)
def _choice(graph, layer, codes):
    [length], count = codes.shape, layer.count
    rest = graph.node("Slice", codes, [count], [length], [1])
    choice = _chosen(graph, codes, count**0.5 * np.eye(count))
    return graph.node("Concat", choice, rest, axis=1)


@_writes(gans.Label)
def _label(graph, layer, codes):
    return _chosen(graph, codes, np.eye(layer.count))


def _chosen(graph, codes, rows):
    """Return the row that the largest of as many first numbers chooses."""
    first = graph.node("Slice", codes, [0], [len(rows)], [1])
    chosen = graph.node("ArgMax", first, axis=1, keepdims=0)
    return graph.node("Gather", rows, chosen)


@_writes(layers.Dot)
def _dot(graph, layer, inputs):
    one, other = inputs
    if layer.axes not in (1, -1) or layer.normalize or len(one.shape) > 1:
        raise NotInOnnx(graph, "it is no product of vectors")
    return graph.node("ReduceSum", graph.node("Mul", one, other), [1])


@_writes(layers.Flatten)
def _flatten(graph, layer, x):
    sizes = [0, np.prod(x.shape)]  # 0: as many as there are
    return graph.node("Reshape", graph.channels_last(x), sizes)


@_writes(layers.Reshape)
def _reshape(graph, layer, x):
    sizes = [0, *layer.compute_output_shape((None, *x.shape))[1:]]
    return graph.node("Reshape", graph.channels_last(x), sizes)


@_writes(layers.Permute)
def _permute(graph, layer, x):
    return graph.node(
        "Transpose", graph.channels_last(x), perm=(0, *layer.dims)
    )


@_writes(layers.Concatenate)
def _concatenate(graph, layer, inputs):
    of_maps = layer.axis in (-1, len(inputs[0].shape))
    if of_maps and inputs[0].channels_first:
        inputs = map(graph.channels_first, inputs)
        return graph.node("Concat", *inputs, axis=1)
    inputs = map(graph.channels_last, inputs)
    return graph.node("Concat", *inputs, axis=layer.axis)


@_writes(layers.Add)
def _add(graph, layer, inputs):
    total, *others = inputs
    in_order = (
        graph.channels_first if total.channels_first else graph.channels_last
    )
    for x in others:
        total = graph.node("Add", total, in_order(x))
    return total


@_writes(layers.ZeroPadding2D)
def _zero_padding(graph, layer, x):
    _check(graph, layer, data_format="channels_last")
    (top, bottom), (left, right) = layer.padding
    zeros = [0, 0, top, left, 0, 0, bottom, right]
    return graph.node("Pad", graph.channels_first(x), zeros)


@_writes(transfer.SquareResizing)
def _square_resizing(graph, layer, x):
    x = graph.channels_first(x)
    # Sizes of the sides alone (`axes`) break ONNX Runtime where a Transpose is
    # beside them.
    sides = [layer.side, layer.side]
    sizes = graph.node("Concat", graph.node("Shape", x, end=2), sides, axis=0)
    return graph.node("Resize", x, None, None, sizes, mode="linear")


@_writes(transfer.Grey)
def _grey(graph, layer, x):
    shares = np.array(layer.SHARES, "float32").reshape(3, 1)
    return graph.node("MatMul", graph.channels_last(x), shares)


# --- scales and statistics -----------------------------------------------


@_writes(layers.Rescaling)
def _rescaling(graph, layer, x):
    x = graph.channels_last(x)  # there may be a number for each channel
    if np.all(np.equal(layer.scale, -1)):
        # OpenCV makes NaN of a product with -1 in front of a softmax.
        x = graph.node("Neg", x)
    else:
        x = graph.node("Mul", x, np.asarray(layer.scale, "float32"))
    if not np.any(layer.offset):
        return x
    return graph.node("Add", x, np.asarray(layer.offset, "float32"))


@_writes(transfer.ApplicationPreprocessing)
def _application_preprocessing(graph, layer, pixels):
    # Whatever the network: sums of the three colors, each with its weight.
    colors = 255 * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    black, *pure = _array(layer(colors.reshape(1, 4, 1, 3)))[0, :, 0]
    weights = (np.array(pure) - black) / 255
    pixels = graph.node("MatMul", graph.channels_last(pixels), weights)
    return graph.node("Add", pixels, black)


@_writes(neurons.Standardization)
def _standardization(graph, layer, rows):
    rows = graph.node("Sub", rows, layer.mean)
    return graph.node("Div", rows, layer.deviation)


@_writes(layers.BatchNormalization)
def _batch_normalization(graph, layer, x):
    if layer.axis not in (-1, len(x.shape)):
        raise NotInOnnx(graph, f"its `axis` is {layer.axis}")
    channels = x.shape[-1]
    return graph.node(
        "BatchNormalization",
        graph.channels_first(x),
        layer.gamma if layer.scale else np.ones(channels),
        layer.beta if layer.center else np.zeros(channels),
        *(layer.moving_mean, layer.moving_variance),
        epsilon=float(layer.epsilon),
    )


@_writes(layers.LayerNormalization)
def _layer_normalization(graph, layer, x):
    _check(graph, layer, axis=[-1])
    return graph.node(
        "LayerNormalization",
        graph.channels_last(x),
        layer.gamma if layer.scale else np.ones(x.shape[-1]),
        layer.beta if layer.center else None,
        epsilon=float(layer.epsilon),
    )


@_writes(imagenet.LocalResponseNormalization)
def _local_response_normalization(graph, layer, x):
    if len(x.shape) != 3:
        raise NotInOnnx(graph, "what it normalizes are no images")
    return graph.node(
        "LRN",
        graph.channels_first(x),
        size=layer.size,
        alpha=float(layer.alpha * layer.size),  # ONNX has it of the mean
        beta=float(layer.beta),
        bias=float(layer.bias),
    )


# --- products ------------------------------------------------------------


@_writes(layers.Embedding, encoder_decoders.LetterEmbedding)
def _embedding(graph, layer, x):
    if layer.mask_zero:
        raise NotInOnnx(graph, "it masks zeros")
    rows = graph.node("Gather", layer.embeddings, x)
    return replace(rows, dtype="float32")


@_writes(chains.LastLetter)
def _last_letter(graph, layer, tokens):
    [length] = tokens.shape
    return graph.node("Gather", tokens, length - 1, axis=1)


@_writes(layers.Dense)
def _dense(graph, layer, x):
    x = graph.node("MatMul", graph.channels_last(x), layer.kernel)
    if layer.use_bias:
        x = graph.node("Add", x, layer.bias)
    return activate(graph, layer.activation, x)


@_writes(neurons.ThresholdUnit)
def _threshold_unit(graph, layer, x):
    x = graph.node("MatMul", x, layer.kernel)
    reached = graph.node("GreaterOrEqual", x, layer.threshold)
    return graph.cast(reached, "float32")


@_writes(lenet.DigitCodeDistances)
def _digit_code_distances(graph, layer, x):
    # |x - c|² = |x|² - 2 x·c + |c|²
    codes = _array(layer.codes)
    squared = graph.node("Mul", x, x)
    x_squared = graph.node("ReduceSum", squared, [-1], keepdims=1)
    products = graph.node("MatMul", x, -2 * codes)
    distances = graph.node("Add", x_squared, products)
    return graph.node("Add", distances, np.sum(codes**2, axis=0))


@_writes(kernels.RadialBasis)
def _radial_basis(graph, layer, x):
    squares = graph.node("ReduceSum", graph.node("Mul", x, x), [-1])
    products = graph.node("MatMul", x, -2 * _array(layer.centers).T)
    distances = graph.node("Add", products, squares)
    distances = graph.node("Add", distances, layer.squared_norms())
    distances = graph.node("Max", distances, 0.0)
    scale = -0.5 / _array(layer.widths) ** 2
    return graph.node("Exp", graph.node("Mul", distances, scale))


@_writes(self_organizing.SelfOrganizingMap)
def _self_organizing_map(graph, layer, x):
    prototypes, factor = _array(layer.prototypes), _array(layer.factor)
    norms = np.square(prototypes).sum(axis=1)
    x = graph.node("MatMul", x, 2 * factor * prototypes.T)
    x = graph.node("Sub", x, factor * norms)
    return graph.node("Softmax", x, axis=-1)


@_writes(associative.HopfieldUnits)
def _hopfield_units(graph, layer, x):
    for _ in range(layer.steps):
        sums = graph.node("Sign", graph.node("MatMul", x, layer.kernel))
        x = _signs(graph, graph.node("Add", sums, graph.node("Mul", x, 0.5)))
    return x


@_writes(multicolumn.AveragedPredictions)
def _averaged_predictions(graph, layer, x):
    kernel = _array(layer.kernel)
    x = graph.node("Reshape", x, [-1, layer.columns, 1, kernel.shape[1]])
    x = graph.node("MatMul", x, kernel)
    x = graph.node("Add", x, _array(layer.bias)[:, np.newaxis])
    x = graph.node("Softmax", x, axis=-1)
    x = graph.node("ReduceMean", x, [1, 2], keepdims=0)
    if layer.activation is activations.softmax:
        return x
    return graph.node("Log", graph.node("Max", x, keras.config.epsilon()))


# --- convolutions --------------------------------------------------------


@_writes(layers.Conv1D, layers.Conv2D)
def _convolution(graph, layer, x):
    _check(graph, layer, data_format="channels_last")
    if layer.padding == "causal":
        raise NotInOnnx(graph, "its `padding` is 'causal'")
    return _convolve(graph, layer, x, _turned(layer.kernel), layer.groups)


@_writes(kernels.FourierFeatures2D)
def _fourier_features(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node("Conv", x, _turned(layer.kernel), layer.phases)
    return graph.node("Mul", graph.node("Cos", x), (2 / layer.filters) ** 0.5)


@_writes(layers.DepthwiseConv2D)
def _depthwise_convolution(graph, layer, x):
    _check(graph, layer, data_format="channels_last")
    channels = x.shape[-1]
    height, width = layer.kernel_size
    kernel = _array(layer.kernel).transpose(2, 3, 0, 1)
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


@_writes(layers.Conv2DTranspose)
def _transposed_convolution(graph, layer, x):
    _check(
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


@_writes(lenet.TableConv2D)
def _table_convolution(graph, layer, x):
    size, weights = layer.kernel_size, iter(_array(layer.kernel).T)
    kernel = np.zeros((len(layer.table), x.shape[-1], size, size), "float32")
    for output, row in enumerate(layer.table):
        for map_number in row:
            kernel[output, map_number] = next(weights).reshape(size, size)
    x = graph.node("Conv", graph.channels_first(x), kernel, layer.bias)
    return activate(graph, layer.activation, x)


@_writes(layers.MaxPooling1D, layers.MaxPooling2D)
def _max_pooling(graph, layer, x):
    return _pool(graph, "MaxPool", layer, x)


@_writes(layers.AveragePooling2D)
def _average_pooling(graph, layer, x):
    return _pool(graph, "AveragePool", layer, x)


def _pool(graph, operation, layer, x):
    _check(graph, layer, data_format="channels_last")
    return graph.node(
        operation,
        graph.channels_first(x),
        kernel_shape=layer.pool_size,
        strides=layer.strides,
        pads=_pads(x, layer.pool_size, layer.strides, layer.padding),
    )


@_writes(layers.GlobalAveragePooling1D)
def _global_average_pooling_1d(graph, layer, x):
    _check(graph, layer, data_format="channels_last")
    x = graph.channels_last(x)
    return graph.node("ReduceMean", x, [1], keepdims=int(layer.keepdims))


@_writes(layers.GlobalAveragePooling2D)
def _global_average_pooling(graph, layer, x):
    _check(graph, layer, data_format="channels_last")
    keepdims = int(layer.keepdims)
    x = graph.channels_first(x)
    return graph.node("ReduceMean", x, [2, 3], keepdims=keepdims)


@_writes(lenet.TrainableSubsampling2D)
def _trainable_subsampling(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    coefficient = 4 * _array(layer.coefficient)  # of the sum of four
    x = graph.node("Mul", x, coefficient.reshape(-1, 1, 1))
    x = graph.node("Add", x, _array(layer.bias).reshape(-1, 1, 1))
    return activate(graph, layer.activation, x)


@_writes(random_features.SquareRootPooling2D)
def _square_root_pooling(graph, layer, x):
    x = graph.channels_first(x)
    x = graph.node(
        "AveragePool",
        graph.node("Mul", x, x),
        kernel_shape=[layer.pool_size] * 2,
        strides=[layer.strides] * 2,
    )
    return graph.node("Sqrt", graph.node("Add", x, layer.EPSILON))


@_writes(multicolumn.WidthNormalization)
def _width_normalization(graph, layer, x):
    x = graph.channels_first(x)
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
    source = graph.node("Mul", scale, new)
    source = graph.node("Sub", source, before_first)
    source = graph.node("Add", source, len(old) - 0.5)
    reach = graph.node("Max", scale, 1.0)
    distance = graph.node("Sub", source, old[:, np.newaxis])
    distance = graph.node("Abs", distance)
    middle = graph.node("Mul", graph.node("Add", reach, 1.0), 0.5)
    mixing = graph.node("Clip", graph.node("Sub", middle, distance), 0.0, 1.0)
    mixing = graph.node("Div", mixing, reach)
    return graph.node("MatMul", padded, mixing)


def _turned(kernel):
    """Return a kernel with its sides last; the last two axes change places."""
    kernel = _array(kernel)
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


@_writes(hydra.TopBranches)
def _top_branches(graph, layer, gate):
    numbers = graph.node("TopK", gate, [layer.chosen], output=1, axis=-1)
    return replace(numbers, dtype="int64")


@_writes(hydra.BranchConv2D)
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
    found = graph.node("MatMul", patches, _kernels_of(graph, layer, choice))
    shape = [0, *choice.shape, *places, layer.filters]
    return graph.node("Reshape", found, shape)


@_writes(hydra.Combiner)
def _combiner(graph, layer, maps, choice, gate):
    maps = graph.channels_last(maps)
    means = graph.node("ReduceMean", maps, [2, 3], keepdims=0)
    means = graph.node("Unsqueeze", means, [2])
    found = graph.node("MatMul", means, _kernels_of(graph, layer, choice))
    return graph.node("ReduceMean", found, [1, 2], keepdims=0)


def _kernels_of(graph, layer, choice):
    """Return the weights of the branches that an example goes through."""
    kernels = graph.node("Gather", layer.kernels, choice, axis=0)
    return replace(kernels, dtype="float32")


# --- recurrence ----------------------------------------------------------

# The operation, where its gates are in Keras' weights, and the activations
# that it names.
_RECURRENT = {
    layers.SimpleRNN: ("RNN", [0], ["activation"]),
    layers.LSTM: (
        "LSTM",
        [0, 3, 1, 2],  # input, output, forget, candidate
        ["recurrent_activation", "activation", "activation"],
    ),
    layers.GRU: ("GRU", [0, 1, 2], ["recurrent_activation", "activation"]),
}
# Those that need no numbers of their own.
_OF_GATES = {"Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"}
# What becomes of two directions, other than one vector behind the other.
_MERGED = {"sum": "ReduceSum", "ave": "ReduceMean", "mul": "ReduceProd"}


@_writes(layers.SimpleRNN, layers.LSTM, layers.GRU)
def _recurrent(graph, layer, x):
    direction = "reverse" if layer.go_backwards else "forward"
    x = _states(graph, [layer], direction, x)
    if layer.go_backwards and layer.return_sequences:
        # Keras gives the states as they came, ONNX where the inputs were.
        start, end = [-1], [np.iinfo("int64").min]
        x = graph.node("Slice", x, start, end, [1], [-1])
    return x


@_writes(layers.Bidirectional)
def _bidirectional(graph, layer, x):
    forward, backward = layer.forward_layer, layer.backward_layer
    if type(forward) not in _RECURRENT or type(forward) is not type(backward):
        raise NotInOnnx(graph, "its directions are no layers of one known type")
    _check(graph, forward, go_backwards=False)
    _check(graph, backward, go_backwards=True, units=forward.units)
    if layer.merge_mode not in ("concat", *_MERGED):
        raise NotInOnnx(graph, f"its `merge_mode` is {layer.merge_mode}")
    pair = [forward, backward]
    return _states(graph, pair, "bidirectional", x, layer.merge_mode)


def _states(graph, directions, name, x, merge_mode="concat"):
    """Write one or two recurrent layers that read the same sequence."""
    layer = directions[0]
    operation, gates, names = _RECURRENT[type(layer)]
    options = {}
    if operation == "GRU":
        options["linear_before_reset"] = int(layer.reset_after)
    for other in directions:
        _check(graph, other, return_state=False, stateful=False)
        if operation == "GRU":
            _check(graph, other, reset_after=layer.reset_after)
    weights = [_recurrent_weights(each.cell, gates) for each in directions]
    x = graph.node(
        operation,
        graph.node("Transpose", x, perm=[1, 0, 2]),
        *map(np.stack, zip(*weights, strict=True)),
        output=0 if layer.return_sequences else 1,
        activations=[
            _of_gates(graph, getattr(each, activation))
            for each in directions
            for activation in names
        ],
        direction=name,
        hidden_size=layer.units,
        **options,
    )
    # Steps, directions, batch, units; without steps where the last is wanted.
    order = [2, 0, 1, 3] if layer.return_sequences else [1, 0, 2]
    x = graph.node("Transpose", x, perm=order)
    if merge_mode in _MERGED:
        return graph.node(_MERGED[merge_mode], x, [-2], keepdims=0)
    sizes = [0] * (len(order) - 2) + [len(directions) * layer.units]
    return graph.node("Reshape", x, sizes)


@_writes(layers.RNN)
def _turing_machine(graph, layer, x):
    """Write all steps of a neural Turing machine, one after the other."""
    cell, (steps, _) = layer.cell, x.shape
    if not isinstance(cell, neural_turing.TuringCell):
        raise NotInOnnx(graph, f"cells such as {_name_of(type(cell))}")
    # Zeros for each example, of which the states before the first step are.
    none = graph.node(
        "Mul", graph.node("ReduceSum", x, [1, 2], keepdims=0), 0.0
    )
    none = graph.node("Unsqueeze", none, [1])
    states = [
        graph.node("Add", none, _array(state).astype("float32"))
        for state in cell.get_initial_state(1)
    ]
    answers = []
    for step in range(steps):
        row = graph.node("Gather", x, step, axis=1)
        answer, states = _turing_step(graph, cell, row, states)
        answers.append(graph.node("Unsqueeze", answer, [1]))
    return graph.node("Concat", *answers, axis=1)


def _turing_step(graph, cell, row, states):
    """Write a step of it; see `zoo.neural_turing.TuringCell`."""
    hidden, carry, before, read, memory = states
    node, (rows, width) = graph.node, (cell.locations, cell.width)

    def dense(layer, x):
        return node("Gemm", x, layer.kernel, layer.bias)

    def part(x, start, end, axis=-1):
        return node("Slice", x, [start], [end], [axis])

    def unit(x):
        squares = node("ReduceSum", node("Mul", x, x), [-1])
        squares = node("Add", squares, neural_turing.SHORT**2)
        return node("Div", x, node("Sqrt", squares))

    memory = node("Reshape", memory, [0, rows, width])
    before = node("Reshape", before, [0, 2, rows])
    unit_cell = cell.controller
    gates = node("Concat", row, read, axis=1)
    gates = node("Gemm", gates, unit_cell.kernel, unit_cell.bias)
    gates = node(
        "Add", gates, node("MatMul", hidden, unit_cell.recurrent_kernel)
    )
    enter, forget, new, out = (
        part(gates, i * cell.units, (i + 1) * cell.units) for i in range(4)
    )
    new = node("Mul", node("Sigmoid", enter), node("Tanh", new))
    carry = node("Add", node("Mul", node("Sigmoid", forget), carry), new)
    hidden = node("Mul", node("Sigmoid", out), node("Tanh", carry))

    shifts = len(neural_turing.SHIFTS)
    said = dense(cell.heads, hidden)
    said = node("Reshape", said, [0, 2, width + 3 + shifts])
    key = unit(node("Tanh", part(said, 0, width)))
    strength, gate, power = (
        part(said, width + i, width + i + 1) for i in range(3)
    )
    shift = node("Softmax", part(said, width + 3, width + 3 + shifts), axis=-1)
    turned = node("Transpose", unit(memory), perm=[0, 2, 1])
    content = node(
        "Mul", node("MatMul", key, turned), node("Softplus", strength)
    )
    content = node("Softmax", content, axis=-1)
    gate = node("Sigmoid", gate)
    kept = node("Sub", before, node("Mul", gate, before))
    weights = node("Add", node("Mul", gate, content), kept)
    near = node("Gather", weights, cell.neighbors(), axis=2)
    near = node("Mul", near, node("Unsqueeze", shift, [2]))
    weights = node("ReduceSum", near, [-1], keepdims=0)
    logs = node("Log", node("Add", weights, neural_turing.SMALL))
    power = node("Add", node("Softplus", power), 1.0)
    weights = node("Softmax", node("Mul", power, logs), axis=-1)

    erase, add = (
        node("Unsqueeze", part(dense(cell.writing, hidden), start, end), [1])
        for start, end in ((0, width), (width, 2 * width))
    )
    written = node("Transpose", part(weights, 1, 2, axis=1), perm=[0, 2, 1])
    lost = node("Mul", written, node("Sigmoid", erase))
    memory = node("Sub", memory, node("Mul", memory, lost))
    memory = node("Add", memory, node("Mul", written, node("Tanh", add)))
    read = node("MatMul", part(weights, 0, 1, axis=1), memory)
    read = node("Squeeze", read, [1])
    answer = dense(cell.answer, node("Concat", hidden, read, axis=1))
    return answer, [
        *(hidden, carry),
        node("Reshape", weights, [0, 2 * rows]),
        read,
        node("Reshape", memory, [0, rows * width]),
    ]


@_writes(recurrent.Permutation)
def _permutation(graph, layer, x):
    return graph.node("Gather", x, layer.order, axis=1)


@_writes(linear_recurrences.LinearRecurrence)
def _linear_recurrence(graph, layer, x):
    steps, features = x.shape
    taken = layer.stride if layer.return_sequences else steps
    count = steps // taken
    x = graph.node("Reshape", x, [0, count, taken * features])
    x = graph.node("MatMul", x, _array(layer.kernel_of(taken)))
    apart = 1
    # Each round adds what is as far back again: all steps are done in log T.
    while apart < count:
        real, imaginary = map(_array, layer.powers(apart * taken))
        before = graph.node("Slice", x, [0], [count - apart], [1])
        before = graph.node("Pad", before, [0, apart, 0, 0, 0, 0])
        halves = [[0], [layer.units]], [[layer.units], [2 * layer.units]]
        parts = [graph.node("Slice", before, *half, [-1]) for half in halves]
        turned = graph.node("Concat", *reversed(parts), axis=-1)
        before = graph.node("Mul", before, np.tile(real, 2))
        x = graph.node("Add", x, before)
        lengths = np.concatenate([-imaginary, imaginary])
        x = graph.node("Add", x, graph.node("Mul", turned, lengths))
        apart *= 2
    if layer.return_sequences:
        return x
    return graph.node("Reshape", x, [0, 2 * layer.units])


@_writes(reservoirs.Reservoir)
def _reservoir(graph, layer, x):
    steps = range(x.shape[0])
    sums = graph.node("MatMul", x, layer.kernel)
    sums = graph.node("Add", sums, layer.bias)
    states = []
    for step in reversed(steps) if layer.go_backwards else steps:
        new = graph.node("Gather", sums, step, axis=1)
        if states:
            joined = graph.node("MatMul", states[-1], layer.recurrent_kernel)
            new = graph.node("Add", new, joined)
        new = graph.node("Tanh", new)
        if layer.leak != 1:
            new = graph.node("Mul", new, layer.leak)
            if states:
                old = graph.node("Mul", states[-1], 1 - layer.leak)
                new = graph.node("Add", old, new)
        states.append(new)
    if not layer.return_sequences:
        return states[-1]
    states = [graph.node("Unsqueeze", state, [1]) for state in states]
    return graph.node("Concat", *states, axis=1)


@_writes(reservoirs.WindowMoments)
def _window_moments(graph, layer, x):
    means = []
    for start, end in layer.places:
        window = graph.node("Slice", x, [start], [end], [1])
        means.append(graph.node("ReduceMean", window, [1], keepdims=0))
        squares = graph.node("Mul", window, window)
        means.append(graph.node("ReduceMean", squares, [1], keepdims=0))
    return graph.node("Concat", *means, axis=-1)


@_writes(spiking.LiquidPool)
def _liquid_pool(graph, layer, x):
    def rounded_down(x):
        x = graph.node("Floor", graph.node("Mul", x, 1024.0))
        return graph.node("Div", x, 1024.0)

    def fires(voltage):
        above = graph.node("Greater", voltage, 1.0)
        return graph.cast(above, "float32")

    steps = layer.repeats * x.shape[0]
    x = graph.node("Add", graph.node("Mul", x, 16.0), 0.5)
    levels = graph.node("Div", graph.node("Floor", x), 16.0)
    rows = graph.node("MatMul", levels, layer.kernel)
    row = graph.node("Gather", rows, 0, axis=1)
    voltage, current = rounded_down(row), None
    fired = [fires(voltage)]
    for step in range(1, steps):
        sent = graph.node("MatMul", fired[-1], layer.recurrent_kernel)
        if current is not None:
            left = graph.node("Mul", current, layer.current_decay)
            sent = graph.node("Add", sent, rounded_down(left))
        current = sent
        quiet = graph.node("Sub", 1.0, fired[-1])
        left = graph.node("Mul", voltage, quiet)
        left = graph.node("Mul", left, layer.voltage_decay)
        if step % layer.repeats == 0:
            row = graph.node("Gather", rows, step // layer.repeats, axis=1)
        voltage = graph.node("Add", rounded_down(left), row)
        voltage = graph.node("Add", voltage, current)
        fired.append(fires(voltage))
    counts, start = [], 0
    for end in layer.ends:
        counts.append(graph.node("Sum", *fired[start:end]))
        start = end
    return graph.node("Concat", *counts, axis=-1)


@_writes(encoder_decoders.Decoder)
def _decoder(graph, layer, encoded):
    attends = len(encoded.shape) == 2
    last, context = encoded, encoded
    if attends:
        keys = _dense(graph, layer.key, encoded)
        last = graph.node("Gather", encoded, -1, axis=1)
    # The first axis is that of the steps, of which each operation has one.
    state = _dense(graph, layer.start, last)
    state = graph.node("Unsqueeze", state, [0])
    rows = _array(layer.embedding.embeddings)
    batch = graph.node("Shape", encoded, end=1)
    shape = graph.node("Concat", batch, [rows.shape[1]], axis=0)
    written = graph.node("Expand", rows[0], shape)
    weights = _recurrent_weights(layer.cell, [0, 1, 2])
    logits = []
    for step in range(layer.length):
        squeezed = graph.node("Squeeze", state, [0])
        if attends:
            context = _attended(graph, layer, keys, squeezed, encoded)
        inputs = graph.node("Concat", written, context, axis=-1)
        state = graph.node(
            "GRU",
            graph.node("Unsqueeze", inputs, [0]),
            *(weight[np.newaxis] for weight in weights),
            *(None, state),
            output=1,
            hidden_size=layer.units,
            linear_before_reset=1,
        )
        squeezed = graph.node("Squeeze", state, [0])
        found = graph.node("Concat", squeezed, context, axis=-1)
        found = _dense(graph, layer.letters, found)
        logits.append(graph.node("Unsqueeze", found, [1]))
        if step < layer.length - 1:
            letter = graph.node("ArgMax", found, axis=-1, keepdims=0)
            written = graph.node("Gather", rows, letter)
    return graph.node("Concat", *logits, axis=1)


def _attended(graph, layer, keys, state, encoded):
    """Return the mean of what was read that a decoder attends to."""
    query = graph.node("Unsqueeze", _dense(graph, layer.query, state), [1])
    scores = graph.node("Tanh", graph.node("Add", keys, query))
    scores = _dense(graph, layer.score, scores)
    weights = graph.node("Softmax", scores, axis=1)
    return graph.node(
        "ReduceSum", graph.node("Mul", weights, encoded), [1], keepdims=0
    )


def _recurrent_weights(cell, gates):
    """Return a cell's weights as ONNX has them, its gates in this order."""

    def in_order(weights):
        parts = np.split(weights, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1)

    # The biases of what comes in, and of the state; most cells have only one.
    biases = np.zeros((2, len(gates) * cell.units), "float32")
    if cell.use_bias:
        biases[: cell.bias.ndim] = _array(cell.bias)
    return (
        in_order(_array(cell.kernel)).T,
        in_order(_array(cell.recurrent_kernel)).T,
        in_order(biases).ravel(),
    )


def _of_gates(graph, activation):
    operation, _ = _OPERATIONS.get(activation, (None, None))
    if operation not in _OF_GATES:
        raise NotInOnnx(
            graph, f"its gates have the activation {_name_of(activation)}"
        )
    return operation


def _array(variable):
    return keras.ops.convert_to_numpy(variable)
