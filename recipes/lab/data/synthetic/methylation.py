"""Sites of a genome, and whether they are methylated in a cell.

Two things are planted, and what they say of a site is known exactly. Where a
protein binds to its motif, the site beside it stays without methylation. And
all cells have much the same pattern of methylation, which changes along the
genome by chance: the nearer two sites are, the more often they agree. Each cell
differs from it at some of its sites, and only some are measured.

Reference: C. Angermueller, H. J. Lee, W. Reik, O. Stegle, DeepCpG: accurate
prediction of single-cell DNA methylation states using deep learning, 2017.
"""

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.sites import Sites
from zoo.genomics import BASES

INPUTS = Sites(
    length=101,
    cells=6,
    neighbors=20,
    about="The cells are simulated; what comes out is about the first one.",
)
OFTEN = (0.3, 0.2, 0.2, 0.3)  # how often each of the bases is
# AP-1 binds to it, read in either direction. S is one of two letters.
MOTIF = "TGASTCA"
STANDS_FOR = {"S": "CG"}
BOUND = 0.4  # the share of the sites beside a motif
METHYLATED_IF_BOUND = 0.1  # the probability
RANGE = 1_000.0  # letters after which the correlation is 1 / e
SPACING = 250.0  # letters from one measured site to the next, in the mean
NEAREST = 2  # letters between two sites at least
OWN_WAY = 0.1  # the probability that a cell differs from the pattern
SIZES = {"train": 20_000, "validation": 5_000, "test": 10_000}
SMALL = 400  # sites of each split of a sample


def load(small: bool = False) -> Data:
    """Return sites, and whether they are methylated in the first cell.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(1)
    splits = {}
    for name, count in SIZES.items():
        inputs, patterns = sites(SMALL if small else count, random)
        probability = _probability(inputs["dna"], patterns)
        methylated = random.uniform(size=len(patterns)) < probability
        splits[name] = Split(inputs, methylated.astype("int32"))
    arrays = [array for s in splits.values() for array in s.inputs.values()]
    return Data(
        "methylation",
        **splits,
        inputs=INPUTS,
        facts=Facts(
            "simulated methylation", "drawn at random, free of licences"
        ),
        class_names=("not methylated", "methylated"),
        source="a simulation",
        checksum=sum_of(*arrays),
        is_sample=small,
    )


def sites(count: int, random) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return so many sites, and the pattern of methylation at each.

    Returns:
        The inputs, see `Sites`; and -1 or 1 for each site, `(count,)`.
    """
    patterns = random.choice([-1.0, 1.0], count)
    both = [_one_side(patterns, random) for _ in ("left", "right")]
    left, right = both
    cpg = np.concatenate([left[:, :, ::-1], right], axis=2)
    inputs = {"dna": _letters(count, random), "cpg": cpg.astype("float32")}
    return inputs, patterns


def _one_side(patterns, random):
    """Return the sites on one side, `(count, cells, neighbors / 2, 2)`."""
    shape = len(patterns), INPUTS.cells, INPUTS.neighbors // 2
    gaps = NEAREST + random.exponential(SPACING - NEAREST, shape).astype(int)
    distances = gaps.cumsum(axis=2)
    # The pattern, from the site outwards, at all that any cell has measured.
    flat = distances.reshape(len(patterns), -1)
    order = flat.argsort(axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(flat, order, 1), axis=1, prepend=0)
    turns = random.uniform(size=steps.shape) < (1 - np.exp(-steps / RANGE)) / 2
    sorted_states = patterns[:, np.newaxis] * np.where(turns, -1, 1).cumprod(1)
    states = np.empty(sorted_states.shape)
    np.put_along_axis(states, order, sorted_states, 1)
    differ = random.uniform(size=states.shape) < OWN_WAY
    states = np.where(differ, -states, states).reshape(shape)
    return np.stack([(1 + states) / 2, distances], axis=-1)


def _letters(count, random):
    """Return letters of DNA with a site in the middle, some with a motif."""
    dna = random.choice(len(BASES), (count, INPUTS.length), p=OFTEN)
    middle, length = INPUTS.length // 2, len(MOTIF)
    dna[:, [middle, middle + 1]] = [BASES.index("C"), BASES.index("G")]
    # Anywhere but over the site.
    starts = [
        *range(middle - length + 1),
        *range(middle + 2, INPUTS.length - length + 1),
    ]
    rows = np.flatnonzero(random.uniform(size=count) < BOUND)
    places = random.choice(starts, len(rows))
    for i, letters in enumerate(_choices()):
        dna[rows, places + i] = random.choice(letters, len(rows))
    return dna.astype("int32")


def _choices() -> list[list[int]]:
    """Return which bases may be at each place of the motif."""
    return [
        [BASES.index(base) for base in STANDS_FOR.get(letter, letter)]
        for letter in MOTIF
    ]


def motif() -> np.ndarray:
    """Return how often each base is at each place of it, `(length, bases)`."""
    shares = np.zeros((len(MOTIF), len(BASES)))
    for row, letters in zip(shares, _choices(), strict=True):
        row[letters] = 1 / len(letters)
    return shares


def motif_starts(dna) -> np.ndarray:
    """Return where the motif begins, bool `(n, length - motif + 1)`."""
    places = dna.shape[1] - len(MOTIF) + 1
    found = np.ones((len(dna), places), bool)
    for i, letters in enumerate(_choices()):
        found &= np.isin(dna[:, i : i + places], letters)
    return found


# --- what can be known ----------------------------------------------------


def probability(inputs, known=("dna", "cpg")) -> np.ndarray:
    """Return the probability that each site is methylated, `(n,)`.

    Nobody can predict better.

    Args:
        inputs: Of a split, see `Sites`.
        known: What is known of them.
    """
    patterns = np.zeros(len(inputs["dna"]))
    if "cpg" in known:
        half = INPUTS.neighbors // 2
        cpg = inputs["cpg"].astype("float64")
        left, right = (
            _expected(cpg[:, :, side])
            for side in (slice(half), slice(half, None))
        )
        patterns = _joined(left, right)
    if "dna" in known:
        return _probability(inputs["dna"], patterns)
    bound = _bound_by_chance()
    of_pattern = (1 + (1 - 2 * OWN_WAY) * patterns) / 2
    return bound * METHYLATED_IF_BOUND + (1 - bound) * of_pattern


def _probability(dna, patterns):
    """Return the probabilities from DNA and the mean of the pattern."""
    bound = motif_starts(dna).any(axis=1)
    of_pattern = (1 + (1 - 2 * OWN_WAY) * patterns) / 2
    return np.where(bound, METHYLATED_IF_BOUND, of_pattern)


def _bound_by_chance():
    """Return about which share of the sites is bound: some are by chance."""
    at_a_place = np.prod(
        [sum(OFTEN[base] for base in letters) for letters in _choices()]
    )
    places = INPUTS.length - len(MOTIF) + 1
    return 1 - (1 - BOUND) * (1 - at_a_place) ** places


def _expected(side):
    """Return the mean of the pattern at sites, given one of their sides.

    Args:
        side: `(n, cells, neighbors / 2, 2)`.
    """
    states, distances = side.reshape(len(side), -1, 2).transpose(2, 0, 1)
    order = np.argsort(-distances, axis=1, kind="stable")
    states = np.take_along_axis(2 * states - 1, order, 1)
    distances = np.take_along_axis(distances, order, 1)
    steps = -np.diff(distances, axis=1, append=0)
    mean = np.zeros(len(side))
    for state, step in zip(states.T, steps.T, strict=True):
        mean = _joined(mean, (1 - 2 * OWN_WAY) * state)
        mean = mean * np.exp(-step / RANGE)
    return mean


def _joined(one, other):
    """Return the mean of a sign of which two means are known, independently."""
    return (one + other) / (1 + one * other)
