"""Markov chains: what comes next depends on what is there now, and no more.

The states here are letters. The number 0 stands for none: a text begins there,
and ends there, so that a chain steps from one text to the next.
"""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model
from zoo.encoder_decoders import LetterEmbedding

START = 0  # the state before and after a text


def count_transitions(tokens, states: int) -> np.ndarray:
    """Count how often each state follows each other one.

    Args:
        tokens: Numbers of the letters of texts, `(n, length)`, with zeros
            before the first letter. Each text begins and ends at 0.
        states: How many states there are, 0 included.

    Returns:
        Counts `(states, states)`, float64: from the row's state to the
        column's.
    """
    tokens = np.asarray(tokens, "int64")
    ends = np.zeros((len(tokens), 1), tokens.dtype)
    before = np.hstack([ends, tokens]).ravel()
    after = np.hstack([tokens, ends]).ravel()
    # From none to none is in front of a text, and none of its steps.
    steps = (before != START) | (after != START)
    pairs = before[steps] * states + after[steps]
    counts = np.bincount(pairs, minlength=states**2)
    return counts.reshape(states, states).astype("float64")


def transition_matrix(counts, smoothing: float = 0.0) -> np.ndarray:
    """Return the probabilities of transitions from how often they were seen.

    Without smoothing these are the most likely ones.

    Args:
        counts: From the row's state to the column's, `(states, states)`.
        smoothing: What is added to each count, so that what was never seen can
            still be.

    Returns:
        Probabilities `(states, states)`, each row of which has the sum 1.

    Raises:
        ValueError: If nothing is known of a state.
    """
    counts = np.asarray(counts, "float64") + smoothing
    sums = counts.sum(axis=1, keepdims=True)
    if not np.all(sums > 0):
        raise ValueError(
            f"State {int(np.argmin(sums))} was never seen, so that nothing is "
            "known of what follows it: add some `smoothing`."
        )
    return counts / sums


def stationary_distribution(matrix) -> np.ndarray:
    """Return the distribution π that a step of a chain leaves as it is.

    It is the solution of π = πP whose sum is 1, and there is one if every state
    can be reached from every other one. A chain is in each state for this share
    of its steps, in the long run, wherever it began.

    Args:
        matrix: The transition probabilities P, `(states, states)`.
    """
    matrix = np.asarray(matrix, "float64")
    states = len(matrix)
    equations = np.vstack([matrix.T - np.eye(states), np.ones(states)])
    right = np.append(np.zeros(states), 1.0)
    found, *_ = np.linalg.lstsq(equations, right)
    return found


def walk(matrix, steps: int, chains: int, random) -> np.ndarray:
    """Let chains walk from 0 on; return their states, `(chains, steps)`.

    Args:
        matrix: The transition probabilities.
        steps: How far each goes.
        chains: How many there are.
        random: A generator of NumPy's.
    """
    sums = np.cumsum(matrix, axis=1)
    last = len(sums) - 1
    states = np.full(chains, START)
    visited = np.empty((chains, steps), "int64")
    for step in range(steps):
        chance = random.uniform(size=(chains, 1))
        # A sum of rounded numbers may end a little below 1.
        states = np.minimum((sums[states] <= chance).sum(axis=1), last)
        visited[:, step] = states
    return visited


@keras.saving.register_keras_serializable(package="zoo")
class LastLetter(layers.Layer):
    """Give the last of the letters of each text, `(batch,)`."""

    def call(self, tokens):
        return ops.take(tokens, tokens.shape[1] - 1, axis=1)


@register_model(
    task="generation",
    inputs="tokens",
    lecture="Markov chains: what comes next depends on what is there now",
    reference="Markov 1913; Shannon 1948",
    chart=("MC",),
)
def markov_chain(
    input_shape=(54,),
    *,
    alphabet=" ,-.0123456789abcdefghijlmnoprstuvwxyz",
    name="markov_chain",
):
    """Build a Markov chain of letters.

    Each letter has a row of numbers, one for each that may follow, and their
    softmax says how probable it is. Of all that a text has, only its last
    letter counts.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | last        |        |            |
    | transitions | 39     | 1,521      |
    | predictions | 39     |            |
    | sum         |        | 1,521      |

    `set_transitions` gives it the probabilities that counting has found; the
    gradient of the cross-entropy leads to the same ones.

    Args:
        input_shape: How many letters are read, as a tuple.
        alphabet: The letters; numbers go from 0, which is none: the state
            before the first letter, and after the last one.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers of
        letters, with zeros before the first one, to `(batch, len(alphabet) +
        1)`: the probabilities of what comes next; the first is that of the end.

    Raises:
        ValueError: If there are no letters, or one is there twice.

    Example:
    >>> model = zoo.create_model("markov_chain", alphabet="abn")
    >>> counts = zoo.chains.count_transitions([[1, 2, 1, 3, 1]], 4)
    >>> matrix = zoo.chains.transition_matrix(counts, smoothing=0.1)
    >>> zoo.chains.set_transitions(model, matrix)

    Reference:
    - A. A. Markov, An example of statistical investigation of the text Eugene
      Onegin concerning the connection of samples in chains, 1913.
    - C. E. Shannon, A mathematical theory of communication, 1948.
    """
    if not alphabet or len(set(alphabet)) < len(alphabet):
        raise ValueError(
            "`alphabet` must have letters, each of them once. Received: "
            f"{alphabet!r}"
        )
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = LastLetter(name="last")(tokens)
    x = LetterEmbedding(alphabet, len(alphabet) + 1, name="transitions")(x)
    outputs = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(tokens, outputs, name=name)


def set_transitions(model, matrix) -> None:
    """Give a chain its transition probabilities.

    Args:
        model: See `markov_chain`.
        matrix: Probabilities above 0, `(states, states)`.

    Raises:
        ValueError: If one is not above 0: no softmax is.
    """
    if not np.all(np.asarray(matrix) > 0):
        raise ValueError(
            "Each transition must have a probability above 0: add some "
            "`smoothing` to the counts."
        )
    model.get_layer("transitions").set_weights([np.log(matrix)])


def transitions_of(model) -> np.ndarray:
    """Return the transition probabilities of a chain, float64."""
    [logits] = model.get_layer("transitions").get_weights()
    powers = np.exp(logits.astype("float64"))
    return powers / powers.sum(axis=1, keepdims=True)
