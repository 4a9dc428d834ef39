"""scikit-learn's 1,797 handwritten digits, which come with the package.

Drawn as MNIST draws its own, they let a recipe be tried where neither data nor
a network are. What is trained on those is a demonstration, and no result.

As they are, 8x8 pixels, they are a data set of their own.
"""

import functools
import hashlib

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split
from recipes.lab.inputs.images import Images

FACTS = Facts("scikit-learn digits", "CC BY 4.0")

SIZES = (1_297, 200, 300)  # train, validation, test
# An epoch shows each training image so often. With a fortieth of MNIST's images
# the few epochs of a recipe would end before its model has learned to read.
PASSES = 10

SIDE, BOX = 28, 20  # MNIST's digits fit a box of 20 pixels in an image of 28
# Enlarged strokes are pale and wide. What is darker than BLACK becomes black,
# and all above is CONTRAST times as bright: chosen so that models trained on
# MNIST recognize the training images.
BLACK, CONTRAST = 0.3, 2.0


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return all images, uint8 `(1797, 28, 28, 1)`, and labels, int32."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.stack([_as_mnist(image / 16) for image in found.images])
    labels = found.target.astype("int32")
    for array in (images, labels):
        array.flags.writeable = False  # all callers share them
    return images, labels


def digits_8x8() -> Data:
    """Return all images as they are, their grey stretched from 16 to 255.

    They are too few to put a part of them aside, so all of them are there to
    train on and to test on. Whoever does both tests by cross-validation.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * 255 / 16).astype("uint8")[..., np.newaxis]
    whole = Split(images, found.target.astype("int32"))
    return Data(
        "digits_8x8",
        *(whole, whole[:0], whole),
        inputs=Images((8, 8, 1), "white on black"),
        facts=FACTS,
        class_names=tuple("0123456789"),
        source="scikit-learn",
        checksum=hashlib.sha256(images.tobytes()).hexdigest(),
        groups=np.arange(len(images), dtype="int32"),
    )


def _as_mnist(image: np.ndarray) -> np.ndarray:
    """Enlarge a digit to MNIST's box, and center its mass, as MNIST does."""
    from scipy.ndimage import center_of_mass, map_coordinates

    rows, columns = (np.flatnonzero(image.max(axis)) for axis in (1, 0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(ink.shape)
    # Each pixel of the box takes the value at its center, between the old ones.
    centers = [
        (np.arange(round(size * scale)) + 0.5) / scale - 0.5
        for size in ink.shape
    ]
    box = map_coordinates(
        np.pad(ink, 2),  # beyond the ink there is black, to fade into
        np.meshgrid(*(center + 2 for center in centers), indexing="ij"),
        order=3,
    )
    box = np.clip(CONTRAST * (box - BLACK), 0, 1)

    canvas = np.zeros((SIDE, SIDE, 1), "uint8")
    corner = [
        np.clip(round((SIDE - 1) / 2 - middle), 0, SIDE - size)
        for middle, size in zip(center_of_mass(box), box.shape, strict=True)
    ]
    place = tuple(
        slice(start, start + size)
        for start, size in zip(corner, box.shape, strict=True)
    )
    canvas[place] = np.rint(255 * box).astype("uint8")[..., np.newaxis]
    return canvas
