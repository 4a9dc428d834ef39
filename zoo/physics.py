"""Networks that look for the laws of physics in what is measured.

`ising_phases` tells the phases of a magnet apart by how its spins lie.
"""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="deep learning in physics: phases of matter",
    reference="Carrasquilla and Melko 2017",
)
def ising_phases(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=32,
    kernel_size=3,
    hidden_units=32,
    activation="relu",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="ising_phases",
):
    """Build a network that tells the phase of a magnet from its spins.

    A convolution looks at each spin and its neighbors, and the mean of its maps
    over the whole lattice goes to a dense layer: a phase has no place. So the
    weights of one lattice size fit all of them.

    | layer       | output   | parameters |
    | ----------- | -------- | ---------- |
    | rescaling   | 28×28×1  |            |
    | conv        | 26×26×32 | 320        |
    | mean        | 32       |            |
    | hidden      | 32       | 1,056      |
    | predictions | 10       | 330        |
    | sum         |          | 1,706      |

    Args:
        filters: Number of maps of the convolution.
        kernel_size: Side of its kernels.
        hidden_units: Width of the dense layer.
        activation: Activation of the convolution and of the dense layer.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels, 0
        for a spin that points down and 255 for one that points up, to
        `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model(
    ...     "ising_phases", input_shape=(40, 40, 1), num_classes=2
    ... )

    Reference:
    - J. Carrasquilla, R. G. Melko, Machine learning phases of matter, 2017.

    Departures from the paper:
    - A convolution and a mean over the lattice instead of a hundred dense
      neurons on all spins, which must learn each place by itself.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Conv2D(filters, kernel_size, activation=activation, name="conv")(
        x
    )
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(hidden_units, activation=activation, name="hidden")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
