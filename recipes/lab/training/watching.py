"""What a model draws while it learns: the same few pictures, time and again."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from recipes.lab import files
from recipes.lab.training import parts

TIMES = 10  # that pictures are drawn, at most


class Watcher(keras.callbacks.Callback):
    """Keep a few pictures after some epochs of a fit, for the report.

    They are a file each in a folder of the run, so a run that is cut off has
    those of its earlier epochs when it resumes. They are drawn before the
    checkpoint of the epoch is written: what a checkpoint has reached is there.

    Args:
        folder: Where the pictures go.
        epochs: Number of epochs of the whole fit.
        draw: Function that returns pictures in [0, 1], `(n, height, width,
            channels)`, as the model draws them now.
    """

    def __init__(self, folder: Path, epochs: int, draw: Callable):
        super().__init__()
        self.folder = folder
        self.epochs = watched_epochs(epochs)
        self.draw = draw

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 not in self.epochs:
            return
        with parts.paused(self.model):
            pictures = np.nan_to_num(self.draw())
        pixels = np.round(255 * np.clip(pictures, 0, 1)).astype("uint8")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{epoch + 1:06d}.npz"
        files.write_npz(path, {"pictures": pixels})


def watched_epochs(epochs: int) -> list[int]:
    """Return after which epochs to look: often at first, and at the end.

    A model changes the most in its first epochs.
    """
    return sorted({round(epoch) for epoch in np.geomspace(1, epochs, TIMES)})


def folder_of(run, phase: str) -> Path:
    """Return where the pictures of a phase of a run are, if it has any."""
    return run.folder / "drawn" / phase


def watched_pictures(run, phase: str) -> dict[int, np.ndarray]:
    """Return number of epoch to its pictures, uint8; none was watched, none."""
    found = {}
    for path in sorted(folder_of(run, phase).glob("*.npz")):
        try:
            arrays = files.read_npz(path, ["pictures"])
        except Exception:  # damaged: NumPy raises anything; a row is missing
            continue
        found[int(path.stem)] = arrays["pictures"]
    return found
