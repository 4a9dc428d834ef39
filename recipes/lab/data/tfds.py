"""Data sets that TensorFlow Datasets has prepared, or is to download."""

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.lab import files
from recipes.lab.errors import DataError

SPLITS = ("train", "test")
_PARTS = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
}
HOME = "https://www.tensorflow.org/datasets"  # asked whether there is a network


def how_to_get(name: str) -> str:
    """Say how to get a data set onto a machine without a network."""
    return (
        f"To get {name}: run `python scripts/prepare_data.py {name}` on a "
        "machine with a network, copy the folder that it names, and point "
        "TFDS_DATA_DIR or --data-dir at it; or at a folder with its IDX files, "
        "or Keras' npz."
    )


def find(name: str, folder: Path) -> Path | None:
    """Return the newest prepared version 3 of a data set, if there is one.

    Args:
        name: Name of the data set.
        folder: A TFDS data directory; or the folder of a data set in one, or
            that of a version, which is taken as it is.

    Raises:
        PermissionError: If it cannot be read.
    """
    if not folder.is_dir():
        return None
    if _is_version(folder) and _name_of(folder) == name:
        return folder
    home = data_directory(folder) / name
    if not home.is_dir():
        return None
    versions = filter(_is_version, home.iterdir())
    return max(versions, key=_version_number, default=None)


def data_directory(folder: Path) -> Path:
    """Return the TFDS data directory of what may be a folder inside of it."""
    if _is_version(folder):
        return folder.parent.parent
    # Unlike `glob`, `iterdir` says when it may not look.
    if folder.is_dir() and any(map(_is_version, folder.iterdir())):
        return folder.parent
    return folder


def _is_version(folder: Path) -> bool:
    return bool(
        re.fullmatch(r"3\.\d+\.\d+", folder.name)
        and (folder / "dataset_info.json").exists()
    )


def _name_of(version: Path) -> str:
    """Return what data set a version is of: it may have been copied alone."""
    try:
        return json.loads((version / "dataset_info.json").read_text())["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return version.parent.name


def _version_number(version: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in version.name.split("."))


def checksum(version: Path) -> str:
    """Return the SHA-256 over the sums of the record files, of any format."""
    try:
        records = sorted(version.glob("*-[0-9]*-of-[0-9]*"))
        sums = "".join(files.sha256(record) for record in records)
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read: {error.strerror}"
        ) from error
    return hashlib.sha256(sums.encode()).hexdigest()


def read(name: str, version: Path) -> dict[str, np.ndarray]:
    """Decode a prepared version.

    Returns:
        `train_images`, `train_labels`, `test_images` and `test_labels`.

    Raises:
        DataError: If it is damaged, or in a format that cannot be read.
    """
    import tensorflow_datasets as tfds

    arrays, form = {}, None
    try:
        builder = tfds.builder_from_directory(version)
        form = builder.info.file_format.value
        for split in SPLITS:
            images, labels = _READERS[form](builder, split)
            expected = builder.info.splits[split].num_examples
            if len(labels) != expected:
                raise ValueError(
                    f"{len(labels):,} of {expected:,} {split} examples"
                )
            arrays[f"{split}_images"] = images
            arrays[f"{split}_labels"] = labels.astype("int32")
    except Exception as error:  # TFDS raises whatever its many layers raise
        reason = getattr(error, "message", None) or str(error) or repr(error)
        # TensorFlow puts its operation around what there is to say.
        reason = reason.splitlines()[0].rpartition("}} ")[-1]
        reason = reason.partition(" [Op:")[0]
        if form not in (None, *_READERS):
            raise DataError(
                f"The prepared data in {version} may be whole, but are in the "
                f"file format {form}; recipes read {' and '.join(_READERS)}. "
                "Prepare them in one of those, in another folder.\n"
                f"{how_to_get(name)}"
            ) from error
        if isinstance(error, ImportError):
            raise DataError(
                f"The prepared data in {version} may be whole, but a package "
                f"that reads the file format {form} is missing: {reason}. "
                "Install it, or prepare the data as tfrecord in another folder."
                f"\n{how_to_get(name)}"
            ) from error
        raise DataError(
            f"The prepared data in {version} cannot be read, and may be "
            f"damaged: {reason}\nMove that folder away and prepare it again."
            f"\n{how_to_get(name)}"
        ) from error
    return arrays


def _read_stream(builder, split: str):
    both = builder.as_dataset(split=split, batch_size=-1)
    return both["image"].numpy(), both["label"].numpy()


def _read_source(builder, split: str):
    examples = list(builder.as_data_source(split=split))
    images = np.stack([example["image"] for example in examples])
    return images, np.array([example["label"] for example in examples])


# TFDS offers other formats, too, but with version 4.9.10 reads 700 of 3,000
# images of parquet, and cannot open riegeli.
_READERS = {"tfrecord": _read_stream, "array_record": _read_source}


def download(name: str, data_dir: Path | None) -> Path:
    """Download and prepare a data set; return the folder of its version."""
    import tensorflow_datasets as tfds

    given = data_dir or os.environ.get("TFDS_DATA_DIR")
    if not given and os.path.expanduser("~") == "~":
        raise DataError(
            f"There is no home folder to download {name} into. Name a folder "
            f"with --data-dir or TFDS_DATA_DIR.\n{how_to_get(name)}"
        )
    print(f"downloading {name} with TFDS")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its many layers raise
        raise DataError(
            f"TFDS could not download {name}: {error}\n{how_to_get(name)}"
        ) from error
    return Path(builder.data_dir)


# --- any data set of pictures with one label each -----------------------


class Labeled(NamedTuple):
    """A prepared data set of pictures, which are still files.

    Attributes:
        parts: The names of its splits that recipes know.
        labels: The class of each picture, in each of them.
        class_names: Names of the classes.
        pictures: Function that yields the files' contents, split by split.
        some: Contents of the first of them.
    """

    parts: list[str]
    labels: list[np.ndarray]
    class_names: tuple[str, ...]
    pictures: Callable[[], Iterator[bytes]]
    some: list[bytes]


def is_name(text: str) -> bool:
    """Whether a text may be the name of a data set: `name/config:version`."""
    return bool(re.fullmatch(r"[a-z]\w*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?", text))


@functools.cache
def names() -> list[str]:
    """Return the names of the data sets that TFDS can prepare."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def find_any(name: str, folder: Path) -> Path | None:
    """Return the prepared version of a data set that is asked for, or None.

    Args:
        name: `name`, `name/config` or either with `:version`; the newest one
            is taken without.
        folder: A TFDS data directory.

    Raises:
        DataError: If it has several configurations, and none is named.
    """
    name, _, wanted = name.partition(":")
    home = folder / name
    if not home.is_dir():
        return None
    inside = [path for path in sorted(home.iterdir()) if path.is_dir()]
    versions = [path for path in inside if _is_any_version(path)]
    if not versions:
        known = {
            path.name: found
            for path in inside
            if (found := [v for v in path.iterdir() if _is_any_version(v)])
        }
        if len(known) > 1:
            raise DataError(
                f"{name} is prepared in several configurations; name one: "
                f"{', '.join(f'{name}/{config}' for config in known)}."
            )
        [versions] = known.values() or [[]]
    versions = [path for path in versions if wanted in ("", path.name)]
    return max(versions, key=_version_number, default=None)


def _is_any_version(folder: Path) -> bool:
    is_number = re.fullmatch(r"\d+\.\d+\.\d+", folder.name)
    return bool(is_number) and (folder / "dataset_info.json").exists()


def fingerprint(version: Path) -> str:
    """Return what tells a prepared version from another, at a glance."""
    stats = [(p.name, p.stat()) for p in sorted(version.iterdir())]
    lines = [f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def open_any(name: str, version: Path, count: int = 400) -> Labeled:
    """Open a prepared version of a data set of pictures.

    Args:
        name: Name of the data set.
        version: What `find_any` has found.
        count: How many pictures to read now.

    Raises:
        DataError: If it is damaged, or has no pictures with one label each.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(version)
        features = builder.info.features
        image, label = builder.info.supervised_keys or ("image", "label")
        kinds = [features[key] for key in (image, label) if key in features]
        if [*map(type, kinds)] != [
            tfds.features.Image,
            tfds.features.ClassLabel,
        ]:
            raise DataError(
                f"{name} must have pictures with one label each. Received: "
                f"{', '.join(features)}"
            )
        splits = {_PARTS[s]: s for s in builder.info.splits if s in _PARTS}
        if "train" not in splits:
            splits = {"train": next(iter(builder.info.splits))}
        undecoded = {image: tfds.decode.SkipDecoding()}

        def examples(split):
            if builder.info.file_format.value == "array_record":
                return builder.as_data_source(split, decoders=undecoded)
            found = builder.as_dataset(split, decoders=undecoded)
            return found.as_numpy_iterator()

        def pictures():
            for split in splits.values():
                for example in examples(split):
                    yield example[image]

        labels = [
            np.array([example[label] for example in examples(split)], "int32")
            for split in splits.values()
        ]
        some = [p for p, _ in zip(pictures(), range(count), strict=False)]
    except DataError:
        raise
    except Exception as error:  # TFDS raises whatever its many layers raise
        reason = (str(error) or repr(error)).splitlines()[0]
        raise DataError(
            f"The prepared data in {version} cannot be read, and may be "
            f"damaged: {reason}"
        ) from error
    class_names = tuple(kinds[1].names)
    return Labeled([*splits], labels, class_names, pictures, some)
