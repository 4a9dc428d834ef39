"""Sequences to copy: bits are shown, and are to be given back in their order.

First comes a mark that says that it begins, then a row of eight random bits at
each step, then a mark that says that it ends. After that nothing is shown, and
at each step one of the rows is asked for. The answer to a step at which nothing
is asked for does not count: there the targets are -1.

Reference: A. Graves, G. Wayne, I. Danihelka, Neural Turing machines, 2014.
"""

import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tables import Column
from recipes.lab.inputs.time_series import TimeSeries

BITS = 8  # of a row
LONGEST = (10, 20, 40)  # rows, of each set
COLUMNS = (
    *(Column(f"bit_{i + 1}", "", "0 or 1") for i in range(BITS)),
    Column("begins", "", "1 before the first row, otherwise 0"),
    Column("ends", "", "1 after the last row, otherwise 0"),
)
NOT_ASKED = -1.0
TIMES = {"train": 3_200, "validation": 200, "test": 1_000}  # sequences
SMALL = 400  # sequences of each split of a sample


def load(longest: int, small: bool = False) -> Data:
    """Return sequences of 1 row to `longest`, and what is asked at each step.

    Args:
        longest: How many rows a sequence has at most.
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(longest)
    splits = {}
    for name, count in TIMES.items():
        count = SMALL if small else count
        lengths = 1 + np.arange(count) % longest
        inputs = sequences(random.permutation(lengths), longest, random)
        splits[name] = Split(inputs, targets_of(inputs).numpy())
    return Data(
        f"copies_{longest}",
        **splits,
        inputs=TimeSeries(steps_of(longest), COLUMNS),
        facts=Facts("sequences to copy", "drawn at random, free of licences"),
        class_names=(),
        source="a generator",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def steps_of(rows: int) -> int:
    """Return how many steps a sequence of so many rows has."""
    return 2 * rows + 2


def sequences(lengths, longest: int, random) -> np.ndarray:
    """Return a sequence of each length, float32 `(n, steps, 10)`."""
    count, steps = len(lengths), np.arange(steps_of(longest))
    inputs = np.zeros((count, len(steps), len(COLUMNS)), "float32")
    lengths = np.asarray(lengths)[:, np.newaxis]
    shown = (1 <= steps) & (steps <= lengths)
    bits = random.integers(0, 2, (count, len(steps), BITS))
    inputs[..., :BITS] = bits * shown[..., np.newaxis]
    inputs[..., BITS] = steps == 0
    inputs[..., BITS + 1] = steps == 1 + lengths
    return inputs


def targets_of(inputs):
    """Return what is asked at each step, a tensor `(n, steps, 8)`.

    Args:
        inputs: Sequences, an array or a tensor.
    """
    inputs = tf.convert_to_tensor(inputs)
    steps = tf.range(inputs.shape[1])
    ends = tf.argmax(inputs[..., BITS + 1], axis=1, output_type=tf.int32)
    places = steps - ends[:, tf.newaxis]  # 1 where the first row is asked for
    rows = tf.gather(inputs[..., :BITS], tf.maximum(places, 0), batch_dims=1)
    is_asked = (0 < places) & (places < ends[:, tf.newaxis])
    return tf.where(is_asked[..., tf.newaxis], rows, NOT_ASKED)


def to_copy(sequences, targets):
    """Return a batch with what it asks for, whatever was asked before.

    It is for `Split.prepare`, after the bits were drawn anew.
    """
    del targets
    return sequences, targets_of(sequences)


def random_bits(sequences, draw):
    """Draw the bits of a batch anew; their number stays.

    Args:
        sequences: The batch.
        draw: What draws random numbers for it, see
            `recipes.lab.data.augmentation`.
    """
    steps = sequences.shape[1]
    bits = tf.cast(draw(1, steps, BITS) < 0.5, sequences.dtype)
    bits = tf.transpose(bits, (2, 0, 1))
    ends = tf.argmax(sequences[..., BITS + 1], axis=1, output_type=tf.int32)
    places = tf.range(steps)
    shown = (0 < places) & (places < ends[:, tf.newaxis])
    bits *= tf.cast(shown, sequences.dtype)[..., tf.newaxis]
    return tf.concat([bits, sequences[..., BITS:]], axis=-1)
