"""Neural Turing machines: where heads go, what is written, what is read."""

import keras
import numpy as np
import pytest
from helpers.seeds import set_seed

import zoo
from zoo import neural_turing
from zoo.neural_turing import TuringCell

LOCATIONS, WIDTH = 6, 3


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def cell_of(**weights):
    """A small cell with random weights; some layers' biases alone."""
    set_seed(0)
    cell = TuringCell(4, 2, LOCATIONS, WIDTH)
    cell.build((None, 5))
    for name, bias in weights.items():
        layer = getattr(cell, name)
        layer.set_weights([np.zeros(layer.kernel.shape), bias])
    return cell


def walk(cell, inputs):
    """Return what a cell answers, and its states after each step."""
    states, found = cell.get_initial_state(len(inputs)), []
    for step in range(inputs.shape[1]):
        answer, states = cell(inputs[:, step], states)
        found.append([plain(answer), *map(plain, states)])
    return [np.stack(parts, axis=1) for parts in zip(*found, strict=True)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def length(row):
    return np.sqrt(row @ row + 0.01**2)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def by_hand(cell, sequence):
    """The same for one sequence, in NumPy, head by head and row by row."""
    lstm = [w.astype("float64") for w in cell.controller.get_weights()]
    (w_heads, b_heads), (w_write, b_write), (w_answer, b_answer) = (
        layer.get_weights() for layer in (cell.heads, cell.writing, cell.answer)
    )
    hidden = carry = np.zeros(4)
    read, memory = np.zeros(WIDTH), np.full((LOCATIONS, WIDTH), 1e-6)
    weights = np.eye(LOCATIONS)[[0, 0]]
    found = []
    for x in sequence:
        sums = np.concatenate([x, read]) @ lstm[0] + hidden @ lstm[1] + lstm[2]
        enter, forget, new, out = np.split(sums, 4)
        carry = sigmoid(forget) * carry + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(out) * np.tanh(carry)
        said, after = (hidden @ w_heads + b_heads).reshape(2, -1), []
        for numbers, before in zip(said, weights, strict=True):
            key = np.tanh(numbers[:WIDTH])
            strength, gate, power = numbers[WIDTH : WIDTH + 3]
            cosines = [row @ key / length(row) / length(key) for row in memory]
            content = softmax(softplus(strength) * np.array(cosines))
            mixed = sigmoid(gate) * content + (1 - sigmoid(gate)) * before
            back, stay, on = softmax(numbers[WIDTH + 3 :])
            moved = (
                back * np.roll(mixed, -1)
                + stay * mixed
                + on * np.roll(mixed, 1)
            )
            sharp = (moved + 1e-6) ** (1 + softplus(power))
            after.append(sharp / sharp.sum())
        weights = np.array(after)
        erase, add = np.split(hidden @ w_write + b_write, 2)
        for i, weight in enumerate(weights[1]):
            memory[i] = memory[i] * (1 - weight * sigmoid(erase))
            memory[i] += weight * np.tanh(add)
        read = weights[0] @ memory
        answer = np.concatenate([hidden, read]) @ w_answer + b_answer
        found.append((answer, hidden, carry, weights.ravel(), read))
    return [np.array(parts) for parts in zip(*found, strict=True)], memory


def test_a_step_is_what_the_paper_says():
    cell = cell_of()
    random = np.random.default_rng(0)
    for weight in cell.trainable_variables:
        weight.assign(random.normal(size=weight.shape))
    inputs = random.normal(size=(2, 7, 5)).astype("float32")
    *found, memory = walk(cell, inputs)
    for i, sequence in enumerate(inputs):
        expected, last = by_hand(cell, sequence)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            memory[i, -1].reshape(LOCATIONS, WIDTH), last, rtol=1e-3, atol=1e-4
        )


def heads_that(*, gate, shift, strength=0.0, key=(0, 0, 0)):
    """The bias of the heads that makes both do the same at each step."""
    of_head = [*key, strength, gate, 8.0, *(30.0 * np.eye(3)[shift + 1])]
    return np.array([*of_head, *of_head])


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_head_moves_by_its_shift_around_the_end(shift):
    cell = cell_of(heads=heads_that(gate=-30.0, shift=shift))
    inputs = np.zeros((1, 8, 5), "float32")
    weights = walk(cell, inputs)[3].reshape(8, 2, LOCATIONS)
    expected = shift * np.arange(1, 9) % LOCATIONS
    for head in (0, 1):
        assert weights[:, head].argmax(axis=1).tolist() == expected.tolist()
        assert weights[:, head].max(axis=1).min() > 0.99


def test_content_finds_the_row_that_is_like_the_key():
    bias = heads_that(gate=30.0, shift=0, strength=50.0, key=(2, -2, 2))
    cell = cell_of(heads=bias)
    memory = np.random.default_rng(0).normal(size=(1, LOCATIONS, WIDTH))
    memory[0, 4] = 0.2 * np.tanh([2, -2, 2])  # like the key, but for its size
    states = cell.get_initial_state(1)
    states[-1] = memory.reshape(1, -1).astype("float32")
    _, states = cell(np.zeros((1, 5), "float32"), states)
    weights = plain(states[2]).reshape(2, LOCATIONS)
    assert weights.argmax(axis=1).tolist() == [4, 4]
    assert weights.max(axis=1).min() > 0.99


def test_what_is_written_is_at_the_head_and_nowhere_else():
    add = np.array([1.0, -1.0, 0.5])
    cell = cell_of(
        heads=heads_that(gate=-30.0, shift=1),
        writing=np.array([30.0] * WIDTH + [*np.arctanh(0.9 * add)]),
    )
    memory = walk(cell, np.zeros((1, 2, 5), "float32"))[-1]
    memory = memory[0, -1].reshape(LOCATIONS, WIDTH)
    np.testing.assert_allclose(memory[[1, 2]], [0.9 * add] * 2, atol=0.01)
    np.testing.assert_allclose(memory[[0, 3, 4, 5]], 0, atol=0.01)


def test_weights_fit_a_machine_of_more_steps_and_of_more_memory():
    sizes = {"controller_units": 4, "width": 3}
    model = zoo.neural_turing_machine((6, 10), locations=5, **sizes)
    longer = zoo.neural_turing_machine((9, 10), locations=5, **sizes)
    longer.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 9, 10)).astype("float32")
    np.testing.assert_allclose(
        plain(longer(x))[:, :6], plain(model(x[:, :6])), atol=1e-6
    )
    larger = zoo.neural_turing_machine((9, 10), locations=50, **sizes)
    larger.set_weights(model.get_weights())
    reads, writes = neural_turing.addresses_of(larger, x)
    assert reads.shape == writes.shape == (2, 9, 50)
    np.testing.assert_allclose(reads.sum(axis=2), 1, rtol=1e-5)
    assert not np.allclose(reads, writes)


@pytest.mark.parametrize("sizes", [{"locations": 1}, {"width": 0}])
def test_a_memory_of_nothing_is_refused(sizes):
    with pytest.raises(ValueError, match="must have `locations` of 2 or more"):
        zoo.neural_turing_machine(**sizes)
