"""Data sets as plain files: IDX, as their makers publish them, and Keras' npz.

IDX is four files, `train-images-idx3-ubyte.gz` and so on, packed or not: from
the makers' pages, from torchvision (`MNIST/raw/`) or from Keras
(`~/.keras/datasets/fashion-mnist/`). `mnist.npz` is Keras' one file of MNIST.
"""

import gzip
import math
import os
import re
import zlib
from pathlib import Path

import numpy as np

from recipes.lab.errors import DataError
from recipes.lab.files import read_npz

SIDE = 28
_PARTS = {"train": "train", "t10k": "test", "test": "test"}
_KEYS = {  # of Keras' npz
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}


def keras_folder() -> Path:
    """Return where Keras keeps the data sets that it has downloaded."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(os.path.expanduser(home)) / "datasets"


def find(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the npz file of a data set, or the folder of its IDX files.

    Args:
        folder: Where to look; an npz file is taken as it is.
        names: Of the data set's own folder or npz file.

    Raises:
        PermissionError: If it cannot be read.
    """
    if folder.is_file():
        return folder if folder.suffix == ".npz" else None
    for name in names:
        if (folder / f"{name}.npz").is_file():
            return folder / f"{name}.npz"
    for home in (*(folder / name for name in names), folder, folder / "raw"):
        if home.is_dir() and _idx_files(home):
            return home
    return None


def read(place: Path, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Read what `find` has found.

    Args:
        place: An npz file, or a folder of IDX files.
        sizes: How many images `train` and `test` must have.

    Returns:
        `train_images`, `train_labels`, `test_images` and `test_labels`.

    Raises:
        DataError: Names the file, and says what is wrong with it.
    """
    arrays = _read_npz(place) if place.is_file() else _read_idx(place)
    for split, size in sizes.items():
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.shape == (size, SIDE, SIDE, 1):
            images = images[..., 0]
        expected = (size, SIDE, SIDE)
        if images.dtype != np.uint8 or images.shape != expected:
            raise DataError(
                f"The {split} images in {place} must be uint8 {expected}. "
                f"Received: {images.dtype} {images.shape}"
            )
        if labels.shape != (size,) or labels.dtype.kind not in "iu":
            raise DataError(
                f"The {split} labels in {place} must be {size:,} whole "
                f"numbers. Received: {labels.dtype} {labels.shape}"
            )
        if labels.min() < 0 or labels.max() > 9:
            raise DataError(
                f"The {split} labels in {place} must be from 0 to 9. Received: "
                f"{labels.min()} to {labels.max()}"
            )
        arrays[f"{split}_images"] = images[..., np.newaxis]
        arrays[f"{split}_labels"] = labels.astype("int32")
    return arrays


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        found = read_npz(path, _KEYS.values())
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # of a damaged file NumPy raises anything
        raise DataError(
            f"{path} is damaged, or is not Keras' file with "
            f"{', '.join(_KEYS.values())}: {error!r}"
        ) from error
    return {name: found[key] for name, key in _KEYS.items()}


def _idx_files(folder: Path) -> dict[str, Path]:
    """Return the IDX files in a folder, by the names of their arrays."""
    pattern = r"(train|t10k|test)-(images|labels)[-.]idx[13][-.]ubyte(\.gz)?"
    found = {}
    for path in sorted(folder.iterdir(), reverse=True):  # packed ones first
        match = re.fullmatch(pattern, path.name)
        if match and path.is_file():
            part, kind, _ = match.groups()
            found[f"{_PARTS[part]}_{kind}"] = path
    return found


def _read_idx(folder: Path) -> dict[str, np.ndarray]:
    files = _idx_files(folder)
    missing = [name.replace("_", " ") for name in _KEYS if name not in files]
    if missing:
        raise DataError(
            f"Of the four IDX files {folder} lacks these: {', '.join(missing)}."
        )
    return {name: read_idx_file(path) for name, path in files.items()}


def read_idx_file(path: Path) -> np.ndarray:
    """Return the array of bytes in a file."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        # 0, 0, the type (8: bytes), the number of axes; the length of each.
        axes = content[3]
        shape = tuple(np.frombuffer(content, ">u4", axes, 4).tolist())
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not begin as IDX files of bytes do")
        pixels = np.frombuffer(content, "uint8", offset=4 + 4 * axes)
        if len(pixels) != math.prod(shape):
            raise ValueError(
                f"it holds {len(pixels):,} bytes for an array of {shape}"
            )
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(
            f"{path} is damaged, or is no IDX file: {error}"
        ) from error
    return pixels.reshape(shape)
