"""Random changes to training images, a whole batch at once.

Each function takes uint8 images `(batch, height, width, channels)` and `draw`,
a `Drawing`, and returns images of the same shape. They are functions of their
arguments alone, so a run that resumes where it was cut off sees the same
pictures, and replicas see what a single device would.
"""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Drawing:
    """Draws random numbers for some images of a batch.

    They do not depend on which of the images are asked for.

    Attributes:
        seed: Two integers: one of the training, and the number of the batch.
        batch_size: Number of images in the whole batch.
        first: The first of the images that are here.
        size: How many of them are here.
    """

    seed: tf.Tensor
    batch_size: int
    first: int
    size: int

    def __call__(self, stream, *shape, low=0, high=None, dtype=tf.float32):
        """Return numbers `(*shape, size)` from the half-open range.

        It is [0, 1) by default. Each stream, an integer, has its own.
        """
        numbers = tf.random.stateless_uniform(
            (*shape, self.batch_size),
            tf.random.experimental.stateless_fold_in(self.seed, stream),
            low,
            high,
            dtype,
        )
        return numbers[..., self.first : self.first + self.size]

    def fading(self, steps: int, last: float):
        """Return a strength that falls from 1 to the last in so many steps."""
        progress = tf.minimum(tf.cast(self.seed[1], tf.float32) / steps, 1.0)
        return 1 - (1 - last) * progress


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


def random_ink(images, draw, views: int = 1):
    """Make each pixel white or black, white as often as its brightness says.

    Args:
        images: The batch.
        draw: What draws random numbers for it.
        views: How many images there are, one after another, for each that it
            draws for.

    Returns:
        The batch, of pixels 0 and 255.
    """
    shape = images.shape[1:]
    chance = tf.transpose(draw(3, views, *shape), (4, 0, 1, 2, 3))
    chance = tf.reshape(chance, (-1, *shape))
    white = 255 * chance < tf.cast(images, tf.float32)
    return 255 * tf.cast(white, images.dtype)


def random_warp(
    images,
    draw,
    *,
    rotation: float = 0.0,
    zoom: float = 0.0,
    shear: float = 0.0,
    shift: float = 0.0,
    elastic: float = 0.0,
    smoothness: float = 4.0,
    strength=1.0,
):
    """Turn, stretch, slant, move and bend each image by itself.

    All of it is one map of places, so that each pixel is interpolated once.
    What comes in from outside is black.

    Args:
        images: The batch.
        draw: What draws random numbers for them.
        rotation: The largest angle, in degrees, either way.
        zoom: The largest change of height and of width, each by itself, as a
            share of it: 0.1 for 0.9 to 1.1 times.
        shear: The largest slant, in pixels sideways for each pixel down.
        shift: The farthest that an image moves along each side, in pixels;
            fractions of pixels are drawn, too.
        elastic: How far a pixel is moved by the bending, in pixels: the root
            of the mean square along each axis.
        smoothness: Of the bending: standard deviation, in pixels, of the
            Gaussian that smooths a random field.
        strength: What all of that is multiplied by, a number or a scalar
            tensor: see `Drawing.fading`.

    Returns:
        The batch, warped.

    Reference: Simard, Steinkraus and Platt 2003 (elastic: 1.4 pixels, smoothed
    by 4, on 28×28); Ciresan et al. 2010.
    """
    height, width = images.shape[1:3]
    numbers = draw(4, 6, low=-1.0, high=1.0)[..., tf.newaxis, tf.newaxis]
    numbers *= strength
    angle = numbers[0] * math.radians(rotation)
    cos, sin = tf.cos(angle), tf.sin(angle)
    # Each place of the new image, from the middle, and where it comes from.
    y = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (height - 1) / 2
    x = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    tall, wide = 1 + zoom * numbers[1], 1 + zoom * numbers[2]
    slanted = x + shear * numbers[3] * y
    rows = (cos * y + sin * slanted) / tall + shift * numbers[4]
    columns = (cos * slanted - sin * y) / wide + shift * numbers[5]
    if elastic:
        elastic *= strength
        field = elastic * _smooth_field(draw, height, width, smoothness)
        rows, columns = rows + field[0], columns + field[1]
    return bilinear(images, rows + (height - 1) / 2, columns + (width - 1) / 2)


def random_erasing(images, draw, *, odds: float = 0.5, largest: float = 0.33):
    """Overwrite a rectangle of some images with noise.

    Args:
        images: The batch.
        draw: What draws random numbers for them.
        odds: Of an image to lose a rectangle.
        largest: Share of the image that a rectangle covers at most; the least
            is 0.02.

    Returns:
        The batch, with noise in it.

    Reference: Zhong et al. 2020.
    """
    height, width, channels = images.shape[1:]
    happens, size, shape, top, left = tf.unstack(
        draw(6, 5)[..., tf.newaxis, tf.newaxis]
    )
    area = (0.02 + (largest - 0.02) * size) * height * width
    longest = math.log(1 / 0.3)
    aspect = tf.exp(longest * (2 * shape - 1))  # 0.3 to 3.3, evenly in logs
    tall = tf.minimum(tf.round(tf.sqrt(area * aspect)), height)
    wide = tf.minimum(tf.round(tf.sqrt(area / aspect)), width)

    def inside(length, start, size):
        first = tf.floor(start * (length - size + 1))
        places = tf.range(length, dtype=tf.float32)
        return (places >= first) & (places < first + size)

    rows = tf.transpose(inside(height, top, tall), (0, 2, 1))
    erased = rows & inside(width, left, wide) & (happens < odds)
    noise = draw(7, height, width, channels, high=256, dtype=tf.int32)
    noise = tf.cast(tf.transpose(noise, (3, 0, 1, 2)), images.dtype)
    return tf.where(erased[..., tf.newaxis], noise, images)


def _smooth_field(draw, height: int, width: int, smoothness: float):
    """Return two fields `(2, batch, height, width)`, smooth, of variance 1."""
    noise = draw(5, 2, height, width, low=-1.0, high=1.0)
    down, across = _smoothing(height, smoothness), _smoothing(width, smoothness)
    return math.sqrt(3) * tf.einsum("ih,khwb,jw->kbij", down, noise, across)


def _smoothing(length: int, smoothness: float) -> np.ndarray:
    """Return the matrix that smooths, and leaves the variance as it is."""
    places = np.arange(length)
    distances = (places[:, np.newaxis] - places) / smoothness
    weights = np.exp(-(distances**2) / 2)
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    return weights.astype("float32")


def bilinear(images, rows, columns):
    """Return the images' values at places between the pixels, black outside.

    Args:
        images: The batch.
        rows: Where each pixel comes from, `(batch, height, width)`.
        columns: Likewise.
    """
    height, width, channels = images.shape[1:]
    # Pixel (0, 0) is at (1, 1) of the padded image.
    rows = tf.clip_by_value(rows + 1, 0.0, height + 1.0)
    columns = tf.clip_by_value(columns + 1, 0.0, width + 1.0)
    above, before = tf.floor(rows), tf.floor(columns)
    down = (rows - above)[..., tf.newaxis]
    right = (columns - before)[..., tf.newaxis]
    padded = tf.pad(images, [[0, 0], [1, 2], [1, 2], [0, 0]])
    pixels = tf.reshape(tf.cast(padded, tf.float32), (-1, channels))
    side = width + 3
    first = tf.range(tf.shape(images)[0]) * ((height + 3) * side)
    place = tf.cast(above * side + before, tf.int32)
    place += first[:, tf.newaxis, tf.newaxis]
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(pixels, place + offset) for offset in (0, 1, side, side + 1)
    )
    upper = upper_left + right * (upper_right - upper_left)
    lower = lower_left + right * (lower_right - lower_left)
    return tf.cast(tf.round(upper + down * (lower - upper)), images.dtype)
