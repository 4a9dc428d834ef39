"""What else a picture of a digit shows: targets of a dozen tasks.

Some follow from its label, others are measured on the pixels: none needs
anybody to label anything. All of the measured ones stay the same when the digit
is moved.
"""

from dataclasses import replace

import numpy as np

from recipes.lab.data.splits import Data, Head, Split
from recipes.lab.errors import UsageError

DIGITS = tuple("0123456789")
LOOPS = np.array([1, 0, 0, 0, 0, 0, 1, 0, 2, 1])  # an open 4 has none
STRAIGHT = np.isin(np.arange(10), [1, 4, 5, 7])

HEADS = (
    Head("digit", "which digit it is", DIGITS),
    Head("parity", "whether it is odd", ("even", "odd")),
    Head("above_four", "whether it is greater than 4", ("no", "yes")),
    Head("loops", "its closed loops, when printed", ("none", "one", "two")),
    Head("straight_stroke", "whether it has one: 1, 4, 5, 7", ("no", "yes")),
    Head("slant", "how far it leans to the right", unit="degrees"),
    Head("thickness", "how thick its strokes are", unit="pixels"),
    Head("width", "width of its box", unit="pixels"),
    Head("height", "height of its box", unit="pixels"),
    Head("ink", "its ink, as a number of white pixels", unit="pixels"),
    Head("density", "ink as a share of its box", unit="%"),
    Head("upper_ink", "share of its ink in the upper half", unit="%"),
)

AT_ONCE = 5_000  # images


def with_tasks(data: Data) -> Data:
    """Return digits with the targets of all tasks, a dictionary.

    Args:
        data: Images of the digits 0 to 9, bright on black.

    Raises:
        UsageError: If they are of other classes.
    """
    if data.class_names != DIGITS:
        raise UsageError(
            "The tasks are about the digits 0 to 9, and the classes of "
            f"{data.name} are: {', '.join(data.class_names[:10])}."
        )

    def of_tasks(split: Split) -> Split:
        labels = np.asarray(split.targets)
        targets = of_labels(labels)
        parts = [measured(part.inputs) for part in split.in_batches(AT_ONCE)]
        for name in parts[0] if parts else ():
            targets[name] = np.concatenate([part[name] for part in parts])
        return replace(split, targets=targets)

    return replace(
        data,
        heads=HEADS,
        **{
            part: of_tasks(getattr(data, part))
            for part in ("train", "validation", "test")
        },
    )


def of_labels(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the labels of digits tell, int32 `(n,)` each."""
    found = {
        "digit": labels,
        "parity": labels % 2,
        "above_four": labels > 4,
        "loops": LOOPS[labels],
        "straight_stroke": STRAIGHT[labels],
    }
    return {name: values.astype("int32") for name, values in found.items()}


def measured(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measure digits, float32 `(n,)` each.

    - `slant`: the angle by which to shear the digit for its columns to be
      upright, from the second moments of the ink.
    - `thickness`: a stroke of length l and thickness t has the ink l t and the
      outline 2 l, so t is twice the ink by the outline. That is the sum of all
      differences of neighbors, which counts lines of all directions 4/pi times.
    - `width` and `height`: the columns and the rows with ink, each as far as
      its brightest pixel is white.
    - `density` and `upper_ink`: of the box with these sides, and of the half
      above the middle of what is brighter than half.

    Args:
        images: uint8 pixels `(n, height, width, channels)`, bright on black.
    """
    ink = images.mean(axis=-1, dtype="float32") / 255
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-6)
    rows, columns = ink.sum(axis=2), ink.sum(axis=1)
    y, x = np.arange(ink.shape[1]), np.arange(ink.shape[2])
    down = y - (rows @ y / mass)[:, None]
    right = x - (columns @ x / mass)[:, None]
    both = np.einsum("nyx,ny,nx->n", ink, down, right, optimize=True)
    upright = np.maximum(np.sum(rows * down**2, axis=1), 1e-6)

    outline = sum(
        np.abs(np.diff(ink, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2)
    )
    outline = np.maximum(np.pi / 4 * outline, 1e-6)

    width, height = (ink.max(axis=axis).sum(axis=1) for axis in (1, 2))
    bright = (ink > 0.5).any(axis=2)
    first, after = bright.argmax(axis=1), bright[:, ::-1].argmax(axis=1)
    middle = (first + len(y) - after) / 2
    # A row that the middle cuts counts in part.
    above = np.clip(middle[:, None] - y, 0, 1)
    found = {
        "slant": np.degrees(np.arctan(-both / upright)),
        "thickness": 2 * mass / outline,
        "width": width,
        "height": height,
        "ink": mass,
        "density": 100 * mass / np.maximum(width * height, 1e-6),
        "upper_ink": 100 * np.sum(rows * above, axis=1) / mass,
    }
    return {name: values.astype("float32") for name, values in found.items()}
