"""Recurrent networks whose recurrence is linear, and can be parallel.

A state that follows h(t) = λ h(t-1) + B x(t) is a sum over all that came
before, so no step has to wait for the one before it. With a nonlinearity after
it, and several such layers, little is lost; and |λ| says for how long a state
remembers.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model
from zoo.recurrent import classify, read_steps


@keras.saving.register_keras_serializable(package="zoo")
class LinearRecurrence(layers.Layer):
    """States that are multiplied by complex numbers, h(t) = λ h(t-1) + B x(t).

    The states of all steps are computed together: those within a block of
    about √T steps as a product with a matrix of powers of λ, and what one block
    hands to the next as a product with another one. All numbers are real, two
    for each complex one.

    Args:
        units: Number of complex states.
        stride: After how many steps the states are given, each time.
        return_sequences: Whether these states are given, or the last alone.
        radii: Range that |λ| is drawn from.
        largest_angle: Largest angle of λ, in radians.
        **options: Options of every Keras layer.

    Input:
        `(batch, steps, features)`; `steps` is a multiple of `stride`.

    Output:
        `(batch, steps / stride, 2 * units)`, the real parts first; without
        steps if only the last states are given.
    """

    def __init__(
        self,
        units,
        stride=1,
        return_sequences=True,
        radii=(0.9, 0.999),
        largest_angle=math.pi / 10,
        **options,
    ):
        super().__init__(**options)
        self.units = units
        self.stride = stride
        self.return_sequences = return_sequences
        self.radii = tuple(radii)
        self.largest_angle = largest_angle

    def build(self, input_shape):
        """Create the weights: λ as the logarithms of two numbers, and B."""
        _, steps, features = input_shape
        if steps % self.stride:
            raise ValueError(
                f"`stride` must divide the {steps} steps. "
                f"Received: {self.stride}"
            )
        # λ = exp(-exp(log_decay) + i exp(log_angle)) is never outside the unit
        # circle, whatever training does.
        self.log_decay = self.add_weight(
            (self.units,), initializer=self._draw_decays, name="log_decay"
        )
        self.log_angle = self.add_weight(
            (self.units,), initializer=self._draw_angles, name="log_angle"
        )
        self.kernel = self.add_weight(
            (features, 2 * self.units),
            initializer="glorot_uniform",
            name="kernel",
        )

    def _draw_decays(self, shape, dtype):
        # Evenly over the ring between the two radii.
        low, high = self.radii
        squared = keras.initializers.RandomUniform(low**2, high**2)
        return ops.log(-0.5 * ops.log(squared(shape, dtype)))

    def _draw_angles(self, shape, dtype):
        angles = keras.initializers.RandomUniform(1e-4, self.largest_angle)
        return ops.log(angles(shape, dtype))

    @property
    def multiplications(self):
        """How often it multiplies with a weight, done step by step."""
        _, steps, features = self.input.shape
        # Those with B, and a complex product with λ.
        return steps * (2 * features * self.units + 4 * self.units)

    def powers(self, exponents):
        """Return powers of λ, real and imaginary parts `(units, ...)`.

        Args:
            exponents: Array of whole numbers, of any shape.
        """
        exponents = ops.convert_to_tensor(exponents, self.compute_dtype)
        shape = (-1,) + (1,) * len(exponents.shape)
        decay = ops.reshape(ops.exp(self.log_decay), shape)
        angle = ops.reshape(ops.exp(self.log_angle), shape)
        length = ops.exp(-decay * exponents)
        return (
            length * ops.cos(angle * exponents),
            length * ops.sin(angle * exponents),
        )

    def kernel_of(self, steps):
        """Return what so many steps add to a state, as one matrix.

        Returns:
            `(steps * features, 2 * units)`.
        """
        real, imaginary = ops.split(self.kernel, 2, axis=1)
        # Without it the slowest states would be the largest.
        scale = ops.sqrt(-ops.expm1(-2 * ops.exp(self.log_decay)))
        real, imaginary = scale * real, scale * imaginary
        left = np.arange(steps - 1, -1, -1)
        ours, others = (
            ops.expand_dims(ops.transpose(x), 1) for x in self.powers(left)
        )
        return ops.reshape(
            ops.concatenate(
                [
                    ours * real - others * imaginary,
                    ours * imaginary + others * real,
                ],
                axis=-1,
            ),
            (-1, 2 * self.units),
        )

    def call(self, sequence):
        """Return the states after each `stride` steps, or the last ones."""
        if not self.return_sequences:
            return self._last_state(sequence)
        return self._states(self._entering(sequence, self.stride))

    def _entering(self, sequence, size):
        """Return what each so many steps add to the states at their end."""
        _, steps, features = sequence.shape
        blocks = ops.reshape(sequence, (-1, steps // size, size * features))
        return ops.matmul(blocks, self.kernel_of(size))

    def _last_state(self, sequence):
        """Return the states after the last step."""
        steps = sequence.shape[1]
        size = math.ceil(math.sqrt(steps))
        blocks = math.ceil(steps / size)
        # Zeros come first, and leave the states at zero.
        x = ops.pad(sequence, ((0, 0), (blocks * size - steps, 0), (0, 0)))
        x = self._entering(x, size)
        left = size * np.arange(blocks - 1, -1, -1)
        ours, others = (ops.transpose(part) for part in self.powers(left))
        real, imaginary = ops.split(x, 2, axis=-1)
        return ops.concatenate(
            [
                ops.sum(ours * real - others * imaginary, axis=1),
                ops.sum(ours * imaginary + others * real, axis=1),
            ],
            axis=-1,
        )

    def _states(self, entering):
        """Return the states, if this is added to them at each stride."""
        steps, units = entering.shape[1], self.units
        size = math.ceil(math.sqrt(steps))  # steps of a block
        blocks = math.ceil(steps / size)
        rest = blocks * size - steps
        x = ops.pad(entering, ((0, 0), (0, rest), (0, 0)))
        # Units first: for each of them a product with a matrix of its own.
        x = ops.reshape(x, (-1, blocks, size, 2, units))
        x = ops.reshape(
            ops.transpose(x, (4, 0, 1, 3, 2)), (units, -1, 2 * size)
        )
        within = ops.matmul(x, self._matrix(_lags(size)))
        # What the blocks before left, and what becomes of it in a block.
        last = ops.reshape(within, (units, -1, blocks, 2, size))[..., -1]
        last = ops.reshape(
            ops.transpose(last, (0, 1, 3, 2)), (units, -1, 2 * blocks)
        )
        left = ops.matmul(last, self._matrix(size * (_lags(blocks) - 1)))
        left = ops.reshape(left, (units, -1, 2, blocks))
        left = ops.reshape(ops.transpose(left, (0, 1, 3, 2)), (units, -1, 2))
        x = within + ops.matmul(left, self._matrix(1 + np.arange(size)[None]))
        x = ops.reshape(x, (units, -1, blocks, 2, size))
        x = ops.transpose(x, (1, 2, 4, 3, 0))
        return ops.reshape(x, (-1, blocks * size, 2 * units))[:, :steps]

    def _matrix(self, lags):
        """Return matrices of powers of λ for rows of numbers, `(units, …)`.

        Args:
            lags: What power of λ takes an input, a row, to an output, a column;
                none where it is negative.
        """
        real, imaginary = self.powers(np.maximum(lags, 0) * self.stride)
        known = ops.convert_to_tensor(lags >= 0, self.compute_dtype)
        real, imaginary = known * real, known * imaginary
        return ops.concatenate(
            [
                ops.concatenate([real, imaginary], axis=2),
                ops.concatenate([-imaginary, real], axis=2),
            ],
            axis=1,
        )

    def compute_output_shape(self, input_shape):
        """Return the shape of the states."""
        batch, steps, _ = input_shape
        if not self.return_sequences:
            return batch, 2 * self.units
        return batch, steps // self.stride, 2 * self.units

    def get_config(self):
        """Return what is needed to make the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "stride": self.stride,
            "return_sequences": self.return_sequences,
            "radii": self.radii,
            "largest_angle": self.largest_angle,
        }


def _lags(count):
    """Return how far each step, a column, is behind each other, a row."""
    return np.arange(count)[None] - np.arange(count)[:, None]


@register_model(
    task="classification",
    inputs="images",
    lecture="recurrent networks, and gradients that vanish over time",
    reference="Orvieto et al. 2023",
)
def lru(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(64, 64),
    state_units=64,
    stride=1,
    dropout=0.0,
    read="rows",
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="lru",
):
    """Build a network of linear recurrent units, which remember for long.

    The first layer reads the image. After each of its steps (or each `stride`
    of them) a dense layer makes of its states what the next layer reads. The
    last layer gives its states after the last step alone.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | rows        | 28×28   |            |
    | lru1        | 28×128  | 3,712      |
    | dense1      | 28×64   | 8,256      |
    | norm2       | 28×64   | 128        |
    | lru2        | 128     | 8,320      |
    | dense2      | 64      | 8,256      |
    | predictions | 10      | 650        |
    | sum         |         | 29,322     |

    A linear recurrent unit of n complex states that reads d numbers at a step
    has 2 n (d + 1) parameters.

    Args:
        hidden_units: Width of the dense layer after each recurrent layer, from
            the image upwards.
        state_units: Number of complex states of each recurrent layer.
        stride: After how many steps the states of the first layer are handed
            on, each time. It reads all steps, and the next layers have fewer.
        dropout: Fraction of what the last dense layer gives that training
            drops before `predictions`.
        read: What is read at a step: `"rows"`, `"pixels"`, or
            `"permuted_pixels"` in an order without any sense.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no recurrent layer or no such reading, or
            `stride` does not divide the steps.

    Example:
    >>> model = zoo.create_model("lru", read="pixels", stride=4)

    Reference:
    - A. Orvieto et al., Resurrecting recurrent neural networks for long
      sequences, 2023.

    Departures from the paper:
    - What is classified is the states after the last step, not a mean over all
      steps.
    - What comes in is scaled by √(1 - |λ|²) as λ is, not by a weight that
      begins there; and no part of it goes past the states.
    - A dense layer with a GELU follows the states, not a gate.
    """
    if not hidden_units:
        raise ValueError(
            "`hidden_units` needs one width or more. "
            f"Received: {hidden_units!r}"
        )
    image, x = read_steps(input_shape, rescale, read)
    for i, units in enumerate(hidden_units, start=1):
        is_first, is_last = i == 1, i == len(hidden_units)
        before = x
        if not is_first:
            x = layers.LayerNormalization(name=f"norm{i}")(x)
        x = LinearRecurrence(
            state_units,
            stride=stride if is_first else 1,
            return_sequences=not is_last,
            name=f"lru{i}",
        )(x)
        x = layers.Dense(units, activation="gelu", name=f"dense{i}")(x)
        if not (is_first or is_last) and before.shape == x.shape:
            x = layers.Add(name=f"sum{i}")([before, x])
    outputs = classify(x, num_classes, dropout, classifier_activation)
    return keras.Model(image, outputs, name=name)
