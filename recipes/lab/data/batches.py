"""The batches of a split, without end, in equal shares for the replicas.

Each replica reads its own share. TensorFlow would otherwise fetch batches to
devices through an iterator whose tuner cannot be switched off and sleeps ever
longer. To delete such an iterator, as Keras does around every validation, may
take until it wakes: seconds, after some epochs.
"""

import mmap
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from recipes.lab.data import augmentation
from recipes.lab.data.splits import Split, steps_per_epoch

EVALUATION_BATCH = 1_000
ALIGNMENT = 64  # bytes


def training_batches(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    initial_epoch: int = 0,
    augment: Callable | None = None,
    shares: int = 1,
) -> list[tf.data.Dataset]:
    """Return the batches of one epoch after another.

    The order of an epoch is a function of the seed and of the epoch alone, so
    a run that resumes in epoch 5 sees what it would have seen anyway. Whole
    batches only: with a shorter last one, replicas would weigh its examples
    differently.

    Args:
        split: The inputs and targets to draw from.
        batch_size: Images in a global batch, a multiple of `shares`.
        seed: Seed of the order and of the augmentation.
        initial_epoch: Epoch to begin with.
        augment: A function `(images, draw) -> images` on a batch of uint8
            images, see `recipes.lab.data.augmentation`.
        shares: Number of parts of each batch, equal and in order.

    Returns:
        For each share a data set of `(inputs, targets)`, augmented and then
        prepared as the split says.
    """
    steps = steps_per_epoch(split, batch_size)
    inputs = tf.nest.map_structure(_to_tensor, split.inputs)
    targets = tf.nest.map_structure(_to_tensor, split.targets)
    size = batch_size // shares

    def share_of_batches(first):
        def epoch_batches(epoch):
            order = tf.random.experimental.stateless_shuffle(
                tf.range(split.passes * len(split)),
                seed=tf.stack([seed, epoch]),
            ) % len(split)
            order = tf.reshape(order[: steps * batch_size], (steps, batch_size))
            numbers = epoch * steps + tf.range(steps, dtype=tf.int64)
            return tf.data.Dataset.from_tensor_slices(
                (order[:, first : first + size], numbers)
            )

        def gather(indices, number):
            batch, drawn = tf.nest.map_structure(
                lambda x: tf.gather(x, indices), (inputs, targets)
            )
            if augment is not None:
                seeds = tf.stack([seed, number])
                draw = augmentation.Drawing(seeds, batch_size, first, size)
                batch = augment(batch, draw)
            return _prepared(split, batch, drawn)

        return _endless(
            tf.data.Dataset.counter(initial_epoch)
            .flat_map(epoch_batches)
            .map(gather)
        )

    return [share_of_batches(first) for first in range(0, batch_size, size)]


def validation_batches(
    split: Split, *, replicas: int = 1, shares: int = 1
) -> tuple[list[tf.data.Dataset], int]:
    """Return all images in order, over and over.

    Args:
        split: The inputs and targets.
        replicas: How many models are to share a batch.
        shares: Number of parts of each batch: `replicas`, or 1.

    Returns:
        For each share a data set as `training_batches` has it, and the number
        of steps that hold every image once. The last batch may be shorter, but
        every replica gets an image of it.
    """
    batch_size = _evaluation_batch(len(split), replicas)
    inputs = tf.nest.map_structure(_to_tensor, split.inputs)
    targets = tf.nest.map_structure(_to_tensor, split.targets)
    size = batch_size // shares

    def cut(start):
        end = tf.minimum(start + size, len(split))
        cut_off = tf.nest.map_structure(
            lambda x: x[start:end], (inputs, targets)
        )
        return _prepared(split, *cut_off)

    datasets = [
        _endless(
            tf.data.Dataset.range(first, len(split), batch_size)
            .repeat()
            .map(cut)
        )
        for first in range(0, batch_size, size)
    ]
    return datasets, -(-len(split) // batch_size)


def validation_share(split: Split, replicas: int) -> int:
    """Return how many images a replica gets of each batch but the last."""
    return _evaluation_batch(len(split), replicas) // replicas


def _evaluation_batch(images: int, replicas: int) -> int:
    """Return the largest batch, up to 1,000, that the replicas can share.

    They must divide it evenly; and of the last one each must get an image, for
    convolutions do not bear an empty batch.
    """
    largest = min(EVALUATION_BATCH, images)
    for size in range(largest, 0, -1):
        share, rest = divmod(size, replicas)
        last = images % size or size
        if rest == 0 and last > size - share:
            return size
    return largest


def _endless(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Let nothing tune a data set, nor rewrite it and copy the images."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    # With a known end Keras would make a second iterator after each validation,
    # and tf.distribute would look out for the end at every batch.
    endless = tf.data.experimental.assert_cardinality(
        tf.data.INFINITE_CARDINALITY
    )
    return dataset.apply(endless).prefetch(2).with_options(options)


def _prepared(split: Split, inputs, targets):
    """Return a batch as `fit` gets to see it."""
    return (
        split.prepare(inputs, targets) if split.prepare else (inputs, targets)
    )


def _to_tensor(array: np.ndarray, rows: int = 10_000) -> tf.Tensor:
    """Return an array as a tensor, with one copy; `tf.constant` makes two.

    With what is mapped the tensor shares the memory, or the pages of a file:
    that may be larger than memory.
    """
    with tf.device("CPU:0"):
        if _can_be_shared(array):
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        whole = tf.raw_ops.Empty(shape=array.shape, dtype=array.dtype)
        for start in range(0, len(array), rows):
            part = array[start : start + rows]
            numbers = tf.range(start, start + len(part))
            whole = tf.raw_ops.InplaceUpdate(x=whole, i=numbers, v=part)
    return whole


def _can_be_shared(array: np.ndarray) -> bool:
    """Whether an array is mapped, and lies where TensorFlow can compute.

    It stops the process, without a word, over what is not aligned.
    """
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return (
        isinstance(base, mmap.mmap)
        and array.flags.c_contiguous
        and array.ctypes.data % ALIGNMENT == 0
    )
