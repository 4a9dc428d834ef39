"""LeNet-5 as it was in 1998, and on its way to modern dress."""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

# Table I of the paper: the S2 maps that each of the 16 C3 maps sees.
C3_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5),
    (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# Figure 3 of the paper: the ten digits on 7x12 pixels, the targets of F6.
DIGIT_BITMAPS = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... #####.. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def digit_codes() -> np.ndarray:
    """Return the bitmaps as codes of -1 and +1, shape `(10, 84)`."""
    rows = [line.split() for line in DIGIT_BITMAPS.split("\n") if line]
    bitmaps = ["".join(parts) for parts in zip(*rows, strict=True)]
    return np.array(
        [[1.0 if p == "#" else -1.0 for p in bitmap] for bitmap in bitmaps],
        dtype="float32",
    )


@keras.saving.register_keras_serializable(package="zoo")
def scaled_tanh(x):
    """Squash as the paper does: 1.7159 tanh(2x/3), which maps ±1 to ±1."""
    return 1.7159 * ops.tanh(2 / 3 * x)


def _uniform(fan_in):
    """The paper's initial weights: uniform within ±2.4 / fan-in."""
    limit = 2.4 / fan_in
    return keras.initializers.RandomUniform(-limit, limit)


@keras.saving.register_keras_serializable(package="zoo")
class TableConv2D(layers.Layer):
    """Convolve each output map over its own subset of the input maps.

    Only the connections of the table have weights. The kernel that the
    convolution needs is put together from them with zeros elsewhere.

    Args:
        table: For each output map, the numbers of the input maps that it sees.
        kernel_size: Height and width of the kernels.
        activation: Activation function.
    """

    def __init__(self, table, kernel_size=5, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.table = tuple(tuple(row) for row in table)
        self._crosses = tuple(
            (i, j) for j, row in enumerate(self.table) for i in row
        )
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        k = self.kernel_size
        fan_in = np.array(
            [k * k * len(self.table[j]) for _, j in self._crosses]
        )

        def uniform(shape, dtype=None):
            return keras.random.uniform(shape, -1, 1, dtype) * (2.4 / fan_in)

        self.kernel = self.add_weight(
            shape=(k * k, len(self._crosses)),
            initializer=uniform,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(len(self.table),), initializer="zeros", name="bias"
        )

    def call(self, x):
        k, in_maps, out_maps = self.kernel_size, x.shape[-1], len(self.table)
        # Row c puts the weights of cross c = (i, j) at place (i, j).
        places = np.zeros((len(self._crosses), in_maps * out_maps), "float32")
        for c, (i, j) in enumerate(self._crosses):
            places[c, i * out_maps + j] = 1.0
        places = ops.cast(places, self.compute_dtype)
        kernel = ops.matmul(ops.cast(self.kernel, self.compute_dtype), places)
        kernel = ops.reshape(kernel, (k, k, in_maps, out_maps))
        x = ops.conv(x, kernel, data_format="channels_last")
        return self.activation(x + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        lost = self.kernel_size - 1
        return (batch, height - lost, width - lost, len(self.table))

    def get_config(self):
        return {
            **super().get_config(),
            "table": self.table,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="zoo")
class TrainableSubsampling2D(layers.Layer):
    """Sum 2x2 neighbors, times a trained coefficient, plus a trained bias.

    Args:
        activation: Activation function.
    """

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        maps = (input_shape[-1],)
        self.coefficient = self.add_weight(
            shape=maps, initializer=_uniform(4), name="coefficient"
        )
        self.bias = self.add_weight(
            shape=maps, initializer="zeros", name="bias"
        )

    def call(self, x):
        total = 4 * ops.average_pool(x, 2, 2, data_format="channels_last")
        return self.activation(total * self.coefficient + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, maps = input_shape
        return (batch, height // 2, width // 2, maps)

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="zoo")
class DigitCodeDistances(layers.Layer):
    """Squared Euclidean distance from F6 to the bitmap of each digit.

    These are radial basis functions whose centers are drawn by hand and stay
    as they are: the layer has weights, and none of them is trained.

    Args:
        units: Number of classes, at most ten.
    """

    def __init__(self, units=10, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.codes = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                digit_codes()[: self.units].T, dtype
            ),
            trainable=False,
            name="codes",
        )

    def call(self, x):
        # |x - c|² = |x|² - 2 x·c + |c|²
        x_squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
        codes_squared = ops.sum(ops.square(self.codes), axis=0)
        return x_squared - 2 * ops.matmul(x, self.codes) + codes_squared

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks: LeNet-5 and its C3 table",
    reference="LeCun, Bottou, Bengio and Haffner 1998",
    chart=("DCN",),
)
def lenet5(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    connections="table",
    subsampling="trainable",
    activation="scaled_tanh",
    output="rbf",
    classifier_activation="softmax",
    rescale=(1.275 / 255, -0.1),
    name="lenet5",
):
    """Build LeNet-5 with the connections and the output layer of 1998.

    | layer       | output   | parameters | connections |
    | ----------- | -------- | ---------- | ----------- |
    | padding     | 32×32×1  |            |             |
    | rescaling   | 32×32×1  |            |             |
    | c1          | 28×28×6  | 156        | 122,304     |
    | s2          | 14×14×6  | 12         | 5,880       |
    | c3          | 10×10×16 | 1,516      | 151,600     |
    | s4          | 5×5×16   | 32         | 2,000       |
    | c5          | 1×1×120  | 48,120     | 48,120      |
    | f6          | 84       | 10,164     | 10,164      |
    | distances   | 10       | (fixed)    | 840         |
    | predictions | 10       |            |             |
    | sum         |          | 60,000     | 340,908     |

    `predictions` is the softmax of the negative distances, so the class with
    the nearest bitmap is the most probable. To get the paper's accuracy, train
    on the distances, before the softmax, as `recipes/mnist_lenet5.py` does.

    The modern dress, 61,706 parameters: `connections="full"`,
    `subsampling="average"`, `activation="relu"`, `output="softmax"`.

    Args:
        input_shape: Height, width and channels of an image; sides of 12 pixels
            or more.
        num_classes: Number of classes; at most ten with `output="rbf"`.
        connections: `"table"` gives each C3 map the S2 maps of the paper's
            Table I, `"full"` all of them.
        subsampling: `"trainable"` (a coefficient and a bias for each map),
            `"average"` or `"max"`.
        activation: `"scaled_tanh"` or any activation that Keras knows.
        output: `"rbf"` for distances to the digit bitmaps, `"softmax"` for a
            dense layer.
        classifier_activation: `"softmax"` for probabilities, `None` for logits
            (the negative distances).
        rescale: Scale and offset for raw pixels, after the padding; the
            default puts background at -0.1 and ink at 1.175.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is none of its choices, the image is too
            small, or there is no bitmap for so many classes.

    Example:
    >>> model = zoo.create_model("lenet5")
    >>> modern = zoo.create_model("lenet5", connections="full",
    ...     subsampling="average", activation="relu", output="softmax")
    >>> modern.count_params()
    61706

    Reference:
    - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning
      applied to document recognition, 1998, section II.B.

    Departures from the paper:
    - C5 sees the whole of S4 whatever the size of the image.
    """
    choices = {
        "connections": (connections, ("table", "full")),
        "subsampling": (subsampling, ("trainable", "average", "max")),
        "output": (output, ("rbf", "softmax")),
    }
    for argument, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(
                f"`{argument}` must be one of {allowed}. Received: {value!r}"
            )
    if min(input_shape[:2]) < 12:
        raise ValueError(
            "LeNet-5 needs images of at least 12x12 pixels. "
            f"Received: input_shape={input_shape}"
        )
    if output == "rbf" and not 1 <= num_classes <= 10:
        raise ValueError(
            "`output='rbf'` has bitmaps for one to ten digits; use "
            "`output='softmax'` for more classes. "
            f"Received: num_classes={num_classes}"
        )
    if activation == "scaled_tanh":
        activation = scaled_tanh
    scale, offset = rescale

    def subsample(name):
        if subsampling == "trainable":
            return TrainableSubsampling2D(activation=activation, name=name)
        if subsampling == "average":
            return layers.AveragePooling2D(2, name=name)
        return layers.MaxPooling2D(2, name=name)

    def convolve(filters, kernel_size, x, name):
        fan_in = kernel_size[0] * kernel_size[1] * x.shape[-1]
        return layers.Conv2D(
            filters,
            kernel_size,
            activation=activation,
            kernel_initializer=_uniform(fan_in),
            name=name,
        )(x)

    image = keras.Input(input_shape, name="image")
    x = layers.ZeroPadding2D(2, name="padding")(image)
    x = layers.Rescaling(scale, offset, name="rescaling")(x)
    x = convolve(6, (5, 5), x, "c1")
    x = subsample("s2")(x)
    if connections == "table":
        x = TableConv2D(C3_TABLE, activation=activation, name="c3")(x)
    else:
        x = convolve(16, (5, 5), x, "c3")
    x = subsample("s4")(x)
    x = convolve(120, x.shape[1:3], x, "c5")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        84,
        activation=activation,
        kernel_initializer=_uniform(x.shape[-1]),
        name="f6",
    )(x)
    if output == "rbf":
        x = DigitCodeDistances(num_classes, name="distances")(x)
        x = layers.Rescaling(-1.0, name="negative_distances")(x)
        outputs = layers.Activation(
            classifier_activation or "linear", name="predictions"
        )(x)
    else:
        outputs = layers.Dense(
            num_classes, activation=classifier_activation, name="predictions"
        )(x)
    return keras.Model(image, outputs, name=name)
