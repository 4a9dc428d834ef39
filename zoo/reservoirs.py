"""Reservoirs: recurrent networks drawn at random, and a layer that is computed.

No gradient goes back through time. The units of a reservoir are joined at
random, and stay so; what they remember of a sequence, the last layer weighs and
sums, and its weights are the solution of linear equations.
"""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

READINGS = ("down", "up", "right", "left")


def spectral_radius(matrix) -> float:
    """Return the largest absolute eigenvalue of a square matrix."""
    matrix = ops.convert_to_numpy(matrix).astype("float64")
    return float(np.abs(np.linalg.eigvals(matrix)).max())


@keras.saving.register_keras_serializable(package="zoo")
class OfSpectralRadius(keras.initializers.Initializer):
    """Normal numbers, multiplied so that their matrix has a spectral radius.

    Args:
        radius: The largest absolute eigenvalue that the matrix is to have.
        seed: Seed of the numbers; None draws one.
    """

    def __init__(self, radius=0.9, seed=None):
        self.radius = radius
        self.normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)

    def __call__(self, shape, dtype=None):
        """Return a matrix `(units, units)`."""
        drawn = self.normal(shape, dtype)
        return drawn * (self.radius / spectral_radius(drawn))

    def get_config(self):
        """Return what is needed to make the initializer again."""
        return {"radius": self.radius, "seed": self.normal.get_config()["seed"]}


@keras.saving.register_keras_serializable(package="zoo")
class Reservoir(layers.Layer):
    """Leaky units, joined at random: h(t) = (1-a) h(t-1) + a tanh(...).

    In the parentheses is W x(t) + U h(t-1) + b, as in any plain recurrent
    network. W and b are drawn evenly around 0, U from a normal distribution,
    then multiplied so that it has the spectral radius asked for. If that is
    less than 1 a reservoir forgets, as a rule, in which state it began.

    Args:
        units: Number of units.
        spectral_radius: Largest absolute eigenvalue of U.
        leak: The a: which share of a state is new at each step.
        input_scale: W is drawn from [-input_scale, input_scale].
        bias_scale: b is drawn from [-bias_scale, bias_scale].
        return_sequences: Whether the states after all steps are given, or
            those after the last step alone.
        go_backwards: Whether the last step is read first.
        **options: Options of every Keras layer.

    Input:
        `(batch, steps, features)`.

    Output:
        `(batch, steps, units)`, in the order in which they were read; without
        steps if only the last states are given.
    """

    def __init__(
        self,
        units,
        spectral_radius=0.9,
        leak=1.0,
        input_scale=0.5,
        bias_scale=0.5,
        return_sequences=False,
        go_backwards=False,
        **options,
    ):
        super().__init__(**options)
        self.units = units
        self.spectral_radius = spectral_radius
        self.leak = leak
        self.input_scale = input_scale
        self.bias_scale = bias_scale
        self.return_sequences = return_sequences
        self.go_backwards = go_backwards

    def build(self, input_shape):
        """Draw the weights, which no training moves."""

        def draw(name, shape, initializer):
            return self.add_weight(
                shape, name=name, initializer=initializer, trainable=False
            )

        def evenly(scale):
            return keras.initializers.RandomUniform(-scale, scale)

        units = self.units
        shape = (input_shape[-1], units)
        self.kernel = draw("kernel", shape, evenly(self.input_scale))
        self.recurrent_kernel = draw(
            "recurrent_kernel",
            (units, units),
            OfSpectralRadius(self.spectral_radius),
        )
        self.bias = draw("bias", (units,), evenly(self.bias_scale))

    def step(self, inputs, states):
        """Return the states after one more step, `(batch, units)`.

        Args:
            inputs: What comes in at the step, `(batch, features)`.
            states: The states before it, `(batch, units)`.
        """
        return self._step(ops.matmul(inputs, self.kernel) + self.bias, states)

    def _step(self, sums, states):
        new = ops.tanh(sums + ops.matmul(states, self.recurrent_kernel))
        return (1 - self.leak) * states + self.leak * new

    def call(self, sequence):
        """Return the states after all steps, or the last ones."""
        sums = ops.matmul(sequence, self.kernel) + self.bias
        sums = ops.unstack(sums, sequence.shape[1], axis=1)
        first, *others = reversed(sums) if self.go_backwards else sums
        states = self.leak * ops.tanh(first)  # before it, all are 0
        kept = [states]
        for later in others:
            states = self._step(later, states)
            if self.return_sequences:
                kept.append(states)
        return ops.stack(kept, axis=1) if self.return_sequences else states

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        _, steps, features = self.input.shape
        return steps * self.units * (features + self.units)

    def compute_output_shape(self, input_shape):
        """Return the shape of the states."""
        batch, steps, _ = input_shape
        if self.return_sequences:
            return batch, steps, self.units
        return batch, self.units

    def get_config(self):
        """Return what is needed to make the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "spectral_radius": self.spectral_radius,
            "leak": self.leak,
            "input_scale": self.input_scale,
            "bias_scale": self.bias_scale,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
        }


@keras.saving.register_keras_serializable(package="zoo")
class WindowMoments(layers.Layer):
    """Means of states in equal windows of time, and means of their squares.

    Args:
        windows: Number of windows; some are a step longer where it does not
            divide the steps.
        **options: Options of every Keras layer.

    Input:
        `(batch, steps, units)`.

    Output:
        `(batch, windows * 2 * units)`: the means of the first window, those of
        the squares, then of the next.
    """

    def __init__(self, windows, **options):
        super().__init__(**options)
        self.windows = windows

    def build(self, input_shape):
        """Decide where the windows end."""
        _, steps, _ = input_shape
        if not 1 <= self.windows <= steps:
            raise ValueError(
                f"`windows` must be from 1 to the {steps} steps. "
                f"Received: {self.windows}"
            )
        ends = np.linspace(0, steps, self.windows + 1).round().astype(int)
        self.places = [*zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]

    def call(self, states):
        """Return the means."""
        means = []
        for start, end in self.places:
            window = states[:, start:end]
            means.append(ops.mean(window, axis=1))
            means.append(ops.mean(ops.square(window), axis=1))
        return ops.concatenate(means, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of the means."""
        batch, _, units = input_shape
        return batch, self.windows * 2 * units

    def get_config(self):
        """Return what is needed to make the layer again."""
        return {**super().get_config(), "windows": self.windows}


@register_model(
    task="classification",
    inputs="images",
    lecture="echo state networks: a memory drawn at random",
    reference="Jaeger 2001; Schaetti, Salomon and Couturier 2016",
    chart=("ESN",),
)
def echo_state(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    units=100,
    readings=("down", "right"),
    windows=2,
    spectral_radius=0.9,
    leak=0.3,
    input_scale=0.5,
    bias_scale=0.5,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="echo_state",
):
    """Build an echo state network that reads the rows and columns of an image.

    One reservoir reads its rows from the top, another one its columns from the
    left. What goes into the last layer is where their states were, in the mean
    over each half of the steps, and how far from zero.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | columns     | 28×28   |            |
    | down        | 28×100  | (fixed)    |
    | down_means  | 400     |            |
    | right       | 28×100  | (fixed)    |
    | right_means | 400     |            |
    | means       | 800     |            |
    | predictions | 10      | 8,010      |
    | sum         |         | 8,010      |

    As in `elm` the last layer's scores are computed by ridge regression, then
    multiplied by one number, so that softmax makes them probabilities.

    Args:
        units: Units of each reservoir.
        readings: In which directions the image is read, of `"down"`, `"up"`,
            `"right"` and `"left"`: a reservoir for each.
        windows: In how many windows of time the states are averaged.
        spectral_radius: Largest absolute eigenvalue of the weights between the
            units of a reservoir.
        leak: Which share of a state is new at each step.
        input_scale: The weights of the pixels are drawn from [-input_scale,
            input_scale].
        bias_scale: The biases are drawn from [-bias_scale, bias_scale].

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no reading or an unknown one, or there are more
            windows than steps.

    Example:
    >>> model = zoo.create_model("echo_state", units=20, readings=("down",))
    >>> radius = zoo.reservoirs.spectral_radius
    >>> round(radius(model.get_layer("down").recurrent_kernel), 3)
    0.9

    Reference:
    - H. Jaeger, The "echo state" approach to analysing and training recurrent
      neural networks, 2001.
    - H. Jaeger, M. Lukosevicius, D. Popovici, U. Siewert, Optimization and
      applications of echo state networks with leaky-integrator neurons, 2007.
    - N. Schaetti, M. Salomon, R. Couturier, Echo state networks-based reservoir
      computing for MNIST handwritten digits recognition, 2016.

    Departures from the paper:
    - Two reservoirs, one for each direction, instead of a large one.
    - Means over windows of time, and those of squares, instead of the states
      after each step; the last layer does not see the pixels.
    - All units of a reservoir are joined, not a few for each of them.
    """
    if not readings or {*readings} - {*READINGS}:
        raise ValueError(
            f"`readings` must be some of {READINGS}. Received: {readings!r}"
        )
    height, width, channels = input_shape
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    sequences = {}
    if {*readings} & {"down", "up"}:
        rows = layers.Reshape((height, width * channels), name="rows")(x)
        sequences |= {"down": rows, "up": rows}
    if {*readings} & {"right", "left"}:
        x = layers.Permute((2, 1, 3), name="turned")(x)
        columns = layers.Reshape((width, height * channels), name="columns")(x)
        sequences |= {"right": columns, "left": columns}
    means = []
    for reading in readings:
        states = Reservoir(
            units,
            spectral_radius=spectral_radius,
            leak=leak,
            input_scale=input_scale,
            bias_scale=bias_scale,
            return_sequences=True,
            go_backwards=reading in ("up", "left"),
            name=reading,
        )(sequences[reading])
        means.append(WindowMoments(windows, name=f"{reading}_means")(states))
    x = layers.Concatenate(name="means")(means) if means[1:] else means[0]
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="regression",
    inputs="time_series",
    lecture="echo state networks: what comes next in a series",
    reference="Jaeger 2001; Jaeger and Haas 2004",
)
def echo_state_regressor(
    input_shape=(100, 1),
    *,
    units=100,
    spectral_radius=0.9,
    leak=1.0,
    input_scale=0.5,
    bias_scale=0.5,
    name="echo_state_regressor",
):
    """Build an echo state network that says a number after a sequence.

    | layer      | output | parameters |
    | ---------- | ------ | ---------- |
    | reservoir  | 100    | (fixed)    |
    | prediction | 1      | 101        |
    | sum        |        | 101        |

    The reservoir begins with all states at zero. What it was shown long ago it
    forgets, so the last steps of a sequence are enough.

    Args:
        input_shape: Steps, and numbers at each step.
        units: Units of the reservoir.
        spectral_radius: Largest absolute eigenvalue of the weights between
            them.
        leak: Which share of a state is new at each step.
        input_scale: The weights of the inputs are drawn from [-input_scale,
            input_scale].
        bias_scale: The biases are drawn from [-bias_scale, bias_scale].

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` to
        `(batch, 1)`.

    Example:
    >>> model = zoo.create_model("echo_state_regressor", units=50)

    Reference:
    - H. Jaeger, The "echo state" approach to analysing and training recurrent
      neural networks, 2001.
    - H. Jaeger, H. Haas, Harnessing nonlinearity: predicting chaotic systems
      and saving energy in wireless communication, 2004.

    Departures from the paper:
    - The last layer sees the states, and neither the inputs nor what it said
      before.
    - All units are joined, not a few for each of them.
    """
    sequence = keras.Input(input_shape, name="sequence")
    states = Reservoir(
        units,
        spectral_radius=spectral_radius,
        leak=leak,
        input_scale=input_scale,
        bias_scale=bias_scale,
        name="reservoir",
    )(sequence)
    outputs = layers.Dense(1, name="prediction")(states)
    return keras.Model(sequence, outputs, name=name)
