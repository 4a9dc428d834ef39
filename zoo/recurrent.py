"""Recurrent networks that read an image as a sequence: a row at each step.

They are many-to-one: what the network remembers after the last step, it
classifies. With `read="pixels"` a step is a pixel; then there are 784 of them,
a long way back for a gradient.

Any number of images goes in at once, in every format: ONNX takes the loop over
the steps as it is, LiteRT has no such loop and takes the network with
`unroll=True`. The weights of a trained one fit the unrolled one:

>>> trained = zoo.create_model("lstm")
>>> unrolled = zoo.create_model("lstm", unroll=True)
>>> unrolled.set_weights(trained.get_weights())
"""

import keras
import numpy as np
from keras import layers

from zoo._registry import register_model

_NAMES = {
    layers.SimpleRNN: "simple_rnn",
    layers.LSTM: "lstm",
    layers.GRU: "gru",
}
READINGS = ("rows", "pixels", "permuted_pixels")


@keras.saving.register_keras_serializable(package="zoo")
class Permutation(layers.Layer):
    """Puts the steps of a sequence in another order, always the same.

    Args:
        seed: Seed of the order.
        **options: Options of every Keras layer.
    """

    def __init__(self, seed=0, **options):
        super().__init__(**options)
        self.seed = seed

    def build(self, input_shape):
        """Draw the order."""
        random = np.random.default_rng(self.seed)
        self.order = random.permutation(input_shape[1]).astype("int32")

    def call(self, sequence):
        """Return the steps in their new order."""
        return keras.ops.take(sequence, self.order, axis=1)

    def get_config(self):
        """Return what is needed to make the layer again."""
        return {**super().get_config(), "seed": self.seed}


@register_model(
    task="classification",
    inputs="images",
    lecture="recurrent networks, rolled over time",
    reference="Elman 1990",
    chart=("RNN",),
)
def simple_rnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(128,),
    bidirectional=False,
    layer_norm=False,
    dropout=0.0,
    unroll=False,
    read="rows",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="simple_rnn",
):
    """Build a plain recurrent network, h = tanh(W x + U h + b) at each row.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | simple_rnn1 | 128     | 20,096     |
    | predictions | 10      | 1,290      |
    | sum         |         | 21,386     |

    A layer of h units that reads d numbers at a step has h (d + h + 1)
    parameters.

    Args:
        hidden_units: Width of each recurrent layer, from the image upwards.
        bidirectional: Whether each layer is two, of which one reads the rows
            from the bottom; their states are joined.
        layer_norm: Whether to normalize what each layer gives, over its units.
        dropout: Fraction of the last state that training drops before
            `predictions`.
        unroll: Whether to write all steps into the graph instead of a loop,
            for LiteRT. Training is no faster, and its start slower.
        read: What is read at a step: `"rows"`, `"pixels"`, or
            `"permuted_pixels"` in an order without any sense.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no recurrent layer, or no such reading.

    Example:
    >>> model = zoo.create_model("simple_rnn", hidden_units=(64, 64))

    Reference:
    - J. L. Elman, Finding structure in time, 1990.
    """
    image, steps = read_steps(input_shape, rescale, read)
    state = _recurrent_layers(
        layers.SimpleRNN, steps, hidden_units, bidirectional, layer_norm, unroll
    )
    outputs = classify(state, num_classes, dropout, classifier_activation)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="recurrent networks, and gradients that vanish over time",
    reference="Le, Jaitly and Hinton 2015",
    chart=("RNN",),
)
def irnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(128,),
    bidirectional=False,
    layer_norm=False,
    dropout=0.0,
    unroll=False,
    read="rows",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="irnn",
):
    """Build a plain recurrent network that begins by remembering all.

    Its state is h = max(0, W x + U h + b), and U begins as the identity: until
    training changes it, a state stays as it is but for what comes in, and so
    does the gradient on its way back.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | simple_rnn1 | 128     | 20,096     |
    | predictions | 10      | 1,290      |
    | sum         |         | 21,386     |

    Args:
        hidden_units: Width of each recurrent layer, from the image upwards.
        bidirectional: Whether each layer is two, of which one reads the rows
            from the bottom; their states are joined.
        layer_norm: Whether to normalize what each layer gives, over its units.
        dropout: Fraction of the last state that training drops before
            `predictions`.
        unroll: Whether to write all steps into the graph instead of a loop,
            for LiteRT. Training is no faster, and its start slower.
        read: What is read at a step: `"rows"`, `"pixels"`, or
            `"permuted_pixels"` in an order without any sense.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no recurrent layer, or no such reading.

    Example:
    >>> model = zoo.create_model("irnn", read="pixels")

    Reference:
    - Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent
      networks of rectified linear units, 2015.
    """
    image, steps = read_steps(input_shape, rescale, read)
    # One initializer would draw the same weights for every layer.
    small = {"class_name": "RandomNormal", "config": {"stddev": 0.001}}
    state = _recurrent_layers(
        *(layers.SimpleRNN, steps, hidden_units),
        *(bidirectional, layer_norm, unroll),
        activation="relu",
        kernel_initializer=small,
        recurrent_initializer="identity",
    )
    outputs = classify(state, num_classes, dropout, classifier_activation)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="long short-term memory",
    reference="Hochreiter and Schmidhuber 1997",
    chart=("LSTM",),
)
def lstm(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(128,),
    bidirectional=False,
    layer_norm=False,
    dropout=0.0,
    unroll=False,
    read="rows",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="lstm",
):
    """Build a network with a long short-term memory, guarded by gates.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | lstm1       | 128     | 80,384     |
    | predictions | 10      | 1,290      |
    | sum         |         | 81,674     |

    A layer of h units that reads d numbers at a step has 4 h (d + h + 1)
    parameters: a candidate for the memory and three gates (input, forget,
    output). The forget gate starts open, with a bias of 1.

    Args:
        hidden_units: Width of each recurrent layer, from the image upwards.
        bidirectional: Whether each layer is two, of which one reads the rows
            from the bottom; their states are joined.
        layer_norm: Whether to normalize what each layer gives, over its units.
        dropout: Fraction of the last state that training drops before
            `predictions`.
        unroll: Whether to write all steps into the graph instead of a loop,
            for LiteRT. Training is no faster, and its start slower.
        read: What is read at a step: `"rows"`, `"pixels"`, or
            `"permuted_pixels"` in an order without any sense.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no recurrent layer, or no such reading.

    Example:
    >>> model = zoo.create_model("lstm", bidirectional=True)

    Reference:
    - S. Hochreiter, J. Schmidhuber, Long short-term memory, 1997.
    - F. A. Gers, J. Schmidhuber, F. Cummins, Learning to forget: continual
      prediction with LSTM, 2000.
    """
    image, steps = read_steps(input_shape, rescale, read)
    state = _recurrent_layers(
        layers.LSTM, steps, hidden_units, bidirectional, layer_norm, unroll
    )
    outputs = classify(state, num_classes, dropout, classifier_activation)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="gated recurrent units, a lighter long short-term memory",
    reference="Cho et al. 2014",
    chart=("GRU",),
)
def gru(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(128,),
    bidirectional=False,
    layer_norm=False,
    dropout=0.0,
    unroll=False,
    read="rows",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="gru",
):
    """Build a network of gated recurrent units.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | gru1        | 128     | 60,672     |
    | predictions | 10      | 1,290      |
    | sum         |         | 61,962     |

    A layer of h units that reads d numbers at a step has 3 h (d + h + 2)
    parameters: a candidate for the state and two gates (update, reset).

    Args:
        hidden_units: Width of each recurrent layer, from the image upwards.
        bidirectional: Whether each layer is two, of which one reads the rows
            from the bottom; their states are joined.
        layer_norm: Whether to normalize what each layer gives, over its units.
        dropout: Fraction of the last state that training drops before
            `predictions`.
        unroll: Whether to write all steps into the graph instead of a loop,
            for LiteRT. Training is no faster, and its start slower.
        read: What is read at a step: `"rows"`, `"pixels"`, or
            `"permuted_pixels"` in an order without any sense.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no recurrent layer, or no such reading.

    Example:
    >>> model = zoo.create_model("gru", dropout=0.2)

    Reference:
    - K. Cho et al., Learning phrase representations using RNN encoder-decoder
      for statistical machine translation, 2014.

    Departures from the paper:
    - The reset gate acts on the state after its matrix, not before, and each
      has its own bias: h more parameters for each of the three, and one matrix
      product a step instead of two. `reset_after=False` of
      `keras.layers.GRU` is the paper's.
    """
    image, steps = read_steps(input_shape, rescale, read)
    state = _recurrent_layers(
        layers.GRU, steps, hidden_units, bidirectional, layer_norm, unroll
    )
    outputs = classify(state, num_classes, dropout, classifier_activation)
    return keras.Model(image, outputs, name=name)


def read_steps(input_shape, rescale, read):
    """Return an image's input, and what is read of it step by step.

    Raises:
        ValueError: If `read` is none of `READINGS`.
    """
    if read not in READINGS:
        raise ValueError(
            f"`read` must be one of {READINGS}. Received: {read!r}"
        )
    height, width, channels = input_shape
    scale, offset = rescale
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    if read == "rows":
        return image, layers.Reshape((height, width * channels), name=read)(x)
    x = layers.Reshape((height * width, channels), name="pixels")(x)
    if read == "permuted_pixels":
        x = Permutation(name=read)(x)
    return image, x


def _recurrent_layers(
    layer_class,
    x,
    hidden_units,
    bidirectional,
    layer_norm,
    unroll,
    **options,
):
    """Return the state of the last of some layers after the last step."""
    if not hidden_units:
        raise ValueError(
            "`hidden_units` needs one width or more. "
            f"Received: {hidden_units!r}"
        )
    for i, units in enumerate(hidden_units, start=1):
        layer = layer_class(
            units,
            return_sequences=i < len(hidden_units),
            unroll=unroll,
            **options,
            name=f"{_NAMES[layer_class]}{i}",
        )
        if bidirectional:
            layer = layers.Bidirectional(layer, name=f"both_ways{i}")
        x = layer(x)
        if layer_norm:
            x = layers.LayerNormalization(name=f"norm{i}")(x)
    return x


def classify(x, num_classes, dropout, activation):
    """Return the classes of what a network remembers."""
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, activation=activation, name="predictions")(
        x
    )
