"""Self-organizing maps: units on a sheet, neighbors for what is alike."""

import math

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model


@keras.saving.register_keras_serializable(package="zoo")
class SelfOrganizingMap(layers.Layer):
    """Units on a grid, each with a prototype; the nearest one wins.

    What it gives is how much each unit answers, `(batch, rows * columns)`: the
    softmax of the squared distances of the input from the prototypes, times
    -sharpness. The sharper, the more the winner takes it all. Prototypes,
    sharpness and radius are weights that no gradient trains.

    Args:
        rows: Units from top to bottom.
        columns: Units from left to right.
        sharpness: The sharpness to begin with.
        radius: How far, in units, a winner takes its neighbors along, to begin
            with; it matters to the rule that trains the map.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, rows, columns, sharpness=0.5, radius=5.0, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows
        self.columns = columns
        self.sharpness = sharpness
        self.radius = radius

    def build(self, input_shape):
        def number(name, value):
            initializer = keras.initializers.Constant(value)
            return self.add_weight(
                name=name, shape=(1,), initializer=initializer, trainable=False
            )

        self.prototypes = self.add_weight(
            name="prototypes",
            shape=(self.rows * self.columns, input_shape[-1]),
            initializer=keras.initializers.RandomUniform(0.0, 1.0),
            trainable=False,
        )
        self.factor = number("factor", self.sharpness)
        self.reach = number("reach", self.radius)

    def call(self, inputs):
        # Distances are the same from anywhere, but small numbers are rounded
        # less; and the squares of the inputs are the same for all units.
        middle = ops.mean(self.prototypes, axis=0)
        prototypes = self.prototypes - middle
        norms = ops.sum(ops.square(prototypes), axis=-1)
        products = ops.matmul(inputs - middle, ops.transpose(prototypes))
        return ops.softmax(self.factor * (2 * products - norms))

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        return math.prod(self.prototypes.shape)

    def squared_distances_on_the_map(self) -> np.ndarray:
        """Return how far units are from each other, `(units, units)`."""
        places = np.indices((self.rows, self.columns)).reshape(2, -1).T
        return np.square(places[:, np.newaxis] - places).sum(axis=2)

    def get_config(self):
        return {
            **super().get_config(),
            "rows": self.rows,
            "columns": self.columns,
            "sharpness": self.sharpness,
            "radius": self.radius,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="Kohonen networks: a map that organizes itself",
    reference="Kohonen 1982",
    chart=("KN",),
)
def kohonen(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    rows=20,
    columns=20,
    sharpness=0.5,
    radius=5.0,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="kohonen",
):
    """Build a Kohonen network, and a layer that names the classes on its map.

    The map learns without classes, see `recipes/mnist_kohonen.py`: units that
    are neighbors get prototypes that are alike.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | map         | 400     | (fixed)    |
    | predictions | 10      | 4,010      |
    | sum         |         | 4,010      |

    Args:
        rows: Units of the map, from top to bottom.
        columns: Units from left to right.
        sharpness: How much more the nearest units answer, to begin with.
        radius: How far a winner takes its neighbors along, to begin with.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("kohonen", rows=8, columns=12)
    >>> tuple(model.get_layer("map").prototypes.shape)
    (96, 784)

    Reference:
    - T. Kohonen, Self-organized formation of topologically correct feature
      maps, 1982.

    Departures from the paper:
    - A map has no classes. `predictions` has them from the answers of all
      units, of which the paper keeps the winner.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    x = SelfOrganizingMap(rows, columns, sharpness, radius, name="map")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
