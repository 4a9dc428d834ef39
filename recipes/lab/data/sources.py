"""Data sets as arrays: train, validation and test, from wherever they are.

Tables and small digits come with the package, and a few data sets are drawn by
programs in it. For other images the sources are,
in order: a folder with a TFDS data set, IDX files or Keras' npz; a TFDS
download; what Keras has downloaded; and for digits the 1,797 that come with
scikit-learn. What was used is always said.
"""

import dataclasses
import difflib
import hashlib
import http.client
import os
import sys
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.lab import files
from recipes.lab.data import (
    originals,
    sample,
    splits,
    synthetic,
    tables,
    tfds,
)
from recipes.lab.data.splits import Data, Facts, Split
from recipes.lab.errors import DataError, UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.inputs.images import Images

VALIDATION_SIZE = 5_000  # the last images of the training set


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, what its labels mean, and how it is known.

    Attributes:
        facts: Title and licence.
        inputs: What goes into a model.
        class_names: Name of each label.
        download_url: One of its files, asked for before TFDS is let loose.
        train_size: Number of training images, validation included.
        test_counts: Number of test images of each class: files that do not say
            what they hold are told apart by these.
        folders: Names under which others keep its files.
        digits: Whether the embedded digits may be used in its place.
    """

    facts: Facts
    inputs: Images
    class_names: tuple[str, ...]
    download_url: str
    train_size: int
    test_counts: tuple[int, ...]
    folders: tuple[str, ...]
    digits: bool = False


SOURCES = {
    "mnist": Source(
        facts=Facts("MNIST", "CC BY-SA 3.0"),
        inputs=Images(
            (28, 28, 1),
            "white on black",
            "A digit fits 20 x 20 pixels, its center of mass in the middle, in "
            "strokes of\n2 to 3 pixels; other pictures get wrong answers. "
            "`zoo.prepare_digit(picture)`\nmakes such an image of any drawing "
            "or photo of a digit.",
        ),
        class_names=tuple("0123456789"),
        download_url="https://storage.googleapis.com/cvdf-datasets/mnist/"
        "train-images-idx3-ubyte.gz",
        train_size=60_000,
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        folders=("mnist", "MNIST/raw"),
        digits=True,
    ),
    "fashion_mnist": Source(
        facts=Facts("Fashion-MNIST", "MIT"),
        inputs=Images((28, 28, 1), "light on black"),
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        download_url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
        "train-images-idx3-ubyte.gz",
        train_size=60_000,
        test_counts=(1000,) * 10,
        folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
    ),
}  # fmt: skip


# What comes with the package.
EMBEDDED = {**tables.TABLES, "digits_8x8": sample.digits_8x8}
NAMES = (*SOURCES, *EMBEDDED, *synthetic.SETS)  # of all data sets


def load(name: str, options: RunOptions, *, stand_in: bool = True) -> Data:
    """Load a data set, split into train, validation and test.

    Args:
        name: One of `NAMES`.
        options: Uses `data_dir`, `offline` and `dry_run`.
        stand_in: Whether the embedded digits may take the place of others.

    Returns:
        The data.

    Raises:
        UsageError: If there is no such data set.
        DataError: If it cannot be had, or is damaged.
    """
    if name in SOURCES:
        data = _load_images(name, options, stand_in)
    elif name in EMBEDDED:
        data = EMBEDDED[name]()
    elif name in synthetic.SETS:
        data = synthetic.SETS[name](options.dry_run)
    else:
        close = difflib.get_close_matches(name, NAMES)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(
            f"Unknown data set {name!r}.{hint} There are: {', '.join(NAMES)}."
        )
    print(data.describe())
    return data


def _load_images(name: str, options: RunOptions, stand_in: bool) -> Data:
    """Load a data set of images, as uint8 arrays; see `load`."""
    source = SOURCES[name]
    if options.dry_run:
        data = _embedded_digits(passes=1)  # it is to be quick
    elif local := _read_local(name, options):
        data = local
    elif can_fetch(source.download_url, options):
        folder = given_folder(options)
        folder = folder and tfds.data_directory(folder)
        data = _read_prepared(name, tfds.download(name, folder))
    elif cached := _read_cache_of_keras(name, options):
        data = cached
    elif stand_in and source.digits and options.data_dir is None:
        data = _embedded_digits(sample.PASSES)
        print(
            f"\n*** {name} is not here and cannot be downloaded. ***\n"
            f"*** There is none in {in_words(options)}. ***\n"
            "*** Training on scikit-learn's 1,797 digits instead. ***\n"
            f"*** No number of this run is a result of {name}. ***\n"
            f"{tfds.how_to_get(name)}\n",
            file=sys.stderr,
        )
    else:
        raise DataError(
            f"{name} is not in {in_words(options)} and cannot be downloaded: "
            f"{_why_not(options, source)}.\n{tfds.how_to_get(name)}"
        )
    return data


def can_fetch(url: str, options: RunOptions) -> bool:
    """Whether the network may be used, and a server answers within seconds."""
    return not options.offline and _answers(url)


# --- already on this machine --------------------------------------------


def given_folder(options: RunOptions) -> Path | None:
    """Return where the data are said to be; None if nothing is said."""
    folder = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    return Path(os.path.expanduser(folder)) if folder else None


def data_folder(options: RunOptions) -> Path:
    """Return the TFDS data directory that counts."""
    default = Path(os.path.expanduser("~/tensorflow_datasets"))
    return given_folder(options) or default


def in_words(options: RunOptions) -> str:
    """Say where the data were looked for."""
    folder = data_folder(options)
    text = f"{folder}"
    if options.data_dir is not None:
        text = f"--data-dir {folder}"
    elif given_folder(options):
        text = f"TFDS_DATA_DIR={folder}"
    return text if folder.exists() else f"{text}, which does not exist"


def _read_local(name: str, options: RunOptions) -> Data | None:
    """Read a data set from the folder, or the file, where it is to be."""
    folder = data_folder(options)
    try:
        if options.data_dir is not None and not folder.is_dir():
            if not (folder.is_file() and folder.suffix == ".npz"):
                kind = "is a file" if folder.exists() else "does not exist"
                raise DataError(
                    f"--data-dir {folder} {kind}; it must be a folder with "
                    "data prepared by TFDS, or with IDX files, or Keras' .npz "
                    f"file.\n{tfds.how_to_get(name)}"
                )
        version = tfds.find(name, folder)
        place = originals.find(folder, SOURCES[name].folders)
    except PermissionError as error:
        raise DataError(
            f"The data directory {folder} cannot be read: {error.strerror}"
        ) from error
    if version:
        return _read_prepared(name, version)
    return _read_originals(name, place) if place else None


def _read_cache_of_keras(name: str, options: RunOptions) -> Data | None:
    """Read what `keras.datasets` has downloaded, if nobody said where to look.

    It comes after TFDS, whose order of the images the published results have.
    """
    if options.data_dir is not None:
        return None
    folder = originals.keras_folder()
    try:
        place = originals.find(folder, SOURCES[name].folders)
        # Keras' own folder holds more than one data set.
        if place and place != folder:
            return _read_originals(name, place)
    except (OSError, DataError) as error:  # a download that was cut off
        print(f"not used: {error}", file=sys.stderr)
    return None


def _read_prepared(name: str, version: Path) -> Data:
    """Read what TFDS has prepared: from our cache, or through TFDS."""
    print(f"reading {version}")
    checksum = tfds.checksum(version)
    cache = cache_folder()
    cached = cache and cache / f"{name}-{checksum}.npz"
    try:
        arrays = files.read_npz(cached, _ARRAYS)
    except Exception:  # not there, or damaged: then NumPy raises anything
        arrays = tfds.read(name, version)
        try:
            if cached is None:
                raise OSError(
                    "there is no home folder; XDG_CACHE_HOME may name another"
                )
            cached.parent.mkdir(parents=True, exist_ok=True)
            files.write_npz(cached, arrays)
        except OSError as error:
            print(f"not cached: {error}", file=sys.stderr)
    return _cut(name, arrays, f"TFDS {name}/{version.name}", checksum)


def _read_originals(name: str, place: Path) -> Data:
    """Read IDX files or Keras' npz, and see that it is this data set."""
    print(f"reading {place}")
    source = SOURCES[name]
    sizes = {"train": source.train_size, "test": sum(source.test_counts)}
    arrays = originals.read(place, sizes)
    counts = tuple(np.bincount(arrays["test_labels"], minlength=10).tolist())
    if counts != source.test_counts:
        raise DataError(
            f"{place} does not hold {name}: of each class it has {counts} test "
            f"images, and {name} has {source.test_counts}."
        )
    checksum = hashlib.sha256()
    for key in _ARRAYS:
        checksum.update(np.ascontiguousarray(arrays[key]))
    kind = "Keras' npz" if place.is_file() else "IDX files"
    return _cut(name, arrays, kind, checksum.hexdigest())


_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def _cut(name: str, arrays: dict, source: str, checksum: str) -> Data:
    """Put the last training images aside, for validation."""
    images, labels = arrays.pop("train_images"), arrays["train_labels"]
    images = splits.for_tensorflow(images)
    return Data(
        name=name,
        train=Split(images[:-VALIDATION_SIZE], labels[:-VALIDATION_SIZE]),
        validation=Split(images[-VALIDATION_SIZE:], labels[-VALIDATION_SIZE:]),
        test=Split(arrays["test_images"], arrays["test_labels"]),
        inputs=SOURCES[name].inputs,
        facts=SOURCES[name].facts,
        class_names=SOURCES[name].class_names,
        source=source,
        checksum=checksum,
    )


def cache_folder() -> Path | None:
    """Return where decoded data are kept; None where nobody is at home."""
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    base = os.path.expanduser(base)  # `~` stays if there is no home folder
    return None if base.startswith("~") else Path(base) / "keras-zoo-recipes"


def _embedded_digits(passes: int) -> Data:
    """Return scikit-learn's digits as a data set."""
    images, labels = sample.digits()
    train, validation, _ = sample.SIZES
    ends = (train, train + validation)
    parts = zip(np.split(images, ends), np.split(labels, ends), strict=True)
    (first, *rest) = (Split(*part) for part in parts)
    return Data(
        "digits",
        dataclasses.replace(first, passes=passes),
        *rest,
        inputs=SOURCES["mnist"].inputs,
        facts=sample.FACTS,
        class_names=SOURCES["mnist"].class_names,
        source="scikit-learn's embedded digits",
        checksum=hashlib.sha256(images.tobytes()).hexdigest(),
        is_sample=True,
    )


# --- the network --------------------------------------------------------


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


def _why_not(options: RunOptions, source: Source) -> str:
    if options.offline:
        return "--offline forbids it"
    return f"{source.download_url} does not answer"
