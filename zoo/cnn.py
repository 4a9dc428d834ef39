"""Convolutional networks: the lecture's, and ours for CPUs in a hurry."""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
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
    lecture="convolutional networks, batch normalisation",
    reference="Ioffe and Szegedy 2015",
)
def cnn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(32, 64, 128),
    kernel_sizes=(5, 3, 3),
    strides=(2, 2, 2),
    dropout=0.0,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="cnn",
):
    """Build a stack of strided convolutions with batch normalisation."""
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    stages = zip(filters, kernel_sizes, strides, strict=True)
    for i, (maps, size, stride) in enumerate(stages, start=1):
        x = layers.Conv2D(
            maps, size, stride, padding="same", use_bias=False, name=f"conv{i}"
        )(x)
        x = layers.BatchNormalization(name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
