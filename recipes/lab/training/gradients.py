"""How much of a gradient reaches each layer of a network, or each step."""

import keras
import numpy as np
import tensorflow as tf

# What is left of a gradient if it is this or less, for logarithms know no zero.
NOTHING = 1e-10


def layers_with_kernel(model: keras.Model) -> list:
    """Return the layers that have a kernel, from the inputs to the classes."""
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def gradient_lengths(model: keras.Model, split) -> dict[int, list[float]]:
    """Return the length of the gradient of each layer's kernel.

    It is that of the mean cross-entropy, in inference mode.

    Args:
        model: A functional classifier.
        split: A few examples, for they are one batch.

    Returns:
        The number of a layer, from 1, to a list of one length, as
        `recipes.lab.report.comparisons.Panel` has it.
    """
    copy = _on_one_device(model)
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(
            split.targets, copy(split.inputs)
        )
        loss = tf.reduce_mean(losses)
    kernels = [layer.kernel.value for layer in layers_with_kernel(copy)]
    gradients = tape.gradient(loss, kernels)
    return {i: [float(tf.norm(g))] for i, g in enumerate(gradients, start=1)}


def gradients_over_time(
    model: keras.Model, split, name: str
) -> dict[int, list[float]]:
    """Return how much of the gradient reaches each step of a sequence.

    It is that of the cross-entropy, in inference mode, by what is read at the
    step: the root of its mean square over the examples, and over the features
    of a step.

    Args:
        model: A functional classifier.
        split: A few examples, for they are one batch.
        name: Name of the layer that gives the sequence, `(batch, steps,
            features)`.

    Returns:
        The number of a step, from 1, to a list of one number, in units of that
        of the last step and never below `NOTHING`; as
        `recipes.lab.report.comparisons.Panel` has it.
    """
    copy = _on_one_device(model)
    read = keras.Model(copy.input, copy.get_layer(name).output)
    answer = keras.Model(read.output, copy.output)

    @tf.function
    def gradient_of(inputs, targets):
        sequence = read(inputs)
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            losses = keras.losses.sparse_categorical_crossentropy(
                targets, answer(sequence)
            )
            loss = tf.reduce_sum(losses)
        return tape.gradient(loss, sequence)

    gradient = gradient_of(split.inputs, split.targets).numpy()
    sizes = np.sqrt(np.square(gradient, dtype="float64").mean(axis=(0, 2)))
    sizes = np.maximum(sizes / (sizes[-1] or 1), NOTHING)
    return {step: [float(size)] for step, size in enumerate(sizes, start=1)}


def _on_one_device(model):
    """Return a copy on one device, whatever strategy the model trains with."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
