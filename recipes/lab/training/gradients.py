"""How much of a gradient reaches each layer of a network."""

import keras
import tensorflow as tf


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
    # A copy on one device, whatever strategy the model trains with.
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(
            split.targets, copy(split.inputs)
        )
        loss = tf.reduce_mean(losses)
    kernels = [layer.kernel.value for layer in layers_with_kernel(copy)]
    gradients = tape.gradient(loss, kernels)
    return {i: [float(tf.norm(g))] for i, g in enumerate(gradients, start=1)}
