"""Ten digits as small bitmaps, and cues: copies with pixels turned over.

The bitmaps are those that LeNet-5 has for its answers. They are much alike, as
memories of a Hopfield network go.
"""

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.images import Images
from zoo.lenet import digit_codes

SHAPE = (12, 7, 1)
TURNED = 0.2  # the share of the pixels that a cue has wrong, in the mean
COPIES = {"validation": 100, "test": 500}  # of each digit
SMALL = 40  # copies in a sample


def load(small: bool = False) -> Data:
    """Return the bitmaps, to store, and cues of them, each with its digit.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    images = bitmaps()
    splits = {"train": Split(images, np.arange(10, dtype="int32"))}
    for name, copies in COPIES.items():
        labels = np.repeat(np.arange(10), SMALL if small else copies)
        cues = turn_over(images[labels], TURNED, random)
        splits[name] = Split(cues, labels.astype("int32"))
    return Data(
        "memories",
        **splits,
        inputs=Images(SHAPE, "white on black"),
        facts=Facts(
            "cues of ten bitmaps", "drawn by a program, free of licences"
        ),
        class_names=tuple("0123456789"),
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def bitmaps() -> np.ndarray:
    """Return the ten digits, black and white, uint8 `(10, 12, 7, 1)`."""
    return (
        np.where(digit_codes() > 0, 255, 0).astype("uint8").reshape(-1, *SHAPE)
    )


def turn_over(images, share: float, random) -> np.ndarray:
    """Return images of which each pixel is turned over with a probability."""
    turned = random.uniform(size=images.shape) < share
    return np.where(turned, 255 - images, images)
