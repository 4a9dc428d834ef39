"""Data sets of one's own as arrays: `.npz` files, and pairs of IDX files."""

import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.lab.data import folders, originals
from recipes.lab.errors import DataError
from recipes.lab.files import read_npz

ROWS = 10_000  # that are converted at a time
_PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
_WHOLE = (
    *(("x", "y"), ("images", "labels"), ("image", "label"), ("data", "labels")),
    *(("data", "target"), ("data", "targets"), ("arr_0", "arr_1")),
)
_NAMES = ("class_names", "label_names")
_KEYS = (
    "x_train, y_train, x_test and y_test, perhaps with x_val and y_val; or x "
    "and y alone, which are then split"
)
_IDX = r"(?P<start>.*?)images(?P<middle>[-._]idx)(?P<axes>[34])(?P<end>.*)"


class Arrays(NamedTuple):
    """Images and labels, as they are in files.

    Attributes:
        images: uint8 `(n, height, width, channels)` of each part; of `None`
            where nobody has split them.
        labels: int32 `(n,)` of each part.
        class_names: Names of the classes.
    """

    images: dict[str | None, np.ndarray]
    labels: dict[str | None, np.ndarray]
    class_names: tuple[str, ...]


def read_own_npz(path: Path) -> Arrays:
    """Read an `.npz` file, by the names that its arrays have.

    Raises:
        DataError: If it is damaged, or an array is not what its name says.
    """
    try:
        # Of a damaged file NumPy would leave what it has opened open.
        with open(path, "rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is not what numpy.savez writes")
            stream.seek(0)
            keys = list(np.load(stream, allow_pickle=False).files)
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # of a damaged file NumPy raises anything
        raise DataError(
            f"{path} is damaged, or is no .npz file: {error}"
        ) from error
    pairs = _pairs(keys)
    if not pairs:
        raise DataError(
            f"{path} must have the arrays {_KEYS}. Received: "
            f"{', '.join(keys[:10]) or 'none'}"
        )
    named = [key for key in keys if key in _NAMES]
    try:
        wanted = {key for pair in pairs.values() for key in pair}
        found = read_npz(path, [*wanted, *named])
    except ValueError as error:
        raise DataError(
            f"{path} holds Python objects instead of numbers: {error}. Make "
            "arrays of one type and one shape of them."
        ) from error
    except MemoryError as error:
        raise DataError(
            f"{path} does not fit into memory: {error}. A folder of pictures "
            "may be larger than that."
        ) from error
    except Exception as error:
        raise DataError(f"{path} is damaged: {error!r}") from error
    images = {
        part: as_pixels(found[x], f"{x} in {path}")
        for part, (x, _) in pairs.items()
    }
    labels = {
        part: (found[y], f"{y} in {path}") for part, (_, y) in pairs.items()
    }
    names = [str(name) for key in named for name in _as_text(found[key])]
    return _joined(path, images, labels, names or None)


def _pairs(keys: list[str]) -> dict:
    """Return the names of images and labels of each part, or of the whole."""
    by_name = {key.lower(): key for key in reversed(keys)}

    def pair(images, labels):
        if images in by_name and labels in by_name:
            return by_name[images], by_name[labels]

    pairs = {}
    for part, words in _PARTS.items():
        for word in words:
            for images, labels in (
                *((f"x_{word}", f"y_{word}"), (f"x{word}", f"y{word}")),
                *(
                    (f"{word}_x", f"{word}_y"),
                    (f"images_{word}", f"labels_{word}"),
                ),
                *((f"{word}_images", f"{word}_labels"),),
            ):
                if part not in pairs and (found := pair(images, labels)):
                    pairs[part] = found
    if "train" in pairs:
        return pairs
    for whole in _WHOLE:
        if found := pair(*whole):
            return {None: found}
    return {}


def idx_pairs(path: Path) -> dict[str | None, tuple[Path, Path]]:
    """Find pairs of IDX files: images and their labels.

    Args:
        path: A folder, or a file of images.

    Returns:
        The two files of each part, or of the whole; nothing if there are none.

    Raises:
        DataError: If the labels of images are missing.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    pairs = {}
    for file in files:
        match = re.fullmatch(_IDX, file.name)
        if not match or not file.is_file():
            continue
        start, middle, _, end = match.groups()
        stem = f"{start}labels{middle}1{end.removesuffix('.gz')}"
        labels = [file.with_name(stem + packed) for packed in ("", ".gz")]
        labels = [label for label in labels if label.is_file()]
        if not labels:
            raise DataError(
                f"{file} has no labels beside it: there is neither {stem} nor "
                f"{stem}.gz."
            )
        words = re.split(r"[^a-z0-9]+", start.lower())
        part = None
        for name, known in {**_PARTS, "test": ("test", "t10k")}.items():
            if {*known} & {*words}:
                part = name
        pairs.setdefault(part, (file, labels[0]))
    if path.is_file() and pairs:
        # Beside training images there may be those of the other parts.
        [part] = pairs
        if part == "train":
            pairs = idx_pairs(path.parent) | pairs
    if "train" in pairs:
        pairs.pop(None, None)
    elif pairs:
        pairs = {None: next(iter(pairs.values()))}
    return pairs


def read_own_idx(path: Path, pairs: dict) -> Arrays:
    """Read what `idx_pairs` has found; see `read_own_npz`."""
    images = {
        part: as_pixels(originals.read_idx_file(files[0]), str(files[0]))
        for part, files in pairs.items()
    }
    labels = {
        part: (originals.read_idx_file(files[1]), str(files[1]))
        for part, files in pairs.items()
    }
    return _joined(path, images, labels, None)


def as_pixels(images: np.ndarray, what: str) -> np.ndarray:
    """Return images as raw pixels, uint8 `(n, height, width, channels)`.

    Numbers from 0 to 1 are taken for brightness, whatever their type; others
    must be from 0 to 255.

    Args:
        images: `(n, height, width)`, or with 1 or 3 channels at the end.
        what: What to call them in an error.

    Raises:
        DataError: If they are something else.
    """
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        hint = ""
        if images.ndim == 4 and images.shape[1] in (1, 3):
            hint = " Move the channels to the end: np.moveaxis(x, 1, -1)."
        elif images.ndim == 4 and images.shape[-1] == 4:
            hint = " Leave the fourth channel out."
        shape = images.shape[:-1] if images.shape[-1:] == (1,) else images.shape
        raise DataError(
            f"{what} must be images (n, height, width), or with 1 or 3 "
            f"channels at the end. Received the shape {shape}.{hint}"
        )
    kind = images.dtype.kind
    if kind not in "biuf":
        raise DataError(f"{what} must be numbers. Received: {images.dtype}")
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(
            f"{what} has pixels that are no finite numbers (NaN or infinite)."
        )
    if low < 0 or high > 255:
        raise DataError(
            f"{what} must be pixels from 0 to 255, or floats from 0 to 1. "
            f"Received: {low:.4g} to {high:.4g}"
        )
    factor = 255 if high <= 1 else 1
    if factor == 255:
        print(f"{what}: taken from [0, 1] to pixels from 0 to 255")
    if images.dtype == np.uint8 and factor == 1:
        return images
    pixels = np.empty(images.shape, "uint8")
    for start in range(0, len(images), ROWS):
        part = images[start : start + ROWS].astype("float32")
        pixels[start : start + ROWS] = np.rint(factor * part)
    return pixels


def _joined(path, images, labels, names) -> Arrays:
    """Number the classes in order, the same in all parts."""
    columns = {
        part: _as_column(array, len(images[part]), what)
        for part, (array, what) in labels.items()
    }
    shapes = {part: array.shape[1:] for part, array in images.items()}
    if len({*shapes.values()}) > 1:
        raise DataError(
            f"The images of {path} must have one shape. Received: "
            f"{', '.join(f'{part} {shape}' for part, shape in shapes.items())}"
        )
    values = np.unique(np.concatenate([*columns.values()]))
    if len(values) < 2:
        raise DataError(
            f"{path} has images of one class, {values[0]}, and there is "
            "nothing to tell it from."
        )
    trained = columns.get("train", columns.get(None))
    if missing := sorted({*values.tolist()} - {*np.unique(trained).tolist()}):
        raise DataError(
            f"{path} has classes without training images: "
            f"{', '.join(map(str, missing[:5]))}."
        )
    if names is None:
        names = [str(value) for value in values]
    elif values.dtype.kind in "iu" and 0 <= values[0] <= values[-1] < len(
        names
    ):
        names = [names[value] for value in values]
    else:
        raise DataError(
            f"{path} names {len(names)} classes, so its labels must be from 0 "
            f"to {len(names) - 1}. Received: {values[0]} to {values[-1]}"
        )
    folders.check_names(names, f"the class {{}} in {path}")
    numbers = {
        part: np.searchsorted(values, column).astype("int32")
        for part, column in columns.items()
    }
    return Arrays(images, numbers, tuple(names))


def _as_column(labels: np.ndarray, count: int, what: str) -> np.ndarray:
    """Return labels as one integer or one string each."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or len(labels) != count:
        raise DataError(
            f"{what} must have one label for each of the {count:,} images. "
            f"Received the shape {labels.shape}"
        )
    if labels.dtype.kind == "f":
        whole = np.rint(labels)
        if not np.array_equal(whole, labels):  # NaN is not equal to itself
            raise DataError(
                f"{what} must be whole numbers or strings. Received fractions "
                "or NaN."
            )
        labels = whole.astype("int64")
    if labels.ndim == 2:  # a one in the column of the class
        ones = (labels == 1).sum(axis=1)
        if labels.dtype.kind not in "biu" or not np.all(
            (ones == 1) & (np.abs(labels.astype("int64")).sum(axis=1) == 1)
        ):
            raise DataError(
                f"{what} must have one class for each image. Received the "
                f"shape {labels.shape}, and not a single one in each row"
            )
        return labels.argmax(axis=1)
    if labels.dtype.kind not in "biuUS":
        raise DataError(
            f"{what} must be whole numbers or strings. Received: {labels.dtype}"
        )
    labels = _as_text(labels)
    return labels.astype("int64") if labels.dtype.kind == "b" else labels


def _as_text(array: np.ndarray) -> np.ndarray:
    """Decode bytes; leave others as they are."""
    if array.dtype.kind != "S":
        return array
    return np.char.decode(array, "utf-8", "replace")
