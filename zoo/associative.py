"""Associative memories: networks that find what they have stored in a cue.

Each unit is -1 or 1, and joined to all others. What is stored decides the
weights: no gradient trains them.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model


def hebbian_weights(patterns) -> np.ndarray:
    """Return the weights of Hebb's rule: what fires together is joined.

    Args:
        patterns: Of -1 and 1, `(count, units)`.

    Returns:
        The mean over the units of the products of the patterns with themselves,
        `(units, units)`, symmetrical. Other patterns disturb one unless they
        are unlike it.
    """
    patterns = np.asarray(patterns, "float64")
    return patterns.T @ patterns / patterns.shape[1]


def pseudo_inverse_weights(patterns) -> np.ndarray:
    """Return the weights of the projection onto some patterns.

    They store each pattern exactly, however alike they are, as long as none is
    a sum of others.

    Args:
        patterns: Of -1 and 1, `(count, units)`.

    Returns:
        A symmetrical matrix `(units, units)`.
    """
    patterns = np.asarray(patterns, "float64")
    return np.linalg.pinv(patterns) @ patterns


def energy(weights, states) -> np.ndarray:
    """Return Hopfield's energy of states `(n, units)`: -s·W·s / 2."""
    states = np.asarray(states, "float64")
    return -0.5 * np.sum(states @ weights * states, axis=1)


@keras.saving.register_keras_serializable(package="zoo")
class HopfieldUnits(layers.Layer):
    """Units of -1 and 1 that follow the sign of what the others say.

    All of them are updated at once, some steps long. If no state has an energy
    above 0, as with both rules here, no step makes the energy rise. A unit of
    which the others say exactly nothing stays as it is.

    Args:
        steps: Number of updates.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, steps, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps

    def build(self, input_shape):
        units = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(units, units),
            initializer="zeros",
            trainable=False,
        )

    def call(self, states):
        for _ in range(self.steps):
            sums = ops.matmul(states, self.kernel)
            # Half of the state decides where the sum is 0, and only there.
            states = signs(ops.sign(sums) + 0.5 * states)
        return states

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        return self.steps * math.prod(self.kernel.shape)

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="zoo")
def signs(x):
    """Return 1 where a number is above 0, and -1 elsewhere."""
    return 2.0 * ops.cast(x > 0, x.dtype) - 1.0


@keras.saving.register_keras_serializable(package="zoo")
def ink(x):
    """Return 1 where a number is above a half, and -1 elsewhere."""
    return signs(x - 0.5)


@register_model(
    task="classification",
    inputs="images",
    lecture="Hopfield networks: all units joined, and a memory in the weights",
    reference="Hopfield 1982",
    chart=("HN",),
)
def hopfield(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    steps=8,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="hopfield",
):
    """Build a Hopfield network that says which of its memories it was shown.

    A pixel of more than half is 1, another one -1. From there the network
    updates its units until it has found a memory, or something between them.
    `predictions` compares that with what was stored.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | ink         | 784     |            |
    | memory      | 784     | (fixed)    |
    | predictions | 10      | 7,850      |
    | sum         |         | 7,850      |

    `store` puts patterns into it.

    Args:
        num_classes: Number of patterns.
        steps: How often all units are updated.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`: which pattern it is.

    Example:
    >>> model = zoo.create_model("hopfield", num_classes=4)
    >>> zoo.associative.store(model, images[:4])

    Reference:
    - J. J. Hopfield, Neural networks and physical systems with emergent
      collective computational abilities, 1982.
    - L. Personnaz, I. Guyon, G. Dreyfus, Information storage and retrieval in
      spin-glass like neural networks, 1985 (the pseudo-inverse).

    Departures from the paper:
    - Units are updated all at once, where the paper takes one after the other,
      and they are joined to themselves, too. So the energy does not rise here,
      either, and every runtime can do it.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Activation(ink, name="ink")(x)
    x = HopfieldUnits(steps, name="memory")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


def store(model, images, *, rule=pseudo_inverse_weights, sharpness=20.0):
    """Store images in a Hopfield network, in place of what it had.

    Args:
        model: See `hopfield`.
        images: Raw pixels, one image for each output.
        rule: Function from patterns to weights.
        sharpness: By what the overlap with a pattern is multiplied, from -1 to
            1, to be the logit of it.

    Raises:
        ValueError: If the network has another number of outputs.
    """
    patterns = patterns_of(model, images)
    outputs = model.get_layer("predictions").units
    if len(patterns) != outputs:
        raise ValueError(
            f"The network names {outputs} patterns. Received: {len(patterns)}"
        )
    model.get_layer("memory").set_weights([rule(patterns)])
    overlaps = sharpness * patterns.T / patterns.shape[1]
    model.get_layer("predictions").set_weights([overlaps, np.zeros(outputs)])


def patterns_of(model, images) -> np.ndarray:
    """Return images as the units of a Hopfield network have them, `(n, units)`.

    Args:
        model: See `hopfield`.
        images: Raw pixels.
    """
    before = keras.Model(model.input, model.get_layer("ink").output)
    return ops.convert_to_numpy(before(images))
