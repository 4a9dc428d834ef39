"""Multi-layer perceptrons: fully connected layers, one after another."""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="feed-forward networks, back-propagation, dropout",
    reference="Rumelhart, Hinton and Williams 1986",
)
def mlp(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(512, 512),
    activation="relu",
    dropout=0.2,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="mlp",
):
    """Build a multi-layer perceptron with dropout after each hidden layer.

    The defaults are the network of the lecture: 784-512-512-10.

    | layer                | output  | parameters |
    | -------------------- | ------- | ---------- |
    | rescaling, flatten   | 784     |            |
    | hidden1, dropout1    | 512     | 401,920    |
    | hidden2, dropout2    | 512     | 262,656    |
    | predictions          | 10      | 5,130      |
    | sum                  |         | 669,706    |

    Args:
        hidden_units: Width of each hidden layer; `()` leaves none.
        activation: Activation of the hidden layers.
        dropout: Fraction of each hidden layer that training drops.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("mlp", hidden_units=(128, 64), dropout=0.0)

    Reference:
    - D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations
      by back-propagating errors, 1986.
    - N. Srivastava et al., Dropout: a simple way to prevent neural networks
      from overfitting, 2014.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
