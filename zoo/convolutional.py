"""Convolutional networks: the lecture's, and ours for CPUs in a hurry."""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="convolutional networks in Keras: the 12-epoch example",
    reference="Chollet et al., Keras examples: mnist_cnn, 2015",
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

    Args:
        input_shape: Height, width and channels of an image.
        num_classes: Number of classes.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

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
    lecture="convolution, pooling and batch normalisation, put to work",
    reference="Ioffe and Szegedy 2015",
)
def cnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(32, 64),
    kernel_sizes=(5, 3),
    strides=(2, 1),
    pool_sizes=(2, 1),
    padding="valid",
    hidden_units=(128,),
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
    expensive layers see small maps. Pooling before the normalisation and the
    ReLU gives what it would give after them, for a quarter of the work: both
    are increasing functions.

    The normalisations shift and do not scale. What follows each of them is a
    ReLU and another layer of weights, which scales as well.

    Args:
        input_shape: Height, width and channels of an image.
        num_classes: Number of classes.
        filters: Number of maps of each convolution.
        kernel_sizes: Side of the kernel of each convolution.
        strides: Stride of each convolution.
        pool_sizes: Side of the maximum pooling after each convolution; 1 for
            none.
        padding: `"valid"` or `"same"`, for the convolutions.
        hidden_units: Width of each hidden layer after the convolutions.
        dropout: Fraction of the features that training drops before
            `predictions`.
        synchronized: Whether the normalisations take their statistics over all
            replicas. With a `tf.distribute` strategy of your own they must, or
            each replica trains by statistics of its own, and what is saved
            answers differently. Use one strategy object for all models of a
            process: TensorFlow confuses the sums of a second one with those of
            the first. The recipes see to all of this themselves. It needs
            TensorFlow, to load what is saved as well.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If the convolutions' arguments differ in length.

    Example:
    >>> model = zoo.create_model("cnn", filters=(16, 32))

    Reference:
    - S. Ioffe, C. Szegedy, Batch normalization: accelerating deep network
      training by reducing internal covariate shift, 2015.
    """
    stages = [filters, kernel_sizes, strides, pool_sizes]
    if len({len(sizes) for sizes in stages}) > 1:
        raise ValueError(
            "`filters`, `kernel_sizes`, `strides` and `pool_sizes` need one "
            f"value for each convolution. Received: {filters}, {kernel_sizes}, "
            f"{strides}, {pool_sizes}"
        )

    def normalize(x, number):
        x = layers.BatchNormalization(
            momentum=0.8,
            scale=False,
            synchronized=synchronized,
            name=f"norm{number}",
        )(x)
        return layers.ReLU(name=f"relu{number}")(x)

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    for i, (maps, kernel, stride, pool) in enumerate(
        zip(*stages, strict=True), start=1
    ):
        x = layers.Conv2D(
            maps, kernel, stride, padding, use_bias=False, name=f"conv{i}"
        )(x)
        if pool > 1:
            x = layers.MaxPooling2D(pool, name=f"pool{i}")(x)
        x = normalize(x, i)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, use_bias=False, name=f"hidden{i}")(x)
        x = normalize(x, len(filters) + i)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
