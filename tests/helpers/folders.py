"""Folders of pictures, as users have them."""

import numpy as np
from PIL import Image

CLASSES = ("bar", "cross", "disc", "ring", "square")


def shape_of_class(number, side, random):
    """A shape of its class's form, in colors of chance, somewhere."""
    rows, columns = np.mgrid[:side, :side]
    middle = side / 2 + random.integers(-side // 8, side // 8 + 1, 2)
    down, right = abs(rows - middle[0]), abs(columns - middle[1])
    size, distance = side / 3, np.hypot(down, right)
    inside = (down < size) & (right < size)
    ink = (
        (down < size / 3) & inside,
        ((down < size / 4) | (right < size / 4)) & inside,
        distance < size,
        (distance < size) & (distance > 0.6 * size),
        inside,
    )[number]
    paper, color = random.integers(0, 100, 3), random.integers(150, 256, 3)
    return np.where(ink[..., None], color, paper).astype("uint8")


def write_folder(folder, count=10, side=64, classes=CLASSES, kind="png"):
    """Write `count` pictures of each class, all different."""
    random = np.random.default_rng(0)
    for number, name in enumerate(classes):
        home = folder / name
        home.mkdir(parents=True)
        for i in range(count):
            image = shape_of_class(number, side, random)
            Image.fromarray(image).save(home / f"{i:03}.{kind}")
    return folder
