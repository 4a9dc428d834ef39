"""One picture in many poses: turned, larger or smaller, and moved.

A pose is a number from -1 to 1 for each of the `FACTORS`.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from recipes.lab.data import augmentation
from recipes.lab.data.splits import Data, Split

FACTORS = ("rotation", "size", "right", "down")
DEGREES = 40.0  # that a picture is turned at most, either way
LARGER = 0.25  # as a share of its size; smaller by as much
MOVED = 0.1  # along each side, as a share of it

AT_ONCE = 1_000  # images that are posed together


def posed(images, poses):
    """Put each image into a pose; what comes in from outside is black.

    Args:
        images: A batch of uint8 images.
        poses: `(batch, 4)`, see `FACTORS`: turned to the left, larger, moved
            to the right, and moved down.

    Returns:
        uint8 images of the same shape.
    """
    height, width = images.shape[1:3]
    turned, larger, right, down = tf.unstack(
        poses[..., tf.newaxis, tf.newaxis], axis=1
    )
    angle = turned * math.radians(DEGREES)
    cos, sin = tf.cos(angle), tf.sin(angle)
    size = 1 + LARGER * larger
    # Each place of the new image, from the middle, and where it comes from.
    y = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (height - 1) / 2
    x = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    y, x = y - MOVED * height * down, x - MOVED * width * right
    rows = (cos * y + sin * x) / size + (height - 1) / 2
    columns = (cos * x - sin * y) / size + (width - 1) / 2
    return augmentation.bilinear(images, rows, columns)


def views_by_factor(images, draw, views: int):
    """Return views of each image that differ in one factor, then in another.

    It is for `training.fit` as its `augment`, with the number of views.

    Args:
        images: The batch.
        draw: What draws random numbers for it.
        views: How many differ in one factor.

    Returns:
        `(batch * 4 * views, ...)`: for one image after another and one factor
        after another so many views. All other factors are the same in these.
    """
    count = len(FACTORS)
    shared = draw(8, count, 1, count, low=-1.0, high=1.0)
    moving = draw(9, count, views, 1, low=-1.0, high=1.0)
    own = tf.eye(count)[:, tf.newaxis, :, tf.newaxis]
    poses = own * moving + (1 - own) * shared  # factor, view, number, image
    poses = tf.reshape(tf.transpose(poses, (3, 0, 1, 2)), (-1, count))
    return posed(tf.repeat(images, count * views, axis=0), poses)


def in_random_poses(data: Data) -> tuple[Data, np.ndarray]:
    """Return data with each validation and test image in a pose of its own.

    They are the same for every run.

    Returns:
        The data, and the poses of the test images.
    """
    validation, _ = _in_random_poses(data.validation, 1)
    test, poses = _in_random_poses(data.test, 2)
    return dataclasses.replace(data, validation=validation, test=test), poses


def _in_random_poses(split: Split, seed: int) -> tuple[Split, np.ndarray]:
    random = np.random.default_rng(seed)
    poses = random.uniform(-1, 1, (len(split), len(FACTORS)))
    poses = poses.astype("float32")
    parts = [
        posed(
            split.inputs[start : start + AT_ONCE],
            tf.constant(poses[start : start + AT_ONCE]),
        ).numpy()
        for start in range(0, len(split), AT_ONCE)
    ]
    return dataclasses.replace(split, inputs=np.concatenate(parts)), poses
