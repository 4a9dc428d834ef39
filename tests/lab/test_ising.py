"""Lattices of spins: do they lie as statistical mechanics says?"""

import itertools

import numpy as np
import pytest

from recipes.lab.data.synthetic import ising


def energy(spins):
    """The energy of a spin, in units of the coupling, of each lattice."""
    bonds = sum(spins * np.roll(spins, 1, axis) for axis in (1, 2))
    return -bonds.mean(axis=(1, 2), dtype="float64")


def magnetization(spins):
    return np.abs(spins.mean(axis=(1, 2), dtype="float64"))


def drawn(size, temperature, chains, count):
    at = np.full(chains, temperature)
    return ising.draw(size, at, np.random.default_rng(0), count)


@pytest.mark.parametrize("measure", [energy, magnetization])
def test_small_lattices_are_as_likely_as_their_energy_says(measure):
    states = np.array([*itertools.product((-1, 1), repeat=9)], "int8")
    states = states.reshape(-1, 3, 3)
    odds = np.exp(-9 * energy(states) / 2.5)
    exact = np.sum(odds * measure(states)) / np.sum(odds)

    values = measure(drawn(3, 2.5, chains=2_000, count=2))
    error = values.std() / np.sqrt(len(values) / 2)  # as if two were one
    assert abs(values.mean() - exact) < 4 * error


def test_large_lattices_have_onsagers_energy_and_yangs_magnetization():
    critical = energy(drawn(40, ising.CRITICAL, chains=30, count=2))
    assert critical.mean() == pytest.approx(-np.sqrt(2), abs=0.03)
    ordered = magnetization(drawn(40, 1.8, chains=10, count=2))
    yang = (1 - np.sinh(2 / 1.8) ** -4) ** (1 / 8)
    assert ordered.mean() == pytest.approx(yang, abs=0.005)


def test_a_sample_has_both_phases_at_all_temperatures():
    data = ising.load(10, small=True)
    assert data.is_sample
    for split in (data.train, data.validation, data.test):
        assert split.inputs.shape == (82, 10, 10, 1)
        assert set(np.unique(split.inputs)) == {0, 255}
        above = ising.temperatures(82) > ising.CRITICAL
        np.testing.assert_array_equal(split.targets, above)
    assert not np.array_equal(data.train.inputs, data.test.inputs)


def test_lattices_are_a_function_of_their_size():
    one, other = ising.load(10, small=True), ising.load(10, small=True)
    assert one.checksum == other.checksum
