"""Random changes to training images, a whole batch at once.

Each function takes uint8 images `(batch, height, width, channels)` and `draw`,
which `drawing` makes, and returns images of the same shape. They are functions
of their arguments alone, so a run that resumes where it was cut off sees the
same pictures, and replicas see what a single device would.
"""

from collections.abc import Callable

import tensorflow as tf


def drawing(seed, batch_size: int, first: int, size: int) -> Callable:
    """Return what draws random numbers for some images of a batch.

    They do not depend on which of the images are asked for.

    Args:
        seed: Two integers, the seed of the batch.
        batch_size: Number of images in the whole batch.
        first: The first of the images that are here.
        size: How many of them are here.

    Returns:
        `draw(stream, *shape, low=0, high=None, dtype=tf.float32)`: numbers
        `(*shape, size)` from the half-open range, [0, 1) by default. Each
        stream, an integer, has its own.
    """

    def draw(stream, *shape, low=0, high=None, dtype=tf.float32):
        numbers = tf.random.stateless_uniform(
            (*shape, batch_size),
            tf.random.experimental.stateless_fold_in(seed, stream),
            low,
            high,
            dtype,
        )
        return numbers[..., first : first + size]

    return draw


def random_shift(images, draw, pixels: int = 1):
    """Move each image by up to so many pixels, up or down and sideways.

    What moves in from outside is black.

    Args:
        images: The batch.
        draw: What draws random numbers for them.
        pixels: The farthest that an image moves along each side.

    Returns:
        The batch, moved.
    """
    height, width = images.shape[1:3]
    margin = [pixels, pixels]
    images = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    starts = draw(1, 2, high=2 * pixels + 1, dtype=tf.int32)
    # Rows of each image, then, with rows and columns exchanged, columns.
    for start, size in zip(tf.unstack(starts), (height, width), strict=True):
        kept = start[:, tf.newaxis] + tf.range(size)
        images = tf.gather(images, kept, axis=1, batch_dims=1)
        images = tf.transpose(images, (0, 2, 1, 3))
    return images


def random_flip(images, draw):
    """Mirror each image left to right, or not, with even odds."""
    odds = draw(2)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.where(odds < 0.5, images, images[:, :, ::-1])


def random_ink(images, draw):
    """Make each pixel white or black, white as often as its brightness says."""
    chance = tf.transpose(draw(3, *images.shape[1:]), (3, 0, 1, 2))
    white = 255 * chance < tf.cast(images, tf.float32)
    return 255 * tf.cast(white, images.dtype)
