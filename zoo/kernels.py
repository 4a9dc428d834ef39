"""Kernels: how alike two images are, as what the last layer weighs and sums.

A radial basis function network compares an image with a thousand centers. A
support vector machine compares it with the images that it was trained on, which
random Fourier features do without having them.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model


@keras.saving.register_keras_serializable(package="zoo")
class RadialBasis(layers.Layer):
    """Units that each answer to what is near a center: exp(-d² / 2w²).

    Here d is the distance of the input from the center, and w the width that
    all units share. Centers and width are weights that no gradient trains.

    Args:
        units: Number of centers.
        width: The width to begin with.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, units, width=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.width = width

    def build(self, input_shape):
        self.centers = self.add_weight(
            name="centers",
            shape=(self.units, input_shape[-1]),
            initializer=keras.initializers.RandomUniform(0.0, 1.0),
            trainable=False,
        )
        self.widths = self.add_weight(
            name="widths",
            shape=(1,),
            initializer=keras.initializers.Constant(self.width),
            trainable=False,
        )

    def call(self, inputs):
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        products = ops.matmul(inputs, ops.transpose(self.centers))
        distances = squares - 2 * products + self.squared_norms()
        # Rounding may leave a center at less than no distance from itself.
        distances = ops.maximum(distances, 0.0)
        return ops.exp(-distances / (2 * ops.square(self.widths)))

    def squared_norms(self):
        """Return the squared distance of each center from 0, `(units,)`."""
        return ops.sum(ops.square(self.centers), axis=-1)

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        return math.prod(self.centers.shape)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "width": self.width,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="radial basis function networks: near which examples?",
    reference="Broomhead and Lowe 1988; Moody and Darken 1989",
    chart=("RBF",),
)
def radial_basis(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    centers=1000,
    width=7.0,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="radial_basis",
):
    """Build a radial basis function network: Gaussians around centers.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | kernels     | 1000    | (fixed)    |
    | predictions | 10      | 10,010     |
    | sum         |         | 10,010     |

    Where the centers are, and how wide the Gaussians, is decided before the
    last layer is computed; see `recipes/mnist_radial_basis.py`. As in `elm` its
    scores are multiplied by one number, and softmax makes them probabilities.

    Args:
        centers: Number of centers.
        width: Width of the Gaussians to begin with: a distance between images
            of rescaled pixels.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("radial_basis", centers=100)
    >>> tuple(model.get_layer("kernels").centers.shape)
    (100, 784)

    Reference:
    - D. S. Broomhead, D. Lowe, Multivariable functional interpolation and
      adaptive networks, 1988.
    - J. Moody, C. J. Darken, Fast learning in networks of locally-tuned
      processing units, 1989.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    x = RadialBasis(centers, width, name="kernels")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@keras.saving.register_keras_serializable(package="zoo")
class FourierFeatures2D(layers.Layer):
    """Random features of the fields of an image, for the Gaussian kernel.

    A feature is a wave over a field: the cosine of a weighted sum of its pixels
    and a phase. The weights are drawn from a normal distribution, and stay.
    The product of the features of two fields is an estimate of exp(-g d²),
    where d is their distance; the more features, the better.

    Args:
        filters: Number of features.
        kernel_size: Height and width of a field.
        gamma: The g of the kernel.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, filters, kernel_size, gamma, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.gamma = gamma

    def build(self, input_shape):
        deviation = math.sqrt(2 * self.gamma)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=keras.initializers.RandomNormal(stddev=deviation),
            trainable=False,
        )
        self.phases = self.add_weight(
            name="phases",
            shape=(self.filters,),
            initializer=keras.initializers.RandomUniform(0.0, 2 * math.pi),
            trainable=False,
        )

    def call(self, images):
        sums = ops.conv(
            *(images, self.kernel),
            padding="valid",
            data_format="channels_last",
        )
        waves = ops.cos(sums + self.phases)
        return waves * math.sqrt(2 / self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "gamma": self.gamma,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="support vector machines: the widest margin, in a kernel's space",
    reference="Cortes and Vapnik 1995; Rahimi and Recht 2007",
    chart=("SVM",),
)
def svm(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    features=96,
    field=7,
    gamma=0.3,
    pool_size=6,
    pool_strides=4,
    penalty=0.0,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="svm",
):
    """Build a support vector machine, with random features for its kernel.

    The kernel of a support vector machine compares every image with the images
    that it was trained on. Random Fourier features stand for a Gaussian kernel
    without that: their products approximate it. So a machine for a plain
    product is enough behind them, and that is one layer.

    The kernel is one of fields: it says how alike two images are, field by
    field, wherever the fields are within a window. With a `field` as large as
    the image it is the usual one of whole images, which takes many features.

    | layer       | output    | parameters |
    | ----------- | --------- | ---------- |
    | rescaling   | 28×28×1   |            |
    | waves       | 22×22×96  | (fixed)    |
    | pooling     | 5×5×96    |            |
    | flatten     | 2400      |            |
    | predictions | 10        | 24,010     |
    | sum         |           | 24,010     |

    What makes it a support vector machine is how the last layer is trained, see
    `recipes/mnist_svm.py`: with a hinge loss, for the widest margin. Softmax
    makes probabilities of its scores.

    Args:
        features: Number of features of a field.
        field: Height and width of a field.
        gamma: The Gaussian kernel is exp(-gamma d²) for fields at distance d.
        pool_size: Side of the windows that are averaged.
        pool_strides: From one window to the next.
        penalty: Weight of the squared weights of `predictions` in the loss: the
            larger it is, the wider the margin, and the more images are in it.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If the image is smaller than a field.

    Example:
    >>> model = zoo.create_model("svm", features=32)
    >>> whole_images = zoo.create_model("svm", field=28, features=4096)

    Reference:
    - C. Cortes, V. Vapnik, Support-vector networks, 1995.
    - A. Rahimi, B. Recht, Random features for large-scale kernel machines,
      2007.
    """
    height, width, _ = input_shape
    if field > min(height, width):
        raise ValueError(
            f"A `field` of {field}×{field} pixels must fit into the image. "
            f"Received: input_shape={input_shape}"
        )
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = FourierFeatures2D(features, (field, field), gamma, name="waves")(x)
    window = [min(pool_size, side - field + 1) for side in (height, width)]
    x = layers.AveragePooling2D(window, pool_strides, name="pooling")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(
        num_classes,
        activation=classifier_activation,
        kernel_regularizer=keras.regularizers.L2(penalty) if penalty else None,
        name="predictions",
    )(x)
    return keras.Model(image, outputs, name=name)
