"""Recurrence as ONNX has it: layers that take step after step.

What ONNX has as one operation is written as one. What it has not is written
step by step, and needs no loop on the other side; see `onnx_layers`.
"""

import numpy as np
from keras import layers

from recipes.lab.export.onnx_layers import (
    OPERATIONS,
    NotInOnnx,
    Writers,
    array,
    check,
    dense,
    name_of,
)
from zoo import (
    encoder_decoders,
    linear_recurrences,
    neural_turing,
    recurrent,
    reservoirs,
    spiking,
)

writes = Writers()
# The operation, where its gates are in Keras' weights, and the activations
# that it names.
_RECURRENT = {
    layers.SimpleRNN: ("RNN", [0], ["activation"]),
    layers.LSTM: (
        "LSTM",
        [0, 3, 1, 2],  # input, output, forget, candidate
        ["recurrent_activation", "activation", "activation"],
    ),
    layers.GRU: ("GRU", [0, 1, 2], ["recurrent_activation", "activation"]),
}
# Those that need no numbers of their own.
_OF_GATES = {"Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"}
# What becomes of two directions, other than one vector behind the other.
_MERGED = {"sum": "ReduceSum", "ave": "ReduceMean", "mul": "ReduceProd"}


@writes(layers.SimpleRNN, layers.LSTM, layers.GRU)
def _recurrent(graph, layer, x):
    direction = "reverse" if layer.go_backwards else "forward"
    x = _states(graph, [layer], direction, x)
    if layer.go_backwards and layer.return_sequences:
        # Keras gives the states as they came, ONNX where the inputs were.
        start, end = [-1], [np.iinfo("int64").min]
        x = graph.node("Slice", x, start, end, [1], [-1])
    return x


@writes(layers.Bidirectional)
def _bidirectional(graph, layer, x):
    forward, backward = layer.forward_layer, layer.backward_layer
    if type(forward) not in _RECURRENT or type(forward) is not type(backward):
        raise NotInOnnx(graph, "its directions are no layers of one known type")
    check(graph, forward, go_backwards=False)
    check(graph, backward, go_backwards=True, units=forward.units)
    if layer.merge_mode not in ("concat", *_MERGED):
        raise NotInOnnx(graph, f"its `merge_mode` is {layer.merge_mode}")
    pair = [forward, backward]
    return _states(graph, pair, "bidirectional", x, layer.merge_mode)


def _states(graph, directions, name, x, merge_mode="concat"):
    """Write one or two recurrent layers that read the same sequence."""
    layer = directions[0]
    operation, gates, names = _RECURRENT[type(layer)]
    options = {}
    if operation == "GRU":
        options["linear_before_reset"] = int(layer.reset_after)
    for other in directions:
        check(graph, other, return_state=False, stateful=False)
        if operation == "GRU":
            check(graph, other, reset_after=layer.reset_after)
    weights = [_recurrent_weights(each.cell, gates) for each in directions]
    x = graph.node(
        operation,
        graph.node("Transpose", x, perm=[1, 0, 2]),
        *map(np.stack, zip(*weights, strict=True)),
        output=0 if layer.return_sequences else 1,
        activations=[
            _of_gates(graph, getattr(each, activation))
            for each in directions
            for activation in names
        ],
        direction=name,
        hidden_size=layer.units,
        **options,
    )
    # Steps, directions, batch, units; without steps where the last is wanted.
    order = [2, 0, 1, 3] if layer.return_sequences else [1, 0, 2]
    x = graph.node("Transpose", x, perm=order)
    if merge_mode in _MERGED:
        return graph.node(_MERGED[merge_mode], x, [-2], keepdims=0)
    sizes = [0] * (len(order) - 2) + [len(directions) * layer.units]
    return graph.node("Reshape", x, sizes)


@writes(layers.RNN)
def _turing_machine(graph, layer, x):
    """Write all steps of a neural Turing machine, one after the other."""
    cell, (steps, _) = layer.cell, x.shape
    if not isinstance(cell, neural_turing.TuringCell):
        raise NotInOnnx(graph, f"cells such as {name_of(type(cell))}")
    # Zeros for each example, of which the states before the first step are.
    none = graph.node(
        "Mul", graph.node("ReduceSum", x, [1, 2], keepdims=0), 0.0
    )
    none = graph.node("Unsqueeze", none, [1])
    states = [
        graph.node("Add", none, array(state).astype("float32"))
        for state in cell.get_initial_state(1)
    ]
    answers = []
    for step in range(steps):
        row = graph.node("Gather", x, step, axis=1)
        answer, states = _turing_step(graph, cell, row, states)
        answers.append(graph.node("Unsqueeze", answer, [1]))
    return graph.node("Concat", *answers, axis=1)


def _turing_step(graph, cell, row, states):
    """Write a step of it; see `zoo.neural_turing.TuringCell`."""
    hidden, carry, before, read, memory = states
    node, (rows, width) = graph.node, (cell.locations, cell.width)

    def dense(layer, x):
        return node("Gemm", x, layer.kernel, layer.bias)

    def part(x, start, end, axis=-1):
        return node("Slice", x, [start], [end], [axis])

    def unit(x):
        squares = node("ReduceSum", node("Mul", x, x), [-1])
        squares = node("Add", squares, neural_turing.SHORT**2)
        return node("Div", x, node("Sqrt", squares))

    memory = node("Reshape", memory, [0, rows, width])
    before = node("Reshape", before, [0, 2, rows])
    unit_cell = cell.controller
    gates = node("Concat", row, read, axis=1)
    gates = node("Gemm", gates, unit_cell.kernel, unit_cell.bias)
    gates = node(
        "Add", gates, node("MatMul", hidden, unit_cell.recurrent_kernel)
    )
    enter, forget, new, out = (
        part(gates, i * cell.units, (i + 1) * cell.units) for i in range(4)
    )
    new = node("Mul", node("Sigmoid", enter), node("Tanh", new))
    carry = node("Add", node("Mul", node("Sigmoid", forget), carry), new)
    hidden = node("Mul", node("Sigmoid", out), node("Tanh", carry))

    shifts = len(neural_turing.SHIFTS)
    said = dense(cell.heads, hidden)
    said = node("Reshape", said, [0, 2, width + 3 + shifts])
    key = unit(node("Tanh", part(said, 0, width)))
    strength, gate, power = (
        part(said, width + i, width + i + 1) for i in range(3)
    )
    shift = node("Softmax", part(said, width + 3, width + 3 + shifts), axis=-1)
    turned = node("Transpose", unit(memory), perm=[0, 2, 1])
    content = node(
        "Mul", node("MatMul", key, turned), node("Softplus", strength)
    )
    content = node("Softmax", content, axis=-1)
    gate = node("Sigmoid", gate)
    kept = node("Sub", before, node("Mul", gate, before))
    weights = node("Add", node("Mul", gate, content), kept)
    near = node("Gather", weights, cell.neighbors(), axis=2)
    near = node("Mul", near, node("Unsqueeze", shift, [2]))
    weights = node("ReduceSum", near, [-1], keepdims=0)
    logs = node("Log", node("Add", weights, neural_turing.SMALL))
    power = node("Add", node("Softplus", power), 1.0)
    weights = node("Softmax", node("Mul", power, logs), axis=-1)

    erase, add = (
        node("Unsqueeze", part(dense(cell.writing, hidden), start, end), [1])
        for start, end in ((0, width), (width, 2 * width))
    )
    written = node("Transpose", part(weights, 1, 2, axis=1), perm=[0, 2, 1])
    lost = node("Mul", written, node("Sigmoid", erase))
    memory = node("Sub", memory, node("Mul", memory, lost))
    memory = node("Add", memory, node("Mul", written, node("Tanh", add)))
    read = node("MatMul", part(weights, 0, 1, axis=1), memory)
    read = node("Squeeze", read, [1])
    answer = dense(cell.answer, node("Concat", hidden, read, axis=1))
    return answer, [
        *(hidden, carry),
        node("Reshape", weights, [0, 2 * rows]),
        read,
        node("Reshape", memory, [0, rows * width]),
    ]


@writes(recurrent.Permutation)
def _permutation(graph, layer, x):
    return graph.node("Gather", x, layer.order, axis=1)


@writes(linear_recurrences.LinearRecurrence)
def _linear_recurrence(graph, layer, x):
    steps, features = x.shape
    taken = layer.stride if layer.return_sequences else steps
    count = steps // taken
    x = graph.node("Reshape", x, [0, count, taken * features])
    x = graph.node("MatMul", x, array(layer.kernel_of(taken)))
    apart = 1
    # Each round adds what is as far back again: all steps are done in log T.
    while apart < count:
        real, imaginary = map(array, layer.powers(apart * taken))
        before = graph.node("Slice", x, [0], [count - apart], [1])
        before = graph.node("Pad", before, [0, apart, 0, 0, 0, 0])
        halves = [[0], [layer.units]], [[layer.units], [2 * layer.units]]
        parts = [graph.node("Slice", before, *half, [-1]) for half in halves]
        turned = graph.node("Concat", *reversed(parts), axis=-1)
        before = graph.node("Mul", before, np.tile(real, 2))
        x = graph.node("Add", x, before)
        lengths = np.concatenate([-imaginary, imaginary])
        x = graph.node("Add", x, graph.node("Mul", turned, lengths))
        apart *= 2
    if layer.return_sequences:
        return x
    return graph.node("Reshape", x, [0, 2 * layer.units])


@writes(reservoirs.Reservoir)
def _reservoir(graph, layer, x):
    steps = range(x.shape[0])
    sums = graph.node("MatMul", x, layer.kernel)
    sums = graph.node("Add", sums, layer.bias)
    states = []
    for step in reversed(steps) if layer.go_backwards else steps:
        new = graph.node("Gather", sums, step, axis=1)
        if states:
            joined = graph.node("MatMul", states[-1], layer.recurrent_kernel)
            new = graph.node("Add", new, joined)
        new = graph.node("Tanh", new)
        if layer.leak != 1:
            new = graph.node("Mul", new, layer.leak)
            if states:
                old = graph.node("Mul", states[-1], 1 - layer.leak)
                new = graph.node("Add", old, new)
        states.append(new)
    if not layer.return_sequences:
        return states[-1]
    states = [graph.node("Unsqueeze", state, [1]) for state in states]
    return graph.node("Concat", *states, axis=1)


@writes(reservoirs.WindowMoments)
def _window_moments(graph, layer, x):
    means = []
    for start, end in layer.places:
        window = graph.node("Slice", x, [start], [end], [1])
        means.append(graph.node("ReduceMean", window, [1], keepdims=0))
        squares = graph.node("Mul", window, window)
        means.append(graph.node("ReduceMean", squares, [1], keepdims=0))
    return graph.node("Concat", *means, axis=-1)


@writes(spiking.LiquidPool)
def _liquid_pool(graph, layer, x):
    def rounded_down(x):
        x = graph.node("Floor", graph.node("Mul", x, 1024.0))
        return graph.node("Div", x, 1024.0)

    def fires(voltage):
        above = graph.node("Greater", voltage, 1.0)
        return graph.cast(above, "float32")

    steps = layer.repeats * x.shape[0]
    x = graph.node("Add", graph.node("Mul", x, 16.0), 0.5)
    levels = graph.node("Div", graph.node("Floor", x), 16.0)
    rows = graph.node("MatMul", levels, layer.kernel)
    row = graph.node("Gather", rows, 0, axis=1)
    voltage, current = rounded_down(row), None
    fired = [fires(voltage)]
    for step in range(1, steps):
        sent = graph.node("MatMul", fired[-1], layer.recurrent_kernel)
        if current is not None:
            left = graph.node("Mul", current, layer.current_decay)
            sent = graph.node("Add", sent, rounded_down(left))
        current = sent
        quiet = graph.node("Sub", 1.0, fired[-1])
        left = graph.node("Mul", voltage, quiet)
        left = graph.node("Mul", left, layer.voltage_decay)
        if step % layer.repeats == 0:
            row = graph.node("Gather", rows, step // layer.repeats, axis=1)
        voltage = graph.node("Add", rounded_down(left), row)
        voltage = graph.node("Add", voltage, current)
        fired.append(fires(voltage))
    counts, start = [], 0
    for end in layer.ends:
        counts.append(graph.node("Sum", *fired[start:end]))
        start = end
    return graph.node("Concat", *counts, axis=-1)


@writes(encoder_decoders.Decoder)
def _decoder(graph, layer, encoded):
    attends = len(encoded.shape) == 2
    last, context = encoded, encoded
    if attends:
        keys = dense(graph, layer.key, encoded)
        last = graph.node("Gather", encoded, -1, axis=1)
    # The first axis is that of the steps, of which each operation has one.
    state = dense(graph, layer.start, last)
    state = graph.node("Unsqueeze", state, [0])
    rows = array(layer.embedding.embeddings)
    batch = graph.node("Shape", encoded, end=1)
    shape = graph.node("Concat", batch, [rows.shape[1]], axis=0)
    written = graph.node("Expand", rows[0], shape)
    weights = _recurrent_weights(layer.cell, [0, 1, 2])
    logits = []
    for step in range(layer.length):
        if attends:
            squeezed = graph.node("Squeeze", state, [0])
            context = _attended(graph, layer, keys, squeezed, encoded)
        inputs = graph.node("Concat", written, context, axis=-1)
        state = graph.node(
            "GRU",
            graph.node("Unsqueeze", inputs, [0]),
            *(weight[np.newaxis] for weight in weights),
            *(None, state),
            output=1,
            hidden_size=layer.units,
            linear_before_reset=1,
        )
        squeezed = graph.node("Squeeze", state, [0])
        found = graph.node("Concat", squeezed, context, axis=-1)
        found = dense(graph, layer.letters, found)
        logits.append(graph.node("Unsqueeze", found, [1]))
        if step < layer.length - 1:
            letter = graph.node("ArgMax", found, axis=-1, keepdims=0)
            written = graph.node("Gather", rows, letter)
    return graph.node("Concat", *logits, axis=1)


def _attended(graph, layer, keys, state, encoded):
    """Return the mean of what was read that a decoder attends to."""
    query = graph.node("Unsqueeze", dense(graph, layer.query, state), [1])
    scores = graph.node("Tanh", graph.node("Add", keys, query))
    scores = dense(graph, layer.score, scores)
    weights = graph.node("Softmax", scores, axis=1)
    return graph.node(
        "ReduceSum", graph.node("Mul", weights, encoded), [1], keepdims=0
    )


def _recurrent_weights(cell, gates):
    """Return a cell's weights as ONNX has them, its gates in this order."""

    def in_order(weights):
        parts = np.split(weights, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1)

    # The biases of what comes in, and of the state; most cells have only one.
    biases = np.zeros((2, len(gates) * cell.units), "float32")
    if cell.use_bias:
        biases[: cell.bias.ndim] = array(cell.bias)
    return (
        in_order(array(cell.kernel)).T,
        in_order(array(cell.recurrent_kernel)).T,
        in_order(biases).ravel(),
    )


def _of_gates(graph, activation):
    operation, _ = OPERATIONS.get(activation, (None, None))
    if operation not in _OF_GATES:
        raise NotInOnnx(
            graph, f"its gates have the activation {name_of(activation)}"
        )
    return operation
