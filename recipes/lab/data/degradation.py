"""Pictures as an instrument sees them: blurred, and under noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.errors import UsageError

AT_ONCE = 1_000  # images that are blurred together
SMALLEST_SIDE = 11  # in pixels, of a picture that SSIM can compare


def degraded(images, blur: float, noise: float, normal):
    """Blur images and put noise on them.

    The point-spread function is a Gaussian. What is beyond the edges is black,
    and light that falls there is lost.

    Args:
        images: A batch of uint8 images.
        blur: Standard deviation of the point-spread function, in pixels.
        noise: Standard deviation of the noise; 1 is the range of a pixel.
        normal: Numbers of the images' shape from a standard normal
            distribution.

    Returns:
        uint8 images of the same shape.
    """
    height, width = images.shape[1:3]
    light = tf.einsum(
        "ih,bhwc,jw->bijc",
        _spread(height, blur),
        tf.cast(images, tf.float32),
        _spread(width, blur),
    )
    seen = tf.clip_by_value(light + 255 * noise * normal, 0.0, 255.0)
    return tf.cast(tf.round(seen), tf.uint8)


def point_spread(distances: np.ndarray, blur: float) -> np.ndarray:
    """Return the share of a pixel's light that goes so far along an axis.

    Args:
        distances: In whole pixels.
        blur: Standard deviation, in pixels.
    """
    farthest = np.arange(-int(10 * blur + 1), int(10 * blur + 1) + 1)
    total = np.exp(-((farthest / blur) ** 2) / 2).sum()
    return np.exp(-((distances / blur) ** 2) / 2) / total


def _spread(side: int, blur: float) -> np.ndarray:
    """Return the matrix that blurs a column of a picture."""
    places = np.arange(side)
    distances = places[:, np.newaxis] - places
    return point_spread(distances, blur).astype("float32")


def random_degradation(blur: float, noise: float) -> Callable:
    """Return what blurs a batch, under noise of its own: for `training.fit`.

    Args:
        blur: Standard deviation of the point-spread function, in pixels.
        noise: Standard deviation of the noise; 1 is the range of a pixel.
    """

    def augment(images, draw):
        # Zero would be infinitely far from the mean.
        chances = draw(10, *images.shape[1:], low=1e-7)
        normal = tf.transpose(tf.math.ndtri(chances), (3, 0, 1, 2))
        return degraded(images, blur, noise, normal)

    return augment


def to_restore(data: Data, blur: float, noise: float) -> Data:
    """Return data whose inputs are degraded images, and the images the targets.

    Those of the training split are as they were, for `random_degradation`. The
    noise of the others is the same for every run. In batches both are in
    [0, 1].

    Args:
        data: Images.
        blur: Standard deviation of the point-spread function, in pixels.
        noise: Standard deviation of the noise; 1 is the range of a pixel.
    """
    side = min(data.inputs.shape[:2])
    if side < SMALLEST_SIDE:
        raise UsageError(
            f"Pictures to restore need {SMALLEST_SIDE} pixels a side to be "
            f"compared, and those of {data.name} have {side}. Add --resize."
        )

    def restored(split: Split, seed: int | None = None) -> Split:
        inputs = images = split.inputs
        if seed is not None:
            random = np.random.default_rng(seed)
            parts = [
                degraded(
                    *(part.inputs, blur, noise),
                    random.standard_normal(part.inputs.shape, "float32"),
                ).numpy()
                for part in split.in_batches(AT_ONCE)
            ]
            inputs = np.concatenate(parts)
        return Split(inputs, images, _in_unit_range, split.passes)

    return replace(
        data,
        train=restored(data.train),
        validation=restored(data.validation, seed=1),
        test=restored(data.test, seed=2),
    )


def _in_unit_range(*images):
    return tuple(tf.cast(image, tf.float32) / 255 for image in images)
