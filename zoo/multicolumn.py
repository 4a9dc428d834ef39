"""Networks that vote: columns of one kind, or a committee of any."""

import keras
import numpy as np
from keras import layers, ops

from zoo._drawings import Deslanting, WidthNormalization
from zoo._registry import register_model
from zoo._surgery import copy_of, functional
from zoo.lenet import scaled_tanh

# Widths in pixels of the published columns' digits; None is as they come.
WIDTHS = (10, 12, 14, 16, 18, 20, None)


@register_model(
    task="classification",
    inputs="images",
    lecture="the multi-column network, the best on MNIST in its time",
    reference="Ciresan, Meier and Schmidhuber 2012",
)
def mcdnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    widths=WIDTHS,
    deslanted=(),
    max_stretch=None,
    filters=(20, 40),
    hidden_units=150,
    activation=scaled_tanh,
    batch_norm=False,
    dropout=0.0,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="mcdnn",
):
    """Build a network of columns, whose probabilities are averaged.

    | layer                        | output   | parameters | multiplications |
    | ---------------------------- | -------- | ---------- | --------------- |
    | rescaling                    | 28×28×1  |            |                 |
    | column1_width, 10 pixels     | 29×29×1  |            |                 |
    | column1_conv1, 4×4           | 26×26×20 | 340        | 216,320         |
    | column1_pool1                | 13×13×20 |            |                 |
    | column1_conv2, 5×5           | 9×9×40   | 20,040     | 1,620,000       |
    | column1_pool2, 3×3           | 3×3×40   |            |                 |
    | column1_flatten              | 360      |            |                 |
    | column1_hidden               | 150      | 54,150     | 54,000          |
    | column[2-7]_*, the others    | 150      | 447,180    | 11,341,920      |
    | columns                      | 1,050    |            |                 |
    | predictions                  | 10       | 10,570     | 10,500          |
    | sum                          |          | 532,280    | 13,242,740      |

    Each column has 76,040 parameters, its share of `predictions` included. They
    are trained one by one, each a network of its own with one width, and then
    `zoo.multicolumn.set_columns` puts them together.

    Args:
        widths: For each column, the width in pixels that digits are stretched
            or squeezed to; `None` leaves them as they are.
        deslanted: Those of the widths whose columns see digits upright.
        max_stretch: How many times as wide as it is a digit may become; `None`
            sets no limit. A 1 that is stretched far looks like a 7.
        filters: Number of maps of the two convolutions of a column.
        hidden_units: Width of the hidden layer of a column.
        activation: Activation of the convolutions and of the hidden layer.
        batch_norm: Whether to normalize before each activation, over the batch.
        dropout: Fraction of the hidden layer that training drops.
        synchronized: As for `cnn`.
        classifier_activation: `"softmax"`, or `None` for the logarithms of the
            averaged probabilities.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no column, a width is none that the image has,
            one that is deslanted is no column's, or the images are too small.

    Example:
    >>> column = zoo.create_model("mcdnn", widths=(14,))

    Reference:
    - D. Ciresan, U. Meier, J. Schmidhuber, Multi-column deep neural networks
      for image classification, 2012.
    - U. Meier, D. Ciresan, L. Gambardella, J. Schmidhuber, Better digit
      recognition with a committee of simple neural nets, 2011 (deslanted).

    Departures from the paper:
    - It trains five columns for each width, 35 in all.
    """
    if not widths:
        raise ValueError(
            "`widths` needs one width for each column, and there must be one. "
            f"Received: {widths!r}"
        )
    if strange := set(deslanted) - set(widths):
        raise ValueError(
            f"`deslanted` must be some of the widths {tuple(widths)}. "
            f"Received: {', '.join(map(str, strange))}"
        )
    shortest = min(input_shape[:2])
    if shortest < 16:
        raise ValueError(
            "mcdnn takes images of at least 16×16 pixels: two convolutions and "
            f"poolings leave nothing of smaller ones. Received: {input_shape}"
        )

    def activated(x, layer, name):
        """Call a layer, normalize, and activate."""
        column, _, part = name.partition("_")
        if not batch_norm:
            return layer(activation=activation, name=name)(x)
        x = layer(use_bias=False, name=name)(x)
        x = layers.BatchNormalization(
            momentum=0.9,
            synchronized=synchronized,
            name=f"{column}_norm_{part}",
        )(x)
        return layers.Activation(
            activation, name=f"{column}_activation_{part}"
        )(x)

    def conv(maps, size):
        return lambda **options: layers.Conv2D(maps, size, **options)

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    pixels = layers.Rescaling(scale, offset, name="rescaling")(image)
    maps1, maps2 = filters
    columns = []
    for i, width in enumerate(widths, start=1):
        column, x = f"column{i}", pixels
        if width in deslanted:
            x = Deslanting(black=offset, name=f"{column}_upright")(x)
        x = WidthNormalization(
            *(width, max_stretch), black=offset, name=f"{column}_width"
        )(x)
        x = activated(x, conv(maps1, 4), f"{column}_conv1")
        x = layers.MaxPooling2D(2, name=f"{column}_pool1")(x)
        x = activated(x, conv(maps2, 5), f"{column}_conv2")
        x = layers.MaxPooling2D(3, name=f"{column}_pool2")(x)
        x = layers.Flatten(name=f"{column}_flatten")(x)
        x = activated(
            x,
            lambda **options: layers.Dense(hidden_units, **options),
            f"{column}_hidden",
        )
        if dropout:
            x = layers.Dropout(dropout, name=f"{column}_dropout")(x)
        columns.append(x)
    x = columns[0]
    if len(columns) > 1:
        x = layers.Concatenate(name="columns")(columns)
    outputs = AveragedPredictions(
        num_classes, len(columns), classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


def set_columns(model, columns):
    """Give a network the weights of columns that were trained one by one.

    Args:
        model: A network of `mcdnn`.
        columns: For each of its columns a network of `mcdnn` of one column,
            in order, of the same sizes.

    Raises:
        ValueError: If there are fewer or more, or the sizes, widths or limits
            of stretching are others, or others see digits upright.
    """
    predictions = model.get_layer("predictions")
    if len(columns) != predictions.columns:
        raise ValueError(
            f"{model.name!r} has {predictions.columns} columns. "
            f"Received: {len(columns)}"
        )
    values = {}
    for i, column in enumerate(columns, start=1):
        ours = model.get_layer(f"column{i}_width")
        other = column.get_layer("column1_width")
        if other.width != ours.width:
            raise ValueError(
                f"Column {i} of {model.name!r} sees digits of width "
                f"{ours.width}. Received: one of width {other.width}"
            )
        if other.max_stretch != ours.max_stretch:
            raise ValueError(
                f"{model.name!r} was built with max_stretch="
                f"{ours.max_stretch}. Received: column {i} with max_stretch="
                f"{other.max_stretch}"
            )
        if _upright(model, i) != _upright(column, 1):
            raise ValueError(
                f"Column {i} of {model.name!r} sees digits "
                f"{'upright' if _upright(model, i) else 'as they come'}. "
                "Received: one that does not"
            )
        for variable in column.weights:
            path = variable.path.replace("column1_", f"column{i}_")
            values.setdefault(path, []).append(variable.numpy())
    # Of `predictions` each column has its part; of the rest, all.
    model.set_weights([np.concatenate(values[v.path]) for v in model.weights])


def _upright(model, column):
    """Return whether one of the columns sees digits upright."""
    name = f"column{column}_upright"
    return any(layer.name == name for layer in model.layers)


def committee(members, *, name="committee"):
    """Build a network that averages what trained classifiers say.

    Its layer `average` has two weights for each, how sharp its probabilities
    are to be and its share of the average; see `AveragedProbabilities`. They
    start as a plain average.

    Args:
        members: Functional classifiers of the same images and classes, that
            give probabilities. They are copied.

    Returns:
        An uncompiled `keras.Model` from what they take to
        `(batch, num_classes)`.

    Raises:
        ValueError: If there is none, one is not functional, or they take or
            give other shapes than the first.

    Example:
    >>> names = ("mnist_cnn@shipped", "mnist_lstm@shipped")
    >>> members = [zoo.load_model(name) for name in names]
    >>> model = zoo.multicolumn.committee(members)

    Reference:
    - L. K. Hansen, P. Salamon, Neural network ensembles, 1990.
    """
    if not members:
        raise ValueError("A committee needs one member or more.")
    first = functional(members[0])
    for model in map(functional, members[1:]):
        for what in ("input_shape", "output_shape"):
            ours, theirs = getattr(first, what), getattr(model, what)
            if ours != theirs:
                raise ValueError(
                    f"The members of a committee must have one {what}. "
                    f"Received: {ours} of {first.name!r} and {theirs} of "
                    f"{model.name!r}"
                )
    image = keras.Input(first.input_shape[1:], name="image")
    votes = []
    for i, model in enumerate(members, start=1):
        twin = copy_of(functional(model))
        member = keras.Model(twin.input, twin.output, name=f"member{i}")
        votes.append(member(image))
    x = votes[0]
    if len(votes) > 1:
        x = layers.Concatenate(name="votes")(votes)
    outputs = AveragedProbabilities(len(votes), name="average")(x)
    return keras.Model(image, outputs, name=name)


@keras.saving.register_keras_serializable(package="zoo")
class AveragedPredictions(layers.Layer):
    """Classify each column's features by themselves; average probabilities.

    Args:
        units: Number of classes.
        columns: In how many equal parts, one a column, the features come.
        activation: `"softmax"`, or `None` for logarithms of the averages.
    """

    def __init__(self, units, columns, activation="softmax", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.columns = columns
        self.activation = keras.activations.get(activation)
        if units < 1:
            raise ValueError(
                f"There must be one class or more. Received: {units}"
            )
        known = (keras.activations.softmax, keras.activations.linear)
        if self.activation not in known:
            raise ValueError(
                "Probabilities are averaged, so `activation` must be 'softmax' "
                f"or None. Received: {activation!r}"
            )

    def build(self, input_shape):
        features, rest = divmod(input_shape[-1], self.columns)
        if rest:
            raise ValueError(
                f"{self.columns} columns cannot have equal shares of "
                f"{input_shape[-1]} features."
            )
        limit = (6 / (features + self.units)) ** 0.5  # Glorot's, of a column
        self.kernel = self.add_weight(
            shape=(self.columns, features, self.units),
            initializer=keras.initializers.RandomUniform(-limit, limit),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.columns, self.units), initializer="zeros", name="bias"
        )

    def call(self, x):
        x = ops.reshape(x, (-1, self.columns, 1, self.kernel.shape[1]))
        x = ops.matmul(x, self.kernel) + self.bias[:, None]
        is_softmax = self.activation is keras.activations.softmax
        if self.columns == 1 and is_softmax:
            # With the logits, which Keras' losses look for.
            return self.activation(x[:, 0, 0])
        average = ops.mean(ops.softmax(x), axis=(1, 2))
        if is_softmax:
            return average
        return ops.log(ops.maximum(average, keras.config.epsilon()))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "columns": self.columns,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="zoo")
class AveragedProbabilities(layers.Layer):
    """Average the probabilities of several, by shares.

    Before that, a probability becomes its power, over the sum of those of all
    the classes. The exponent is the member's weight in `sharpness`: at 1
    nothing changes; above, the member is surer than it said. Its weight in
    `shares`, which add up to 1, is what it has of the average.

    Args:
        members: In how many equal parts, one a member, they come.
    """

    def __init__(self, members, **kwargs):
        super().__init__(**kwargs)
        self.members = members

    def build(self, input_shape):
        if input_shape[-1] % self.members:
            raise ValueError(
                f"{self.members} members cannot have equal shares of "
                f"{input_shape[-1]} probabilities."
            )
        self.sharpness = self.add_weight(
            shape=(self.members,), initializer="ones", name="sharpness"
        )
        equal = keras.initializers.Constant(1 / self.members)
        self.shares = self.add_weight(
            shape=(self.members,), initializer=equal, name="shares"
        )

    @property
    def multiplications(self):
        """Multiplications with a weight, for one example."""
        return 2 * self.input.shape[-1]

    def call(self, x):
        x = ops.reshape(x, (-1, self.members, x.shape[-1] // self.members))
        x = ops.log(ops.maximum(x, keras.config.epsilon()))
        x = ops.softmax(x * self.sharpness[:, None])
        return ops.sum(x * self.shares[:, None], axis=1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // self.members)

    def get_config(self):
        return {**super().get_config(), "members": self.members}
