"""Signatures of an export: graphs with guards, and what it takes to ask them.

A SavedModel checks the type of what a signature gets and nothing else. So each
of these checks the shape, and that there is something at all.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# What else is given where answers are drawn, and what it takes to verify that.
DRAWN_BY = {
    "seed": tf.TensorSpec((), tf.int64),
    "temperature": tf.TensorSpec((), tf.float32),
}
DRAWN_BY_ASKED = {"seed": np.int64(7), "temperature": np.float32(1)}


class Signature(NamedTuple):
    """One signature of an export, with what it takes to verify it.

    Attributes:
        function: The `tf.function`, from its argument to a dictionary.
        ask: Function from the inputs of a split to the arguments, by name, as
            arrays.
        expect: Function from the same inputs to the outputs, by name, as the
            Keras model and NumPy have them.
    """

    function: Callable
    ask: Callable
    expect: Callable


def signature(**specification):
    """Make a guarded `tf.function` of batched arguments, and of single numbers.

    Args:
        **specification: Each argument's name and its `tf.TensorSpec`.

    Returns:
        The decorator of a function from these arguments, in their order, to a
        dictionary.
    """
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in specification.items()
    ]

    def decorate(function):
        @tf.function(input_signature=specs, autograph=False)
        def guarded(*batches):
            return function(
                *(
                    _at_least_one(tf.ensure_shape(batch, spec.shape))
                    for batch, spec in zip(batches, specs, strict=True)
                )
            )

        return guarded

    return decorate


def _at_least_one(batch):
    if not batch.shape.rank:  # a single number
        return batch
    check = tf.debugging.assert_positive(
        tf.shape(batch)[0], message="the batch is empty; send one or more"
    )
    with tf.control_dependencies([check]):
        return tf.identity(batch)
