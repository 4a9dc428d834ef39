"""What to say of a picture before it is drawn: its label and its style."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from recipes.lab.data import digit_tasks
from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.tables import Column, Tables

STYLE = ("slant", "thickness", "width", "height")


def to_draw(data: Data) -> Data:
    """Return data whose inputs say what is on an image, the target.

    A row has a 1 for the label and 0 for all others, and then how the strokes
    lean and how thick they are, and the sides of the box around them: measured
    on the image, see `recipes.lab.data.digit_tasks.measured`.

    Args:
        data: Images with labels, bright on black.
    """
    heads = {head.name: head for head in digit_tasks.HEADS}
    columns = [
        Column(f"label_{i}", about=f"1 if it is {name}, else 0")
        for i, name in enumerate(data.class_names)
    ]
    columns += [
        Column(name, heads[name].unit, heads[name].about) for name in STYLE
    ]

    def described(split: Split) -> Split:
        return Split(
            rows_of(split, len(data.class_names)),
            split.inputs,
            _row_and_pixels,
            split.passes,
        )

    return replace(
        data,
        train=described(data.train),
        validation=described(data.validation),
        test=described(data.test),
        inputs=Tables(tuple(columns)),
    )


def rows_of(split: Split, classes: int) -> np.ndarray:
    """Return the rows that describe images, float32 `(n, classes + 4)`.

    Args:
        split: Images with labels.
        classes: Number of classes.
    """
    labels = np.eye(classes, dtype="float32")[split.targets]
    parts = [
        digit_tasks.measured(part.inputs)
        for part in split.in_batches(digit_tasks.AT_ONCE)
    ]
    style = [np.concatenate([part[name] for part in parts]) for name in STYLE]
    return np.column_stack([labels, *style])


def _row_and_pixels(rows, images):
    return rows, tf.cast(images, tf.float32) / 255
