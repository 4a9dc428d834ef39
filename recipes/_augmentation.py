"""Random changes to training images, a whole batch at once.

Each function takes uint8 images `(batch, height, width, channels)` and a seed
of two integers, and returns images of the same shape. They are functions of
their arguments alone, so a run that goes on where it was cut off sees the same
pictures, and replicas see what a single device would.
"""

import tensorflow as tf


def random_shift(images, seed, pixels: int = 1):
    """Move each image by up to so many pixels, up or down and sideways.

    What moves in from outside is black.

    Args:
        images: The batch.
        seed: Seed of the batch.
        pixels: The farthest that an image moves along each side.

    Returns:
        The batch, moved.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    margin = [pixels, pixels]
    images = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    seed = tf.random.experimental.stateless_fold_in(seed, 1)
    starts = tf.random.stateless_uniform(
        (2, batch, 1), seed, 0, 2 * pixels + 1, tf.int32
    )
    # Rows of each image, then, with rows and columns exchanged, columns.
    for start, size in zip(tf.unstack(starts), (height, width), strict=True):
        kept = start + tf.range(size)
        images = tf.gather(images, kept, axis=1, batch_dims=1)
        images = tf.transpose(images, (0, 2, 1, 3))
    return images


def random_flip(images, seed):
    """Mirror each image left to right, or not, with even odds."""
    seed = tf.random.experimental.stateless_fold_in(seed, 2)
    odds = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed)
    return tf.where(odds < 0.5, images, images[:, :, ::-1])
