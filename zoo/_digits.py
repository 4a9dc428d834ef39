"""A digit, however it was drawn or photographed, as MNIST has its digits.

MNIST's authors scanned forms: white paper, black ink, one digit in a frame.
They scaled each digit to fit 20 x 20 pixels, keeping its aspect ratio, and put
its center of mass into the middle of 28 x 28. A network that was trained on
these images knows nothing else.
"""

import os

import numpy as np

from zoo import _pictures

SIDE, BOX = 28, 20  # pixels, of an image and of the digit in it
LARGEST = 384  # pixels; what is larger is reduced first
DRAWN = 4 * SIDE  # pixels; what is larger may be a photo
BLUR = 200  # pixels of a picture's longer side for each time it is blurred
GRID = 64  # blocks along the longer side, in which strokes are put together

# Shares of the paper's light, or of the ink's contrast to it.
FAINTEST = 0.1  # ink
OFFSET = 8  # of 255, added to pixels: black paper has no shares
SPARSE = 1.7  # skewness of a picture of which little is ink
UNCLEAR = 0.15, 0.75  # what is neither ink nor paper, or in a shadow
# Where ink begins, and where there is nothing but ink: of a photo, whose noise
# and blur make lines wider, and of small drawings, whose thin lines are grey.
PHOTO, DRAWING = (0.25, 0.7), (0.1, 0.5)
OUTSIDE = 0.1, 0.5  # the most of a border that is ink: of photos, and drawings
EDGE = 0.2  # the least ink in the outermost row of a digit
STROKE = 0.3  # the least ink in a block of a stroke
SPECK = 0.04  # of the digit's ink; what has less is none of its strokes
SMALLEST = 8  # pixels
NEAR = 0.2  # of the digit's size; a stroke of its own is not farther away
COHERENT = 0.85  # the least correlation of a photo's ink with that around it
NOISE = 3.5, 5.0  # standard deviations that ink exceeds: a pixel, and the best

FINE = 4  # strokes are looked at in a box of so many times 20 pixels
THINNEST = 2.0  # pixels of the image; MNIST's strokes are 2.4 wide
WIDEST = 1 / 8  # of the box; no more is added to a stroke on each side
ROUNDING = 1e-9  # pixels; sums in another order differ by less

NO_DIGIT = (
    "No digit can be told from the paper: the picture is blank, or all noise."
)


def prepare_digit(picture) -> np.ndarray:
    """Prepare the picture of a digit as MNIST's authors prepared theirs.

    Dark on light or light on dark is found out, and so is where the digit is.
    Uneven light and shadows, noise and specks are removed. The digit is scaled
    to fit 20 x 20 pixels, its center of mass is put into the middle of
    28 x 28, and strokes become as wide as pens made them then. An image that
    is in this form already is returned as it is.

    Args:
        picture: The path of a picture file, or an open one; or pixels, 0 to
            255, `(height, width)`, or with 1 (grey) or 3 (RGB) channels. It
            shows one digit, upright as its file says.

    Returns:
        uint8 `(28, 28, 1)`, white on black.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no picture, or no digit can be told from the paper.

    Example:
    >>> predict = zoo.load_predictor("mnist_cnn")
    >>> predict([zoo.prepare_digit("photo.jpg")])["class_name"]
    """
    grey = _grey(picture)
    if _is_prepared(grey):
        return grey.astype(np.uint8)[..., np.newaxis]
    ink, is_even = _ink(_reduced(grey))
    return _placed(_scaled(_digit(ink, is_even)))[..., np.newaxis]


def _grey(picture) -> np.ndarray:
    """Return pixels `(height, width)`, float32, 0 to 255."""
    if isinstance(picture, str | os.PathLike) or hasattr(picture, "read"):
        pixels = _pictures.decode(picture, 1, enough=LARGEST)
    else:
        pixels = np.asarray(picture)
    if pixels.ndim == 3 and pixels.shape[-1] == 3:
        pixels = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    elif pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or min(pixels.shape) < 3:
        raise ValueError(
            "A picture must have 3 x 3 pixels or more, in 1 channel (grey) or "
            f"3 (RGB). Received: {np.shape(picture)}"
        )
    if pixels.dtype.kind not in "uif":
        raise ValueError(f"Pixels must be numbers. Received: {pixels.dtype}")
    low, high = pixels.min(), pixels.max()
    if not (0 <= low and 1 < high <= 255):
        raise ValueError(
            "Nothing is seen in the picture: it is black, or its pixels are "
            f"not from 0 to 255. Received: {low:.4g} to {high:.4g}"
        )
    return pixels.astype(np.float32)


def _is_prepared(grey) -> bool:
    """Say whether an image is as MNIST's: its digit fits and is centered."""
    if grey.shape != (SIDE, SIDE):
        return False
    rows, columns = (np.flatnonzero(grey.max(axis)) for axis in (1, 0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    return BOX - 1 <= longest <= BOX and all(
        abs(center - SIDE / 2) <= 0.5 for center in _center_of_mass(grey)
    )


def _center_of_mass(image):
    mass = image.sum()
    return (
        image.sum(axis=1) @ np.arange(image.shape[0]) / mass,
        image.sum(axis=0) @ np.arange(image.shape[1]) / mass,
    )


def _resized(image, height, width):
    down = _pictures.weights(image.shape[0], height)
    right = _pictures.weights(image.shape[1], width)
    return down @ image @ right.T


def _reduced(grey):
    longest = max(grey.shape)
    if longest <= LARGEST:
        return grey
    sides = [max(round(side * LARGEST / longest), 3) for side in grey.shape]
    return _resized(grey, *sides)


# --- ink from paper -------------------------------------------------------


def _ink(grey):
    """Return how much ink is at each pixel, 0 to 1, and if light is even."""
    longest = max(grey.shape)
    for _ in range(round(longest / BLUR)):
        grey = _blurred(grey)
    is_light = _is_light(grey)
    if is_light:
        grey = 255 - grey
    grey = grey + OFFSET
    # Under even light the lightest of all is the paper, and strokes may be as
    # wide as they like. Under other light much is neither ink nor paper.
    most_outside = OUTSIDE[longest <= DRAWN]
    for parts in (1, 2, 4):
        is_even = parts == 1
        window = max(longest // parts, SIDE)
        paper = grey.max() if is_even else _filled(grey, window)
        # Ink takes a share of the light; what is lighter than paper adds some.
        share = (paper - grey) / (255 if is_light else paper)
        share -= np.quantile(share, 0.25)
        count = max(share.size // 1000, 8)
        full = np.partition(share.ravel(), -count)[-count:].mean()
        low, high = (limit * full for limit in UNCLEAR)
        unclear = np.mean((share > low) & (share < high))
        outside = np.mean(_border(share) >= high)
        if unclear < np.mean(share >= high) and outside < most_outside:
            break
    of_pixels, of_ink = (times * _noise(share) for times in NOISE)
    if full < max(FAINTEST, of_ink):
        raise ValueError(NO_DIGIT)
    low, high = PHOTO if longest > DRAWN else DRAWING
    low = max(low, of_pixels / full)
    return np.clip((share / full - low) / (high - low), 0, 1), is_even


def _noise(image):
    """Return the standard deviation of noise, whatever is drawn.

    But for noise, many pixels are as light as those at a short distance, on
    the paper and in a stroke: a quarter of the differences is looked at.
    """
    longest = max(image.shape)
    lag = max(longest // GRID, 2 * round(longest / BLUR) + 1)
    lag = min(lag, min(image.shape) - 1)
    pairs = image[lag:] - image[:-lag], image[:, lag:] - image[:, :-lag]
    differences = np.abs(np.concatenate([pair.ravel() for pair in pairs]))
    return np.quantile(differences, 0.25) / 0.45  # as it is of a normal one


def _blurred(image):
    """Blur with the weights 1, 2, 1 both ways."""
    for _ in (0, 1):
        around = np.pad(image, [(1, 1), (0, 0)], "edge")
        image = (around[:-2] + 2 * around[1:-1] + around[2:]) / 4
        image = image.T
    return image


def _filled(image, window):
    """Fill up what is darker than all around it within a window.

    Of a photo the paper remains, under the same light: a shadow is as dark on
    its other side, and where it ends.
    """
    reach = window // 2
    for _ in (0, 1):  # beyond the borders light falls off as it did
        pad = [(2 * reach, 2 * reach), (0, 0)]
        odd = np.pad(image, pad, "reflect", reflect_type="odd")
        image = np.minimum(odd, np.pad(image, pad, "edge")).T
    return -_lightest(-_lightest(image, reach), reach)


def _lightest(image, reach):
    """Return the largest value around each pixel that is not at a border."""
    for _ in (0, 1):
        width = 1
        while width < 2 * reach + 1:  # each step at most doubles it
            step = min(width, 2 * reach + 1 - width)
            image = np.maximum(image[:-step], image[step:])
            width += step
        image = np.ascontiguousarray(image.T)
    return image


def _is_light(image):
    """Say whether the ink is lighter than the paper."""
    # Relative to what is around, where light falls unevenly, sparse ink makes
    # a long tail.
    cells = [max(4 * side // max(image.shape), 1) for side in image.shape]
    around = _resized(_resized(image, *cells), *image.shape) + OFFSET
    rest = image / around - np.mean(image / around)
    square = rest * rest
    skew = np.mean(square * rest) / max(np.mean(square), 1e-12) ** 1.5
    if abs(skew) > SPARSE:
        return skew > 0
    # The digit fills the picture. Most of its border is paper still, but for
    # that around a 1.
    is_bright = image > np.quantile(image, [0.005, 0.995]).mean()
    outside = np.mean(_border(is_bright))
    if max(image.shape) <= DRAWN and abs(outside - 0.5) < 0.15:
        return np.mean(is_bright[1:-1, 1:-1]) > outside
    return outside < 0.5


def _border(image):
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


# --- the digit among the ink ----------------------------------------------


def _digit(ink, is_even):
    """Cut out the digit: the strokes that are together and have most ink."""
    is_photo = max(ink.shape) > DRAWN
    height, width = ink.shape
    size = -(-max(ink.shape) // GRID)
    pad = [(0, -side % size) for side in ink.shape]
    ink = np.pad(ink, pad)
    rows, columns = (side // size for side in ink.shape)
    blocks = ink.reshape(rows, size, columns, size)
    mass = blocks.sum(axis=(1, 3))
    labels = _connected(blocks.max(axis=(1, 3)) > STROKE)
    count = labels.max() + 1
    masses = np.bincount(labels.ravel(), mass.ravel(), count)
    masses[0] = 0
    main = labels == masses.argmax()
    # A stroke that stands apart is near, and no speck.
    near = main
    for _ in range(max(int(NEAR * max(_extent(main))), 1)):
        near = _grown(near)
    for label in np.flatnonzero(masses > SPECK * masses.max()):
        if near[labels == label].any():
            main = main | (labels == label)
    kept = np.kron(_grown(main), np.ones((size, size), bool))
    digit = np.where(kept, ink, 0)
    rows, columns = (np.flatnonzero(digit.max(n) > EDGE) for n in (1, 0))
    smallest = max(SMALLEST, max(ink.shape) // 20)
    if max(np.ptp(rows), np.ptp(columns)) + 1 < smallest:
        raise ValueError(
            "No digit can be told from the paper: what stands out most is "
            "smaller than 8 pixels, or than a twentieth of the picture."
        )
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    spans = np.ptp(rows) + 1 >= height or np.ptp(columns) + 1 >= width
    if is_photo and (
        (spans and not is_even) or _coherence(digit) < COHERENT
    ):  # it is the edge of a shadow, or noise
        raise ValueError(NO_DIGIT)
    return digit


def _coherence(ink):
    ink = np.pad(ink, 1)
    near = _blurred(ink) - ink / 4  # of which that much is its own
    return np.corrcoef(ink.ravel(), near.ravel())[0, 1]


def _extent(mask):
    return [np.ptp(np.flatnonzero(mask.any(axis))) + 1 for axis in (1, 0)]


def _connected(mask):
    """Number the parts of a mask that touch, corners included; 0 is outside."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = np.where(mask, _grown(labels), 0)
        if (spread == labels).all():
            break
        labels = spread
    return np.unique(labels, return_inverse=True)[1].reshape(mask.shape)


def _grown(mask):
    return _lightest(np.pad(mask, 1), 1)


# --- size, width and place ------------------------------------------------


def _scaled(ink):
    """Scale a digit to its box, with strokes as wide as those of MNIST."""
    box = FINE * BOX

    if max(ink.shape) == BOX and _width(ink) >= THINNEST:
        return np.kron(ink, np.ones((FINE, FINE)))

    def fit(side):
        height, width = [
            max(round(n * side / max(ink.shape)), 1) for n in ink.shape
        ]
        return _resized(ink, height, width)

    fine = fit(box)
    width = _width(fine)
    add = (FINE * THINNEST - width) / 2
    if add > 0:
        add = min(add * box / (box - 2 * add), WIDEST * box)
        fine = _thickened(fit(round(box - 2 * add)), add)
    return fine


def _width(ink):
    """Return the mean width of strokes: twice their area over their outline."""
    padded = np.pad(ink, 1)
    down, right = np.diff(padded, axis=0)[:, :-1], np.diff(padded)[:-1]
    return 2 * ink.sum() / np.hypot(down, right).sum()


def _thickened(ink, by):
    """Draw over strokes with a round pen that adds so much on each side."""
    reach = int(np.ceil(by))
    ink = np.pad(ink, reach)
    found = ink
    height, width = ink.shape
    around = np.pad(ink, reach)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            share = np.clip(by + 0.5 - np.hypot(down, right), 0, 1)
            if share:
                top, left = reach + down, reach + right
                part = around[top : top + height, left : left + width]
                found = np.maximum(found, share * part)
    return found


def _placed(fine):
    """Reduce a digit to 20 x 20; put its center of mass into the middle."""
    pad = [(0, -side % FINE) for side in fine.shape]
    fine = np.pad(fine, pad)
    height, width = (side // FINE for side in fine.shape)
    digit = fine.reshape(height, FINE, width, FINE).mean(axis=(1, 3))
    digit = digit / digit.max()
    image = np.zeros((SIDE, SIDE))
    top, left = (
        min(max(int(SIDE / 2 + 0.5 - center + ROUNDING), 0), SIDE - side)
        for center, side in zip(
            _center_of_mass(digit), digit.shape, strict=True
        )
    )
    image[top : top + height, left : left + width] = digit
    return np.rint(255 * image).astype(np.uint8)
