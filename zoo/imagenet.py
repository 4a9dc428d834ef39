"""Networks that won, or nearly won, ImageNet's challenge: 2012, 2014, 2015.

The defaults are their small sisters for images of 28×28 pixels, which train on
a CPU. At their published sizes they are

>>> model = zoo.create_model("resnet", **zoo.imagenet.RESNET50)

and so on: with random weights, for there are none to download here.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

_IMAGENET = {"input_shape": (224, 224, 3), "num_classes": 1000, "width": 1.0}

ALEXNET = {
    **_IMAGENET,
    "input_shape": (227, 227, 3),  # the paper says 224, and counts as of 227
    "groups": 2,
    "imagenet_stem": True,
}
VGG16 = {
    **_IMAGENET,
    "convolutions": (2, 2, 3, 3, 3),
    "batch_norm": False,
}
VGG19 = {**VGG16, "convolutions": (2, 2, 4, 4, 4)}
GOOGLENET = {**_IMAGENET, "batch_norm": False, "imagenet_stem": True}
RESNET34 = {**_IMAGENET, "blocks": (3, 4, 6, 3), "imagenet_stem": True}
RESNET50 = {**RESNET34, "bottleneck": True}
RESNET101 = {**RESNET50, "blocks": (3, 4, 23, 3)}
RESNET152 = {**RESNET50, "blocks": (3, 8, 36, 3)}


@keras.saving.register_keras_serializable(package="zoo")
class LocalResponseNormalization(layers.Layer):
    """Divide each number by how much its neighbors in other maps answer.

    Of map i it makes x_i / (bias + alpha S)^beta, where S is the sum of the
    squares in the maps around i, and in i. The defaults are AlexNet's.

    Args:
        size: Number of neighboring maps, odd.
        alpha: Weight of the sum.
        beta: Exponent.
        bias: What is added to the sum.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, bias=2.0, **kwargs):
        super().__init__(**kwargs)
        if size % 2 == 0:
            raise ValueError(
                f"`size` must be odd, as many maps on each side. Received: "
                f"{size}"
            )
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, x):
        # The square of an ordinary answer has no place in half precision.
        squares = ops.square(ops.cast(x, "float32"))
        # In training, a product with a band of ones takes a third of the time
        # of a sum of slices, and an exponential a third of that of a power.
        maps = np.arange(x.shape[-1])
        near = np.abs(maps[:, None] - maps) <= self.size // 2
        total = ops.matmul(squares, near.astype("float32"))
        logarithm = ops.log(self.bias + self.alpha * total)
        factor = ops.exp(-self.beta * logarithm)
        return x * ops.cast(factor, x.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks in practice: ImageNet's winner of 2012",
    reference="Krizhevsky, Sutskever and Hinton 2012",
    chart=("DCN",),
)
def alexnet(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    width=0.25,
    groups=1,
    imagenet_stem=False,
    dropout=0.5,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="alexnet",
):
    """Build AlexNet, at a quarter of its width and for small images.

    | layer                  | output   | parameters | multiplications |
    | ---------------------- | -------- | ---------- | --------------- |
    | rescaling              | 28×28×1  |            |                 |
    | conv1, 5×5             | 28×28×24 | 624        | 470,400         |
    | norm1                  | 28×28×24 |            |                 |
    | pool1, 3×3, stride 2   | 13×13×24 |            |                 |
    | conv2, 5×5             | 13×13×64 | 38,464     | 6,489,600       |
    | norm2                  | 13×13×64 |            |                 |
    | pool2, 3×3, stride 2   | 6×6×64   |            |                 |
    | conv3, 3×3             | 6×6×96   | 55,392     | 1,990,656       |
    | conv4, 3×3             | 6×6×96   | 83,040     | 2,985,984       |
    | conv5, 3×3             | 6×6×64   | 55,360     | 1,990,656       |
    | pool3, 3×3, stride 2   | 2×2×64   |            |                 |
    | flatten                | 256      |            |                 |
    | hidden1, dropout1      | 1,024    | 263,168    | 262,144         |
    | hidden2, dropout2      | 1,024    | 1,049,600  | 1,048,576       |
    | predictions            | 10       | 10,250     | 10,240          |
    | sum                    |          | 1,555,898  | 15,248,256      |

    The published network, `zoo.imagenet.ALEXNET`, has 60,965,224 parameters.

    Args:
        width: Factor on the published numbers of maps and of hidden units.
        groups: 2 for the published network: `conv2`, `conv4` and `conv5` see
            the maps of their own half only, which then fitted on one GPU.
        imagenet_stem: Whether `conv1` is the published one, 11×11 with stride
            4, for images of 227×227.
        dropout: Fraction of each hidden layer that training drops.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small for three poolings.

    Example:
    >>> model = zoo.create_model("alexnet", width=0.125)

    Reference:
    - A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet classification with
      deep convolutional neural networks, 2012.

    Departures from the paper:
    - Weights start as Glorot's and biases at zero. The paper's small weights
      and biases of one are for pixels whose mean is subtracted.
    """
    conv = functools.partial(layers.Conv2D, padding="same", activation="relu")
    maps = functools.partial(_scaled, width)
    image, x = _read_image(input_shape, rescale)
    if imagenet_stem:
        x = conv(maps(96), 11, 4, padding="valid", name="conv1")(x)
    else:
        x = conv(maps(96), 5, name="conv1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = conv(maps(256), 5, groups=groups, name="conv2")(x)
    x = LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = conv(maps(384), 3, name="conv3")(x)
    x = conv(maps(384), 3, groups=groups, name="conv4")(x)
    x = conv(maps(256), 3, groups=groups, name="conv5")(x)
    x = layers.MaxPooling2D(3, 2, name="pool3")(x)
    x = _hidden_layers(x, maps(4096), dropout)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks in practice: small kernels, many layers",
    reference="Simonyan and Zisserman 2015",
    chart=("DCN",),
)
def vgg(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    convolutions=(2, 2, 3, 3, 3),
    width=0.25,
    batch_norm=True,
    dropout=0.5,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="vgg",
):
    """Build a network of the Visual Geometry Group: 3×3 convolutions only.

    | layer              | output   | parameters | multiplications |
    | ------------------ | -------- | ---------- | --------------- |
    | rescaling          | 28×28×1  |            |                 |
    | conv1_*, two       | 28×28×16 | 2,512      | 1,919,232       |
    | pool1              | 14×14×16 |            |                 |
    | conv2_*, two       | 14×14×32 | 13,952     | 2,709,504       |
    | pool2              | 7×7×32   |            |                 |
    | conv3_*, three     | 7×7×64   | 92,544     | 4,515,840       |
    | pool3              | 4×4×64   |            |                 |
    | conv4_*, three     | 4×4×128  | 369,408    | 5,898,240       |
    | pool4              | 2×2×128  |            |                 |
    | conv5_*, three     | 2×2×128  | 443,136    | 1,769,472       |
    | pool5              | 1×1×128  |            |                 |
    | flatten            | 128      |            |                 |
    | hidden1, dropout1  | 1,024    | 132,096    | 131,072         |
    | hidden2, dropout2  | 1,024    | 1,049,600  | 1,048,576       |
    | predictions        | 10       | 10,250     | 10,240          |
    | sum                |          | 2,113,498  | 18,002,176      |

    A normalization and a ReLU belong to each convolution.

    The published networks, `zoo.imagenet.VGG16` and `VGG19`, have 138,357,544
    and 143,667,240 parameters.

    Args:
        convolutions: Number of convolutions of each stage; a pooling ends it.
        width: Factor on the published numbers of maps and of hidden units.
        batch_norm: Whether to normalize after each convolution, which lets so
            many layers learn from random weights.
        dropout: Fraction of each hidden layer that training drops.
        synchronized: As for `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("vgg", convolutions=(1, 1, 2, 2, 2))

    Reference:
    - K. Simonyan, A. Zisserman, Very deep convolutional networks for
      large-scale image recognition, 2015.

    Departures from the paper:
    - Of a map of odd size a pooling keeps the last row and column.
    """
    conv = _convolution(batch_norm, synchronized)
    image, x = _read_image(input_shape, rescale)
    for stage, depth in enumerate(convolutions, start=1):
        maps = _scaled(width, min(64 * 2 ** (stage - 1), 512))
        for i in range(1, depth + 1):
            x = conv(x, maps, 3, name=f"conv{stage}_{i}")
        x = layers.MaxPooling2D(padding="same", name=f"pool{stage}")(x)
    x = _hidden_layers(x, _scaled(width, 4096), dropout)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


# Maps of each Inception module, by Table 1 of the paper: of the 1×1
# convolution, of the 3×3 and of what reduces maps for it, of the 5×5 and of
# what reduces maps for it, of what follows the pooling. None pools between.
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks in practice: ImageNet's winner of 2014",
    reference="Szegedy et al. 2015",
    chart=("DCN",),
)
def googlenet(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    width=0.25,
    batch_norm=True,
    imagenet_stem=False,
    dropout=0.4,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="googlenet",
):
    """Build GoogLeNet, whose modules look with kernels of several sizes.

    | layer             | output    | parameters | multiplications |
    | ----------------- | --------- | ---------- | --------------- |
    | rescaling         | 28×28×1   |            |                 |
    | conv1_*, stride 2 | 14×14×16  | 816        | 153,664         |
    | conv2_*           | 14×14×48  | 7,296      | 1,404,928       |
    | inception3a_*     | 14×14×64  | 10,392     | 2,000,768       |
    | inception3b_*     | 14×14×120 | 24,576     | 4,754,176       |
    | pool3             | 7×7×120   |            |                 |
    | inception4a_*     | 7×7×128   | 23,784     | 1,150,128       |
    | inception4b_*     | 7×7×128   | 28,356     | 1,373,568       |
    | inception4c_*     | 7×7×128   | 32,172     | 1,560,160       |
    | inception4d_*     | 7×7×132   | 38,144     | 1,851,808       |
    | inception4e_*     | 7×7×208   | 54,720     | 2,656,192       |
    | pool4             | 4×4×208   |            |                 |
    | inception5a_*     | 4×4×208   | 65,664     | 1,042,432       |
    | inception5b_*     | 4×4×256   | 90,808     | 1,442,816       |
    | pool5, dropout    | 256       |            |                 |
    | predictions       | 10        | 2,570      | 2,560           |
    | sum               |           | 379,298    | 19,393,200      |

    The published network, `zoo.imagenet.GOOGLENET`, has 6,998,552 parameters.

    Args:
        width: Factor on the published numbers of maps.
        batch_norm: Whether to normalize after each convolution. The published
            network has two local response normalizations instead.
        imagenet_stem: Whether poolings follow `conv1` and `conv2`, so that
            images of 224×224 are maps of 28×28 before the first module.
        dropout: Fraction of the features that training drops before
            `predictions`.
        synchronized: As for `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("googlenet", width=0.125)

    Reference:
    - C. Szegedy et al., Going deeper with convolutions, 2015.
    - S. Ioffe, C. Szegedy, Batch normalization: accelerating deep network
      training by reducing internal covariate shift, 2015.

    Departures from the paper:
    - The two auxiliary classifiers are left out. They brought gradients to the
      lower layers in training, which batch normalization does too.
    """
    conv = _convolution(batch_norm, synchronized)
    maps = functools.partial(_scaled, width)
    image, x = _read_image(input_shape, rescale)
    x = conv(x, maps(64), 7, 2, name="conv1_7x7")
    if imagenet_stem:
        x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    if not batch_norm:
        x = LocalResponseNormalization(name="norm1")(x)
    x = conv(x, maps(64), 1, name="conv2_reduce")
    x = conv(x, maps(192), 3, name="conv2_3x3")
    if not batch_norm:
        x = LocalResponseNormalization(name="norm2")(x)
    if imagenet_stem:
        x = layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
    for module, numbers in _INCEPTIONS.items():
        if numbers is None:
            x = layers.MaxPooling2D(3, 2, "same", name=module)(x)
        else:
            x = _inception(x, conv, map(maps, numbers), f"inception{module}")
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


def _inception(x, conv, maps, name):
    """Join what kernels of three sizes and a pooling see at each place."""
    ones, reduce3, threes, reduce5, fives, pooled = maps
    branch3 = conv(x, reduce3, 1, name=f"{name}_3x3_reduce")
    branch5 = conv(x, reduce5, 1, name=f"{name}_5x5_reduce")
    pool = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    branches = [
        conv(x, ones, 1, name=f"{name}_1x1"),
        conv(branch3, threes, 3, name=f"{name}_3x3"),
        conv(branch5, fives, 5, name=f"{name}_5x5"),
        conv(pool, pooled, 1, name=f"{name}_project"),
    ]
    return layers.Concatenate(name=f"{name}_join")(branches)


@register_model(
    task="classification",
    inputs="images",
    lecture="residual networks: ImageNet's winner of 2015",
    reference="He, Zhang, Ren and Sun 2016",
    chart=("DRN",),
)
def resnet(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    blocks=(3, 3, 3),
    width=0.25,
    bottleneck=False,
    imagenet_stem=False,
    use_bias=False,
    dropout=0.0,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="resnet",
):
    """Build a residual network; by default the paper's for small images.

    | layer               | output   | parameters | multiplications |
    | ------------------- | -------- | ---------- | --------------- |
    | rescaling           | 28×28×1  |            |                 |
    | conv1, norm1, relu1 | 28×28×16 | 176        | 112,896         |
    | block1_*            | 28×28×16 | 4,672      | 3,612,672       |
    | block2_*            | 28×28×16 | 4,672      | 3,612,672       |
    | block3_*            | 28×28×16 | 4,672      | 3,612,672       |
    | block4_*, stride 2  | 14×14×32 | 14,528     | 2,809,856       |
    | block5_*            | 14×14×32 | 18,560     | 3,612,672       |
    | block6_*            | 14×14×32 | 18,560     | 3,612,672       |
    | block7_*, stride 2  | 7×7×64   | 57,728     | 2,809,856       |
    | block8_*            | 7×7×64   | 73,984     | 3,612,672       |
    | block9_*            | 7×7×64   | 73,984     | 3,612,672       |
    | pool                | 64       |            |                 |
    | predictions         | 10       | 650        | 640             |
    | sum                 |          | 272,186    | 31,021,952      |

    A block adds what it gets to what its convolutions make of it; where the
    shapes differ, a convolution of 1×1 takes it there. With weights of zero in
    its last normalization it hands on what it gets, but for the ReLU.

    The published network of fifty layers, `zoo.imagenet.RESNET50`, has
    25,557,032 parameters to train. There are `RESNET34`, `RESNET101` and
    `RESNET152`, too.

    Args:
        blocks: Number of blocks of each stage. Each stage has twice the maps of
            the one before, at half the height and width. `(n, n, n)` makes
            6 n + 2 layers.
        width: Factor on the 64 maps of the first stage.
        bottleneck: Whether blocks are 1×1, 3×3 and 1×1 convolutions, the last
            of which has four times the maps, instead of two of 3×3.
        imagenet_stem: Whether `conv1` is 7×7 with stride 2 and a pooling
            follows, for images of 224×224, instead of a 3×3 one.
        use_bias: Whether the convolutions have biases. The normalizations take
            them out again; `keras.applications.ResNet50` has them, 25,636,712
            numbers with the statistics.
        dropout: Fraction of the features that training drops before
            `predictions`.
        synchronized: As for `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("resnet", blocks=(1, 1, 1))

    Reference:
    - K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image
      recognition, 2016.

    Departures from the paper:
    - On small images the paper's shortcuts to more maps pad zeros; here they
      are convolutions, as on large ones.
    """
    conv = functools.partial(
        _normalized, use_bias=use_bias, synchronized=synchronized
    )
    image, x = _read_image(input_shape, rescale)
    maps = _scaled(width, 64)
    if imagenet_stem:
        x = conv(x, maps, 7, 2, name="conv1", norm="norm1")
        x = layers.ReLU(name="relu1")(x)
        x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    else:
        x = conv(x, maps, 3, name="conv1", norm="norm1")
        x = layers.ReLU(name="relu1")(x)
    number = 0
    for stage, depth in enumerate(blocks):
        for i in range(depth):
            number += 1
            stride = 2 if stage and not i else 1
            x = _block(
                x, conv, maps * 2**stage, stride, bottleneck, f"block{number}"
            )
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


def _block(x, conv, maps, stride, bottleneck, name):
    """Add to x what two or three convolutions make of it."""
    shortcut = x
    if bottleneck:
        kernels, widths = (1, 3, 1), (maps, maps, 4 * maps)
    else:
        kernels, widths = (3, 3), (maps, maps)
    if stride > 1 or x.shape[-1] != widths[-1]:
        shortcut = conv(
            *(x, widths[-1], 1, stride),
            name=f"{name}_shortcut",
            norm=f"{name}_shortcut_norm",
        )
    strides = (stride, 1, 1)
    convolutions = zip(widths, kernels, strides, strict=False)
    for i, (count, kernel, step) in enumerate(convolutions, start=1):
        if i > 1:
            x = layers.ReLU(name=f"{name}_relu{i - 1}")(x)
        x = conv(
            *(x, count, kernel, step),
            name=f"{name}_conv{i}",
            norm=f"{name}_norm{i}",
        )
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def _read_image(input_shape, rescale):
    scale, offset = rescale
    image = keras.Input(input_shape, name="image")
    return image, layers.Rescaling(scale, offset, name="rescaling")(image)


def _scaled(width, number):
    """Return a published number of maps or units times a factor."""
    scaled = round(width * number)
    if scaled < 1:
        raise ValueError(
            f"`width` leaves {scaled} of {number} maps. Choose a larger one. "
            f"Received: {width}"
        )
    return scaled


def _hidden_layers(x, units, dropout):
    """The two hidden layers in which most weights of the older ones are."""
    x = layers.Flatten(name="flatten")(x)
    for i in (1, 2):
        x = layers.Dense(units, activation="relu", name=f"hidden{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    return x


def _convolution(batch_norm, synchronized):
    """Return a function for a convolution and its ReLU, normalized or not."""

    def conv(x, maps, kernel, stride=1, *, name):
        if not batch_norm:
            return layers.Conv2D(
                *(maps, kernel, stride, "same"), activation="relu", name=name
            )(x)
        x = _normalized(
            *(x, maps, kernel, stride),
            name=name,
            norm=f"{name}_norm",
            synchronized=synchronized,
        )
        return layers.ReLU(name=f"{name}_relu")(x)

    return conv


def _normalized(
    x, maps, kernel, stride=1, *, name, norm, synchronized, use_bias=False
):
    x = layers.Conv2D(
        *(maps, kernel, stride, "same"),
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.BatchNormalization(
        momentum=0.9, synchronized=synchronized, name=norm
    )(x)
