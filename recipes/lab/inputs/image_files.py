"""The bytes of an image file to uint8 pixels, inside a TensorFlow graph.

TensorFlow's decoders give the pixels and pass over all else that a file says of
them: what is transparent, which side is up, how many bits count. So the files
are walked here as well, in a bounded number of steps; what cannot be answered
rightly is refused in words.
"""

import tensorflow as tf

LARGEST_SIDE = 4_096  # pixels; read from a file's header before it is decoded
MOST_CHUNKS = 20_000  # of a PNG file; its pixels may come in chunks of 8 KB
MOST_SEGMENTS = 1_000  # of a JPEG file before its pixels
LARGEST_EXIF = 1 << 16  # bytes, as in a JPEG file
GLANCE = 1 << 14  # bytes

GAMMA = ("gAMA", "sRGB", "iCCP")  # the chunks of a PNG file that may tell it

SAMPLED_SIDE = 1_024  # pixels
ONE_TONE = 16  # the most by which tones of one ink differ, of 255
# The least contrast over black, relative to that over white: of a drawing on a
# sheet that is mostly transparent, and of a picture with its own background.
DRAWING_CONTRAST = 1.0
PICTURE_CONTRAST = 1 / 3

# A part of the graph that is not needed for most files. Put in line, its nodes
# would be visited for every file, and prepared for the first.
_rarely = tf.function(
    autograph=False, experimental_attributes={"_noinline": True}
)


def decode(contents, shape):
    """Decode one PNG or JPEG file.

    - The EXIF orientation is applied: the picture comes out upright.
    - Transparency becomes black; ink of one tone on a transparent sheet
      becomes white on black, whatever its color, if the model sees no color.
    - Refused are sides beyond `LARGEST_SIDE`, PNG files of 16 bits that use
      less than 15, JPEG files for print (CMYK), pictures of which nothing is
      opaque, and those that black would hide.

    Args:
        contents: A scalar string tensor.
        shape: Height, width and channels, 1 (grey) or 3 (RGB), to return.

    Returns:
        uint8 pixels of this shape, resized where the picture has other sides.
    """
    height, width, channels = shape
    image = read(contents, channels)
    return resize(image, (height, width))


def read(contents, channels):
    """Decode one file without changing its sides; see `decode`."""
    is_png = tf.strings.substr(contents, 0, 8) == b"\x89PNG\r\n\x1a\n"
    is_jpeg = tf.strings.substr(contents, 0, 3) == b"\xff\xd8\xff"
    contents = _checked(
        contents, is_png | is_jpeg, "image_bytes must hold PNG or JPEG files"
    )
    image, exif = tf.cond(
        is_png,
        lambda: _png(contents, channels),
        lambda: _jpeg(contents, channels),
    )
    image = tf.cond(
        tf.strings.length(exif) > 0,
        lambda: _upright(image, exif),
        lambda: image,
    )
    return tf.ensure_shape(image, (None, None, channels))


def resize(image, sides):
    """Return uint8 pixels of other sides, `(..., height, width, channels)`."""
    image = tf.image.resize(image, sides, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def _checked(value, condition, *message):
    """Return the value once a condition holds; refuse with the message else.

    What is computed from the value returned waits for the condition. That
    matters: decoded before it is refused, a small file could fill the memory.
    """
    # tf.debugging.Assert would add two functions to the graph.
    message = [tf.convert_to_tensor(part) for part in message]
    check = tf.raw_ops.Assert(condition=condition, data=message)
    with tf.control_dependencies([check]):
        return tf.identity(value)


def _with_small_sides(contents, sides):
    return _checked(
        contents,
        tf.reduce_all((sides > 0) & (sides <= LARGEST_SIDE)),
        f"image sides must be 1 to {LARGEST_SIDE} pixels; received",
        sides,
    )


# --- PNG ----------------------------------------------------------------


def _png(contents, channels):
    """Return the pixels of a PNG file, as it stores them, and its EXIF."""
    start = tf.strings.substr(contents, 0, 26)
    start = tf.strings.join([start, b"\0" * 26])  # it may be cut
    # The decoder looks for the header further on if another chunk comes first.
    start = _checked(
        start,
        tf.strings.substr(start, 12, 4) == b"IHDR",
        "a PNG file must begin with its header, IHDR",
    )
    sides = _integers(tf.strings.substr(start, 16, 8))[::-1]
    sides = tf.where(sides < 0, tf.int32.max, sides)  # they have no sign
    contents = _with_small_sides(contents, sides)
    depth, color = tf.unstack(_octets(tf.strings.substr(start, 24, 2)), 2)

    transparent, corrected, exif = tf.cond(
        _may_hold(contents, "tRNS", "eXIf", *GAMMA),
        lambda: _walk_png(contents),
        lambda: (False, False, ""),
    )
    special = transparent | (color & 4 > 0) | (depth == 16)
    if channels == 1:
        # The decoder weighs the colors of a file with a gamma differently.
        special |= corrected & (color & 2 > 0)

    image = tf.cond(
        special,
        lambda: _special_png(contents, depth, channels),
        lambda: tf.io.decode_png(contents, channels),
    )
    return image, exif


@_rarely
def _walk_png(contents):
    """Return what the chunks of a PNG file say beside its pixels.

    Returns:
        Whether a chunk makes some of them transparent, whether there is a
        gamma, and the EXIF block, empty without one.
    """
    length = tf.strings.length(contents)

    def step(position, name, transparent, corrected, exif):
        head = _integers(tf.strings.substr(contents, position, 8))
        size, name = tf.unstack(head, 2)
        room = tf.maximum(length - position - 8, 0)
        size = tf.where(size < 0, room, tf.minimum(size, room))
        transparent |= name == _name("tRNS")
        for gamma in GAMMA:
            corrected |= name == _name(gamma)
        is_exif = (name == _name("eXIf")) & (exif[1] == 0)
        exif = tf.where(is_exif, [position + 8, size], exif)
        return position + 8 + size + 4, name, transparent, corrected, exif

    def goes_on(position, name, *_):
        return (position + 8 <= length) & (name != _name("IEND"))

    position, name, transparent, corrected, exif = tf.while_loop(
        goes_on,
        step,
        [8, 0, False, False, tf.zeros(2, tf.int32)],
        maximum_iterations=MOST_CHUNKS,
    )
    exif = _checked(
        exif,
        ~goes_on(position, name),
        f"a PNG file must have at most {MOST_CHUNKS} chunks",
    )
    exif = tf.strings.substr(contents, *tf.unstack(exif))
    return transparent, corrected, exif


def _name(chunk):
    """Return the name of a chunk as the number that its four bytes are."""
    return int.from_bytes(chunk.encode(), "big")


@_rarely
def _special_png(contents, depth, channels):
    """Return the pixels of a PNG file that may be transparent or of 16 bits."""
    image = tf.cond(
        depth == 16,
        lambda: _from_16_bits(tf.io.decode_png(contents, 4, tf.uint16)),
        lambda: tf.io.decode_png(contents, 4),
    )
    return _flattened(image, channels)


def _from_16_bits(image):
    """Cut RGBA pixels to 8 bits; refuse those that do not use their 16."""
    largest = tf.cast(tf.reduce_max(image, axis=(0, 1)), tf.int32)
    for part in (tf.reduce_max(largest[:3]), largest[3]):  # color, alpha
        image = _checked(
            image,
            (part == 0) | (part >= 1 << 15),
            "a PNG file of 16 bits must use them, and the largest value of "
            "this one is less than half of 65535: it may hold 8 or 12 bits. "
            "Scale the values to the full range, or save them with 8 bits; "
            "the largest value is",
            part,
        )
    return tf.cast(tf.bitwise.right_shift(image, 8), tf.uint8)


def _flattened(image, channels):
    """Return RGBA pixels without their alpha, grey for a model of one channel.

    An alpha that is the same everywhere draws nothing and is passed over.
    """
    image = tf.ensure_shape(image, (None, None, 4))
    color, alpha = image[..., :3], image[..., 3:]
    if channels == 1:
        color = _grey(image)
    largest = tf.reduce_max(alpha)
    largest = _checked(
        largest,
        largest > 0,
        "nothing of the picture is opaque: its alpha is 0 everywhere. Save it "
        "without alpha, or with what is drawn opaque",
    )
    return tf.cond(
        tf.reduce_min(alpha) == largest,
        lambda: color,
        lambda: _over_black(color, alpha, largest),
    )


# A large picture must not take many times its own memory, so what follows is
# computed with 16 bits, and what decides is looked at in a sample.


def _grey(image):
    """Weigh red, green and blue as JPEG does."""
    red, green, blue, _ = tf.unstack(image, axis=-1)
    weights = {77: red, 150: green, 29: blue}  # of 256
    parts = [tf.cast(part, tf.uint16) * n for n, part in weights.items()]
    grey = tf.bitwise.right_shift(sum(parts[1:], parts[0]) + 128, 8)
    return tf.cast(grey, tf.uint8)[..., tf.newaxis]


def _over_black(color, alpha, largest):
    """Compose a picture over black; ink of one tone becomes white.

    Args:
        color: uint8 `(height, width, channels)`.
        alpha: uint8 `(height, width, 1)`.
        largest: The largest alpha, which counts as opaque.
    """

    def composed(tones):
        most = tf.cast(largest, tf.uint16)
        tones = tones * tf.cast(alpha, tf.uint16)
        return tf.cast((tones + most // 2) // most, tf.uint8)

    step = 1 + tf.reduce_max(tf.shape(alpha)) // SAMPLED_SIDE
    tones = tf.cast(color[::step, ::step], tf.float32)
    shares = alpha[::step, ::step] / largest
    opaque = shares >= 0.5
    darkest = tf.reduce_min(tf.where(opaque, tones, 255))
    lightest = tf.reduce_max(tf.where(opaque, tones, 0))
    black = tones * shares
    white = black + 255 * (1 - shares)
    is_picture = tf.reduce_mean(shares) >= 0.5

    def over_black():
        least = PICTURE_CONTRAST
        if color.shape[-1] == 1:
            least = tf.where(is_picture, PICTURE_CONTRAST, DRAWING_CONTRAST)
        checked = _checked(
            color,
            tf.math.reduce_std(black) >= least * tf.math.reduce_std(white),
            "what is opaque in the picture is too dark for black, which takes "
            "the place of what is transparent. Flatten the picture onto a "
            "background so that it looks like the model's images, and save it "
            "without alpha",
        )
        return composed(tf.cast(checked, tf.uint16))

    if color.shape[-1] > 1:
        return over_black()
    return tf.cond(
        lightest - darkest <= ONE_TONE,
        lambda: composed(tf.constant(255, tf.uint16)),
        over_black,
    )


# --- JPEG ---------------------------------------------------------------


def _jpeg(contents, channels):
    """Return the pixels of a JPEG file, as it stores them, and its EXIF."""
    height, width, components = tf.unstack(
        tf.image.extract_jpeg_shape(contents)
    )
    contents = _with_small_sides(contents, tf.stack([height, width]))
    contents = _checked(
        contents,
        components < 4,
        "a JPEG file of four color components (CMYK or YCCK, for print) "
        "cannot be read; save it as RGB or grey",
    )
    # As other programs decode it, to the bit.
    image = tf.io.decode_jpeg(contents, channels, dct_method="INTEGER_ACCURATE")
    exif = tf.cond(
        _may_hold(contents, "Exif"), lambda: _walk_jpeg(contents), lambda: ""
    )
    return image, exif


@_rarely
def _walk_jpeg(contents):
    """Return the EXIF block of a JPEG file, empty without one."""
    length = tf.strings.length(contents)

    def step(position, marker, exif):
        head = _octets(tf.strings.substr(contents, position, 4))
        first, marker, high, low = tf.unstack(head, 4)
        # Between two segments there may be padding.
        is_segment = (first == 0xFF) & (marker > 0) & (marker < 0xFF)
        room = length - position - 2
        size = tf.clip_by_value(256 * high + low, 2, room)
        start = tf.strings.substr(contents, position + 4, 6)
        is_exif = is_segment & (marker == 0xE1) & (start == b"Exif\0\0")
        is_exif &= exif[1] == 0
        exif = tf.where(is_exif, [position + 4, size - 2], exif)
        marker = tf.where(is_segment, marker, 0)
        return position + tf.where(is_segment, 2 + size, 1), marker, exif

    def goes_on(position, marker, _):
        is_last = (marker == 0xDA) | (marker == 0xD9)  # pixels, or the end
        return (position + 4 <= length) & ~is_last

    *_, exif = tf.while_loop(
        goes_on,
        step,
        [2, 0, tf.zeros(2, tf.int32)],
        maximum_iterations=MOST_SEGMENTS,
    )
    return tf.strings.substr(contents, *tf.unstack(exif))


# --- EXIF ---------------------------------------------------------------


@_rarely
def _upright(image, exif):
    """Turn a picture as its EXIF block says."""
    orientation = _orientation(exif)
    sides = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
    down = tf.where(_among(orientation, 3, 4, 7, 8), -1, 1)
    right = tf.where(_among(orientation, 2, 3, 6, 7), -1, 1)
    return tf.transpose(image, sides)[::down, ::right]


def _among(value, *values):
    return tf.reduce_any(value == tf.constant(values))


def _orientation(exif):
    """Return the orientation that an EXIF block says, 1 to 8; 1 if damaged.

    The block is a TIFF file. Its first directory has entries of six words of
    two bytes: a tag, a type, two of a count, and two of the value.
    """
    prefix = tf.where(tf.strings.substr(exif, 0, 6) == b"Exif\0\0", 6, 0)
    tiff = tf.strings.substr(exif, prefix, LARGEST_EXIF)
    length = tf.strings.length(tiff)
    tiff = tf.strings.join([tiff, b"\0" * 8])
    is_big = tf.strings.substr(tiff, 0, 4) == b"MM\0*"
    is_little = tf.strings.substr(tiff, 0, 4) == b"II*\0"

    def words(start, count):
        string = tf.strings.substr(tiff, start, 2 * count)
        big, little = [
            tf.cast(tf.io.decode_raw(string, tf.uint16, order), tf.int32)
            for order in (False, True)
        ]
        return tf.where(is_big, big, little)

    one = tf.where(is_big, [0, 1], [1, 0])  # in two words
    offset = words(4, 2)
    is_near = tf.reduce_sum(offset * (1 - one)) == 0
    directory = tf.where(is_near, tf.reduce_sum(offset * one), length)
    directory = tf.minimum(directory, length)
    room = tf.maximum(length - directory - 2, 0) // 12
    count = tf.minimum(words(directory, 1)[0], room)
    entries = tf.reshape(words(directory + 2, 6 * count), (-1, 6))
    wanted = tf.concat([[0x0112, 3], one], axis=0)  # its tag, a short
    is_wanted = tf.reduce_all(entries[:, :4] == wanted, axis=1)
    value = tf.reduce_max(tf.where(is_wanted, entries[:, 4], 0))
    is_known = (is_big | is_little) & (value >= 1) & (value <= 8)
    return tf.where(is_known, value, 1)


# --- bytes --------------------------------------------------------------


def _may_hold(string, *words):
    """Whether one of these words is in a string of bytes, or it is long.

    A glance that spares small files the walk, which takes longer; to glance at
    a long file would take longer than to walk it.
    """
    start = tf.strings.substr(string, 0, GLANCE)
    found = tf.strings.regex_full_match(start, rf"\C*({'|'.join(words)})\C*")
    return found | (tf.strings.length(string) > GLANCE)


def _octets(string):
    """Return the bytes of a string as int32."""
    return tf.cast(tf.io.decode_raw(string, tf.uint8), tf.int32)


def _integers(string):
    """Return each four bytes of a string as a big-endian int32."""
    return tf.io.decode_raw(string, tf.int32, little_endian=False)
