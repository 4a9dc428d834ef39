"""Data that a user brings, `--dataset`: a folder, a file, or a name of TFDS.

- A folder of class folders with pictures, see `folders`, or of IDX files.
- A file: an `.npz`, or the images of a pair of IDX files, see `arrays`.
- The name of a data set of TFDS, such as `cifar10` or `emnist/letters`.

What is split already stays so. A part that is missing is cut from the training
pictures: `ASIDE` of each class, at random, by a seed that is the same for every
run, so that runs are compared on the same pictures.
"""

import contextlib
import difflib
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.lab import files
from recipes.lab.data import arrays, decoding, folders, sources, tfds
from recipes.lab.data.decoding import PARTS, Decoded
from recipes.lab.data.splits import Data, Facts, Split
from recipes.lab.errors import DataError, RecipeError, UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.inputs.images import Images

ASIDE = 0.15  # of each class, for validation, and as much again for the test
MOST_ASIDE = 10_000  # pictures in each of them, if each class has one
SHOWN = 10_000  # pictures in an epoch: fewer are shown several times
SHOWN_DRY = 512  # pictures in that of a dry run, a batch of any recipe
MANY_CLASSES = 1_000
LOOKED_AT = 1_000  # pictures, to see what is wrong with their pixels
DARK = 64  # of 255: pictures are not so dark, all of them


def load(value: str, options: RunOptions) -> Data:
    """Load a data set of one's own, or of any name.

    Args:
        value: A path, or a name.
        options: Uses `resize`, `data_dir`, `offline` and `dry_run`.

    Raises:
        UsageError: If there is no such data set.
        DataError: If it cannot be had, or no classifier can be trained on it.
    """
    path = Path(os.path.expanduser(value))
    if not path.exists() and value in sources.NAMES:
        if options.resize:
            raise UsageError(
                f"--resize is for pictures of your own, and {value} has a size."
            )
        return sources.load(value, options)
    if path.is_dir():
        pairs = _files_of(path)
        if pairs:
            found = arrays.read_own_idx(path, pairs)
            parts = _cut(path, found, options.resize)
        else:
            parts = _folder(path, options)
    elif path.is_file():
        parts = _cut(path, _file(path), options.resize)
    elif tfds.is_name(value):
        parts = _prepared(value, options)
    else:
        raise _unknown(value, path)
    data = _data(_name_of(path if path.exists() else value), parts, options)
    print(data.describe())
    _warn(data, parts.decoded.leaked)
    return data


class _Parts(NamedTuple):
    """Pictures in three parts, and where they are from."""

    decoded: Decoded
    class_names: tuple[str, ...]
    source: str


def _data(name: str, parts: _Parts, options: RunOptions) -> Data:
    decoded = parts.decoded
    train, validation, test = (
        Split(decoded.pixels[part], decoded.labels[part]) for part in PARTS
    )
    passes = max(1, SHOWN // len(train))
    if options.dry_run:
        passes = -(-SHOWN_DRY // len(train))
    shape = train.inputs.shape[1:]
    return Data(
        name,
        Split(train.inputs, train.targets, passes=passes),
        *(validation, test),
        inputs=Images(shape, "grey" if shape[-1] == 1 else "RGB"),
        facts=Facts(name, "not stated"),
        class_names=parts.class_names,
        source=parts.source,
        checksum=decoded.checksum,
        is_own=True,
    )


def _warn(data: Data, leaked: int) -> None:
    """Say what may be wrong with the data."""
    classes = len(data.class_names)
    brightest = data.train.inputs[:LOOKED_AT].max()
    if brightest < DARK:
        print(
            f"no pixel of {data.name} is brighter than {brightest} of 255. Are "
            "they on another scale? Models take pixels from 0 to 255",
            file=sys.stderr,
        )
    if leaked:
        print(
            f"{leaked:,} of the {len(data.test):,} test pictures are in the "
            "training set, too, to the pixel: the score will flatter",
            file=sys.stderr,
        )
    if classes > MANY_CLASSES:
        size = 4e-9 * classes * len(data.test)
        print(
            f"{data.name} has {classes:,} classes. Is each of them one? The "
            f"probabilities of the test pictures alone take {size:.1f} GB",
            file=sys.stderr,
        )


def _name_of(value: Path | str) -> str:
    """Return what runs and exports of the data are called after."""
    if isinstance(value, Path):
        value = value.resolve().name
        value = re.sub(r"\.(npz|gz)$", "", value, flags=re.IGNORECASE)
    name = re.sub(r"[^A-Za-z0-9_]+", "_", value).strip("_") or "data"
    # Whose names are taken: what is trained on these is scored on those.
    return f"{name}_" if name in ("sample", *sources.NAMES) else name


def _unknown(value: str, path: Path) -> Exception:
    """Return the error that nothing is called so."""
    if path.is_absolute() or os.sep in value.rstrip(os.sep) or path.suffix:
        there = path.absolute().parent
        while not there.exists():
            there = there.parent
        return DataError(
            f"--dataset {value} does not exist; {there} does. It must be a "
            "folder of class folders, a .npz file, a file or folder of IDX, or "
            "the name of a data set of TFDS."
        )
    names = [*sources.NAMES, *tfds.names()]
    beside = [entry.name for entry in os.scandir() if entry.is_dir()]
    close = difflib.get_close_matches(value, beside + names)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return UsageError(
        f"--dataset {value} is neither a folder or file here nor the name of a "
        f"data set of TFDS.{hint}"
    )


# --- how a data set is split --------------------------------------------


def divide(labels, given, class_names, name: str) -> tuple[np.ndarray, str]:
    """Say of each example what part it is in, and cut the parts that miss.

    Args:
        labels: The class of each.
        given: The part of each, a number in `PARTS`; None if nobody said.
        class_names: Names of the classes.
        name: Of the data set.

    Returns:
        The part of each, and how they were split, in words.

    Raises:
        DataError: If a class has too few examples to cut.
    """
    parts = np.zeros(len(labels), "int8")
    if given is not None:
        parts[:] = given
    missing = [i for i in (1, 2) if not np.any(parts == i)]
    if not missing:
        return parts, "split as it was"
    words = " and for ".join(PARTS[i] for i in missing)
    whole = decoding.mixed(len(parts))
    whole = whole[parts[whole] == 0]
    order = whole[np.argsort(labels[whole], kind="stable")]  # class by class
    counts = np.bincount(labels[order], minlength=len(class_names))
    few = np.flatnonzero((0 < counts) & (counts <= len(missing)))
    if len(few):
        named = [f"{class_names[i]} has {counts[i]}" for i in few]
        raise DataError(
            f"Each class of {name} needs {1 + len(missing)} pictures or more: "
            f"some for {words} are cut from those to train with. Too few: "
            f"{folders.first(named)}."
        )
    share = min(ASIDE, MOST_ASIDE / len(order))
    for count, end in zip(counts, np.cumsum(counts), strict=True):
        aside = max(1, round(share * count)) if count else 0
        for part in missing:
            parts[order[end - aside : end]] = part
            end -= aside
    drawn = f"{100 * share:.2g} % of each class drawn for {words}"
    return parts, f"{drawn} (seed {decoding.SEED})"


# --- arrays in files ----------------------------------------------------


def _files_of(folder: Path) -> dict:
    try:
        return arrays.idx_pairs(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _file(path: Path) -> arrays.Arrays:
    if path.suffix.lower() == ".npz":
        return arrays.read_own_npz(path)
    if pairs := arrays.idx_pairs(path):
        return arrays.read_own_idx(path, pairs)
    raise DataError(
        f"--dataset {path} must be a folder, a .npz file, or IDX images such "
        "as train-images-idx3-ubyte, with their labels beside them."
    )


def _cut(path: Path, found: arrays.Arrays, side: int | None) -> _Parts:
    """Put arrays into three parts."""
    names = [part for part in (*PARTS, None) if part in found.images]
    sizes = [len(found.labels[part]) for part in names]
    parts, words = divide(
        np.concatenate([found.labels[part] for part in names]),
        np.repeat([PARTS.index(part or "train") for part in names], sizes),
        *(found.class_names, str(path)),
    )
    parts = dict(
        zip(names, np.split(parts, np.cumsum(sizes)[:-1]), strict=True)
    )
    pixels, columns = {}, {}
    for number, part in enumerate(PARTS):
        name = part if part in parts else names[0]
        chosen = decoding.mixed(len(parts[name]))
        chosen = chosen[parts[name][chosen] == number]
        images = found.images[name][chosen]
        if side:
            images = decoding.resized(images, (side, side))
        pixels[part], columns[part] = images, found.labels[name][chosen]
    decoded = decoding.in_memory(pixels, columns)
    return _Parts(decoded, found.class_names, f"arrays, {words}")


# --- files that are decoded ---------------------------------------------


def _folder(path: Path, options: RunOptions) -> _Parts:
    """Read a folder of class folders."""
    found = folders.scan(path)
    if found.passed_over:
        print(
            f"passed over, no pictures in a class folder: "
            f"{folders.first(found.passed_over)}",
            file=sys.stderr,
        )
    given = None
    if found.parts is not None:
        numbers = {part: number for number, part in enumerate(PARTS)}
        given = np.array([numbers[part] for part in found.parts], "int8")
    parts, words = divide(found.labels, given, found.class_names, str(path))
    paths = [os.path.join(path, file) for file in found.files]
    decoded = _decoded(
        path,
        found.fingerprint,
        options.resize,
        _Undecoded(
            lambda: paths, lambda i: paths[i], paths, parts, found.labels
        ),
    )
    source = f"a folder of {len(found.class_names)} classes, {words}"
    return _Parts(decoded, found.class_names, source)


def _prepared(name: str, options: RunOptions) -> _Parts:
    """Read a data set of TFDS."""
    version = tfds.find_any(name, sources.data_folder(options))
    if version is None:
        version = _downloaded(name, options)
    print(f"reading {version}")
    found = tfds.open_any(name, version)
    given = [PARTS.index(part) for part in found.parts]
    given = np.repeat(given, [len(column) for column in found.labels])
    labels = np.concatenate(found.labels)
    parts, words = divide(labels, given, found.class_names, name)
    decoded = _decoded(
        version,
        tfds.fingerprint(version),
        options.resize,
        _Undecoded(
            found.pictures,
            lambda i: f"picture {i:,} of {name}",
            found.some,
            *(parts, labels),
        ),
    )
    where = f"TFDS {version.parent.name}/{version.name}"
    return _Parts(decoded, found.class_names, f"{where}, {words}")


def _downloaded(name: str, options: RunOptions) -> Path:
    """Download a data set, if there is one of the name and a network."""
    base = re.split("[/:]", name)[0]
    if base not in tfds.names():
        raise _unknown(name, Path(base))
    if not sources.can_fetch(tfds.HOME, options):
        why = (
            "--offline forbids it"
            if options.offline
            else (f"{tfds.HOME} does not answer")
        )
        raise DataError(
            f"{name} is not in {sources.in_words(options)} and cannot be "
            f"downloaded: {why}.\n{tfds.how_to_get(name)}"
        )
    return tfds.download(name, sources.given_folder(options))


class _Undecoded(NamedTuple):
    """Pictures that are still files.

    Attributes:
        pictures: Function that returns all of them, paths or contents.
        names: Function from a picture's number to what to call it.
        some: Those that size and colors are chosen from.
        parts: The part of each, a number in `PARTS`.
        labels: The class of each.
    """

    pictures: Callable[[], Iterable]
    names: Callable[[int], str]
    some: Iterable
    parts: np.ndarray
    labels: np.ndarray


def _decoded(
    place: Path, fingerprint: str, side: int | None, undecoded: _Undecoded
) -> Decoded:
    """Decode pictures, or take what an earlier run has decoded.

    The cache has one file for each place and size. Without a cache it is a
    file that goes with the process.
    """
    cache = sources.cache_folder()
    asked = hashlib.sha256(f"{place.resolve()}\0{side}".encode()).hexdigest()
    start = f"own-{asked[:16]}"
    decides = (
        *(decoding.EDITION, fingerprint),
        *(undecoded.parts, undecoded.labels),
    )
    state = hashlib.sha256(b"".join(map(_bytes, decides))).hexdigest()[:16]

    def write(stream):
        shape = decoding.shape_of(undecoded.some, side, str(place))
        decoding.write(
            *(stream, undecoded.pictures(), undecoded.names),
            *(undecoded.parts, undecoded.labels, shape),
        )
        return decoding.read(stream)

    try:
        if cache is None:
            raise OSError(
                "there is no home folder; XDG_CACHE_HOME may name another"
            )
        cache.mkdir(parents=True, exist_ok=True)
        kept = cache / f"{start}-{state}.pixels"
        with open(cache / f"{start}.lock", "wb") as lock:
            files.lock(lock, cache, wait=True)  # others may decode it right now
            with contextlib.suppress(OSError, ValueError, LookupError):
                with open(kept, "rb") as stream:
                    return decoding.read(stream)
            temporary = cache / f".tmp-{start}"
            try:
                with open(temporary, "w+b") as stream:
                    decoded = write(stream)
                files.sync(temporary)
                for old in cache.glob(f"{start}-*.pixels"):
                    old.unlink()  # of what is no longer so
                os.replace(temporary, kept)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        print(f"not cached: {error}", file=sys.stderr)
        try:
            with tempfile.TemporaryFile() as stream:
                decoded = write(stream)
        except OSError as again:
            raise RecipeError(
                f"The decoded pictures of {place} can be written neither to "
                f"{cache or 'a cache'} nor to {tempfile.gettempdir()}: "
                f"{again.strerror}. XDG_CACHE_HOME and TMPDIR may name other "
                "folders."
            ) from again
    return decoded


def _bytes(value) -> bytes:
    return value.encode() if isinstance(value, str) else value.tobytes()
