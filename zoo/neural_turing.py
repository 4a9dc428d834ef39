"""Neural Turing machines: a network with a memory that it reads and writes.

The memory is a table. A head is where the network is in it: a weight for each
location, all of them between 0 and 1, so that gradients know where it should
have been instead.
"""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

SHIFTS = (-1, 0, 1)  # locations that a head may move by in a step
BLANK = 1e-6  # in each number of the memory, to begin with
SMALL = 1e-6  # beside a weight, for 0 has no logarithm
SHORT = 0.01  # a row that is shorter is like no key: its direction is rounding


@keras.saving.register_keras_serializable(package="zoo")
class TuringCell(layers.Layer):
    """A step of a neural Turing machine with a head each to read and to write.

    Long short-term memory units, the controller, see the input and what was
    read at the last step. For each head they say, as in the paper:

    - a key k and its strength β: content addressing weighs each location by the
      softmax of β times the cosine of its row and the key;
    - a gate g between these weights and those of the last step;
    - a distribution s over shifts by -1, 0 and 1 location, around the end;
    - a power γ of 1 or more, which makes the weights sharp again.

    So w = (s * (g w_content + (1 - g) w_before)) ** γ, with the sum 1. A row of
    the memory loses its weight times what is to be erased, and gains its weight
    times what is to be added. Then the rows are read, weighted, and a dense
    layer answers from the controller's state and from what was read.

    Both heads begin at the first location of a blank memory.

    Args:
        units: Width of the controller.
        outputs: How many numbers it answers, as logits.
        locations: Rows of the memory.
        width: Numbers of a row.
        **kwargs: As of any Keras layer.
    """

    def __init__(self, units, outputs, locations, width, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        exact = {"dtype": self.dtype_policy}  # its layers are called in turns
        self.units = units
        self.outputs = outputs
        self.locations = locations
        self.width = width
        self.state_size = [
            *(units, units),
            2 * locations,
            width,
            locations * width,
        ]
        self.output_size = outputs
        self.controller = layers.LSTMCell(units, name="controller", **exact)
        of_head = width + 3 + len(SHIFTS)
        self.heads = layers.Dense(2 * of_head, name="heads", **exact)
        self.writing = layers.Dense(2 * width, name="writing", **exact)
        self.answer = layers.Dense(outputs, name="answer", **exact)

    def build(self, input_shape):
        batch, features = input_shape[0], input_shape[-1]
        self.controller.build((batch, features + self.width))
        self.heads.build((batch, self.units))
        self.writing.build((batch, self.units))
        self.answer.build((batch, self.units + self.width))

    def get_initial_state(self, batch_size=None):
        """Return the states before the first step."""
        zeros = ops.zeros((batch_size, self.units), self.compute_dtype)
        first = ops.one_hot(
            ops.zeros((batch_size, 2), "int32"),
            self.locations,
            dtype=self.compute_dtype,
        )
        return [
            *(zeros, zeros),
            ops.reshape(first, (-1, 2 * self.locations)),
            ops.zeros((batch_size, self.width), self.compute_dtype),
            BLANK
            + ops.zeros(
                (batch_size, self.locations * self.width), self.compute_dtype
            ),
        ]

    def call(self, inputs, states, training=False):
        hidden, carry, before, read, memory = states
        memory = ops.reshape(memory, (-1, self.locations, self.width))
        before = ops.reshape(before, (-1, 2, self.locations))
        hidden, (_, carry) = self.controller(
            ops.concatenate([inputs, read], axis=-1), [hidden, carry]
        )
        weights = self._addressed(self.heads(hidden), before, memory)
        erase, add = ops.split(self.writing(hidden), 2, axis=-1)
        written = ops.expand_dims(weights[:, 1], 2)
        memory = memory * (
            1 - written * ops.expand_dims(ops.sigmoid(erase), 1)
        ) + written * ops.expand_dims(ops.tanh(add), 1)
        read = ops.squeeze(ops.matmul(weights[:, :1], memory), 1)
        logits = self.answer(ops.concatenate([hidden, read], axis=-1))
        return logits, [
            *(hidden, carry),
            ops.reshape(weights, (-1, 2 * self.locations)),
            read,
            ops.reshape(memory, (-1, self.locations * self.width)),
        ]

    def _addressed(self, said, before, memory):
        """Return the weights of both heads, `(batch, 2, locations)`.

        Args:
            said: What the controller says of them.
            before: Their weights at the last step.
            memory: `(batch, locations, width)`.
        """
        said = ops.reshape(said, (-1, 2, self.width + 3 + len(SHIFTS)))
        key, numbers, shift = ops.split(
            said, [self.width, self.width + 3], axis=-1
        )
        strength, gate, power = ops.split(numbers, 3, axis=-1)
        key, shift = ops.tanh(key), ops.softmax(shift)
        cosines = ops.matmul(key, ops.swapaxes(memory, 1, 2))
        cosines *= _over_length(key)
        cosines *= ops.swapaxes(_over_length(memory), 1, 2)
        content = ops.softmax(ops.softplus(strength) * cosines)
        gate = ops.sigmoid(gate)
        weights = gate * content + (1 - gate) * before
        # From each location and its neighbors, around the end.
        near = ops.take(weights, self.neighbors(), axis=-1)
        weights = ops.sum(near * ops.expand_dims(shift, 2), axis=-1)
        power = 1 + ops.softplus(power)
        return ops.softmax(power * ops.log(weights + SMALL))

    def neighbors(self) -> np.ndarray:
        """Return where each location is reached from, `(locations, shifts)`."""
        places = np.arange(self.locations)[:, None] - np.array(SHIFTS)
        return places % self.locations

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "outputs": self.outputs,
            "locations": self.locations,
            "width": self.width,
        }


def _over_length(rows):
    """Return 1 / the length of each row, `(..., rows, 1)`.

    It is for a product of rows. LiteRT's converter takes `x * rsqrt(Σx² + ε)`
    for its own normalization, which has no such ε: there blank rows would be as
    long as all others.
    """
    squares = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    return ops.rsqrt(squares + SHORT**2)


@register_model(
    task="translation",
    inputs="time_series",
    lecture="neural Turing machines: a network that learned to use a memory",
    reference="Graves, Wayne and Danihelka 2014",
    chart=("NTM",),
)
def neural_turing_machine(
    input_shape=(42, 10),
    *,
    output_units=8,
    controller_units=24,
    locations=48,
    width=12,
    unroll=False,
    name="neural_turing_machine",
):
    """Build a network that writes to a memory, and reads what it has written.

    At each step it says where in the memory, by what is there or by how far
    from where it was, and all of that by weights, so that gradients flow; see
    `zoo.neural_turing.TuringCell`.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | machine     | 42×8   | 6,308     |
    | predictions | 42×8   |            |
    | sum         |        | 6,308     |

    How many steps there are is not in its weights: they fit a machine for
    longer sequences, too, and one with a larger memory.

    Args:
        input_shape: Steps, and numbers of each.
        output_units: How many numbers it answers at each step.
        controller_units: Width of its recurrent layer.
        locations: Rows of the memory.
        width: Numbers of a row.
        unroll: Whether to write all steps into the graph instead of a loop.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers to
        `(batch, steps, output_units)`, the probability of a 1 for each bit.

    Raises:
        ValueError: If the memory has no more than a row, or no number in one.

    Example:
    >>> model = zoo.create_model("neural_turing_machine", locations=128)
    >>> longer = zoo.create_model(
    ...     "neural_turing_machine", input_shape=(82, 10), locations=128
    ... )
    >>> longer.set_weights(model.get_weights())

    Reference:
    - A. Graves, G. Wayne, I. Danihelka, Neural Turing machines, 2014.
    - M. Collier, J. Beel, Implementing neural Turing machines, 2018 (a memory
      that begins with a constant).

    Departures from the paper:
    - The memory begins blank and both heads at its first location, where the
      paper learns how they begin.
    - The controller is smaller.
    """
    if locations < 2 or width < 1:
        raise ValueError(
            "The memory must have `locations` of 2 or more, and a `width` of 1 "
            f"or more. Received: {locations} and {width}"
        )
    sequence = keras.Input(input_shape, name="sequence")
    cell = TuringCell(
        *(controller_units, output_units, locations, width), name="cell"
    )
    x = layers.RNN(
        cell,
        return_sequences=True,
        unroll=unroll,
        dtype="float32",
        name="machine",
    )(sequence)
    outputs = layers.Activation("sigmoid", name="predictions")(x)
    return keras.Model(sequence, outputs, name=name)


def addresses_of(model, sequences):
    """Return where the heads of a machine are, step by step.

    Args:
        model: See `neural_turing_machine`.
        sequences: What it reads, `(n, steps, numbers)`.

    Returns:
        The weights of the head that reads and of the one that writes, both
        `(n, steps, locations)`; each step's have the sum 1.
    """
    cell = model.get_layer("machine").cell
    sequences = ops.convert_to_tensor(sequences, "float32")
    states, found = cell.get_initial_state(len(sequences)), []
    for step in range(sequences.shape[1]):
        _, states = cell(sequences[:, step], states)
        found.append(ops.convert_to_numpy(states[2]))
    weights = np.stack(found, axis=1)
    return weights[..., : cell.locations], weights[..., cell.locations :]
