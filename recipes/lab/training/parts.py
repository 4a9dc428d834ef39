"""A batch in parts, which the processors compute side by side.

TensorFlow gives all processors a share of every operation, and in small
networks they wait for each other for a quarter of the time. Here each takes
some of the examples through all layers. They meet where examples have to do
with each other: in a batch normalization, in random numbers, in the loss. The
gradient is that of the whole batch, but for rounding.
"""

import contextlib
import functools
import itertools

import keras
import tensorflow as tf
from keras import layers

from zoo import encoder_decoders, hydra, imagenet, multicolumn

# What these make of an example depends on no other.
_BY_EXAMPLE = (
    layers.Activation,
    layers.Add,
    layers.AveragePooling2D,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GRU,
    layers.LayerNormalization,
    layers.LSTM,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.ReLU,
    layers.Rescaling,
    layers.Reshape,
    layers.SimpleRNN,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    encoder_decoders.Decoder,
    encoder_decoders.LetterEmbedding,
    hydra.BranchConv2D,
    hydra.BranchDense,
    hydra.Combiner,
    hydra.TopBranches,
    imagenet.LocalResponseNormalization,
    multicolumn.AveragedPredictions,
    multicolumn.AveragedProbabilities,
    multicolumn.Deslanting,
    multicolumn.WidthNormalization,
)


class _Parts:
    """What a layer makes of a batch: a tensor for each part, in order."""

    def __init__(self, tensors):
        self.tensors = list(tensors)


def compute_in_parts(model, count: int) -> None:
    """Let a model, and functional models in it, compute batches in parts.

    A batch that the parts cannot share equally is computed as a whole; one of
    a size that a graph does not know must have an example for each part. What a
    layer does that is not known to take each example by itself is done to the
    whole, too, and so is whatever is not a functional model.
    `compute_as_a_whole` undoes it.

    Args:
        model: A built model.
        count: Number of parts.
    """
    for part in _functional_models(model):
        part.call = functools.partial(_call, part, count)


def compute_as_a_whole(model) -> None:
    """Make a model Keras' own again."""
    for part in _functional_models(model):
        vars(part).pop("call", None)


@contextlib.contextmanager
def paused(model):
    """Let a model be Keras' own for a while: asked for less than a part each.

    Args:
        model: A model that may compute in parts.
    """
    calls = {
        part: vars(part).pop("call")
        for part in _functional_models(model)
        if "call" in vars(part)
    }
    try:
        yield
    finally:
        for part, call in calls.items():
            part.call = call


def _functional_models(model) -> list:
    return [*filter(_is_functional, model._flatten_layers())]


def _is_functional(operation) -> bool:
    return hasattr(operation, "_run_through_graph")


def _call(model, count, inputs, training=None, mask=None):
    rows = {tensor.shape[0] for tensor in keras.tree.flatten(inputs)}
    known = rows.pop() if len(rows) == 1 else count
    if mask is not None or (known and known % count):
        return type(model).call(model, inputs, training=training, mask=mask)
    outputs = model._run_through_graph(
        [_split(tensor, count) for tensor in model._standardize_inputs(inputs)],
        operation_fn=functools.partial(_operation, count, training),
    )
    return keras.tree.map_structure(_join, outputs)


def _split(tensor, count: int) -> _Parts:
    if tensor.shape[0]:
        return _Parts(tf.split(tensor, count))
    ends = [tf.shape(tensor)[0] * i // count for i in range(count + 1)]
    return _Parts(tensor[i:j] for i, j in itertools.pairwise(ends))


def _join(value):
    if not isinstance(value, _Parts):
        return value
    whole = tf.concat(value.tensors, 0)
    # What Keras' cross-entropies look for: from probabilities that have become
    # 0 and 1 they would get no gradient.
    logits = [getattr(x, "_keras_logits", None) for x in value.tensors]
    if all(part is not None for part in logits):
        whole._keras_logits = tf.concat(logits, 0)
    return whole


def _operation(count, training, operation):
    """Return a function that does with parts what a layer does with a batch."""

    def call(*arguments, **options):
        if "training" in getattr(operation, "_call_context_args", {}):
            options["training"] = training
        values = keras.tree.flatten([arguments, options])
        if not any(isinstance(value, _Parts) for value in values):
            return operation(*arguments, **options)
        if _is_functional(operation):
            return operation._run_through_graph(
                arguments,
                operation_fn=functools.partial(_operation, count, training),
            )
        if type(operation) is layers.BatchNormalization and training:
            [parts] = arguments
            if _can_normalize(operation, parts):
                return _normalize(operation, parts)
        if _takes_examples_alone(operation, training):
            return _Parts(
                operation(*_part(i, arguments), **_part(i, options))
                for i in range(count)
            )
        whole = keras.tree.map_structure(_join, (arguments, options))
        outputs = operation(*whole[0], **whole[1])
        return keras.tree.map_structure(lambda x: _split(x, count), outputs)

    return call


def _part(number: int, values):
    return keras.tree.map_structure(
        lambda x: x.tensors[number] if isinstance(x, _Parts) else x, values
    )


def _takes_examples_alone(layer, training) -> bool:
    """Whether a layer does with some examples what it does within a batch."""
    if isinstance(layer, layers.Bidirectional):
        parts = layer.forward_layer, layer.backward_layer
        return all(_takes_examples_alone(part, training) for part in parts)
    if type(layer) is layers.BatchNormalization:
        return not (training and layer.trainable)
    if type(layer) is layers.Concatenate:
        return layer.axis == -1  # another axis may be that of the batch
    return (
        type(layer) in _BY_EXAMPLE
        and getattr(layer, "activity_regularizer", None) is None  # a mean
        and not getattr(layer, "stateful", False)
        and not getattr(layer, "dropout", 0)
        and not getattr(layer, "recurrent_dropout", 0)
    )


# --- batch normalization --------------------------------------------------


def _can_normalize(layer, parts: _Parts) -> bool:
    first = parts.tensors[0]
    return (
        layer.trainable
        and layer.axis in (-1, len(first.shape) - 1)
        and not layer.renorm
        and first.dtype == tf.float32
    )


def _normalize(layer, parts: _Parts) -> _Parts:
    """Call a batch normalization in training, by statistics of all parts."""
    channels = parts.tensors[0].shape[-1]
    gamma = layer.gamma.value if layer.scale else tf.ones(channels)
    beta = layer.beta.value if layer.center else tf.zeros(channels)
    *outputs, mean, variance = _normalized(
        layer.epsilon, gamma, beta, *parts.tensors
    )
    for moving, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
    return _Parts(outputs)


def _normalized(epsilon, gamma, beta, *parts):
    """Return the parts normalized, and the mean and variance of the whole.

    The gradient is written out: it needs two sums and one linear function of
    what came in, where TensorFlow's has a dozen passes over the maps.
    """

    @tf.custom_gradient
    def normalized(gamma, beta, *parts):
        count = tf.cast(tf.add_n([tf.size(x) for x in parts]), tf.float32)
        count /= gamma.shape[0]
        mean = tf.add_n([_sum(x) for x in parts]) / count
        squares = tf.add_n([_sum(tf.square(x)) for x in parts]) / count
        variance = tf.maximum(squares - tf.square(mean), 0.0)
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = gamma * inverse
        shift = beta - mean * scale
        outputs = [tf.nn.bias_add(x * scale, shift) for x in parts]

        def gradient(*upstream):
            upstream = upstream[: len(parts)]  # nothing learns by the moments
            of_beta = tf.add_n([_sum(dy) for dy in upstream])
            products = [
                _sum(dy * x) for dy, x in zip(upstream, parts, strict=True)
            ]
            of_gamma = inverse * (tf.add_n(products) - mean * of_beta)
            slope = -scale * inverse * of_gamma / count
            constant = -scale * of_beta / count - slope * mean
            of_parts = [
                tf.nn.bias_add(dy * scale + x * slope, constant)
                for dy, x in zip(upstream, parts, strict=True)
            ]
            return of_gamma, of_beta, *of_parts

        return (*outputs, mean, variance), gradient

    return normalized(gamma, beta, *parts)


def _sum(values):
    """Return the sums over all but the last axis; a product is the fastest."""
    rows = tf.reshape(values, (-1, values.shape[-1]))
    return tf.matmul(tf.ones((1, tf.shape(rows)[0])), rows)[0]
