"""Digits as people bring them: drawn with a pen, photographed, off center.

All of it is made from MNIST's test digits, of which no training saw any.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from helpers.pictures import image_file

UPSCALED = 8  # strokes are thinned at this many times their size


REAL = Path(
    os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
).expanduser()
needs_mnist = pytest.mark.skipif(
    not (REAL / "mnist").is_dir(), reason="the real MNIST is not here"
)


@functools.cache
def digits():
    """MNIST's test images, uint8 `(n, 28, 28)`, and their labels."""
    import tensorflow_datasets as tfds

    found = tfds.load(
        "mnist", split="test", data_dir=REAL, batch_size=-1, download=False
    )
    return found["image"].numpy()[..., 0], found["label"].numpy()


def some_digits(count, seed):
    """Draw digits; return images and labels."""
    images, labels = digits()
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return images[chosen], labels[chosen]


def upscaled(digit, times=UPSCALED):
    """The digit, smooth and larger, in [0, 1]."""
    smooth = ndimage.zoom(digit / 255, times, order=3, grid_mode=True,
                          mode="grid-constant")  # fmt: skip
    return np.clip(ndimage.gaussian_filter(smooth, times / 4), 0, 1)


def skeleton(shape):
    """Thin a shape to lines of one pixel, as Zhang and Suen do."""
    shape = np.pad(shape, 1)
    changed = True
    while changed:
        changed = False
        for side in (0, 1):
            around = [
                np.roll(shape, (-down, -right), (0, 1))
                for down, right in ((-1, 0), (-1, 1), (0, 1), (1, 1),
                                    (1, 0), (1, -1), (0, -1), (-1, -1))
            ]  # fmt: skip
            count = sum(part.astype(int) for part in around)
            turns = sum(
                (~one & other).astype(int)
                for one, other in zip(
                    around, around[1:] + around[:1], strict=True
                )
            )
            up, right, down, left = around[::2]
            gone = shape & (count >= 2) & (count <= 6) & (turns == 1)
            if side == 0:
                gone &= ~(up & right & down) & ~(right & down & left)
            else:
                gone &= ~(up & right & left) & ~(up & down & left)
            changed |= bool(gone.any())
            shape = shape & ~gone
    return shape[1:-1, 1:-1]


def drawn(digit, width):
    """The digit's lines, drawn with a pen `width` pixels of 28 wide.

    Returns:
        Ink in [0, 1], `UPSCALED` times as large.
    """
    lines = skeleton(upscaled(digit) > 0.4)
    distances = ndimage.distance_transform_edt(~lines)
    return np.clip(width * UPSCALED / 2 - distances + 0.5, 0, 1)


def five(width):
    """A 5, uint8 `(224, 224)`, in white strokes of `width` pixels on black."""
    sheet = Image.new("L", (28 * UPSCALED,) * 2)
    draw = ImageDraw.Draw(sheet)
    draw.line([(150, 40), (85, 40), (78, 105)], 255, width, joint="curve")
    draw.arc([60, 90, 155, 190], 235, 150, 255, width)
    return np.array(sheet)


def thin(digit, width=0.7):
    """uint8 `(28, 28)`: the digit as a thin pen draws it."""
    ink = drawn(digit, width)
    blocks = ink.reshape(28, UPSCALED, 28, UPSCALED).mean(axis=(1, 3))
    return (
        np.round(255 * blocks / max(blocks.max(), 0.5))
        .clip(0, 255)
        .astype("uint8")
    )


INKS = {  # red, green and blue, relative to the paper
    "black": (0.12, 0.12, 0.14),
    "blue": (0.15, 0.22, 0.55),
    "red": (0.70, 0.15, 0.15),
    "green": (0.10, 0.42, 0.20),
    "pencil": (0.50, 0.50, 0.51),
}


def photo(digit, rng):
    """A JPEG file of 640 x 480: a digit in ink on grey paper, by a phone.

    The pen, its color, the size, place and slant of the digit, the paper, the
    light across it, a shadow, blur, noise and the file's quality are drawn.
    """
    height, width = (480, 640) if rng.random() < 0.7 else (640, 480)
    ink = drawn(digit, rng.uniform(0.8, 3.5))
    ink = ndimage.gaussian_filter(ink, UPSCALED / 6)

    # Where each pixel of the photo is in the drawing.
    size = rng.uniform(110, 330)  # of the 28 pixels, so digits have 80 to 235
    margin = 0.42 * size
    middle = [rng.uniform(margin, side - margin) for side in (height, width)]
    angle = np.deg2rad(rng.uniform(-12, 12))
    tilt = rng.uniform(-0.12, 0.12, 2)  # the paper lies askew
    down, right = np.mgrid[:height, :width].astype("float32")
    down, right = (down - middle[0]) / size, (right - middle[1]) / size
    depth = 1 + tilt[0] * down + tilt[1] * right
    y = (np.cos(angle) * down - np.sin(angle) * right) / depth
    x = (np.sin(angle) * down + np.cos(angle) * right) / depth
    inside = 28 * UPSCALED
    ink = ndimage.map_coordinates(
        ink, [(y + 0.5) * inside, (x + 0.5) * inside], order=1, cval=0
    )

    # The light: from one side, less in the corners, and a shadow.
    down, right = np.mgrid[:height, :width] / max(height, width) - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.cos(turn) * down + np.sin(turn) * right
    light = 1 + rng.uniform(0.1, 0.6) * slope
    light -= rng.uniform(0, 0.5) * (down**2 + right**2)
    turn = rng.uniform(0, 2 * np.pi)
    edge = np.cos(turn) * down + np.sin(turn) * right - rng.uniform(-0.4, 0.4)
    softness = rng.uniform(0.02, 0.2)
    light *= 1 - rng.uniform(0, 0.35) / (1 + np.exp(-edge / softness))
    grain = ndimage.gaussian_filter(rng.normal(size=(height, width)), 2)
    light *= 1 + rng.uniform(0, 0.02) * grain / grain.std()

    paper = rng.uniform(130, 225) * (1 + rng.uniform(-0.06, 0.06, 3))
    name = [*INKS][rng.integers(len(INKS))]
    color = np.asarray(INKS[name]) * rng.uniform(0.8, 1.2)
    strength = ink[..., None] * rng.uniform(0.85, 1)
    pixels = paper * light[..., None] * (1 - strength * (1 - color))
    pixels = ndimage.gaussian_filter(pixels, (*[rng.uniform(0.4, 1.8)] * 2, 0))
    pixels += rng.normal(scale=rng.uniform(1, 7), size=pixels.shape)
    pixels = pixels.clip(0, 255).astype("uint8")
    quality = int(rng.integers(55, 95))
    return image_file(Image.fromarray(pixels), "JPEG", quality=quality)


def photos(count, seed):
    """Draw photos of digits; return the files and the labels."""
    images, labels = some_digits(count, seed)
    rng = np.random.default_rng(seed)
    return [photo(image, rng) for image in images], labels


# --- other ways to be unlike MNIST ---------------------------------------


def on_a_large_sheet(digit):
    """In the middle of a sheet of four times the size."""
    return np.pad(digit, 42)


def in_a_corner(digit):
    """In the corner of a sheet of four times the size."""
    return np.pad(digit, ((0, 84), (0, 84)))


def beside_the_middle(digit, by=4):
    """A few pixels off, down and to the right."""
    return np.pad(digit, ((by, 0), (by, 0)))[:28, :28]


def cropped(digit):
    """As small as the digit is."""
    rows, columns = (np.flatnonzero(digit.max(axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
