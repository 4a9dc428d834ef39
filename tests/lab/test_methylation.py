"""Simulated methylation: the motif and the correlation are as planted."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import methylation


@pytest.fixture(scope="module")
def sites():
    """Inputs of some sites, and the pattern at each."""
    return methylation.sites(20_000, np.random.default_rng(0))


def test_a_site_is_in_the_middle_and_letters_are_as_frequent_as_they_are(sites):
    dna = sites[0]["dna"]
    assert methylation.INPUTS.write(dna[:9, 50:52]) == ["CG"] * 9
    shares = np.bincount(dna[:, :50].ravel()) / dna[:, :50].size
    np.testing.assert_allclose(shares, methylation.OFTEN, atol=0.015)


def test_the_motif_is_where_it_was_planted(sites):
    starts = methylation.motif_starts(sites[0]["dna"])
    bound = starts.any(axis=1).mean()
    assert bound == pytest.approx(methylation._bound_by_chance(), abs=0.01)
    assert 0.4 < bound < 0.42
    rows, places = np.nonzero(starts)
    letters = [sites[0]["dna"][rows, places + i] for i in range(7)]
    written = ["TGACTCA", "TGAGTCA"]
    assert {*methylation.INPUTS.write(np.transpose(letters))} == {*written}
    # And nowhere over the site.
    assert not ((places > 44) & (places < 51)).any()


def test_sites_of_a_cell_agree_the_more_the_nearer_they_are(sites):
    states = 2 * sites[0]["cpg"][..., 0] - 1
    distances = sites[0]["cpg"][..., 1]
    half = methylation.INPUTS.neighbors // 2
    assert (np.diff(distances[:, :, :half], axis=2) <= -2).all()
    assert (np.diff(distances[:, :, half:], axis=2) >= 2).all()
    # Two sites on the right, and how far they are from each other.
    one, other = states[:, :, half], states[:, :, half + 1]
    apart = distances[:, :, half + 1] - distances[:, :, half]
    cells = (1 - 2 * methylation.OWN_WAY) ** 2
    for low, high in ((2, 200), (200, 600), (600, 2_000)):
        near = (low <= apart) & (apart < high)
        expected = cells * np.exp(-apart[near] / methylation.RANGE).mean()
        found = (one * other)[near].mean()
        assert found == pytest.approx(expected, abs=0.02)


def test_the_probability_that_is_stated_is_the_true_one():
    data = methylation.load()
    for known in (("dna",), ("cpg",), ("dna", "cpg")):
        said = methylation.probability(data.train.inputs, known)
        for low, high in ((0, 0.15), (0.15, 0.6), (0.6, 1)):
            group = (low <= said) & (said < high)
            if group.sum() < 1_000:
                continue
            true = data.train.targets[group].mean()
            assert said[group].mean() == pytest.approx(true, abs=0.015)


def test_of_neighbors_it_is_what_adding_up_all_patterns_gives():
    """Two cells with two known sites each, by enumeration."""
    cpg = np.array([[[1, 40], [0, 300]], [[0, 10], [1, 500]]], float)
    side = cpg[np.newaxis]
    places = np.append(0, cpg[:, :, 1].ravel())
    order = np.argsort(places)
    gaps = np.diff(places[order])
    total, weighted = 0.0, 0.0
    for number in range(2**5):
        pattern = np.array([number >> i & 1 for i in range(5)])  # by place
        signs = 2 * pattern - 1
        stays = 1 + signs[1:] * signs[:-1] * np.exp(-gaps / methylation.RANGE)
        weight = np.prod(stays / 2)
        states = np.append(0, cpg[:, :, 0].ravel())[order][1:]
        same = states == pattern[1:]
        weight *= np.prod(
            np.where(same, 1 - methylation.OWN_WAY, methylation.OWN_WAY)
        )
        total += weight
        weighted += weight * signs[0]
    found = methylation._expected(side)
    np.testing.assert_allclose(found, weighted / total, rtol=1e-12)
