"""Recurrent layers without a loop, for training on a CPU.

TensorFlow's loop costs as much as a small layer's arithmetic. Here all steps
are in the graph, and the gradient is written out: that of the weights is one
product over all steps at the end, instead of one more for each step. The
numbers are those of Keras but for rounding.
"""

import functools

import keras
import tensorflow as tf
from keras import layers

MOST_STEPS = 64  # the graph grows with each


def unroll(model) -> None:
    """Let the recurrent layers of a model train without a loop.

    Layers with options that are not known here stay as they are. `roll` undoes
    it.

    Args:
        model: A built model.
    """
    for layer in model._flatten_layers():
        if _is_known(layer):
            layer.call = functools.partial(_call, layer)


def roll(model) -> None:
    """Make the recurrent layers of a model Keras' own again."""
    for layer in model._flatten_layers():
        if type(layer) in _CELLS:
            vars(layer).pop("call", None)


def _is_known(layer) -> bool:
    if type(layer) not in _CELLS:
        return False
    sigmoid, cell = keras.activations.sigmoid, layer.cell
    return (
        cell.activation is keras.activations.tanh
        and getattr(cell, "recurrent_activation", sigmoid) is sigmoid
        and getattr(cell, "reset_after", True)
        and layer.use_bias
        and layer.compute_dtype == "float32"
        and not (layer.dropout or layer.recurrent_dropout)
        and not (layer.stateful or layer.return_state)
    )


def _call(layer, sequences, initial_state=None, mask=None, training=False):
    steps = sequences.shape[1]
    given = initial_state is not None or mask is not None
    if given or steps is None or steps > MOST_STEPS:
        return type(layer).call(
            layer, sequences, initial_state, mask=mask, training=training
        )
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [1])
    outputs = _outputs(
        _CELLS[type(layer)],
        layer.return_sequences,
        *(sequences, *(weight.value for weight in layer.cell.weights)),
    )
    return tf.stack(outputs, axis=1) if layer.return_sequences else outputs[0]


def _outputs(cell, every, sequences, kernel, recurrent_kernel, bias):
    """Return what a layer gives, a list of `(batch, units)`.

    Args:
        cell: What is done at a step, one of `_CELLS`.
        every: Whether to return what each step gives, or the last alone.
        sequences: `(batch, steps, features)`.
        kernel: `(features, gates * units)`.
        recurrent_kernel: `(units, gates * units)`.
        bias: `(gates * units,)`, or `(2, gates * units)` with a second one for
            what is recurrent.
    """
    steps, features = sequences.shape[1:]
    units = recurrent_kernel.shape[0]

    @tf.custom_gradient
    def run(sequences, kernel, recurrent_kernel, bias):
        has_two = len(bias.shape) == 2
        inner, outer = tf.unstack(bias) if has_two else (bias, None)
        # All of the inputs at once, first step first, for each group of gates.
        rows = tf.reshape(tf.transpose(sequences, (1, 0, 2)), (-1, features))
        groups = tf.split(
            tf.nn.bias_add(tf.matmul(rows, kernel), inner),
            [units * gates for gates in cell.groups],
            axis=1,
        )
        entering = zip(*(tf.split(x, steps) for x in groups), strict=True)
        state = zeros = tf.zeros((tf.shape(sequences)[0], units))
        outputs, kept = [zeros], []
        for inputs in entering:
            recurrent = tf.matmul(outputs[-1], recurrent_kernel)
            if has_two:
                recurrent = tf.nn.bias_add(recurrent, outer)
            output, state, values = cell.forward(
                inputs, recurrent, outputs[-1], state
            )
            outputs.append(output)
            kept.append(values)

        def gradient(*upstream):
            turned = tf.transpose(recurrent_kernel)
            by_inputs, by_recurrent = [], []
            upstream = list(upstream)
            by_output, by_state = upstream.pop(), None
            for values in reversed(kept):
                of_inputs, of_recurrent, by_last, by_state = cell.backward(
                    values, by_output, by_state
                )
                by_inputs.append(of_inputs)
                by_recurrent.append(of_recurrent)
                by_output = tf.matmul(of_recurrent, turned)
                if by_last is not None:
                    by_output += by_last
                if upstream:
                    by_output += upstream.pop()
            by_inputs = tf.concat(by_inputs[::-1], 0)
            by_recurrent = tf.concat(by_recurrent[::-1], 0)
            by_bias = tf.reduce_sum(by_inputs, 0)
            if has_two:
                by_bias = tf.stack([by_bias, tf.reduce_sum(by_recurrent, 0)])
            by_rows = tf.matmul(by_inputs, kernel, transpose_b=True)
            by_rows = tf.reshape(by_rows, (steps, -1, features))
            before = tf.concat(outputs[:-1], 0)
            return (
                tf.transpose(by_rows, (1, 0, 2)),
                tf.matmul(rows, by_inputs, transpose_a=True),
                tf.matmul(before, by_recurrent, transpose_a=True),
                by_bias,
            )

        return outputs[1:] if every else outputs[-1:], gradient

    return run(sequences, kernel, recurrent_kernel, bias)


class _SimpleRNN:
    """h' = tanh(x + u), where x is of the inputs and u of h."""

    groups = (1,)

    @staticmethod
    def forward(inputs, recurrent, output, state):
        output = tf.tanh(inputs[0] + recurrent)
        return output, state, output

    @staticmethod
    def backward(output, by_output, by_state):
        by_sum = tf.raw_ops.TanhGrad(y=output, dy=by_output)
        return by_sum, by_sum, None, by_state


class _GRU:
    """h' = c + z (h - c), c = tanh(x + r u), of gates z and r."""

    groups = (2, 1)

    @staticmethod
    def forward(inputs, recurrent, output, state):
        units = output.shape[1]
        of_gates, of_candidate = tf.split(recurrent, [2 * units, units], 1)
        gates = tf.sigmoid(inputs[0] + of_gates)
        update, reset = tf.split(gates, 2, 1)
        candidate = tf.tanh(inputs[1] + reset * of_candidate)
        change = output - candidate
        kept = gates, update, reset, of_candidate, candidate, change
        return candidate + update * change, state, kept

    @staticmethod
    def backward(kept, by_output, by_state):
        gates, update, reset, of_candidate, candidate, change = kept
        by_last = by_output * update
        by_candidate = tf.raw_ops.TanhGrad(y=candidate, dy=by_output - by_last)
        by_gates = tf.raw_ops.SigmoidGrad(
            y=gates,
            dy=tf.concat([by_output * change, by_candidate * of_candidate], 1),
        )
        by_inputs = tf.concat([by_gates, by_candidate], 1)
        by_recurrent = tf.concat([by_gates, by_candidate * reset], 1)
        return by_inputs, by_recurrent, by_last, by_state


class _LSTM:
    """h' = o tanh(s'), s' = f s + i c, of gates i, f, o and the candidate c."""

    groups = (4,)

    @staticmethod
    def forward(inputs, recurrent, output, state):
        units = output.shape[1]
        two, candidate, exit_gate = tf.split(
            inputs[0] + recurrent, [2 * units, units, units], 1
        )
        two = tf.sigmoid(two)
        entrance, forget = tf.split(two, 2, 1)
        candidate, exit_gate = tf.tanh(candidate), tf.sigmoid(exit_gate)
        last, state = state, forget * state + entrance * candidate
        squashed = tf.tanh(state)
        kept = two, entrance, forget, candidate, exit_gate, last, squashed
        return exit_gate * squashed, state, kept

    @staticmethod
    def backward(kept, by_output, by_state):
        two, entrance, forget, candidate, exit_gate, last, squashed = kept
        through = tf.raw_ops.TanhGrad(y=squashed, dy=by_output * exit_gate)
        by_state = through if by_state is None else through + by_state
        by_sum = tf.concat(
            [
                tf.raw_ops.SigmoidGrad(
                    y=two,
                    dy=tf.concat([by_state * candidate, by_state * last], 1),
                ),
                tf.raw_ops.TanhGrad(y=candidate, dy=by_state * entrance),
                tf.raw_ops.SigmoidGrad(y=exit_gate, dy=by_output * squashed),
            ],
            axis=1,
        )
        return by_sum, by_sum, None, by_state * forget


_CELLS = {
    layers.SimpleRNN: _SimpleRNN,
    layers.GRU: _GRU,
    layers.LSTM: _LSTM,
}
