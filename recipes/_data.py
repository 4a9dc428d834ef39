"""Data sets as arrays: train, validation and test, from wherever they are.

Sources in order: a prepared TFDS directory, a TFDS download, and for digits
the 1,797 that come with scikit-learn. What was used is always said.
"""

import dataclasses
import difflib
import hashlib
import http.client
import os
import re
import sys
import threading
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes import _files, _sample
from recipes._config import RunOptions
from recipes._errors import DataError, UsageError

VALIDATION_SIZE = 5_000  # the last images of the training set


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and what its labels mean."""

    class_names: tuple[str, ...]
    download_url: str  # one of its files, asked for before TFDS is let loose
    digits: bool = False  # the embedded digits may stand in for it


SOURCES = {
    "mnist": Source(
        class_names=tuple("0123456789"),
        download_url="https://storage.googleapis.com/cvdf-datasets/mnist/"
        "train-images-idx3-ubyte.gz",
        digits=True,
    ),
    "fashion_mnist": Source(
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        download_url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
        "train-images-idx3-ubyte.gz",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images and what a model is to say of them.

    Attributes:
        images: uint8 `(n, height, width, channels)`, raw pixels; or the
            features of images, float32 `(n, ...)`.
        labels: int32 `(n,)`; float32 `(n, num_classes)` after `one_hot`; the
            images themselves after `to_reconstruct`.
        passes: How often an epoch of training shows each image; more than once
            where there are too few of them for the epochs of a recipe.
    """

    images: np.ndarray
    labels: np.ndarray
    passes: int = 1

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, chosen) -> "Split":
        """Return some of the images with their labels, as NumPy would."""
        images = self.images[chosen]
        labels = images if self.reconstructs else self.labels[chosen]
        return Split(images, labels, self.passes)

    def __add__(self, other: "Split") -> "Split":
        images = np.concatenate([self.images, other.images])
        if self.reconstructs and other.reconstructs:
            return Split(images, images)
        return Split(images, np.concatenate([self.labels, other.labels]))

    def of_each_class(self, count: int, seed: int) -> "Split":
        """Return so many images of each class, drawn at random."""
        random = np.random.default_rng(seed)
        order = random.permutation(len(self))
        chosen = [
            order[self.labels[order] == label][:count]
            for label in np.unique(self.labels)
        ]
        return self[np.concatenate(chosen)]

    def one_hot(self, num_classes: int = 10) -> "Split":
        """Return the split with a row of zeros and a one for each label."""
        rows = np.eye(num_classes, dtype="float32")
        return dataclasses.replace(self, labels=rows[self.labels])

    def to_reconstruct(self) -> "Split":
        """Return the split with the images as their own targets.

        They stay bytes: `targets` makes numbers in [0, 1] of a batch at a time.
        """
        return dataclasses.replace(self, labels=self.images)

    @property
    def reconstructs(self) -> bool:
        """Whether the images are their own targets."""
        return self.labels is self.images

    def targets(self) -> np.ndarray:
        """Return the labels, or the images' pixels as float32 in [0, 1]."""
        if self.reconstructs:
            return self.images.astype("float32") / 255
        return self.labels


@dataclass(frozen=True)
class Data:
    """A data set, split, with what is to be known about it.

    Attributes:
        name: Name in TFDS.
        train: What the weights are fitted to.
        validation: What choices are made on.
        test: Scored once, at the end.
        class_names: Name of each label.
        source: Where it was read from, for people.
        checksum: SHA-256 of what was read.
        is_sample: Whether this is the embedded sample, no result of which is
            ever published.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    source: str
    checksum: str
    is_sample: bool = False

    def of_classes(self, class_names) -> "Data":
        """Return the data of some classes only, which are numbered anew.

        Args:
            class_names: Names of the classes to keep, in their new order.
        """
        numbers = np.full(len(self.class_names), -1, "int32")
        for new, name in enumerate(class_names):
            numbers[self.class_names.index(name)] = new

        def keep(split):
            labels = numbers[split.labels]
            return dataclasses.replace(split, labels=labels)[labels >= 0]

        return dataclasses.replace(
            self,
            train=keep(self.train),
            validation=keep(self.validation),
            test=keep(self.test),
            class_names=tuple(class_names),
        )

    def describe(self) -> str:
        """Return one line: what was read, from where, how much."""
        passes = self.train.passes
        repeated = f" (each {passes} times an epoch)" if passes > 1 else ""
        return (
            f"{self.name} from {self.source}: {len(self.train):,} train"
            f"{repeated}, "
            f"{len(self.validation):,} validation, {len(self.test):,} test "
            f"(sha256 {self.checksum[:12]})"
        )


def load(name: str, options: RunOptions) -> Data:
    """Load a data set, split into train, validation and test.

    Args:
        name: One of `SOURCES`.
        options: Uses `data_dir`, `offline` and `dry_run`.

    Returns:
        The data as uint8 arrays.

    Raises:
        UsageError: If there is no such data set.
        DataError: If it cannot be had, or is damaged.
    """
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(
            f"Unknown data set {name!r}.{hint} There are: {', '.join(SOURCES)}."
        )
    source = SOURCES[name]
    if options.dry_run:
        data = _embedded_digits(passes=1)  # it is to be quick
    elif prepared := _find_prepared(name, options):
        data = _read_prepared(name, prepared)
    elif can_fetch(source.download_url, options):
        data = _read_prepared(name, _download(name, options.data_dir))
    elif source.digits and options.data_dir is None:
        data = _embedded_digits(_sample.PASSES)
        print(
            f"\n*** {name} is not here and cannot be downloaded. ***\n"
            "*** Training on scikit-learn's 1,797 digits instead. ***\n"
            f"*** No number of this run is a result of {name}. ***\n"
            f"{_how_to_get(name)}\n",
            file=sys.stderr,
        )
    else:
        looked = options.data_dir or os.environ.get("TFDS_DATA_DIR")
        raise DataError(
            f"{name} is not prepared in {looked or 'the TFDS data directory'} "
            f"and cannot be downloaded: {_why_not(options, source)}.\n"
            f"{_how_to_get(name)}"
        )
    print(data.describe())
    return data


def can_fetch(url: str, options: RunOptions) -> bool:
    """Whether the network may be used, and a server answers within seconds."""
    return not options.offline and _answers(url)


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of whole batches in a split.

    Raises:
        UsageError: If there is not even one.
    """
    if batch_size > len(split):
        raise UsageError(
            f"--batch-size must be at most the {len(split):,} training images. "
            f"Received: {batch_size}"
        )
    return split.passes * len(split) // batch_size


# --- prepared by TFDS ---------------------------------------------------


def _find_prepared(name: str, options: RunOptions) -> Path | None:
    """Return the newest prepared version 3 of a data set, if there is one."""
    folder = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    folder = Path(folder or "~/tensorflow_datasets").expanduser()
    try:
        if options.data_dir is not None and not folder.is_dir():
            kind = "is a file" if folder.exists() else "does not exist"
            raise DataError(
                f"--data-dir {folder} {kind}; it must be a TFDS data "
                f"directory.\n{_how_to_get(name)}"
            )
        if not (folder / name).is_dir():
            return None
        # Unlike `glob`, `iterdir` says when it may not look.
        versions = [
            version
            for version in (folder / name).iterdir()
            if re.fullmatch(r"3\.\d+\.\d+", version.name)
            and (version / "dataset_info.json").exists()
        ]
    except PermissionError as error:
        raise DataError(
            f"The TFDS data directory {folder} cannot be read: {error.strerror}"
        ) from error
    return max(versions, key=_version_number, default=None)


def _version_number(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.name.split("."))


_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def _read_prepared(name: str, version: Path) -> Data:
    """Read the decoded arrays from the cache, or through TFDS."""
    print(f"reading {version}")
    checksum = _checksum(version)
    cached = _cache_folder() / f"{name}-{checksum}.npz"
    try:
        with open(cached, "rb") as stream:
            # NumPy reads what a header says, and zipfile looks at the sum of
            # nothing less than the whole.
            if zipfile.ZipFile(stream).testzip():
                raise zipfile.BadZipFile
            stream.seek(0)
            with np.load(stream) as file:
                arrays = {key: file[key] for key in _ARRAYS}
    except Exception:  # not there, or damaged: then NumPy raises anything
        arrays = _decode(name, version)
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            _files.write_npz(cached, arrays)
        except OSError as error:
            print(f"not cached: {error}", file=sys.stderr)
    images, labels = arrays["train_images"], arrays["train_labels"]
    return Data(
        name=name,
        train=Split(images[:-VALIDATION_SIZE], labels[:-VALIDATION_SIZE]),
        validation=Split(images[-VALIDATION_SIZE:], labels[-VALIDATION_SIZE:]),
        test=Split(arrays["test_images"], arrays["test_labels"]),
        class_names=SOURCES[name].class_names,
        source=f"TFDS {version.parent.name}/{version.name}",
        checksum=checksum,
    )


def _checksum(version: Path) -> str:
    """Return the SHA-256 over the sums of the record files."""
    try:
        records = sorted(version.glob("*.tfrecord-*"))
        sums = "".join(_files.sha256(record) for record in records)
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read: {error.strerror}"
        ) from error
    return hashlib.sha256(sums.encode()).hexdigest()


def _decode(name: str, version: Path) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    arrays = {}
    try:
        builder = tfds.builder_from_directory(version)
        for split in ("train", "test"):
            both = builder.as_dataset(split=split, batch_size=-1)
            arrays[f"{split}_images"] = both["image"].numpy()
            arrays[f"{split}_labels"] = both["label"].numpy().astype("int32")
            expected = builder.info.splits[split].num_examples
            if len(arrays[f"{split}_labels"]) != expected:
                raise ValueError(
                    f"{len(arrays[f'{split}_labels']):,} of {expected:,} "
                    f"{split} examples"
                )
    except Exception as error:  # TFDS raises whatever its many layers raise
        reason = getattr(error, "message", None) or str(error) or repr(error)
        raise DataError(
            f"The prepared data in {version} is damaged: "
            f"{reason.splitlines()[0]}\n"
            f"Delete that folder and prepare it again.\n{_how_to_get(name)}"
        ) from error
    return arrays


def _cache_folder() -> Path:
    if sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base.expanduser() / "keras-zoo-recipes"


# --- downloaded by TFDS -------------------------------------------------


def _answers(url: str, seconds: float = 5.0) -> bool:
    """Whether a server offers a file in time; proxies are honoured.

    TFDS itself would try for minutes. Looking up a host name has no time limit
    of its own, hence the thread. An HTTP error is no offer: many a network
    answers everything with its own "forbidden".
    """
    answered = threading.Event()

    def ask():
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _download(name: str, data_dir: Path | None) -> Path:
    import tensorflow_datasets as tfds

    print(f"downloading {name} with TFDS")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its many layers raise
        raise DataError(
            f"TFDS could not download {name}: {error}\n{_how_to_get(name)}"
        ) from error
    return Path(builder.data_dir)


def _why_not(options: RunOptions, source: Source) -> str:
    if options.offline:
        return "--offline forbids it"
    return f"{source.download_url} does not answer"


def _how_to_get(name: str) -> str:
    return (
        f"To get {name}: run `python scripts/prepare_data.py {name}` on a "
        "machine with a network, and point TFDS_DATA_DIR or --data-dir at the "
        "folder that it names."
    )


# --- embedded in scikit-learn -------------------------------------------


def _embedded_digits(passes: int) -> Data:
    """Return scikit-learn's digits as a data set."""
    images, labels = _sample.digits()
    train, validation, _ = _sample.SIZES
    ends = (train, train + validation)
    parts = zip(np.split(images, ends), np.split(labels, ends), strict=True)
    (first, *rest) = (Split(*part) for part in parts)
    return Data(
        "digits",
        dataclasses.replace(first, passes=passes),
        *rest,
        class_names=SOURCES["mnist"].class_names,
        source="scikit-learn's embedded digits",
        checksum=hashlib.sha256(images.tobytes()).hexdigest(),
        is_sample=True,
    )
