"""Convolutional networks: the lectures', and ours for CPUs in a hurry."""

import functools

import keras
from keras import layers

from zoo._drawings import Deslanting
from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="the convolutional layer in one dimension, zeros padded or not",
    reference="Lang, Waibel and Hinton 1990",
)
def conv1d(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(64, 64),
    kernel_size=5,
    padding="same",
    activation="relu",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="conv1d",
):
    """Build a network that convolves an image's rows, in one dimension.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | conv1       | 28×64   | 9,024      |
    | conv2       | 28×64   | 20,544     |
    | flatten     | 1,792   |            |
    | predictions | 10      | 17,930     |
    | sum         |         | 47,498     |

    It reads an image as the recurrent networks do, a row at each step, and its
    kernels slide down over some rows at a time. Of images one pixel wide each
    step is one number: y_i = sum_j w_j z_(i+j-1), the lecture's.

    Args:
        filters: Number of filters of each convolution.
        kernel_size: Number of steps that a filter sees.
        padding: `"same"` pads zeros above and below, and keeps the number of
            steps; `"valid"` pads none, and each convolution loses
            `kernel_size` - 1 steps.
        activation: Activation of the convolutions.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("conv1d", padding="valid")
    >>> model.get_layer("conv2").output.shape
    (None, 20, 64)

    Reference:
    - K. J. Lang, A. H. Waibel, G. E. Hinton, A time-delay neural network
      architecture for isolated word recognition, 1990.
    """
    height, width, channels = input_shape
    scale, offset = rescale
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Reshape((height, width * channels), name="rows")(x)
    for i, maps in enumerate(filters, start=1):
        x = layers.Conv1D(
            maps,
            kernel_size,
            padding=padding,
            activation=activation,
            name=f"conv{i}",
        )(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks in Keras: the 12-epoch example",
    reference="Chollet et al., Keras examples: mnist_cnn, 2015",
    chart=("DCN",),
)
def lecture_cnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="lecture_cnn",
):
    """Build the convolutional network that the lecture trains in Keras.

    | layer               | output   | parameters |
    | ------------------- | -------- | ---------- |
    | rescaling           | 28×28×1  |            |
    | conv1, 3×3          | 26×26×32 | 320        |
    | conv2, 3×3          | 24×24×64 | 18,496     |
    | pool, dropout1 .25  | 12×12×64 |            |
    | flatten             | 9,216    |            |
    | hidden, dropout2 .5 | 128      | 1,179,776  |
    | predictions         | 10       | 1,290      |
    | sum                 |          | 1,199,882  |

    One image takes 12.0 million multiplications.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("lecture_cnn")
    >>> model.count_params()
    1199882

    Reference:
    - The Keras authors, examples: a simple convnet for MNIST, 2015.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.25, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="convolution, pooling and batch normalization, put to work",
    reference="Ioffe and Szegedy 2015",
    chart=("DCN",),
)
def cnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(32, 64),
    hidden_units=128,
    dropout=0.0,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="cnn",
):
    """Build a small convolutional network that spends little on each image.

    | layer                      | output   | parameters | multiplications |
    | -------------------------- | -------- | ---------- | --------------- |
    | rescaling                  | 28×28×1  |            |                 |
    | conv1, 5×5, stride 2       | 12×12×32 | 800        | 115,200         |
    | pool1, norm1, relu1        | 6×6×32   | 32         |                 |
    | conv2, 3×3                 | 4×4×64   | 18,432     | 294,912         |
    | norm2, relu2               | 4×4×64   | 64         |                 |
    | flatten                    | 1,024    |            |                 |
    | hidden1, norm3, relu3      | 128      | 131,200    | 131,072         |
    | predictions                | 10       | 1,290      | 1,280           |
    | sum                        |          | 151,818    | 542,464         |

    That is a twentieth of the multiplications of `lecture_cnn`. The first
    convolution skips every other position and pooling comes at once, so the
    expensive layers see small maps. Pooling before the normalization and the
    ReLU gives what it would give after them, for a quarter of the work: both
    are increasing functions.

    The normalizations shift and do not scale. What follows each of them is a
    ReLU and another layer of weights, which scales as well.

    Args:
        filters: Number of maps of the two convolutions.
        hidden_units: Width of the hidden layer; `None` leaves it out.
        dropout: Fraction of the features that training drops before
            `predictions`.
        synchronized: Whether the normalizations take their statistics over all
            replicas. With a `tf.distribute` strategy of your own they must, or
            each replica trains by statistics of its own, and what is saved
            answers differently. Use one strategy object for all models of a
            process: TensorFlow confuses the sums of a second one with those of
            the first. The recipes see to all of this themselves. It needs
            TensorFlow, to load what is saved as well.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("cnn", filters=(16, 32))

    Reference:
    - S. Ioffe, C. Szegedy, Batch normalization: accelerating deep network
      training by reducing internal covariate shift, 2015.
    """
    image = keras.Input(input_shape, name="image")
    x = cnn_features(image, filters, hidden_units, synchronized, rescale)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


def cnn_features(image, filters, hidden_units, synchronized, rescale):
    """Add the layers of `cnn` up to its features; see there."""
    norm = functools.partial(
        layers.BatchNormalization,
        momentum=0.8,
        scale=False,
        synchronized=synchronized,
    )
    scale, offset = rescale
    maps1, maps2 = filters
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Conv2D(maps1, 5, strides=2, use_bias=False, name="conv1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = norm(name="norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(maps2, 3, use_bias=False, name="conv2")(x)
    x = norm(name="norm2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = layers.Flatten(name="flatten")(x)
    if hidden_units:
        x = layers.Dense(hidden_units, use_bias=False, name="hidden1")(x)
        x = norm(name="norm3")(x)
        x = layers.ReLU(name="relu3")(x)
    return x


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutions upon convolutions, with strides in place of pooling",
    reference="Springenberg et al. 2015",
    chart=("DCN",),
)
def deep_cnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(32, 32, 64, 64, 128),
    kernel_sizes=(5, 3, 3, 3, 3),
    strides=(2, 1, 2, 1, 2),
    padding="same",
    dropout=0.3,
    deslanted=False,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="deep_cnn",
):
    """Build a convolutional network that grows deeper where its maps are small.

    | layer                      | output   | parameters | multiplications |
    | -------------------------- | -------- | ---------- | --------------- |
    | rescaling                  | 28×28×1  |            |                 |
    | conv1, 5×5, stride 2       | 14×14×32 | 800        | 156,800         |
    | norm1, relu1               | 14×14×32 | 32         |                 |
    | conv2, 3×3                 | 14×14×32 | 9,216      | 1,806,336       |
    | norm2, relu2               | 14×14×32 | 32         |                 |
    | conv3, 3×3, stride 2       | 7×7×64   | 18,432     | 903,168         |
    | norm3, relu3               | 7×7×64   | 64         |                 |
    | conv4, 3×3                 | 7×7×64   | 36,864     | 1,806,336       |
    | norm4, relu4               | 7×7×64   | 64         |                 |
    | conv5, 3×3, stride 2       | 4×4×128  | 73,728     | 1,179,648       |
    | norm5, relu5               | 4×4×128  | 128        |                 |
    | flatten, dropout           | 2,048    |            |                 |
    | predictions                | 10       | 20,490     | 20,480          |
    | sum                        |          | 159,850    | 5,872,768       |

    There is no pooling and no hidden layer: some convolutions skip every other
    position instead. Zeros are padded, so that maps shrink by strides only;
    without zeros each kernel takes off its own side less one, too. The
    normalizations are those of `cnn`.

    Args:
        filters: Number of maps of each convolution.
        kernel_sizes: Side of the kernel of each convolution.
        strides: Stride of each convolution.
        padding: `"same"`, or `"valid"` for none.
        dropout: Fraction of the features that training drops before
            `predictions`.
        deslanted: Whether what is drawn, on black, is set upright first.
        synchronized: As for `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If the convolutions' arguments differ in length.

    Example:
    >>> model = zoo.create_model(
    ...     "deep_cnn", filters=(16, 32), kernel_sizes=(3, 3), strides=(2, 2)
    ... )

    Reference:
    - J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, Striving for
      simplicity: the all convolutional net, 2015.
    """
    if not len(filters) == len(kernel_sizes) == len(strides):
        raise ValueError(
            "`filters`, `kernel_sizes` and `strides` need one value for each "
            f"convolution. Received: {filters}, {kernel_sizes}, {strides}"
        )
    scale, offset = rescale
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    if deslanted:
        x = Deslanting(black=offset, name="upright")(x)
    stages = zip(filters, kernel_sizes, strides, strict=True)
    for i, (maps, kernel, stride) in enumerate(stages, start=1):
        x = layers.Conv2D(
            maps, kernel, stride, padding, use_bias=False, name=f"conv{i}"
        )(x)
        x = layers.BatchNormalization(
            momentum=0.8,
            scale=False,
            synchronized=synchronized,
            name=f"norm{i}",
        )(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
