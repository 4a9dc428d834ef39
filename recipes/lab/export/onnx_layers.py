"""The layers of a network as ONNX has them, one small function each.

A function takes the graph, the layer and what goes into it, adds nodes, and
returns what comes out. A new layer of the zoo is a function here, or beside
this file: `onnx_convolutions` has what moves a window over its input,
`onnx_recurrence` what takes step after step. What a layer does in training only
(dropout, noise, the statistics of a batch) is left out.

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
    imagenet,
    kernels,
    lenet,
    multicolumn,
    neurons,
    restricted_boltzmann,
    self_organizing,
    transfer,
)


class NotInOnnx(ValueError):
    """A model has a layer that no function here can write."""

    def __init__(self, graph, reason: str):
        super().__init__(
            f"The layer `{graph.path}` cannot be written as ONNX: {reason}."
        )


class Writers(dict):
    """Functions that write layers, by the layers' types."""

    def __call__(self, *types):
        """Register the decorated function for layers of these types."""

        def register(function):
            self.update(dict.fromkeys(types, function))
            return function

        return register


writes = Writers()


def activate(graph, function, x):
    """Apply an activation function.

    Args:
        graph: Where to.
        function: A function of Keras or of the zoo.
        x: What it is applied to, as a tensor of the graph.
    """
    if function in OPERATIONS:
        operation, attributes = OPERATIONS[function]
        return graph.node(operation, x, **attributes)
    if function in _ACTIVATIONS:
        return _ACTIVATIONS[function](graph, x)
    raise NotInOnnx(graph, f"the activation {name_of(function)} is not known")


_ACTIVATIONS = {}


def _applies(activation):
    """Register the decorated function for this activation."""

    def register(function):
        _ACTIVATIONS[activation] = function
        return function

    return register


def check(graph, layer, **options):
    """Refuse a layer with other options than these, which a function knows."""
    for option, known in options.items():
        value = getattr(layer, option)
        if value != known:
            raise NotInOnnx(graph, f"its `{option}` is {value!r}")


def name_of(function) -> str:
    """Return what people call a function or a type."""
    return getattr(function, "__name__", repr(function))


def array(variable) -> np.ndarray:
    """Return the numbers of a weight."""
    return keras.ops.convert_to_numpy(variable)


# --- activations ---------------------------------------------------------

# What ONNX has as an operation, with the attributes.
OPERATIONS = {
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


@writes(layers.Activation)
def _activation(graph, layer, x):
    return activate(graph, layer.activation, x)


@writes(layers.Softmax)
def _softmax_layer(graph, layer, x):
    check(graph, layer, axis=-1)
    return _softmax(graph, x)


@writes(layers.ReLU)
def _relu(graph, layer, x):
    check(graph, layer, threshold=0)
    if layer.negative_slope:
        x = graph.node("LeakyRelu", x, alpha=float(layer.negative_slope))
    else:
        x = graph.node("Relu", x)
    if layer.max_value is not None:
        x = graph.node("Min", x, float(layer.max_value))
    return x


@writes(layers.LeakyReLU)
def _leaky_relu(graph, layer, x):
    return graph.node("LeakyRelu", x, alpha=float(layer.negative_slope))


@writes(layers.ELU)
def _elu(graph, layer, x):
    return graph.node("Elu", x, alpha=float(layer.alpha))


# --- shapes, and what draws in training only -----------------------------


@writes(
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


@writes(generators.Sampling)
def _sampling(graph, layer, distributions):
    mean, _ = distributions
    return mean


@writes(restricted_boltzmann.RestrictedBoltzmann)
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


@writes(boltzmann.Boltzmann)
def _boltzmann(graph, layer, visible):
    weights = array(layer.weights_between())
    bias, split = array(layer.bias), layer.visible
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


@writes(graphics.ClampedCodes)
def _clamped_codes(graph, layer, distributions):
    return distributions


@writes(generators.ImportanceSampling)
def _importance_sampling(graph, layer, distributions):
    mean, _ = distributions
    first = graph.node("Slice", mean, [0], [1], [1])
    return mean, graph.node("Mul", first, 0.0)


@writes(generators.ImportanceWeighting)
def _importance_weighting(graph, layer, inputs):
    _, pictures, _ = inputs
    return pictures


@writes(gans.Choice)
def _choice(graph, layer, codes):
    [length], count = codes.shape, layer.count
    rest = graph.node("Slice", codes, [count], [length], [1])
    choice = _chosen(graph, codes, count**0.5 * np.eye(count))
    return graph.node("Concat", choice, rest, axis=1)


@writes(gans.Label)
def _label(graph, layer, codes):
    return _chosen(graph, codes, np.eye(layer.count))


def _chosen(graph, codes, rows):
    """Return the row that the largest of as many first numbers chooses."""
    first = graph.node("Slice", codes, [0], [len(rows)], [1])
    chosen = graph.node("ArgMax", first, axis=1, keepdims=0)
    return graph.node("Gather", rows, chosen)


@writes(layers.Dot)
def _dot(graph, layer, inputs):
    one, other = inputs
    if layer.axes not in (1, -1) or layer.normalize or len(one.shape) > 1:
        raise NotInOnnx(graph, "it is no product of vectors")
    return graph.node("ReduceSum", graph.node("Mul", one, other), [1])


@writes(layers.Flatten)
def _flatten(graph, layer, x):
    sizes = [0, np.prod(x.shape)]  # 0: as many as there are
    return graph.node("Reshape", graph.channels_last(x), sizes)


@writes(layers.Reshape)
def _reshape(graph, layer, x):
    sizes = [0, *layer.compute_output_shape((None, *x.shape))[1:]]
    return graph.node("Reshape", graph.channels_last(x), sizes)


@writes(layers.Permute)
def _permute(graph, layer, x):
    return graph.node(
        "Transpose", graph.channels_last(x), perm=(0, *layer.dims)
    )


@writes(layers.Concatenate)
def _concatenate(graph, layer, inputs):
    of_maps = layer.axis in (-1, len(inputs[0].shape))
    if of_maps and inputs[0].channels_first:
        inputs = map(graph.channels_first, inputs)
        return graph.node("Concat", *inputs, axis=1)
    inputs = map(graph.channels_last, inputs)
    return graph.node("Concat", *inputs, axis=layer.axis)


@writes(layers.Add)
def _add(graph, layer, inputs):
    total, *others = inputs
    in_order = (
        graph.channels_first if total.channels_first else graph.channels_last
    )
    for x in others:
        total = graph.node("Add", total, in_order(x))
    return total


@writes(layers.ZeroPadding2D)
def _zero_padding(graph, layer, x):
    check(graph, layer, data_format="channels_last")
    (top, bottom), (left, right) = layer.padding
    zeros = [0, 0, top, left, 0, 0, bottom, right]
    return graph.node("Pad", graph.channels_first(x), zeros)


@writes(transfer.SquareResizing)
def _square_resizing(graph, layer, x):
    x = graph.channels_first(x)
    # Sizes of the sides alone (`axes`) break ONNX Runtime where a Transpose is
    # beside them.
    sides = [layer.side, layer.side]
    sizes = graph.node("Concat", graph.node("Shape", x, end=2), sides, axis=0)
    return graph.node("Resize", x, None, None, sizes, mode="linear")


@writes(transfer.Grey)
def _grey(graph, layer, x):
    shares = np.array(layer.SHARES, "float32").reshape(3, 1)
    return graph.node("MatMul", graph.channels_last(x), shares)


# --- scales and statistics -----------------------------------------------


@writes(layers.Rescaling)
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


@writes(transfer.ApplicationPreprocessing)
def _application_preprocessing(graph, layer, pixels):
    # Whatever the network: sums of the three colors, each with its weight.
    colors = 255 * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    black, *pure = array(layer(colors.reshape(1, 4, 1, 3)))[0, :, 0]
    weights = (np.array(pure) - black) / 255
    pixels = graph.node("MatMul", graph.channels_last(pixels), weights)
    return graph.node("Add", pixels, black)


@writes(neurons.Standardization)
def _standardization(graph, layer, rows):
    rows = graph.node("Sub", rows, layer.mean)
    return graph.node("Div", rows, layer.deviation)


@writes(layers.BatchNormalization)
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


@writes(layers.LayerNormalization)
def _layer_normalization(graph, layer, x):
    check(graph, layer, axis=[-1])
    return graph.node(
        "LayerNormalization",
        graph.channels_last(x),
        layer.gamma if layer.scale else np.ones(x.shape[-1]),
        layer.beta if layer.center else None,
        epsilon=float(layer.epsilon),
    )


@writes(imagenet.LocalResponseNormalization)
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


@writes(layers.Embedding, encoder_decoders.LetterEmbedding)
def _embedding(graph, layer, x):
    if layer.mask_zero:
        raise NotInOnnx(graph, "it masks zeros")
    rows = graph.node("Gather", layer.embeddings, x)
    return replace(rows, dtype="float32")


@writes(chains.LastLetter)
def _last_letter(graph, layer, tokens):
    [length] = tokens.shape
    return graph.node("Gather", tokens, length - 1, axis=1)


@writes(layers.Dense)
def dense(graph, layer, x):
    """Write a dense layer."""
    x = graph.node("MatMul", graph.channels_last(x), layer.kernel)
    if layer.use_bias:
        x = graph.node("Add", x, layer.bias)
    return activate(graph, layer.activation, x)


@writes(neurons.ThresholdUnit)
def _threshold_unit(graph, layer, x):
    x = graph.node("MatMul", x, layer.kernel)
    reached = graph.node("GreaterOrEqual", x, layer.enough)
    return graph.cast(reached, "float32")


@writes(lenet.DigitCodeDistances)
def _digit_code_distances(graph, layer, x):
    # |x - c|² = |x|² - 2 x·c + |c|²
    codes = array(layer.codes)
    squared = graph.node("Mul", x, x)
    x_squared = graph.node("ReduceSum", squared, [-1], keepdims=1)
    products = graph.node("MatMul", x, -2 * codes)
    distances = graph.node("Add", x_squared, products)
    return graph.node("Add", distances, np.sum(codes**2, axis=0))


@writes(kernels.RadialBasis)
def _radial_basis(graph, layer, x):
    squares = graph.node("ReduceSum", graph.node("Mul", x, x), [-1])
    products = graph.node("MatMul", x, -2 * array(layer.centers).T)
    distances = graph.node("Add", products, squares)
    distances = graph.node("Add", distances, layer.squared_norms())
    distances = graph.node("Max", distances, 0.0)
    scale = -0.5 / array(layer.widths) ** 2
    return graph.node("Exp", graph.node("Mul", distances, scale))


@writes(self_organizing.SelfOrganizingMap)
def _self_organizing_map(graph, layer, x):
    prototypes, factor = array(layer.prototypes), array(layer.factor)
    middle = prototypes.mean(axis=0)
    prototypes = prototypes - middle
    norms = np.square(prototypes).sum(axis=1)
    x = graph.node("Sub", x, middle)
    x = graph.node("MatMul", x, 2 * factor * prototypes.T)
    x = graph.node("Sub", x, factor * norms)
    return graph.node("Softmax", x, axis=-1)


@writes(associative.HopfieldUnits)
def _hopfield_units(graph, layer, x):
    for _ in range(layer.steps):
        sums = graph.node("Sign", graph.node("MatMul", x, layer.kernel))
        x = _signs(graph, graph.node("Add", sums, graph.node("Mul", x, 0.5)))
    return x


@writes(multicolumn.AveragedPredictions)
def _averaged_predictions(graph, layer, x):
    kernel = array(layer.kernel)
    x = graph.node("Reshape", x, [-1, layer.columns, 1, kernel.shape[1]])
    x = graph.node("MatMul", x, kernel)
    x = graph.node("Add", x, array(layer.bias)[:, np.newaxis])
    x = graph.node("Softmax", x, axis=-1)
    x = graph.node("ReduceMean", x, [1, 2], keepdims=0)
    if layer.activation is activations.softmax:
        return x
    return graph.node("Log", graph.node("Max", x, keras.config.epsilon()))


@writes(multicolumn.AveragedProbabilities)
def _averaged_probabilities(graph, layer, x):
    classes = x.shape[-1] // layer.members
    x = graph.node("Reshape", x, [-1, layer.members, classes])
    x = graph.node("Log", graph.node("Max", x, keras.config.epsilon()))
    x = graph.node("Mul", x, array(layer.sharpness)[:, np.newaxis])
    x = graph.node("Softmax", x, axis=-1)
    x = graph.node("Mul", x, array(layer.shares)[:, np.newaxis])
    return graph.node("ReduceSum", x, [1], keepdims=0)
