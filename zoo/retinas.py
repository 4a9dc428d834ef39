"""Small networks on a retina of 30×32 pixels: the first that saw for people.

A few hidden neurons between the pixels and the answer were enough to tell where
a person looks, and to steer a van along a road. Their weights can be looked at.
"""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="face recognition: where somebody looks, and who it is",
    reference="Mitchell 1997",
)
def face_pose(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=3,
    activation="sigmoid",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="face_pose",
):
    """Build Mitchell's network for faces: three hidden neurons for four poses.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | hidden      | 3       | 2,355      |
    | predictions | 10      | 40         |
    | sum         |         | 2,395      |

    The book's images of 30×32 pixels, with four poses, make 2,899 parameters.

    Args:
        hidden_units: Width of the hidden layer; the book has 20 for twenty
            people.
        activation: Activation of the hidden layer.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> faces = {"input_shape": (30, 32, 1)}
    >>> pose = zoo.create_model("face_pose", num_classes=4, **faces)
    >>> identity = zoo.create_model(
    ...     "face_pose", num_classes=20, hidden_units=20, **faces
    ... )

    Reference:
    - T. M. Mitchell, Machine Learning, 1997, chapter 4.

    Departures from the paper:
    - The answers are probabilities of classes, where the book has four
      sigmoid neurons that aim at 0.1 and 0.9.
    """
    image, x = _on_a_retina(input_shape, rescale)
    x = layers.Dense(hidden_units, activation=activation, name="hidden")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="steering",
    inputs="images",
    lecture="ALVINN drives a van along a road",
    reference="Pomerleau 1989",
)
def alvinn(
    input_shape=(28, 28, 1),
    *,
    hidden_units=4,
    steering_units=30,
    activation="tanh",
    rescale=(1 / 255, 0.0),
    name="alvinn",
):
    """Build ALVINN's network: an image of a road in, a steering direction out.

    Each output stands for a direction, from sharp left to sharp right. What
    they say together is their mean, see `tasks.Steering` of the recipes.

    | layer     | output  | parameters |
    | --------- | ------- | ---------- |
    | rescaling | 28×28×1 |            |
    | flatten   | 784     |            |
    | hidden    | 4       | 3,140      |
    | steering  | 30      | 150        |
    | sum       |         | 3,290      |

    ALVINN's retina of 30×32 pixels makes 3,994 parameters.

    Args:
        input_shape: Height, width and channels of an image.
        hidden_units: Width of the hidden layer; there were networks of 5, too.
        steering_units: Number of directions.
        activation: Activation of the hidden layer.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, steering_units)`: the probability of each
        direction.

    Raises:
        ValueError: If there are fewer than two directions.

    Example:
    >>> model = zoo.create_model("alvinn", input_shape=(30, 32, 1))

    Reference:
    - D. A. Pomerleau, ALVINN: an autonomous land vehicle in a neural network,
      1989.

    Departures from the paper:
    - The first network had 29 hidden neurons and a range finder; those that
      drove fast had 4 or 5, and the camera alone.
    - The outputs are probabilities, so that a loss compares them with the hill
      of targets as a whole.
    """
    if steering_units < 2:
        raise ValueError(
            f"`steering_units` must be 2 or more. Received: {steering_units}"
        )
    image, x = _on_a_retina(input_shape, rescale)
    x = layers.Dense(hidden_units, activation=activation, name="hidden")(x)
    outputs = layers.Dense(
        steering_units, activation="softmax", name="steering"
    )(x)
    return keras.Model(image, outputs, name=name)


def _on_a_retina(input_shape, rescale):
    """Return an image's input, and its rescaled pixels in a row."""
    scale, offset = rescale
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    return image, x
