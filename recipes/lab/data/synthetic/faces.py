"""Faces of twenty people who look to the left, straight, up or to the right.

They are drawn: a head of hair and skin, with eyes, brows, a nose and a mouth on
a globe that turns. Each person has a build and tones of their own. As in the
images of Mitchell's book a person is seen in four poses and with four moods,
with sunglasses and without, and each of these 640 pictures is there once: the
head is elsewhere, the light falls otherwise, and there is noise.

Reference: T. M. Mitchell, Machine Learning, 1997, chapter 4.
"""

import itertools

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.images import Images

ANSWERS = ("pose", "identity")
SHAPE = (30, 32, 1)
PEOPLE = 20
POSES = ("left", "straight", "up", "right")
MOODS = ("neutral", "happy", "sad", "angry")
# Of the eight pictures of a person in a pose.
PARTS = {"train": 4, "validation": 2, "test": 2}
FINE = 3  # dots along each side of a pixel, whose mean it is


def load(what: str, small: bool = False) -> Data:
    """Return the faces, each with a pose or a person.

    Whoever is tested has been seen in this pose, but not in this mood and with
    these eyes: no test image is a training image with other noise.

    Args:
        what: One of `ANSWERS`.
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    people = [_person(random) for _ in range(PEOPLE)]
    images = {name: [] for name in PARTS}
    labels = {name: [] for name in PARTS}
    for person, pose in itertools.product(range(PEOPLE), range(len(POSES))):
        looks = [*itertools.product(MOODS, (False, True))]
        random.shuffle(looks)
        parts = [name for name, count in PARTS.items() for _ in range(count)]
        for part, (mood, glasses) in zip(parts, looks, strict=True):
            image = draw(people[person], POSES[pose], mood, glasses, random)
            images[part].append(image)
            labels[part].append(pose if what == "pose" else person)
    splits = {
        name: Split(np.stack(images[name]), np.array(labels[name], "int32"))
        for name in PARTS
    }
    people_names = [f"person {i}" for i in range(1, PEOPLE + 1)]
    return Data(
        f"faces_{what}",
        **splits,
        inputs=Images(SHAPE, "light on dark"),
        facts=Facts("drawn faces", "drawn at random, free of licences"),
        class_names=POSES if what == "pose" else tuple(people_names),
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def _person(random) -> dict[str, float]:
    """Return build and tones of a person, drawn at random."""
    ranges = {
        "width": (0.58, 0.84),  # of the head, whose height is 1
        "skin": (0.40, 0.90),
        "hair": (0.0, 0.70),
        "fringe": (0.3, 0.8),  # how far up the hair begins
        "length": (-0.8, 0.7),  # how far up it ends at the sides
        "eyes": (0.24, 0.36),  # from the middle
        "eye_size": (0.07, 0.11),
        "brows": (0.17, 0.26),  # above the eyes
        "nose": (0.18, 0.34),  # its length
        "mouth": (0.18, 0.34),  # half its width
        "beard": (-0.4, 0.4),  # how much darker a chin is, if it is
    }
    return {name: random.uniform(*ends) for name, ends in ranges.items()}


def draw(person, pose: str, mood: str, glasses: bool, random) -> np.ndarray:
    """Draw a face, uint8 `(30, 32, 1)`.

    Args:
        person: What `_person` returned.
        pose: One of `POSES`.
        mood: One of `MOODS`.
        glasses: Whether there are sunglasses.
        random: What draws place, light and noise.
    """
    height, width, _ = SHAPE
    up, across = (
        (np.arange(FINE * side) + 0.5) / FINE - side / 2
        for side in (height, width)
    )
    radius = 12.5 * random.uniform(0.97, 1.03)
    y = -(up[:, np.newaxis] + random.uniform(-0.7, 0.7)) / radius
    x = (across + random.uniform(-0.7, 0.7)) / radius

    # The head is a globe: what is on its front moves as it turns.
    turn = {"left": -1, "right": 1}.get(pose, 0) * random.uniform(0.55, 0.7)
    tilt = random.uniform(0.45, 0.55) if pose == "up" else 0.0
    turn, tilt = turn + random.normal(0, 0.03), tilt + random.normal(0, 0.03)

    def dot(right, above, wide, high):
        """Return where a part of the face is, by its place on the front."""
        wide = wide * np.cos(turn + right)
        right = person["width"] * np.sin(turn + right / person["width"])
        above = np.sin(tilt + above)
        return ((x - right) / wide) ** 2 + ((y - above) / high) ** 2 < 1

    def paint(where, tone):
        face[where] = tone

    skin, hair = person["skin"], person["hair"]
    face = np.full((len(up), len(across)), random.uniform(0.15, 0.25))
    head = (x / person["width"]) ** 2 + y**2 < 1
    ends = (np.abs(x) < person["width"]) & (y > person["length"])
    paint(ends & (x**2 + y**2 < 1.05), hair)
    paint(head, skin)
    paint(head & (y < -0.45 + tilt / 2), skin - max(person["beard"], 0))
    paint(head & (y > person["fringe"] + tilt / 3), hair)
    front = person["width"] * np.sin(turn)
    paint(head & (np.abs(x - front) > person["width"] * 0.93), hair)

    size, mouth = person["eye_size"], person["mouth"]
    brows = person["brows"] + {"angry": -0.05, "sad": 0.04}.get(mood, 0.0)
    for side in (-1, 1):
        right = side * person["eyes"]
        paint(head & dot(right, 0.15, size, size * 0.7), 0.95)
        paint(head & dot(right, 0.15, size / 2, size / 2), 0.05)
        paint(head & dot(right, 0.15 + brows, 0.12, 0.035), hair * 0.8)
        if glasses:
            paint(head & dot(right, 0.15, 0.19, 0.14), 0.03)
    if glasses:
        paint(head & dot(0, 0.17, person["eyes"], 0.03), 0.03)
    paint(
        head & dot(0, 0.1 - person["nose"] / 2, 0.05, person["nose"] / 2),
        skin * 0.8,
    )
    curve = {"happy": 0.12, "sad": -0.12}.get(mood, 0.0)
    for place in np.linspace(-1, 1, 9):
        above = -0.5 + curve * place**2
        paint(head & dot(place * mouth, above, 0.05, 0.045), skin * 0.45)

    light = 1 + random.uniform(-0.1, 0.1) + random.uniform(-0.1, 0.1) * x
    face = (face * light).reshape(height, FINE, width, FINE).mean(axis=(1, 3))
    face += random.normal(0, 0.03, face.shape)
    return np.rint(255 * np.clip(face, 0, 1)).astype("uint8")[..., np.newaxis]
