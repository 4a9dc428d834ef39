"""Roads, as the camera of a van sees them, and which way to steer.

Lengths are in meters and angles in radians, to the right of where they count
from. The van is at an offset from the middle of the road, has a heading to it,
and the road bends: these three are its `Pose`. A good driver steers along the
arc that leads to the middle of the road a little ahead.

Whoever learns from good drivers alone sees a van that keeps to the middle, and
never how to get back there. So ALVINN was also shown what the camera would have
seen from beside the middle, with the arc that leads back: `shifted`.

Reference: D. A. Pomerleau, ALVINN: an autonomous land vehicle in a neural
network, 1989.
"""

from typing import NamedTuple

import numpy as np

from recipes.lab.data import augmentation
from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.tables import Column

HEIGHT, WIDTH = 30, 32
HORIZON = 8.0  # rows above it are sky
FOCAL = 16.0  # pixels
CAMERA = 2.5  # meters above the road
HALF = 1.8  # of the road's width
AHEAD = 10.0  # where the arc meets the middle of the road
UNITS = 30  # directions, from sharp left to sharp right
SHARPEST = 0.1  # the curvature of the outermost ones, one over the radius
HILL = 1.5  # standard deviation of the targets around a direction, in units
SIZES = {"train": 2_000, "validation": 500, "test": 1_000}
SMALL = 400  # images of each split of a sample
VIEWS = 10  # from elsewhere, of each image of a good driver
# How far a van is from where it should be: in training, and in those views, in
# validation and in the test.
GOOD, ANY = (0.1, 0.02), (0.8, 0.1)
BENDS = 0.025  # standard deviation of the road's curvature
GUST, PUSH = 40, 0.2  # on a drive: meters between gusts, and what they turn


class Pose(NamedTuple):
    """Where vans are on their roads; each an array `(n,)`.

    Attributes:
        offset: How far right of the middle, in meters.
        heading: How far to the right of the road's direction, in radians.
        curvature: Of the road, one over its radius.
        bend: How the curvature changes with each meter ahead.
    """

    offset: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    bend: np.ndarray

    def middle(self, ahead):
        """Return where the middle of the road is, so many meters ahead.

        Args:
            ahead: Meters, broadcast against the pose.

        Returns:
            Meters to the right.
        """
        bending = self.curvature / 2 + self.bend * ahead / 6
        return bending * ahead**2 - self.heading * ahead - self.offset


def load(small: bool = False) -> Data:
    """Return roads, and the direction in which a good driver steers.

    In training the driver is a good one; in validation and in the test the van
    may be anywhere.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    splits = {}
    for name, count in SIZES.items():
        count = SMALL if small else count
        pose = poses(count, GOOD if name == "train" else ANY, random)
        images = draw(pose, random)
        splits[name] = Split(images, direction(pose), _image_and_hill)
    return Data(
        "roads",
        **splits,
        inputs=Images((HEIGHT, WIDTH, 1), "a light road"),
        facts=Facts("drawn roads", "drawn at random, free of licences"),
        class_names=(),
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
        target=Column("direction", "units", "where to steer, from 0 to 29"),
    )


def poses(count: int, spread, random) -> Pose:
    """Draw so many poses; `spread` is of offset and heading."""
    offset, heading = spread
    return Pose(
        random.normal(0, offset, count),
        random.normal(0, heading, count),
        random.normal(0, BENDS, count),
        random.normal(0, 0.001, count),
    )


def direction(pose: Pose) -> np.ndarray:
    """Return the direction of the arc to the middle of the road, in units."""
    return _to_units(2 * pose.middle(AHEAD) / AHEAD**2)


def curvature(units):
    """Return the curvature that a direction stands for."""
    return SHARPEST * (2 * units / (UNITS - 1) - 1)


def _to_units(curvature):
    units = (UNITS - 1) / 2 * (1 + curvature / SHARPEST)
    return np.clip(units, 0, UNITS - 1).astype("float32")


def _image_and_hill(images, directions):
    """Return a batch's images, and probabilities of the directions."""
    import tensorflow as tf

    distances = tf.range(UNITS, dtype=tf.float32) - directions[:, tf.newaxis]
    return images, tf.nn.softmax(-0.5 * (distances / HILL) ** 2)


def draw(pose: Pose, random) -> np.ndarray:
    """Draw what the camera sees, uint8 `(n, 30, 32, 1)`.

    Each road has tones, lines, shadows and noise of its own.

    Args:
        pose: Where the vans are.
        random: What draws random numbers.
    """
    count = len(pose.offset)

    def each(low, high):
        return random.uniform(low, high, (count, 1, 1))

    # Where each pixel meets the ground; the last rows are right before the van.
    fine = 2
    rows = (np.arange(fine * HEIGHT) + 0.5) / fine
    columns = (np.arange(fine * WIDTH) + 0.5) / fine - WIDTH / 2
    ground = rows > HORIZON + 0.25
    ahead = CAMERA * FOCAL / np.maximum(rows - HORIZON, 0.25)
    ahead = ahead[:, np.newaxis]
    each_pose = Pose(*(value[:, np.newaxis, np.newaxis] for value in pose))
    across = ahead * columns / FOCAL - each_pose.middle(ahead)

    grass, road = each(0.15, 0.35), each(0.5, 0.75)
    picture = np.where(np.abs(across) < HALF, road, grass)
    lines = (each(0, 1) < 0.5) & (np.abs(np.abs(across) - HALF) < 0.12)
    picture = np.where(lines, 0.95, picture)
    start = each(3, 40)
    shadow = (ahead > start) & (ahead < start + each(1, 8)) & (each(0, 1) < 0.3)
    picture = np.where(shadow, 0.6 * picture, picture)
    picture = np.where(ground[:, np.newaxis], picture, each(0.7, 0.95))
    picture = picture.reshape(count, HEIGHT, fine, WIDTH, fine).mean((2, 4))
    picture += random.normal(0, 0.04, picture.shape)
    pixels = np.rint(255 * np.clip(picture, 0, 1)).astype("uint8")
    return pixels[..., np.newaxis]


def with_views(split: Split, seed: int, views: int = VIEWS) -> Split:
    """Return a good driver's images, and what is seen from beside them.

    Args:
        split: The images and their directions.
        seed: Seed of where else the van might have been.
        views: How many views of each image are added.
    """
    random = np.random.default_rng(seed)
    parts = [split]
    for _ in range(views):
        offset = random.normal(0, ANY[0], len(split))
        heading = random.normal(0, ANY[1], len(split))
        parts.append(shifted(split, offset, heading))
    return sum(parts[1:], start=parts[0])


def shifted(split: Split, offset, heading) -> Split:
    """Return what cameras would have seen beside where they were.

    What they did not see is as bright as the edge of what they saw.

    Args:
        split: Images and directions.
        offset: How far right each camera is moved, in meters.
        heading: How far it is turned to the right, in radians.
    """
    rows, columns = np.arange(HEIGHT) + 0.5, np.arange(WIDTH) + 0.5 - WIDTH / 2
    offset, heading = (
        np.reshape(value, (-1, 1, 1)) for value in (offset, heading)
    )
    ahead = (CAMERA * FOCAL / np.maximum(rows - HORIZON, 0.5))[:, np.newaxis]
    across = ahead * columns / FOCAL
    # The same place on the ground, as the camera saw it where it was.
    was_ahead = ahead * np.cos(heading) - across * np.sin(heading)
    was_across = ahead * np.sin(heading) + across * np.cos(heading) + offset
    was_ahead = np.maximum(was_ahead, 0.5)
    on_ground = (rows > HORIZON + 0.5)[:, np.newaxis]
    from_row = np.where(
        on_ground, HORIZON + CAMERA * FOCAL / was_ahead, rows[:, np.newaxis]
    )
    from_column = np.where(on_ground, FOCAL * was_across / was_ahead, columns)
    images = augmentation.bilinear(
        split.inputs,
        np.clip(from_row - 0.5, 0, HEIGHT - 1).astype("float32"),
        np.clip(from_column + (WIDTH - 1) / 2, 0, WIDTH - 1).astype("float32"),
    )
    middle = curvature(split.targets) * AHEAD**2 / 2
    middle = middle - offset.ravel() - heading.ravel() * AHEAD
    directions = _to_units(2 * middle / AHEAD**2)
    return Split(images.numpy(), directions, split.prepare)


# --- a drive ------------------------------------------------------------------


class Drive(NamedTuple):
    """A drive along a road, at each meter of it.

    Attributes:
        images: What the camera saw, uint8 `(n, 30, 32, 1)`.
        directions: Which way was steered, in units, `(n,)`.
        offsets: How far right of the middle the van was, in meters, `(n,)`.
        road: Where the middle of the road is, in meters to the right and ahead
            of its beginning, `(n, 2)`.
        van: Where the van was, likewise.
    """

    images: np.ndarray
    directions: np.ndarray
    offsets: np.ndarray
    road: np.ndarray
    van: np.ndarray


def drive(steer, meters: int = 300, seed: int = 0) -> Drive:
    """Let somebody steer a van along a winding road, until it is in a ditch.

    Now and then a gust of wind turns the van, to either side.

    Args:
        steer: Function from an image, uint8 `(1, 30, 32, 1)`, to a direction
            in units.
        meters: How far the road goes.
        seed: Seed of its bends and tones.
    """
    random = np.random.default_rng(seed)
    along = np.arange(meters + 1)
    bends = sum(
        random.uniform(0.5, 1) * np.sin(2 * np.pi * along / length + phase)
        for length, phase in zip(
            (60, 95, 150), random.uniform(0, 2 * np.pi, 3), strict=True
        )
    )
    bends *= 1.5 * BENDS / np.abs(bends).max()
    toward = np.cumsum(bends)  # the road's direction, to the right of ahead
    road = np.cumsum(np.stack([np.sin(toward), np.cos(toward)], 1), axis=0)

    offset, heading, rows = 0.0, 0.0, []
    for meter in range(meters):
        pose = (offset, heading, bends[meter], bends[meter + 1] - bends[meter])
        pose = Pose(*(np.array([value]) for value in pose))
        image = draw(pose, np.random.default_rng(seed))  # in the same tones
        unit = float(steer(image))
        right = np.array([np.cos(toward[meter]), -np.sin(toward[meter])])
        place = road[meter], road[meter] + offset * right
        rows.append((image[0], unit, offset, *place))
        if abs(offset) > 2 * HALF:
            break
        offset += np.sin(heading)
        heading += curvature(unit) - bends[meter]
        if (meter + 1) % GUST == 0:
            heading += random.choice((-1, 1)) * PUSH
    return Drive(*(np.array(values) for values in zip(*rows, strict=True)))
