"""Spiking networks: neurons that add up what comes in, fire, and begin anew.

A pool of such neurons, joined at random as in a piece of cortex, is a liquid
into which an image falls row by row: what it stirs up tells what fell in. A
layer that is computed reads it.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model


class _Drawn(keras.initializers.Initializer):
    """What is computed from numbers drawn evenly between 0 and 1."""

    def __init__(self, seed=None):
        self.evenly = keras.initializers.RandomUniform(0.0, 1.0, seed)

    def draw(self, shape):
        """Return numbers drawn evenly between 0 and 1, float64."""
        return ops.convert_to_numpy(self.evenly(shape)).astype("float64")

    def get_config(self):
        """Return what is needed to make the initializer again."""
        return {"seed": self.evenly.get_config()["seed"]}


@keras.saving.register_keras_serializable(package="zoo")
class FewInputs(_Drawn):
    """Weights of a few inputs for each neuron, and none of the others.

    Args:
        count: Of how many inputs a neuron hears, drawn at random.
        scale: The largest weight. They are drawn evenly, the smallest is minus
            half of it.
        seed: Seed of the weights; None draws one.
    """

    def __init__(self, count, scale, seed=None):
        super().__init__(seed)
        self.count = count
        self.scale = scale

    def __call__(self, shape, dtype=None):
        """Return a matrix `(inputs, neurons)`."""
        order, weights = self.draw((2, *shape))
        is_heard = order.argsort(axis=0).argsort(axis=0) < self.count
        weights = (1.5 * weights - 0.5) * self.scale
        return ops.convert_to_tensor(rounded(is_heard * weights), dtype)

    def get_config(self):
        """Return what is needed to make the initializer again."""
        config = {"count": self.count, "scale": self.scale}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="zoo")
class NearNeurons(_Drawn):
    """Weights between neurons on a grid, the rarer the farther apart.

    Two of them at a distance D are joined with a probability of C exp(-(D/2)²).
    One in `INHIBITING` of them inhibits: its weights are negative. C is that of
    Maass, Natschläger and Markram.

    Args:
        grid: Neurons along each side.
        strength: The mean size of a weight; they are drawn evenly, from half of
            it to one and a half.
        seed: Seed of the weights; None draws one.
    """

    INHIBITING = 5
    REACH = 2.0
    # Of neurons that excite, then of those that inhibit, to both.
    ODDS = np.array([[0.3, 0.2], [0.4, 0.1]])

    def __init__(self, grid, strength, seed=None):
        super().__init__(seed)
        self.grid = tuple(grid)
        self.strength = strength

    def __call__(self, shape, dtype=None):
        """Return a matrix, from the neurons in rows to those in columns."""
        # All at once: a seed would draw the same numbers again.
        drawn = self.draw((2 * shape[0] + 1, shape[1]))
        chances, weights = drawn[: shape[0]], drawn[shape[0] : -1]
        inhibits, order = np.zeros(shape[0], int), drawn[-1].argsort()
        inhibits[order[: shape[0] // self.INHIBITING]] = 1
        odds = self.ODDS[inhibits[:, np.newaxis], inhibits]
        odds = odds * np.exp(-self.squared_distances() / self.REACH**2)
        np.fill_diagonal(odds, 0.0)
        weights = (0.5 + weights) * self.strength
        weights = np.where(inhibits, -1.0, 1.0)[:, np.newaxis] * weights
        return ops.convert_to_tensor(rounded((chances < odds) * weights), dtype)

    def squared_distances(self):
        """Return how far neurons are from each other, `(neurons, neurons)`."""
        places = np.indices(self.grid).reshape(len(self.grid), -1).T
        return np.square(places[:, np.newaxis] - places).sum(axis=2)

    def get_config(self):
        """Return what is needed to make the initializer again."""
        config = {"grid": list(self.grid), "strength": self.strength}
        return {**super().get_config(), **config}


def rounded(weights):
    """Return weights as multiples of 1/64, float32; see `LiquidPool`."""
    return (np.round(64 * weights) / 64).astype("float32")


@keras.saving.register_keras_serializable(package="zoo")
class LiquidPool(layers.Layer):
    """Leaky integrate-and-fire neurons on a grid, near ones joined at random.

    At each step the voltage v of a neuron leaks, and what comes in is added:

        v(t) = d v(t-1) + input + current(t)
        current(t) = c current(t-1) + what the neurons that just fired send

    Where v exceeds 1 the neuron fires, and begins again at 0.

    Whether a neuron fires must not depend on how a computer rounds, or one
    image would stir up something else in each of them. So pixels are multiples
    of 1/16, weights of 1/64, what is left after a step of 1/16, and voltages
    and currents are rounded down to multiples of 1/1024: sums of such numbers
    are exact, in any order. Chips with such neurons compute so, too.

    Args:
        grid: Neurons along each side of the grid.
        windows: In how many windows of time spikes are counted.
        repeats: For how many steps each row is read.
        voltage_decay: The d, a multiple of 1/16: what is left of a voltage.
        current_decay: The c, a multiple of 1/16: what is left of a current.
        fan_in: Of how many pixels of a row a neuron hears.
        input_scale: The largest weight of a pixel, see `FewInputs`.
        strength: The mean weight between neurons, see `NearNeurons`.
        **options: Options of every Keras layer.

    Input:
        `(batch, steps, features)`, from 0 to 1.

    Output:
        `(batch, windows * neurons)`: how often each neuron fired in the first
        window, then in the next.
    """

    def __init__(
        self,
        grid,
        windows=4,
        repeats=2,
        voltage_decay=15 / 16,
        current_decay=11 / 16,
        fan_in=4,
        input_scale=0.3,
        strength=1 / 32,
        **options,
    ):
        super().__init__(**{"dtype": "float32", **options})
        for name, decay in (
            ("voltage_decay", voltage_decay),
            ("current_decay", current_decay),
        ):
            if not 0 <= 16 * decay == round(16 * decay) <= 16:
                raise ValueError(
                    f"`{name}` must be a multiple of 1/16, from 0 to 1. "
                    f"Received: {decay}"
                )
        if 0 < strength < 1 / 64:
            raise ValueError(
                "`strength` must be 0, or 1/64 or more: weights are multiples "
                f"of that. Received: {strength}"
            )
        self.grid = tuple(grid)
        self.windows = windows
        self.repeats = repeats
        self.voltage_decay = voltage_decay
        self.current_decay = current_decay
        self.fan_in = fan_in
        self.input_scale = input_scale
        self.strength = strength

    def build(self, input_shape):
        """Draw the weights, which no training moves."""
        _, steps, features = input_shape
        if not 1 <= self.windows <= steps:
            raise ValueError(
                f"`windows` must be from 1 to the {steps} steps. "
                f"Received: {self.windows}"
            )
        # After which steps a window ends.
        ends = np.linspace(0, self.repeats * steps, self.windows + 1)
        self.ends = ends.round().astype(int)[1:].tolist()
        neurons = math.prod(self.grid)
        self.kernel = self.add_weight(
            (features, neurons),
            name="kernel",
            initializer=FewInputs(self.fan_in, self.input_scale),
            trainable=False,
        )
        self.recurrent_kernel = self.add_weight(
            (neurons, neurons),
            name="recurrent_kernel",
            initializer=NearNeurons(self.grid, self.strength),
            trainable=False,
        )

    def spikes(self, sequence):
        """Return which neurons fire at each step, a list of `(batch, neurons)`.

        1 where one fires, and 0 elsewhere.
        """
        levels = ops.floor(16.0 * sequence + 0.5) / 16.0
        rows = ops.matmul(levels, self.kernel)
        rows = ops.unstack(rows, sequence.shape[1], axis=1)
        voltage, current = self._rounded_down(rows[0]), None
        fired = [self._fires(voltage)]
        for step in range(1, self.repeats * len(rows)):
            sent = ops.matmul(fired[-1], self.recurrent_kernel)
            if current is not None:
                sent = sent + self._rounded_down(self.current_decay * current)
            current = sent
            left = voltage * (1.0 - fired[-1])
            voltage = self._rounded_down(self.voltage_decay * left)
            voltage = voltage + rows[step // self.repeats] + current
            fired.append(self._fires(voltage))
        return fired

    def _rounded_down(self, x):
        return ops.floor(1024.0 * x) / 1024.0

    def _fires(self, voltage):
        return ops.cast(voltage > 1.0, voltage.dtype)

    def call(self, sequence):
        """Return how often each neuron fired in each window."""
        fired, counts, start = self.spikes(sequence), [], 0
        for end in self.ends:
            counts.append(sum(fired[start + 1 : end], fired[start]))
            start = end
        return ops.concatenate(counts, axis=-1)

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        _, steps, features = self.input.shape
        neurons = math.prod(self.grid)
        return steps * neurons * (features + self.repeats * neurons)

    def compute_output_shape(self, input_shape):
        """Return the shape of the counts."""
        return input_shape[0], self.windows * math.prod(self.grid)

    def get_config(self):
        """Return what is needed to make the layer again."""
        return {
            **super().get_config(),
            "grid": list(self.grid),
            "windows": self.windows,
            "repeats": self.repeats,
            "voltage_decay": self.voltage_decay,
            "current_decay": self.current_decay,
            "fan_in": self.fan_in,
            "input_scale": self.input_scale,
            "strength": self.strength,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="liquid state machines: spikes, and what they stir up",
    reference="Maass, Natschläger and Markram 2002",
    chart=("LSM",),
)
def liquid_state(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    grid=(15, 3, 3),
    windows=4,
    repeats=2,
    voltage_decay=15 / 16,
    current_decay=11 / 16,
    fan_in=4,
    input_scale=0.3,
    strength=1 / 32,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="liquid_state",
):
    """Build a liquid state machine: two pools of spiking neurons, and a layer.

    One pool reads the rows of an image from the top, another one its columns
    from the left. The last layer sees how often each neuron fired, in each
    quarter of the time.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | columns     | 28×28   |            |
    | down        | 540     | (fixed)    |
    | right       | 540     | (fixed)    |
    | counts      | 1080    |            |
    | predictions | 10      | 10,810     |
    | sum         |         | 10,810     |

    As in `elm` the last layer's scores are computed by ridge regression, then
    multiplied by one number, so that softmax makes them probabilities.

    Args:
        grid: Neurons of each pool, along each side of their grid.
        windows: In how many windows of time spikes are counted.
        repeats: For how many steps each row or column is read.
        voltage_decay: What is left of a voltage after a step, a multiple of
            1/16.
        current_decay: What is left of a current, a multiple of 1/16.
        fan_in: Of how many pixels of a row or column a neuron hears.
        input_scale: The largest weight of a pixel.
        strength: The mean weight between two neurons that are joined, 1/64 or
            more; 0 joins none.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there are more windows than rows or columns, or a decay
            or the strength cannot be reached.

    Example:
    >>> model = zoo.create_model("liquid_state", grid=(5, 8, 8))

    Reference:
    - W. Maass, T. Natschläger, H. Markram, Real-time computing without stable
      states, 2002.

    Departures from the paper:
    - Pixels come in as currents, not as trains of spikes.
    - What a neuron sends to another one is always the same: the paper's
      synapses tire, and recover. There are no delays, and a neuron may fire at
      each step.
    - The last layer sees counts of spikes, where the paper has the currents
      that they leave.
    """
    height, width, channels = input_shape
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    exact = {"dtype": "float32"}  # see `LiquidPool`
    x = layers.Rescaling(scale, offset, name="rescaling", **exact)(image)
    rows = layers.Reshape((height, width * channels), name="rows", **exact)(x)
    x = layers.Permute((2, 1, 3), name="turned", **exact)(x)
    columns = layers.Reshape(
        (width, height * channels), name="columns", **exact
    )(x)
    counts = [
        LiquidPool(
            grid,
            windows=windows,
            repeats=repeats,
            voltage_decay=voltage_decay,
            current_decay=current_decay,
            fan_in=fan_in,
            input_scale=input_scale,
            strength=strength,
            name=reading,
        )(sequence)
        for reading, sequence in (("down", rows), ("right", columns))
    ]
    x = layers.Concatenate(name="counts")(counts)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
