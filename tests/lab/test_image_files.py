"""A picture file is read as whoever saved it saw it, or refused in words.

By TensorFlow, in a served model, and by Pillow, in `python -m zoo predict`.
"""

import io
import re
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.pictures import chunk, image_file
from helpers.tasks import classification
from PIL import Image, ImageDraw, ImageOps

import zoo
from recipes.lab.inputs import image_files
from zoo import _loading, _pictures

SIDES = (24, 30)  # height and width of most pictures here


@pytest.fixture(scope="module")
def read():
    """Decode a file for a model of 1 or 3 channels and its own sides.

    It is read by Pillow, too, and must give the same pixels.
    """
    functions = {}

    def read(file, channels=1, sides=SIDES):
        shape = (*sides, channels)
        if shape not in functions:
            functions[shape] = tf.function(
                lambda contents: image_files.decode(contents, shape),
                input_signature=[tf.TensorSpec((), tf.string)],
                autograph=False,
            )
        image = functions[shape](file).numpy()
        without = _pictures.read(io.BytesIO(file), shape)
        np.testing.assert_allclose(without.astype(int), image, 0, 1)
        return image[..., 0] if channels == 1 else image

    return read


def saved(picture, kind="PNG", **options):
    return image_file(picture, kind, **options)


def opened(file):
    return Image.open(io.BytesIO(file))


def with_chunk(file, name, content, before=b"IDAT"):
    """Put a chunk into a PNG file."""
    place = file.index(before) - 4
    return file[:place] + chunk(name, content) + file[place:]


def png(samples, depth, color, *chunks, interlaced=False):
    """Write a PNG file of samples `(height, width, channels)`, bit by bit."""
    height, width, _ = samples.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: first row and column, steps down and right
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4),
                  (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]  # fmt: skip
    lines = b""
    for top, left, down, right in passes:
        for row in samples[top::down, left::right]:
            values = row.astype(">u2").tobytes()
            bits = np.unpackbits(np.frombuffer(values, np.uint8))
            bits = bits.reshape(-1, 16)[:, 16 - depth :].ravel()
            lines += b"\0" + np.packbits(bits).tobytes() if bits.size else b""
    header = struct.pack(
        ">IIBBBBB", width, height, depth, color, 0, 0, interlaced
    )
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", zlib.compress(lines)),
            chunk(b"IEND", b""),
        ]
    )


def drawing():
    """A smooth drawing, uint8, white on black, that no turn leaves alone."""
    height, width = SIDES
    picture = Image.new("L", (8 * width, 8 * height))
    draw = ImageDraw.Draw(picture)
    draw.line([(40, 30), (200, 60), (80, 170)], 255, 25)
    return np.array(picture.resize((width, height)))


DRAWN = drawing()
SHARP = np.where(DRAWN > 127, 255, 0).astype("uint8")
NOISE = np.random.default_rng(0).integers(0, 256, (*SIDES, 3)).astype("uint8")


# --- opaque pictures ----------------------------------------------------


def interlaced(picture):
    if picture.mode == "RGB":
        return png(np.array(picture), 8, 2, interlaced=True)
    return png(np.array(picture)[..., None], 8, 0, interlaced=True)


def one_bit(picture):
    return saved(picture.convert("1"))


OPAQUE = {
    "PNG": saved,
    "interlaced PNG": interlaced,
    "one bit": one_bit,
    "palette": lambda picture: saved(picture.quantize(200)),
    "palette of two bits": lambda picture: saved(picture.quantize(4)),
    "opaque alpha": lambda picture: saved(
        picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    ),
    "with a gamma": lambda picture: with_chunk(
        saved(picture), b"gAMA", struct.pack(">I", 45_455)
    ),
    "with sRGB": lambda picture: with_chunk(saved(picture), b"sRGB", b"\0"),
    "JPEG": lambda picture: saved(picture, "JPEG"),
    "progressive JPEG": lambda picture: saved(
        picture, "JPEG", progressive=True
    ),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_opaque_files_give_the_pixels_of_pillow(read, channels, mode):
    as_mode = {1: "L", 3: "RGB"}[channels]
    for kind, write in OPAQUE.items():
        file = write(Image.fromarray(NOISE).convert(mode))
        picture = opened(file)
        picture.draft(as_mode, picture.size)  # JPEG stores the grey of colors
        expected = np.array(picture.convert(as_mode))
        # PNG colors are weighed alike, and rounded in other ways.
        rounding = 1 if channels == 1 and "JPEG" not in kind else 0
        np.testing.assert_allclose(
            read(file, channels).astype(int), expected, 0, rounding, True, kind
        )


# --- transparent pictures -----------------------------------------------


def rgba(color, alpha):
    pixels = np.empty((*SIDES, 4), "uint8")
    pixels[..., :3], pixels[..., 3] = color, alpha
    return Image.fromarray(pixels)


def grey_with_alpha(tone, alpha):
    return Image.fromarray(np.stack([np.full_like(alpha, tone), alpha], -1))


def palette_of_alphas(color):
    """One color, in a palette of all 256 alphas."""
    indexed = Image.fromarray(DRAWN).convert("P")
    indexed.putpalette(256 * color)
    return saved(indexed, transparency=bytes(range(256)))


def keyed_grey(depth, ink):
    """Ink on a sheet whose tone is declared to be transparent."""
    sheet = 2**depth - 1 - ink
    samples = np.where(SHARP > 0, ink, sheet)[..., None]
    return png(samples, depth, 0, chunk(b"tRNS", struct.pack(">H", sheet)))


def keyed_color(depth, ink, sheet):
    samples = np.where(SHARP[..., None] > 0, ink, sheet)
    key = chunk(b"tRNS", struct.pack(">HHH", *sheet))
    return png(samples, depth, 2, key)


def sixteen_bit_ink(color, channels):
    samples = np.full((*SIDES, channels), color)
    samples[..., -1] = 257 * DRAWN.astype(int)
    return png(samples, 16, {2: 4, 4: 6}[channels])


INK = {
    "black": saved(rgba(0, DRAWN)),
    "white": saved(rgba(255, DRAWN)),
    "red": saved(rgba([200, 0, 0], DRAWN)),
    "black on a white that is not seen": saved(
        rgba(np.where(DRAWN > 0, 0, 255)[..., None], DRAWN)
    ),
    "almost one tone": saved(rgba(NOISE // 16, DRAWN)),
    "faint": saved(rgba(0, DRAWN // 3)),
    "black, grey": saved(grey_with_alpha(0, DRAWN)),
    "white, grey": saved(grey_with_alpha(255, DRAWN)),
    "black, palette": palette_of_alphas([0, 0, 0]),
    "blue, palette": palette_of_alphas([0, 0, 200]),
    "black, 16 bits": sixteen_bit_ink(0, 4),
    "white, 16 bits": sixteen_bit_ink(65_535, 4),
    "black, grey, 16 bits": sixteen_bit_ink(0, 2),
    "with a gamma": with_chunk(
        saved(rgba([200, 0, 0], DRAWN)), b"gAMA", struct.pack(">I", 45_455)
    ),
    "interlaced": png(np.array(rgba(0, DRAWN)), 8, 6, interlaced=True),
}


def test_ink_on_a_transparent_sheet_is_white_on_black(read):
    for kind, file in INK.items():
        rounding = 2 if kind == "faint" else 0
        np.testing.assert_allclose(
            read(file).astype(int), DRAWN, 0, rounding, True, kind
        )


KEYED = {
    **{f"black, {n} bits": keyed_grey(n, 0) for n in (1, 2, 4, 8, 16)},
    **{f"white, {n} bits": keyed_grey(n, 2**n - 1) for n in (1, 2, 4, 8, 16)},
    "red on white": keyed_color(8, [200, 0, 0], [255, 255, 255]),
    "red on white, 16 bits": keyed_color(16, [50_000, 0, 0], [65_535] * 3),
}


def test_ink_on_a_sheet_of_a_transparent_color_is_white_on_black(read):
    for kind, file in KEYED.items():
        np.testing.assert_array_equal(read(file), SHARP, kind)


def test_a_light_picture_of_several_tones_is_composed_over_black(read):
    tones = np.linspace(150, 255, SIDES[1]).astype("uint8")[None, :]
    picture = rgba(np.broadcast_to(tones[..., None], (*SIDES, 1)), DRAWN)
    expected = np.round(tones * (DRAWN / 255))
    np.testing.assert_allclose(read(saved(picture)), expected, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_margins_become_black(read, channels):
    """A picture with a background of its own, in a frame of nothing."""
    frame = np.zeros(SIDES, "uint8")
    frame[1:-1, 1:-1] = 255
    found = read(saved(rgba(DRAWN[..., None], frame)), channels)
    expected = np.where(frame > 0, DRAWN, 0)
    if channels == 3:
        expected = np.repeat(expected[..., None], 3, axis=-1)
    np.testing.assert_array_equal(found, expected)


def test_an_alpha_that_is_the_same_everywhere_is_passed_over(read):
    for value in (1, 128, 255):
        alpha = np.full(SIDES, value, "uint8")
        file = saved(rgba(DRAWN[..., None], alpha))
        np.testing.assert_array_equal(read(file), DRAWN)
        file = saved(rgba(NOISE, alpha))
        np.testing.assert_array_equal(read(file, 3), NOISE)


def test_a_model_of_colors_sees_them_over_black(read):
    found = read(saved(rgba([200, 0, 0], DRAWN)), 3)
    expected = np.round(DRAWN[..., None] / 255 * [200, 0, 0])
    np.testing.assert_allclose(found, expected, 0, 1)


# --- orientation --------------------------------------------------------


def exif_of(orientation, order="<", kind=3, count=1, tag=0x0112, more=1):
    """A TIFF file of one directory: `more` entries, then the orientation."""
    entry = struct.pack(order + "HHIHH", tag, kind, count, orientation, 0)
    other = struct.pack(order + "HHIHH", 0x0100, 3, 1, 7, 0)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8)
    entries = more * other + entry
    return start + struct.pack(order + "H", more + 1) + entries + bytes(4)


def segment(marker, content):
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments):
    file = saved(Image.fromarray(DRAWN), "JPEG", quality=95)
    return file[:2] + b"".join(segments) + file[2:]


def exif_segment(exif):
    return segment(b"\xe1", b"Exif\0\0" + exif)


WITH_EXIF = {
    "JPEG": lambda exif: jpeg_with(exif_segment(exif)),
    "JPEG behind others": lambda exif: jpeg_with(
        segment(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0" + bytes(9_000)),
        b"\xff\xff",  # padding
        segment(b"\xfe", b"comment"),
        exif_segment(exif),
    ),
    "PNG": lambda exif: with_chunk(
        saved(Image.fromarray(DRAWN)), b"eXIf", exif
    ),
    "PNG at the end": lambda exif: with_chunk(
        saved(Image.fromarray(DRAWN)), b"eXIf", exif, before=b"IEND"
    ),
    "transparent PNG": lambda exif: with_chunk(INK["black"], b"eXIf", exif),
}


def upright(file):
    """Return the pixels that Pillow makes of a file."""
    picture = opened(file)
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    return np.array(turned.getchannel("A" if turned.mode == "RGBA" else 0))


@pytest.mark.parametrize("kind", WITH_EXIF)
def test_pictures_are_turned_upright(read, kind):
    for order in "<>":
        for orientation in range(1, 9):
            file = WITH_EXIF[kind](exif_of(orientation, order))
            expected = upright(file)
            assert expected.shape == SIDES[:: 1 if orientation < 5 else -1]
            found = read(file, sides=expected.shape)
            np.testing.assert_array_equal(found, expected, f"{orientation}")


@pytest.mark.parametrize("channels", [1, 3])
def test_an_oblong_picture_is_turned_before_it_is_resized(read, channels):
    file = saved(Image.fromarray(NOISE), exif=exif_of(6))
    upright = saved(ImageOps.exif_transpose(opened(file)))
    np.testing.assert_array_equal(
        read(file, channels, (9, 17)), read(upright, channels, (9, 17))
    )


# What is no orientation, and what is broken, turns nothing.
DAMAGED = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "orientation 0": exif_of(0),
    "orientation 9": exif_of(9),
    "another tag": exif_of(6, tag=0x0113),
    "a byte": exif_of(6, kind=1),
    "two shorts": exif_of(6, count=2),
    "another order": exif_of(6).replace(b"II", b"MM"),
    "no order": exif_of(6).replace(b"II", b"XX"),
    "another number": exif_of(6).replace(b"II\x2a", b"II\x2b"),
    "directory outside": exif_of(6).replace(b"\x08\0\0\0", b"\xff\xff\xff\xff"),
    "directory at the end": exif_of(6).replace(b"\x08\0\0\0", b"\x26\0\0\0"),
    "many entries": exif_of(1)[:8] + b"\xff\xff" + exif_of(1)[10:],
    "no entries": exif_of(6)[:8] + b"\0\0" + exif_of(6)[10:],
    **{f"cut to {size}": exif_of(6)[:size] for size in (1, 7, 9, 10, 33)},
    "long": exif_of(6, more=5_000)[:60_000],
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_turns_nothing(read, kind):
    expected = read(WITH_EXIF[kind](exif_of(1)))
    for damage, exif in DAMAGED.items():
        found = read(WITH_EXIF[kind](exif))
        np.testing.assert_array_equal(found, expected, damage)


def test_a_long_directory_is_read_to_its_end(read):
    file = WITH_EXIF["JPEG"](exif_of(3, more=5_000))
    expected = read(jpeg_with())[::-1, ::-1]
    np.testing.assert_array_equal(read(file), expected)


# --- 16 bits ------------------------------------------------------------


def sixteen_bits(samples):
    return png(np.asarray(samples), 16, {1: 0, 3: 2}[samples.shape[-1]])


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(read, channels):
    shape = (*SIDES, channels)
    samples = np.random.default_rng(0).integers(0, 65_536, shape)
    found = read(sixteen_bits(samples), channels).reshape(shape)
    np.testing.assert_array_equal(found, samples // 256)


def test_sixteen_bits_of_one_value_are_taken(read):
    for value in (0, 32_768, 65_535):
        found = read(sixteen_bits(np.full((*SIDES, 1), value)))
        assert np.unique(found).tolist() == [value // 256]


# --- what is refused ----------------------------------------------------


def with_frame(marker, precision=8):
    """A JPEG file whose pixels are said to be coded in another way."""
    file = saved(Image.fromarray(DRAWN), "JPEG")
    start = file.index(b"\xff\xc0")
    return file.replace(
        file[start : start + 5],
        b"\xff" + marker + file[start + 2 : start + 4] + bytes([precision]),
    )


def of_two_tones(one, two):
    """Ink that is `one` above and `two` below."""
    color = np.full((*SIDES, 1), one)
    color[SIDES[0] // 2 :] = two
    return saved(rgba(color, DRAWN))


def blurred_over_white():
    """Black ink cut out of white paper by declaring white transparent."""
    samples = 255 - DRAWN[..., None].astype(int)
    return png(samples, 8, 0, chunk(b"tRNS", struct.pack(">H", 255)))


FEW_BITS = "16 bits must use them.*largest value.*{}"
DARK = "too dark for black.*Flatten"
REFUSED = {
    # name: file, channels, what the message says
    "8 bits in 16": (sixteen_bits(DRAWN[..., None]), 1, FEW_BITS.format(255)),
    "12 bits in 16": (sixteen_bits(DRAWN[..., None].astype(int) * 16), 1,
                      FEW_BITS.format(4080)),
    "15 bits in 16": (sixteen_bits(np.full((*SIDES, 1), 32_767)), 1,
                      FEW_BITS.format(32767)),
    "8 bits in 16, color": (sixteen_bits(NOISE), 3, FEW_BITS.format(255)),
    "8 bits in 16, grey of color": (sixteen_bits(NOISE), 1,
                                    FEW_BITS.format(255)),
    "8 bits in 16, alpha": (
        png(np.stack([0 * DRAWN, DRAWN], -1), 16, 4), 1, FEW_BITS.format(255)),
    "CMYK": (saved(Image.new("CMYK", SIDES[::-1]), "JPEG"), 1,
             "CMYK or YCCK.*save it as RGB or grey"),
    "CMYK, color": (saved(Image.new("CMYK", SIDES[::-1]), "JPEG"), 3,
                    "CMYK or YCCK.*save it as RGB or grey"),
    "lossless JPEG": (with_frame(b"\xc3"), 1, "Invalid JPEG"),
    "12-bit JPEG": (with_frame(b"\xc1", 12), 1, "Invalid JPEG"),
    "nothing opaque": (saved(rgba(DRAWN[..., None], 0 * DRAWN)), 1,
                       "nothing of the picture is opaque"),
    "nothing opaque, color": (saved(rgba(NOISE, 0 * DRAWN)), 3,
                              "nothing of the picture is opaque"),
    "black and grey ink": (of_two_tones(0, 60), 1, DARK),
    "paper cut away": (blurred_over_white(), 1, DARK),
    "black ink for a model of colors": (saved(rgba(0, DRAWN)), 3, DARK),
    "too many chunks": (
        saved(Image.fromarray(DRAWN)).replace(
            b"IEND", b"eXIf" + bytes(4) + 20_000 * chunk(b"tEXt", b"")),
        1, "at most 20000 chunks"),
}  # fmt: skip


def test_refused_with_a_reason(read):
    for case, (file, channels, reason) in REFUSED.items():
        with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
            read(file, channels)
        message = refusal.value.message
        assert re.search(reason, message, re.DOTALL), (case, message)
        if case != "too many chunks":  # that harms nobody but TensorFlow
            with pytest.raises(ValueError):
                _pictures.read(io.BytesIO(file), (*SIDES, channels))


# --- a shipped model ----------------------------------------------------


def test_a_shipped_model_answers_all_versions_of_a_digit_alike():
    from sklearn.datasets import load_digits

    digits = load_digits().images[:20]
    digits = digits * 255 / digits.max(axis=(1, 2), keepdims=True)
    digits = [
        Image.fromarray(d.astype("uint8")).resize((56, 56)) for d in digits
    ]
    model = zoo.load_model(_loading.SHIPPED / "mnist_cnn/1", verbose=False)
    signature = classification().signatures(model)
    ask = signature["image_bytes"].function

    def black_on_transparent(digit):
        ink = Image.new("LA", digit.size)
        ink.putalpha(digit)
        return saved(ink)

    def lying_on_its_side(digit):
        turned = digit.transpose(Image.Transpose.ROTATE_90)
        return saved(turned, exif=exif_of(6))

    expected = ask(tf.constant([saved(digit) for digit in digits]))
    assert len(set(expected["class_id"].numpy())) > 4
    for version in (black_on_transparent, lying_on_its_side):
        found = ask(tf.constant([version(digit) for digit in digits]))
        np.testing.assert_array_equal(
            found["probabilities"], expected["probabilities"]
        )
