"""Collisions of particles: was there something heavy, or not?

In a signal event a heavy particle decays into two bosons, and each of them into
two light particles; in the background nothing has a mass of its own. What a
detector sees is the same: four light particles, each by its momentum across the
beam, its pseudorapidity and its azimuth, sorted by momentum, and not quite as
they were. What tells the two apart are masses, which no column holds: that of a
pair of particles is the energy that they would have if they were at rest
together. So physicists compute these columns by hand.

Masses and momenta are in GeV, with the speed of light as unit of speed.

Reference: P. Baldi, P. Sadowski, D. Whiteson, Searching for exotic particles in
high-energy physics with deep learning, 2014.
"""

import itertools

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tables import Column, Tables

HEAVY, BOSON = 400.0, 90.0  # masses, of the signal's
WIDTHS = 20.0, 6.0  # their standard deviations
PARTICLES = 4
PAIRS = tuple(itertools.combinations(range(1, PARTICLES + 1), 2))
SIZES = {"train": 60_000, "validation": 10_000, "test": 20_000}
SMALL = 1_000  # events of each split of a sample

RAW = tuple(
    column
    for i in range(1, PARTICLES + 1)
    for column in (
        Column(f"momentum_{i}", "GeV", f"of particle {i}, across the beam"),
        Column(f"pseudorapidity_{i}", "", f"of particle {i}, from the beam"),
        Column(f"azimuth_{i}", "rad", f"of particle {i}, around the beam"),
    )
)
DERIVED = (
    *(
        Column(f"mass_{i}{j}", "GeV", f"of particles {i} and {j} together")
        for i, j in PAIRS
    ),
    Column("mass_all", "GeV", "of all four together"),
)


def load(small: bool = False) -> Data:
    """Return events, half of them with a heavy particle.

    A row has the measured columns, and then those that physicists would add.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    splits = {}
    for name, count in SIZES.items():
        labels = np.arange(SMALL if small else count, dtype="int32") % 2
        seen = measured(momenta(labels, random), random)
        rows = np.concatenate([seen.reshape(len(seen), -1), masses(seen)], 1)
        splits[name] = Split(rows.astype("float32"), labels)
    return Data(
        "collisions",
        **splits,
        inputs=Tables((*RAW, *DERIVED)),
        facts=Facts(
            "simulated collisions", "drawn at random, free of licences"
        ),
        class_names=("background", "signal"),
        source="a simulation",
        checksum=sum_of(*(split.inputs.round(2) for split in splits.values())),
        is_sample=small,
    )


def momenta(labels, random) -> np.ndarray:
    """Return what the four particles of each event have.

    Args:
        labels: 1 for a signal event, 0 for background, `(n,)`.
        random: What draws random numbers.

    Returns:
        Energies, and momenta along three axes, of which the last is the beam,
        `(n, 4, 4)`.
    """
    count, is_signal = len(labels), labels == 1

    def mass(of_signal, width, low, high):
        signal = random.normal(of_signal, width, count)
        return np.where(is_signal, signal, random.uniform(low, high, count))

    heavy = mass(HEAVY, WIDTHS[0], 300, 500)
    bosons = [mass(BOSON, WIDTHS[1], 50, 130) for _ in range(2)]
    # What decays moves along the beam, and a little across it.
    across, angle = (
        random.exponential(40, count),
        random.uniform(-np.pi, np.pi, count),
    )
    along = np.sinh(random.normal(0, 0.8, count)) * heavy
    moving = np.stack(
        [across * np.cos(angle), across * np.sin(angle), along], 1
    )
    parents = _decayed(heavy, moving, bosons, random)
    children = [
        child
        for boson, parent in zip(bosons, parents, strict=True)
        for child in _decayed(
            boson, parent[:, 1:], [np.zeros(count)] * 2, random
        )
    ]
    return np.stack(children, axis=1)


def _decayed(mass, momentum, masses, random) -> list[np.ndarray]:
    """Return the two particles that others decay into, in any direction.

    Args:
        mass: Of those that decay, `(n,)`.
        momentum: Theirs, `(n, 3)`.
        masses: Of the two, `(n,)` each.
        random: What draws random numbers.

    Returns:
        Energy and momentum, `(n, 4)`, of each.
    """
    one, other = masses
    total, apart = mass**2 - (one + other) ** 2, mass**2 - (one - other) ** 2
    size = np.sqrt(np.maximum(total * apart, 0)) / (2 * mass)
    direction = random.normal(size=(len(mass), 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    found = []
    for sign, each in ((1, one), (-1, other)):
        at_rest = sign * size[:, np.newaxis] * direction
        energy = np.sqrt(size**2 + each**2)
        found.append(_boosted(energy, at_rest, mass, momentum))
    return found


def _boosted(energy, at_rest, mass, momentum) -> np.ndarray:
    """Return what a particle has, seen by whom its parent moves past."""
    of_parent = np.sqrt(mass**2 + np.sum(momentum**2, axis=1))
    along = np.sum(at_rest * momentum, axis=1)
    seen = (of_parent * energy + along) / mass
    factor = (along / (of_parent + mass) + energy) / mass
    return np.concatenate(
        [seen[:, np.newaxis], at_rest + factor[:, np.newaxis] * momentum], 1
    )


def measured(momenta, random, blur=(0.1, 0.02)) -> np.ndarray:
    """Return what a detector sees of massless particles, `(n, 4, 3)`.

    Args:
        momenta: As of the function of that name.
        random: What draws random numbers.
        blur: Standard deviations of what is measured: of momenta as a share
            of them, and of directions.

    Returns:
        Momentum across the beam, pseudorapidity and azimuth of each particle;
        the largest momentum comes first.
    """
    _, x, y, z = np.moveaxis(momenta, -1, 0)
    across = np.hypot(x, y)
    rapidity, azimuth = np.arcsinh(z / across), np.arctan2(y, x)
    across = across * random.normal(1, blur[0], across.shape).clip(0.5)
    rapidity = rapidity + random.normal(0, blur[1], across.shape)
    azimuth = azimuth + random.normal(0, blur[1], across.shape)
    azimuth = (azimuth + np.pi) % (2 * np.pi) - np.pi
    order = np.argsort(-across, axis=1)[..., np.newaxis]
    seen = np.stack([across, rapidity, azimuth], axis=-1)
    return np.take_along_axis(seen, order, axis=1)


def masses(seen) -> np.ndarray:
    """Return the masses of all pairs of particles, and of all together.

    Args:
        seen: What `measured` returned.

    Returns:
        `(n, 7)`, see `DERIVED`.
    """
    across, rapidity, azimuth = np.moveaxis(seen, -1, 0)

    def squared(i, j):
        turned = np.cos(azimuth[:, i] - azimuth[:, j])
        steep = np.cosh(rapidity[:, i] - rapidity[:, j])
        return 2 * across[:, i] * across[:, j] * (steep - turned)

    pairs = np.stack([squared(i - 1, j - 1) for i, j in PAIRS], axis=1)
    pairs = np.maximum(pairs, 0)
    everything = pairs.sum(axis=1, keepdims=True)  # for they are massless
    return np.sqrt(np.concatenate([pairs, everything], axis=1))
