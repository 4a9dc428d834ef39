"""Spins on a square lattice: the Ising model around its critical point.

Each spin points up or down, and prefers to point as its four neighbors do; the
lattice has no edge, for its sides are joined. Below the critical temperature
most spins agree, above it they do not. How they lie is drawn by the clusters of
Swendsen and Wang, which forget where they started within a few sweeps even at
the critical point, where single spins would take thousands.

References:
- L. Onsager, Crystal statistics I, 1944: the critical temperature.
- R. H. Swendsen, J.-S. Wang, Nonuniversal critical dynamics in Monte Carlo
  simulations, 1987.
"""

import math

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.images import Images

SIZES = (10, 20, 40)  # spins along a side
CRITICAL = 2 / math.log(1 + math.sqrt(2))  # in units of the coupling: 2.269
LOWEST, HIGHEST = 1.77, 2.77  # temperatures, as far below as above
STEPS = 41  # temperatures of each split, evenly spaced
CHAINS = {"train": 10, "validation": 2, "test": 10}  # at each temperature
LATTICES = 10  # that are taken from a chain
# Sweeps of a chain before the first of them, from spins that all point up, and
# between one and the next.
BURN_IN, APART = 20, 8


def load(size: int, small: bool = False) -> Data:
    """Return lattices at temperatures around the critical one.

    Args:
        size: Spins along a side.
        small: Whether a sample is enough.

    Returns:
        Images of a pixel a spin, white for those that point up, and whether
        the temperature is above the critical one. That of each lattice is in
        `temperatures`.
    """
    random = np.random.default_rng(size)
    splits = {}
    for name, chains in CHAINS.items():
        at = temperatures(STEPS * (1 if small else chains))
        spins = draw(size, at, random, 2 if small else LATTICES)
        images = 255 * (spins > 0).astype("uint8")[..., np.newaxis]
        labels = temperatures(len(images)) > CRITICAL
        splits[name] = Split(images, labels.astype("int32"))
    return Data(
        f"ising_{size}",
        **splits,
        inputs=Images((size, size, 1), "white where a spin points up"),
        facts=Facts("the Ising model", "drawn at random, free of licences"),
        class_names=("ordered", "disordered"),
        source="a simulation",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def temperatures(count: int) -> np.ndarray:
    """Return the temperature of each of so many lattices of a split."""
    return np.linspace(LOWEST, HIGHEST, STEPS)[np.arange(count) % STEPS]


def draw(size: int, at: np.ndarray, random, count: int) -> np.ndarray:
    """Draw lattices from Markov chains, each of which has its temperature.

    Args:
        size: Spins along a side.
        at: Temperatures of the chains, `(n,)`, in units of the coupling.
        random: What draws random numbers.
        count: How many lattices to take from a chain.

    Returns:
        Spins, -1 or 1, int8 `(count * n, size, size)`: a lattice of each chain,
        then the next of each.
    """
    spins = np.ones((len(at), size, size), "int8")
    for _ in range(BURN_IN):
        spins = sweep(spins, at, random)
    taken = [spins]
    for _ in range(count - 1):
        for _ in range(APART):
            spins = sweep(spins, at, random)
        taken.append(spins)
    return np.concatenate(taken)


def sweep(spins: np.ndarray, at: np.ndarray, random) -> np.ndarray:
    """Turn each cluster of each lattice, or not, with even odds.

    Neighbors that agree are in one cluster with odds of 1 - exp(-2 / T).

    Args:
        spins: -1 or 1, `(n, size, size)`.
        at: The temperature of each lattice.
        random: What draws random numbers.

    Returns:
        As many spins, int8.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sites = np.arange(spins.size, dtype="int32").reshape(spins.shape)
    odds = -np.expm1(-2 / at)[:, np.newaxis, np.newaxis]
    bonds = []
    for axis in (1, 2):
        agree = spins == np.roll(spins, -1, axis)
        bound = agree & (random.random(spins.shape, "float32") < odds)
        bonds.append((sites[bound], np.roll(sites, -1, axis)[bound]))
    ends = np.concatenate(bonds, axis=1)
    graph = coo_array(
        (np.ones(ends.shape[1], "int8"), ends), (spins.size, spins.size)
    )
    count, clusters = connected_components(graph, directed=False)
    turned = random.choice(np.array([-1, 1], "int8"), count)
    return turned[clusters].reshape(spins.shape)
