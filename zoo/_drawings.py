"""Layers that give what is drawn one shape: a width, or no slant."""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="zoo")
class WidthNormalization(layers.Layer):
    """Stretch or squeeze what is drawn on black to a width, in the middle.

    The picture gets a black margin, so that its sides are one pixel longer.

    Args:
        width: Pixels from the first column with ink to the last; `None` leaves
            them as they are.
        max_stretch: How many times as wide as it is a digit may become; `None`
            sets no limit.
        ink: The least value of a pixel that counts as ink, as a share of the
            picture's brightest one. Of a blank picture all pixels do.
        black: What black is, in what comes in.
    """

    def __init__(
        self, width=None, max_stretch=None, ink=0.1, black=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        if max_stretch is not None and max_stretch < 1:
            raise ValueError(
                "`max_stretch` must be 1 or more, or None. "
                f"Received: {max_stretch}"
            )
        self.width = width
        self.max_stretch = max_stretch
        self.ink = ink
        self.black = black

    def build(self, input_shape):
        size = input_shape[2] + 1
        if self.width is not None and not 1 <= self.width <= size:
            raise ValueError(
                f"A width must be from 1 to {size} pixels, or None. "
                f"Received: {self.width}"
            )

    def call(self, x):
        if not self.black:
            return self._normalized(x)
        return self._normalized(x - self.black) + self.black

    def _normalized(self, x):
        margin = [(0, 0), (0, 1), (0, 1 if self.width is None else 0), (0, 0)]
        padded = ops.pad(x, margin)
        if self.width is None:
            return padded
        # What is drawn is in the columns from first to last.
        columns = ops.max(x, axis=(1, 3), keepdims=True)
        brightest = ops.max(columns, axis=2, keepdims=True)
        inked = ops.cast(columns >= self.ink * brightest, x.dtype)
        old, new = self.places(x.shape[2])
        old_along = ops.reshape(ops.cast(old, x.dtype), (1, 1, -1, 1))
        last = ops.max(old_along * inked, axis=2)
        first = len(old) - ops.max((len(old) - old_along) * inked, axis=2)
        scale = (last - first + 1) / self.width
        if self.max_stretch is not None:
            scale = ops.maximum(scale, 1 / self.max_stretch)
        source = (first + last) / 2 + scale * ops.cast(new, x.dtype)
        # Linear interpolation; where columns are squeezed, their mean.
        reach = ops.maximum(scale, 1)
        distance = ops.abs(ops.cast(old, x.dtype)[:, None] - source)
        mixing = ops.clip((reach + 1) / 2 - distance, 0, 1) / reach
        mixed = ops.matmul(ops.transpose(padded, (0, 3, 1, 2)), mixing[:, None])
        return ops.transpose(mixed, (0, 2, 3, 1))

    def places(self, length):
        """Return the old columns' places, and the new ones' from the middle."""
        old = np.arange(length, dtype="float32")
        new = np.arange(length + 1, dtype="float32")
        return old, new - length / 2

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height + 1, width + 1, channels)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "max_stretch": self.max_stretch,
            "ink": self.ink,
            "black": self.black,
        }


@keras.saving.register_keras_serializable(package="zoo")
class Deslanting(layers.Layer):
    """Move the rows of what is drawn on black sideways until it stands upright.

    The slant is that of the straight line from top to bottom that fits the ink
    best. The center of the ink stays where it is.

    Args:
        steepest: The largest slant that is undone, in pixels sideways for each
            pixel down, either way; 0 undoes none.
        black: What black is, in what comes in.
    """

    def __init__(self, steepest=1.0, black=0.0, **kwargs):
        super().__init__(**kwargs)
        if steepest < 0:
            raise ValueError(
                f"`steepest` must be 0 or more. Received: {steepest}"
            )
        self.steepest = steepest
        self.black = black

    def call(self, x):
        # Sums over the picture need more digits than half precision has.
        ink = ops.cast(x, "float32") - self.black
        rows, columns = self.places(x.shape)
        mass = ops.sum(ink, axis=(1, 2, 3), keepdims=True)
        mass = ops.maximum(mass, keras.config.epsilon())
        middle_row, middle_column = (
            ops.sum(ink * along, axis=(1, 2, 3), keepdims=True) / mass
            for along in (rows, columns)
        )
        below, right = rows - middle_row, columns - middle_column
        together, spread = (
            ops.sum(ink * below * by, axis=(1, 2, 3), keepdims=True)
            for by in (right, below)
        )
        slant = together / ops.maximum(spread, keras.config.epsilon())
        moved = ops.clip(slant, -self.steepest, self.steepest) * below
        # Linear interpolation along each row.
        old = np.reshape(columns, (1, 1, 1, -1))
        mixing = ops.clip(1 - ops.abs(old - columns - moved), 0, 1)
        upright = ops.matmul(mixing, ink) + self.black
        return ops.cast(upright, x.dtype)

    def places(self, shape):
        """Return the places of rows and columns, to multiply pictures by."""
        rows, columns = (np.arange(n, dtype="float32") for n in shape[1:3])
        return rows[:, np.newaxis, np.newaxis], columns[:, np.newaxis]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "steepest": self.steepest,
            "black": self.black,
        }
