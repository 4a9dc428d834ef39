"""The adding problem: remember two numbers of a long sequence, and add them.

At each step there is a number between 0 and 1, drawn at random, and a mark: 1
at two of the steps, one of them in each half, and 0 at the others. The answer
is the sum of the two numbers that are marked. Always answering 1, which is the
mean of the sums, has a mean squared error of 1/6.

Reference: S. Hochreiter, J. Schmidhuber, Long short-term memory, 1997; with
numbers in [0, 1] and an error, not a rate, as in M. Arjovsky, A. Shah, Y.
Bengio, Unitary evolution recurrent neural networks, 2016.
"""

import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tables import Column
from recipes.lab.inputs.time_series import TimeSeries

STEPS = (200, 1_000)  # of the sequences of each set
COLUMNS = (
    Column("number", "", "drawn evenly between 0 and 1"),
    Column("mark", "", "1 if the number is to be added, otherwise 0"),
)
VARIANCE = 1 / 6  # of the sum of two numbers
SIZES = {"train": 10_000, "validation": 1_000, "test": 2_000}
SMALL = 400  # sequences of each split of a sample
SMALL_STEPS = 40


def load(steps: int, small: bool = False) -> Data:
    """Return sequences and the sums of their marked numbers.

    Args:
        steps: The length of a sequence.
        small: Whether a sample is enough, of shorter sequences.
    """
    random = np.random.default_rng(steps)
    length = SMALL_STEPS if small else steps
    splits = {}
    for name, count in SIZES.items():
        inputs = sequences(SMALL if small else count, length, random)
        splits[name] = Split(inputs, sums(inputs))
    return Data(
        f"adding_{steps}",
        **splits,
        inputs=TimeSeries(length, COLUMNS),
        facts=Facts("the adding problem", "drawn at random, free of licences"),
        class_names=(),
        source="a generator",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
        target=Column("sum", "", "of the two numbers that are marked"),
    )


def sequences(count: int, steps: int, random) -> np.ndarray:
    """Return so many sequences, float32 `(count, steps, 2)`."""
    inputs = np.zeros((count, steps, 2), "float32")
    inputs[..., 0] = random.uniform(size=(count, steps))
    half = steps // 2
    for low, high in ((0, half), (half, steps)):
        marked = random.integers(low, high, count)
        inputs[np.arange(count), marked, 1] = 1
    return inputs


def sums(inputs) -> np.ndarray:
    """Return the sum of the marked numbers of each sequence, `(count,)`."""
    numbers, marks = inputs[..., 0], inputs[..., 1]
    return (numbers * marks).sum(axis=1)


def random_numbers(sequences, draw):
    """Draw the numbers of a batch anew that are not marked.

    The sums stay, and nothing can be learned by heart of what is between.

    Args:
        sequences: The batch.
        draw: What draws random numbers for it, see
            `recipes.lab.data.augmentation`.
    """
    numbers, marks = tf.unstack(sequences, axis=-1)
    others = tf.transpose(draw(1, sequences.shape[1]))
    return tf.stack([tf.where(marks > 0, numbers, others), marks], axis=-1)
