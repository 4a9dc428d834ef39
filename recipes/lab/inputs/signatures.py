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


class Argument(NamedTuple):
    """What the signature takes that an example on a card asks.

    Attributes:
        name: Its name.
        variable: What the example calls a batch for it.
        shape: Its shape, without the batch.
        in_javascript: What JavaScript calls its type, and an array of it.
    """

    name: str
    variable: str
    shape: tuple[int, ...]
    in_javascript: tuple[str, str]


def arguments_of(inputs) -> list[Argument]:
    """Return the arguments of that signature.

    Args:
        inputs: What goes into a model, see `recipes.lab.inputs`.
    """
    if hasattr(inputs, "arguments"):  # there are several
        return inputs.arguments
    names = inputs.argument, inputs.variable
    return [Argument(*names, inputs.shape, inputs.in_javascript)]


def in_a_call(inputs) -> str:
    """Return these arguments as a call in Python has them."""
    return ", ".join(f"{a.name}={a.variable}" for a in arguments_of(inputs))


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
