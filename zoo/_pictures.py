"""Picture files to the pixels that a model takes, with Pillow and NumPy.

The pixels are those that the signature `image_bytes` of an export makes of the
same file, see `recipes/lab/inputs/image_files.py`; here they need no
TensorFlow, which takes seconds to start. A test compares the two, file by file.
GIF, BMP and WebP files, which that refuses, are read as well.
"""

import functools
import os
import stat
import struct

import numpy as np

from zoo import _runtimes

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
# By these names pictures are found in folders.
EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
MODES = {1: "L", 3: "RGB"}  # what Pillow calls pixels of so many channels

LARGEST_SIDE = 4_096  # pixels; read from a file's header before it is decoded
ROWS_AT_ONCE = 256  # of a large picture that is resized

SAMPLED_SIDE = 1_024  # pixels
ONE_TONE = 16  # the most by which tones of one ink differ, of 255
# The least contrast over black, relative to that over white: of a drawing on a
# sheet that is mostly transparent, and of a picture with its own background.
DRAWING_CONTRAST = 1.0
PICTURE_CONTRAST = 1 / 3


def read(file, shape: tuple[int, int, int]) -> np.ndarray:
    """Return a picture as a model takes it.

    Args:
        file: A path, or an open binary file.
        shape: Height, width and channels, 1 (grey) or 3 (RGB), to return.

    Returns:
        uint8 pixels of this shape: upright, over black where the picture is
        transparent, and resized.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no picture, or none that can be answered rightly.
    """
    return resized(decode(file, shape[-1]), shape[:2])


def decode(file, channels: int, enough: int | None = None) -> np.ndarray:
    """Return a picture in its own size; see `read`.

    Args:
        file: A path, or an open binary file.
        channels: 1 (grey) or 3 (RGB).
        enough: A side in pixels that is large enough. A larger JPEG file may
            be read at a half, a quarter or an eighth of its size, which is
            much faster.
    """
    if isinstance(file, str | os.PathLike):
        mode = os.stat(file).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            # To open a pipe waits for whoever writes into it.
            raise ValueError("it is a pipe or a device, and no file")
        with open(file, "rb") as opened:
            return decode(opened, channels, enough)
    try:
        picture, depth = _open(file, channels, enough)
        picture.load()
        plain = picture.mode == MODES[channels] and depth <= 8
        if plain and "transparency" not in picture.info:
            pixels = np.asarray(picture).reshape(*picture.size[::-1], channels)
        else:
            pixels = _converted(picture, depth, channels)
        if "exif" in picture.info:
            pixels = _upright(pixels, picture.info["exif"])
        return pixels
    except (ValueError, MemoryError):
        raise
    # Damaged files raise whatever a reader of Pillow stumbles on.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(f"the picture is damaged: {error}") from error


def _open(file, channels, enough):
    """Open a file without decoding it; return it and its bits a sample."""
    image = _runtimes.import_module("PIL.Image", "pillow")
    start = file.read(26)
    file.seek(0)
    try:
        picture = image.open(file, formats=FORMATS)
    except image.UnidentifiedImageError:
        what = "is no picture" if start else "is empty"
        raise ValueError(
            f"the file {what}; {', '.join(FORMATS)} files can be read"
        ) from None
    except image.DecompressionBombError:
        raise ValueError(
            f"image sides must be 1 to {LARGEST_SIDE} pixels"
        ) from None
    if picture.format in ("JPEG", "MPO"):
        if picture.mode == "CMYK":
            raise ValueError(
                "a JPEG file of four color components (CMYK or YCCK, for "
                "print) cannot be read; save it as RGB or grey"
            )
        # JPEG files store the grey of their colors.
        sides = (enough, enough) if enough else picture.size
        picture.draft(MODES[channels], sides)
    if max(picture.size) > LARGEST_SIDE or min(picture.size) < 1:
        sides = " x ".join(map(str, picture.size))
        raise ValueError(
            f"image sides must be 1 to {LARGEST_SIDE} pixels; received {sides}"
        )
    return picture, start[24] if picture.format == "PNG" else 8


def _converted(picture, depth, channels):
    """Return the pixels of a picture that is not stored as a model takes it."""
    color, alpha = _color_and_alpha(picture, depth)
    if depth == 16:
        color = _from_16_bits(color, has_ink=alpha is not None)
    if color.shape[-1] < channels:
        color = np.repeat(color, channels, axis=-1)
    elif color.shape[-1] > channels:
        gamma = {"gamma", "srgb"} & picture.info.keys()
        like_libpng = depth <= 8 and alpha is None and not gamma
        color = _grey_of_libpng(color) if like_libpng else _grey(color)
    return color if alpha is None else _over_black(color, alpha)


def _color_and_alpha(picture, depth):
    """Return color `(height, width, 1 or 3)`, and alpha `(..., 1)` or None."""
    key = picture.info.get("transparency")
    if picture.mode not in ("1", "L", "LA", "I", "I;16", "RGB", "RGBA"):
        keyed = key is not None or picture.mode in ("PA", "La", "RGBa")
        picture, key = picture.convert("RGBA" if keyed else "RGB"), None
    pixels = np.asarray(picture)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype == bool:
        pixels = np.where(pixels, np.uint8(255), np.uint8(0))
    if picture.mode in ("LA", "RGBA"):
        return pixels[..., :-1], pixels[..., -1:]
    if key is None:
        return pixels, None
    # The color that is transparent has as many bits as the file.
    if picture.mode == "L" and depth < 8:
        key = key * 255 // (2**depth - 1)
    if picture.mode == "RGB" and depth == 16:
        key = [value >> 8 for value in key]
    same = (pixels == np.asarray(key)).all(axis=-1, keepdims=True)
    return pixels, np.where(same, np.uint8(0), np.uint8(255))


def _from_16_bits(color, has_ink):
    """Cut samples to 8 bits, as Pillow does where there are several a pixel.

    Raises:
        ValueError: If they do not use their 16.
    """
    if color.dtype != np.uint8:
        largest, full = int(color.max()), 65_535
        color = (color >> 8).astype(np.uint8)
        has_ink |= largest == 0
    else:
        largest, full = int(color.max()), 255
    if largest <= full // 2 and not (has_ink and largest == 0):
        raise ValueError(
            "a PNG file of 16 bits must use them, and the largest value of "
            f"this one, {largest}, is less than half of {full}: it may hold 8 "
            "or 12 bits. Scale the values to the full range, or save them with "
            "8 bits"
        )
    return color


# The two weigh colors alike and round in other ways, as in `image_bytes`.


def _grey_of_libpng(color):
    red, green, blue = (color[..., i].astype(np.uint32) for i in range(3))
    # Of 32,768.
    grey = 9_797 * red + 19_234 * green + 3_737 * blue
    return (grey >> 15).astype(np.uint8)[..., np.newaxis]


def _grey(color):
    red, green, blue = (color[..., i].astype(np.uint16) for i in range(3))
    grey = 77 * red + 150 * green + 29 * blue  # of 256
    return ((grey + 128) >> 8).astype(np.uint8)[..., np.newaxis]


def _over_black(color, alpha):
    """Compose a picture over black; ink of one tone becomes white on black.

    Raises:
        ValueError: If nothing is opaque, or black would hide the picture.
    """
    largest = int(alpha.max())
    if not largest:
        raise ValueError(
            "nothing of the picture is opaque: its alpha is 0 everywhere. Save "
            "it without alpha, or with what is drawn opaque"
        )
    if alpha.min() == largest:  # it draws nothing
        return color
    step = 1 + max(alpha.shape) // SAMPLED_SIDE
    tones = color[::step, ::step].astype(np.float32)
    shares = alpha[::step, ::step] / np.float32(largest)
    opaque = shares >= 0.5
    darkest = np.where(opaque, tones, 255).min()
    lightest = np.where(opaque, tones, 0).max()
    least = PICTURE_CONTRAST
    if color.shape[-1] == 1:
        if lightest - darkest <= ONE_TONE:
            return _composed(np.full_like(color, 255), alpha, largest)
        if np.mean(shares) < 0.5:
            least = DRAWING_CONTRAST
    black = tones * shares
    white = black + 255 * (1 - shares)
    if np.std(black) < least * np.std(white):
        raise ValueError(
            "what is opaque in the picture is too dark for black, which takes "
            "the place of what is transparent. Flatten the picture onto a "
            "background so that it looks like the model's images, and save it "
            "without alpha"
        )
    return _composed(color, alpha, largest)


def _composed(color, alpha, largest):
    tones = color.astype(np.uint16) * alpha
    return ((tones + largest // 2) // largest).astype(np.uint8)


def _upright(pixels, exif):
    """Turn a picture as its EXIF block says."""
    orientation = _orientation(exif)
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    right = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::right]


def _orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block says, 1 to 8; 1 if damaged.

    The block is a TIFF file, whose first directory has entries of a tag, a
    type, a count and a value.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        [directory] = struct.unpack_from(f"{order}I", tiff, 4)
        [count] = struct.unpack_from(f"{order}H", tiff, directory)
        for start in range(directory + 2, directory + 2 + 12 * count, 12):
            *entry, value = struct.unpack_from(f"{order}HHIH2x", tiff, start)
            if entry == [0x0112, 3, 1] and 1 <= value <= 8:
                return value
    except struct.error:  # it ends early
        pass
    return 1


def resized(pixels: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """Resize a picture as `tf.image.resize(..., antialias=True)` does.

    Args:
        pixels: uint8 `(height, width, channels)`.
        sides: Height and width to return.
    """
    if pixels.shape[:2] == tuple(sides):
        return pixels
    height, width, channels = pixels.shape
    down, right = weights(height, sides[0]), weights(width, sides[1])
    # By rows, so that a large picture is never there as floats.
    narrow = np.empty((height, sides[1], channels), np.float32)
    for start in range(0, height, ROWS_AT_ONCE):
        rows = pixels[start : start + ROWS_AT_ONCE].astype(np.float32)
        narrow[start : start + ROWS_AT_ONCE] = np.matmul(right, rows)
    found = np.tensordot(down, narrow, axes=1)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=64)
def weights(size: int, wanted: int) -> np.ndarray:
    """Return what each of `size` pixels in a row adds to each `wanted` one.

    The filter is a triangle, as wide as the pixels that come out, or that go in
    if those are wider.
    """
    step = size / wanted
    middles = (np.arange(wanted)[:, np.newaxis] + 0.5) * step
    distances = np.arange(size) + 0.5 - middles
    weights = np.clip(1 - np.abs(distances) / max(step, 1), 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)
