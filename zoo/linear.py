"""Linear classifiers: one layer of weights between pixels and classes."""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="logistic regression with several classes; the softmax layer",
    reference="Cox 1958; Bridle 1990",
)
def softmax_regression(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="softmax_regression",
):
    """Build multinomial logistic regression: no hidden layer at all.

    Every class has one weight for each pixel. The weights, drawn as images,
    show what the model looks for.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | predictions | 10      | 7,850      |
    | sum         |         | 7,850      |

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("softmax_regression")
    >>> model.count_params()
    7850

    Reference:
    - D. R. Cox, The regression analysis of binary sequences, 1958.
    - J. S. Bridle, Probabilistic interpretation of feedforward classification
      network outputs, 1990.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
