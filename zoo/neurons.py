"""Neurons on the columns of a table, and the smallest networks of them.

What goes in are rows of numbers in their raw units: centimeters, years,
milligrams. The first layer standardizes them; its statistics are weights, and
`adapt` takes them from the rows that a model is trained on.
"""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

ROUNDING = 1e-6  # of a sum of float32, as a share of its largest part


@keras.saving.register_keras_serializable(package="zoo")
class Standardization(layers.Layer):
    """Subtract each column's mean, and divide by its standard deviation.

    Both are weights, so they are wherever weights are: in checkpoints, files
    and exports. Before `adapt` they are 0 and 1, and change nothing.

    (`keras.layers.Normalization` computes with copies of its weights, which
    `set_weights` and a checkpoint do not reach.)
    """

    preprocesses = True

    def build(self, input_shape):
        self.mean = self.add_weight(
            name="mean",
            shape=input_shape[-1:],
            initializer="zeros",
            trainable=False,
        )
        self.deviation = self.add_weight(
            name="deviation",
            shape=input_shape[-1:],
            initializer="ones",
            trainable=False,
        )

    def call(self, rows):
        return (rows - self.mean) / self.deviation

    def adapt(self, rows):
        """Take the statistics of some rows; a constant column is not scaled.

        Args:
            rows: An array `(n, columns)`, usually what the model is trained on.
        """
        rows = np.asarray(rows, "float64")
        self.mean.assign(rows.mean(axis=0))
        # The deviation of a constant is what rounding leaves, often not 0.
        varies = rows.max(axis=0) > rows.min(axis=0)
        self.deviation.assign(np.where(varies, rows.std(axis=0), 1.0))


@keras.saving.register_keras_serializable(package="zoo")
class ThresholdUnit(layers.Layer):
    """Fire, with a 1, if a weighted sum reaches a threshold; else stay at 0.

    There is no gradient, and nothing to train: the weights are given.

    Args:
        weights: The weight of each input.
        threshold: What their sum must reach.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, weights, threshold, **kwargs):
        super().__init__(**kwargs)
        self.input_weights = tuple(float(weight) for weight in weights)
        self.threshold = float(threshold)

    def build(self, input_shape):
        if input_shape[-1] != len(self.input_weights):
            raise ValueError(
                "`weights` must have one number for each input. Received: "
                f"{len(self.input_weights)} for {input_shape[-1]} inputs"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], 1),
            initializer=lambda shape, dtype: ops.reshape(
                ops.convert_to_tensor(self.input_weights, dtype), shape
            ),
            trainable=False,
        )

    def call(self, inputs):
        reached = ops.matmul(inputs, self.kernel) >= self.enough
        return ops.cast(reached, self.compute_dtype)

    @property
    def enough(self):
        """The sum that fires: the threshold, but for what rounding takes."""
        sizes = [abs(weight) for weight in self.input_weights]
        return self.threshold - ROUNDING * max(abs(self.threshold), *sizes)

    def get_config(self):
        return {
            **super().get_config(),
            "weights": list(self.input_weights),
            "threshold": self.threshold,
        }


@keras.saving.register_keras_serializable(package="zoo")
def step(x):
    """Return 1 where a number is above 0, and 0 elsewhere."""
    return ops.cast(x > 0, x.dtype)


@register_model(
    task="classification",
    inputs="tables",
    lecture="the first artificial neuron: binary inputs, a threshold",
    reference="McCulloch and Pitts 1943",
)
def mcculloch_pitts(
    input_shape=(2,),
    *,
    weights=(1.0, 1.0),
    threshold=2.0,
    name="mcculloch_pitts",
):
    """Build the neuron of McCulloch and Pitts: a threshold, and no training.

    The defaults are AND. OR has the threshold 1, NOT the weight -1 and the
    threshold 0. Of the sixteen Boolean functions of two inputs one neuron
    computes fourteen: XOR and its opposite need a second layer.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | predictions | 1      |            |
    | sum         |        | 0          |

    Args:
        input_shape: Number of inputs, as a tuple.
        weights: The weight of each input.
        threshold: What the weighted sum must reach for the neuron to fire.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, inputs)` zeros and ones to
        `(batch, 1)`: 1 where the neuron fires, else 0.

    Raises:
        ValueError: If there is not one weight for each input.

    Example:
    >>> either = zoo.create_model("mcculloch_pitts", threshold=1)
    >>> both = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> [int(answer[0]) for answer in either(np.array(both))]
    [0, 1, 1]

    Reference:
    - W. S. McCulloch, W. Pitts, A logical calculus of the ideas immanent in
      nervous activity, 1943.
    """
    features = keras.Input(input_shape, name="features")
    outputs = ThresholdUnit(weights, threshold, name="predictions")(features)
    return keras.Model(features, outputs, name=name)


@register_model(
    task="classification",
    inputs="tables",
    lecture="the perceptron and its rule; linear separability",
    reference="Rosenblatt 1958",
    chart=("P",),
)
def perceptron(
    input_shape=(4,),
    *,
    kernel_initializer="glorot_uniform",
    name="perceptron",
):
    """Build Rosenblatt's perceptron: a weighted sum, and then a step.

    A step has no gradient. The perceptron's own rule trains it, see
    `recipes.iris_perceptron`: it converges if a hyperplane separates the
    classes, and only then.

    | layer           | output | parameters |
    | --------------- | ------ | ---------- |
    | standardization | 4      |            |
    | predictions     | 1      | 5          |
    | sum             |        | 5          |

    Args:
        input_shape: Number of columns, as a tuple.
        kernel_initializer: Where the weights start; with `"zeros"` the number
            of mistakes that the rule makes has a bound.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, columns)` in raw units to
        `(batch, 1)`: 1 where the sum is above 0, else 0.

    Example:
    >>> model = zoo.create_model("perceptron", input_shape=(13,))

    Reference:
    - F. Rosenblatt, The perceptron: a probabilistic model for information
      storage and organization in the brain, 1958.

    Departures from the paper:
    - One layer of weights; the random projections in front of it are left out.
    - The answers are 0 and 1. For those of the lecture, -1 and 1, double and
      subtract 1.
    """
    features = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(features)
    outputs = layers.Dense(
        1,
        activation=step,
        kernel_initializer=kernel_initializer,
        name="predictions",
    )(x)
    return keras.Model(features, outputs, name=name)


@register_model(
    task="regression",
    inputs="tables",
    lecture="linear regression as a neuron",
    reference="Legendre 1805; Widrow and Hoff 1960",
)
def linear_neuron(input_shape=(10,), *, name="linear_neuron"):
    """Build linear regression: a neuron whose answer is its weighted sum.

    With the squared error as its loss it finds what the normal equations do.

    | layer           | output | parameters |
    | --------------- | ------ | ---------- |
    | standardization | 10     |            |
    | prediction      | 1      | 11         |
    | sum             |        | 11         |

    Args:
        input_shape: Number of columns, as a tuple.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, columns)` in raw units to
        `(batch, 1)`, a number.

    Example:
    >>> model = zoo.create_model("linear_neuron", input_shape=(3,))

    Reference:
    - A.-M. Legendre, Nouvelles méthodes pour la détermination des orbites des
      comètes, 1805.
    - B. Widrow, M. E. Hoff, Adaptive switching circuits, 1960.
    """
    features = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(features)
    outputs = layers.Dense(1, name="prediction")(x)
    return keras.Model(features, outputs, name=name)


@register_model(
    task="classification",
    inputs="tables",
    lecture="logistic regression as a neuron; log-odds",
    reference="Cox 1958",
)
def logistic_neuron(
    input_shape=(30,),
    *,
    classifier_activation="sigmoid",
    name="logistic_neuron",
):
    """Build logistic regression: a neuron that answers with a probability.

    Its weighted sum is the log-odds of the second of two classes.

    | layer           | output | parameters |
    | --------------- | ------ | ---------- |
    | standardization | 30     |            |
    | predictions     | 1      | 31         |
    | sum             |        | 31         |

    Args:
        input_shape: Number of columns, as a tuple.
        classifier_activation: `"sigmoid"` for the probability, `None` for the
            log-odds.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, columns)` in raw units to
        `(batch, 1)`, the probability of the second class.

    Example:
    >>> model = zoo.create_model("logistic_neuron", input_shape=(3,))

    Reference:
    - D. R. Cox, The regression analysis of binary sequences, 1958.
    """
    features = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(features)
    outputs = layers.Dense(
        1, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(features, outputs, name=name)


@register_model(
    task="regression",
    inputs="tables",
    lecture="a network of one hidden layer: M(P+1) + K(M+1) parameters",
    reference="Rumelhart, Hinton and Williams 1986",
    chart=("FF",),
)
def ann(
    input_shape=(3,),
    num_outputs=1,
    *,
    hidden_units=1,
    activation="sigmoid",
    output_activation="linear",
    name="ann",
):
    """Build a network of one hidden layer on the columns of a table.

    With P inputs, M hidden units and K outputs it has M(P+1) + K(M+1)
    parameters. The defaults are the lecture's network for R's `infert`: 3-1-1.

    | layer           | output | parameters |
    | --------------- | ------ | ---------- |
    | standardization | 3      |            |
    | hidden          | 1      | 4          |
    | prediction      | 1      | 2          |
    | sum             |        | 6          |

    Args:
        input_shape: Number of columns, as a tuple.
        num_outputs: Number of outputs.
        hidden_units: Number of hidden units.
        activation: Activation of the hidden units.
        output_activation: Activation of the outputs.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, columns)` in raw units to
        `(batch, num_outputs)`.

    Example:
    >>> model = zoo.ann((784,), 10, hidden_units=500)
    >>> sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    397510

    Reference:
    - D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations
      by back-propagating errors, 1986.
    - T. Hastie, R. Tibshirani, J. Friedman, The elements of statistical
      learning, 2nd edition, chapter 11, 2009.
    """
    features = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(features)
    x = layers.Dense(hidden_units, activation=activation, name="hidden")(x)
    outputs = layers.Dense(
        num_outputs, activation=output_activation, name="prediction"
    )(x)
    return keras.Model(features, outputs, name=name)


@register_model(
    task="classification",
    inputs="tables",
    lecture="decision regions: what hidden units and layers can tell apart",
    reference="Rumelhart, Hinton and Williams 1986",
    chart=("FF",),
)
def table_mlp(
    input_shape=(2,),
    num_classes=2,
    *,
    hidden_units=(8, 8),
    activation="tanh",
    classifier_activation="softmax",
    name="table_mlp",
):
    """Build a multi-layer perceptron on the columns of a table.

    | layer           | output | parameters |
    | --------------- | ------ | ---------- |
    | standardization | 2      |            |
    | hidden1         | 8      | 24         |
    | hidden2         | 8      | 72         |
    | predictions     | 2      | 18         |
    | sum             |        | 114        |

    Without hidden layers the classes meet at straight lines.

    Args:
        input_shape: Number of columns, as a tuple.
        hidden_units: Width of each hidden layer; `()` leaves none.
        activation: Activation of the hidden layers.

    Returns:
        An uncompiled `keras.Model` from `(batch, columns)` in raw units to
        `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("table_mlp", hidden_units=(3,))

    Reference:
    - D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations
      by back-propagating errors, 1986.
    """
    features = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(features)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden{i}")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(features, outputs, name=name)
