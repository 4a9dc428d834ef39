"""Picture files to pixels: once, on all processors, into a file that is mapped.

The pictures are read as the signature `image_bytes` of an export reads them,
so a model is asked what it was trained on. What they are decoded to lies in a
file of the cache, and comes into memory a page at a time as it is needed: a
folder may be larger than memory, and the next run starts at once.
"""

import collections
import functools
import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from recipes.lab import terminal
from recipes.lab.errors import DataError
from recipes.lab.files import SCHEMA
from recipes.lab.inputs import image_files

PARTS = ("train", "validation", "test")
EDITION = "1"  # of the files: another when pixels or their order change
BLOCK = 4_096  # bytes, a page; a head comes first, and each part begins at one
CHUNK = 16  # pictures that a thread decodes at a time: photos are large
LOOKED_AT = 400  # pictures that shape and colors are chosen from
LARGEST_SIDE = 128  # pixels, of those that nobody has chosen a size for
# A picture has colors where its channels differ by more than JPEG makes of
# grey, in more than so many of its pixels.
TINT, TINTED = 16, 0.001
SEED = 0  # of what is drawn: the same for all runs, which are to be compared
NAMED = 5  # damaged pictures that an error lists


class Decoded(NamedTuple):
    """Pictures in the parts of a data set, mapped from a file.

    Attributes:
        pixels: uint8 `(n, height, width, channels)` of each part.
        labels: int32 `(n,)` of each part.
        checksum: SHA-256 of the pixels, the labels and the parts.
        leaked: Number of test pictures whose pixels a training picture has.
    """

    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    checksum: str
    leaked: int


def shape_of(
    pictures: Sequence, side: int | None, name: str
) -> tuple[int, int, int]:
    """Choose height, width and channels from some of the pictures.

    Pictures of one size up to `LARGEST_SIDE` stay as they are. Otherwise it is
    the median height and width, made smaller if the longer of them is beyond.
    Pictures without colors get one channel, however they are stored.

    Args:
        pictures: Their paths, or contents.
        side: Height and width that somebody has chosen, or None.
        name: Of the data set.

    Raises:
        DataError: If none of the pictures can be read.
    """

    def seen(picture):
        try:
            sides, tinted = _look(tf.constant(_content(picture)))
        except (OSError, tf.errors.OpError) as error:
            return _reason(error)
        return (*sides.numpy().tolist(), float(tinted.numpy()))

    step = max(1, len(pictures) // LOOKED_AT)
    with ThreadPoolExecutor(_processors()) as pool:
        found = [*pool.map(seen, pictures[::step])]
    good = [row for row in found if isinstance(row, tuple)]
    if not good:
        raise DataError(f"No picture of {name} can be read: {found[0]}.")
    *sides, tinted = np.array(good).T
    height, width = (float(np.median(lengths)) for lengths in sides)
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    height, width = (max(1, round(scale * s)) for s in (height, width))
    channels = 3 if tinted.max() > TINTED else 1
    return (side or height, side or width, channels)


@tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
def _look(content):
    """Return the sides of a picture, and the share of its pixels with color."""
    image = image_files.read(content, 3)
    small = tf.cast(image_files.resize(image, (64, 64)), tf.int32)
    tint = tf.reduce_max(small, axis=-1) - tf.reduce_min(small, axis=-1)
    return tf.shape(image)[:2], tf.reduce_mean(tf.cast(tint > TINT, tf.float32))


def write(
    file: BinaryIO,
    pictures: Iterable,
    names,
    parts: np.ndarray,
    labels: np.ndarray,
    shape: tuple[int, int, int],
) -> None:
    """Decode pictures into a file; see `read`.

    Args:
        file: An empty file, open for reading and writing.
        pictures: Their paths, or contents.
        names: Function from a picture's number to what to call it in an error.
        parts: The part of each picture, a number in `PARTS`.
        labels: The class of each.
        shape: Height, width and channels of all.

    Raises:
        DataError: If some cannot be read; it names the first of them.
        OSError: If the disk is full.
    """
    counts = np.bincount(parts, minlength=len(PARTS)).tolist()
    places = _places(counts, shape)
    # Mixed, for the first pictures of a part are to be of all classes.
    order = np.lexsort((mixed(len(parts)), parts))
    rows = np.empty(len(parts), "int64")  # of each picture in its part
    rows[order] = np.concatenate([np.arange(count) for count in counts])
    size = int(np.prod(shape))
    offsets = np.array(places[:-1])[parts] + rows * size

    height, width, channels = shape
    print(
        f"decoding {len(parts):,} pictures to {height}x{width} "
        f"{'grey' if channels == 1 else 'RGB'} pixels",
        flush=True,
    )
    bar = keras.utils.Progbar(len(parts)) if terminal.shows_bars() else None
    decode = _decoder(shape)
    digest, keys = hashlib.sha256(), np.empty(len(parts), "uint64")
    damaged, start = [], 0
    with ThreadPoolExecutor(_processors()) as pool:
        for found in _windowed(pool, decode, _chunks(pictures)):
            for i, pixels in enumerate(found, start):
                if isinstance(pixels, str):
                    damaged.append(f"{names(i)} ({pixels})")
                    continue
                content = pixels.tobytes()
                keys[i] = _key(content)
                digest.update(content)
                file.seek(offsets[i])
                file.write(content)
            start += len(found)
            if bar:
                bar.add(len(found))
    if damaged:
        more = len(damaged) - NAMED
        raise DataError(
            f"{len(damaged):,} of {len(parts):,} pictures cannot be read: "
            f"{'; '.join(damaged[:NAMED])}{f'; and {more:,} more' * (more > 0)}"
            ". Repair them, or move them away."
        )

    file.seek(places[-1])
    file.write(labels[order].astype("<i4").tobytes())
    for array in (parts, labels):
        digest.update(array.astype("<i4").tobytes())
    digest.update(str(shape).encode())
    head = {
        "schema": SCHEMA,
        "shape": shape,
        "counts": counts,
        "checksum": digest.hexdigest(),
        "leaked": int(np.isin(keys[parts == 2], keys[parts == 0]).sum()),
    }
    file.seek(0)
    file.write(json.dumps(head).encode().ljust(BLOCK))
    file.flush()


def mixed(count: int) -> np.ndarray:
    """Return numbers from 0 up in an order of chance, always the same."""
    return np.random.default_rng(SEED).permutation(count)


def read(file: BinaryIO) -> Decoded:
    """Map what `write` has written.

    It is mapped so that TensorFlow may share it: privately and writable, which
    changes nothing as long as nobody writes.

    Raises:
        ValueError: If it is something else.
    """
    file.seek(0)
    head = json.loads(file.read(BLOCK))
    if head["schema"] != SCHEMA:
        raise ValueError(f"it has the schema {head['schema']}")
    counts, shape = head["counts"], tuple(head["shape"])
    *places, end = _places(counts, shape)
    file.seek(end)
    labels = np.frombuffer(file.read(), "<i4").astype("int32")
    if len(labels) != sum(counts):
        raise ValueError("it was cut short")
    pixels = {}
    for part, place, count in zip(PARTS, places, counts, strict=True):
        mapped = np.memmap(file, "uint8", "c", place, (count, *shape))
        if part == "train":  # or the system would read on behind each picture
            mapped._mmap.madvise(mmap.MADV_RANDOM)
        pixels[part] = mapped.view(np.ndarray)
    split = np.split(labels, np.cumsum(counts)[:-1])
    return Decoded(
        pixels,
        dict(zip(PARTS, split, strict=True)),
        head["checksum"],
        head["leaked"],
    )


def in_memory(pixels: dict, labels: dict) -> Decoded:
    """Return what `read` does, of arrays that are in memory."""
    digest, keys = hashlib.sha256(), {}
    for part in PARTS:
        images = np.ascontiguousarray(pixels[part])
        digest.update(images)
        digest.update(labels[part].astype("<i4").tobytes())
        digest.update(str(images.shape).encode())
        keys[part] = [_key(image.tobytes()) for image in images]
    leaked = np.isin(keys["test"], keys["train"]).sum()
    return Decoded(pixels, labels, digest.hexdigest(), int(leaked))


def resized(images: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """Return images of other sides, as those in files are resized."""
    with tf.device("CPU:0"):
        return np.concatenate(
            [
                image_files.resize(
                    tf.constant(images[start : start + 1_000]), sides
                ).numpy()
                for start in range(0, len(images), 1_000)
            ]
        )


def _key(content: bytes) -> int:
    """Return a number that pictures share only if they are the same."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def _places(counts, shape) -> list[int]:
    """Return where in the file each part begins, and the labels after them."""
    places = [BLOCK]
    for count in counts:
        end = places[-1] + count * int(np.prod(shape))
        places.append(-(-end // BLOCK) * BLOCK)
    return places


@functools.cache
def _decoder(shape: tuple[int, int, int]):
    """Return a function from some pictures to their pixels.

    Of a picture that cannot be read it gives the reason, a string.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
    )
    def decode_all(contents):
        return tf.map_fn(
            lambda content: image_files.decode(content, shape),
            contents,
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )

    def decode(pictures):
        contents = []
        try:
            contents = [_content(picture) for picture in pictures]
            with tf.device("CPU:0"):
                return [*decode_all(tf.constant(contents)).numpy()]
        except (OSError, tf.errors.OpError) as error:
            if len(pictures) == 1:
                return [_reason(error)]
        return [pixels for one in pictures for pixels in decode([one])]

    return decode


def _content(picture: str | bytes) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _reason(error: Exception) -> str:
    """Return what an error says, without TensorFlow's operation around it."""
    reason = getattr(error, "message", None) or getattr(error, "strerror", "")
    # Before it TensorFlow says where in the graph, and behind it by its names.
    reason = (reason or repr(error)).partition("\n\t [[")[0].splitlines()[-1]
    reason = reason.rpartition("}} ")[-1].partition(" [Op:")[0]
    reason = reason.removeprefix("assertion failed: ").replace("] [", " ")
    reason = reason.strip("[]' ").rstrip(".")
    if reason.startswith("image_bytes must hold"):
        return "it is no PNG or JPEG file"
    return reason


def _chunks(pictures: Iterable) -> Iterator[list]:
    chunk = []
    for picture in pictures:
        chunk.append(picture)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _windowed(pool, function, items: Iterable) -> Iterator:
    """Map in order on a pool, only a few items ahead of who takes the results.

    `pool.map` would take all items at once, and keep all results.
    """
    ahead = collections.deque()
    for item in items:
        ahead.append(pool.submit(function, item))
        if len(ahead) > 4 * _processors():
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
