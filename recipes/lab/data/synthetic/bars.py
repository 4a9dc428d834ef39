"""Bars: pictures of three by three pixels, whole rows or whole columns of ink.

A coin says whether it is rows or columns, and one for each of the three whether
it has ink. So there are 14 pictures among the 512 that could be: the empty and
the full one, each with a probability of 2/16, and twelve others, each of 1/16.
No two pixels tell one of them from the rest: it takes all nine.

The pictures for validation and test are all that there are, each as often as it
is probable: what is measured on them is exact.
"""

import itertools

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.images import Images

SIDE = 3
NAMES = ("rows", "columns")
DRAWS = 2 ** (1 + SIDE)  # of the coins, all alike
TIMES = {"train": 600, "validation": 20, "test": 40}  # images, by draws
SMALL = 30  # times, of each split of a sample


def load(small: bool = False) -> Data:
    """Return pictures of bars, each with what its bars are.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    images, labels = pictures()
    splits = {}
    for name, times in TIMES.items():
        order = np.tile(np.arange(DRAWS), SMALL if small else times)
        if name == "train":
            order = random.integers(0, DRAWS, len(order))
        splits[name] = Split(images[order], labels[order])
    return Data(
        "bars_3",
        **splits,
        inputs=Images((SIDE, SIDE, 1), "white on black"),
        facts=Facts("bars", "drawn by a program, free of licences"),
        class_names=NAMES,
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return what the coins may say, and whether that is columns.

    Returns:
        Images, uint8 `(16, 3, 3, 1)`, of 0 and 255, two of which are there
        twice; and labels, int32 `(16,)`.
    """
    coins = np.array([*itertools.product((0, 255), repeat=SIDE)], "uint8")
    columns = np.repeat(coins[:, np.newaxis], SIDE, axis=1)
    images = np.concatenate([columns.transpose(0, 2, 1), columns])
    labels = np.repeat(np.arange(2, dtype="int32"), len(coins))
    return images[..., np.newaxis], labels
