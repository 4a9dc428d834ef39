"""Simulated collisions: energy and momentum are kept, masses are where put."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import collisions
from recipes.lab.data.synthetic.collisions import PAIRS

LABELS = np.arange(4_000) % 2


def square(momenta):
    """Energy squared less momentum squared: the mass squared."""
    energy, *others = np.moveaxis(momenta, -1, 0)
    return energy**2 - sum(other**2 for other in others)


@pytest.fixture(scope="module")
def momenta():
    return collisions.momenta(LABELS, np.random.default_rng(0))


def test_light_particles_have_no_mass_and_come_from_heavy_ones(momenta):
    energies = momenta[..., 0] ** 2
    assert (np.abs(square(momenta)) < 1e-6 * energies).all()
    signal = momenta[LABELS == 1]
    all_four = np.sqrt(square(signal.sum(axis=1)))
    assert all_four.mean() == pytest.approx(collisions.HEAVY, abs=2)
    assert all_four.std() == pytest.approx(collisions.WIDTHS[0], rel=0.1)
    for pair in (slice(0, 2), slice(2, 4)):
        mass = np.sqrt(square(signal[:, pair].sum(axis=1)))
        assert mass.mean() == pytest.approx(collisions.BOSON, abs=1)


def test_what_is_seen_sharply_has_the_masses_of_what_was_there(momenta):
    random = np.random.default_rng(0)
    seen = collisions.measured(momenta, random, blur=(0, 0))
    across = np.hypot(momenta[..., 1], momenta[..., 2])
    np.testing.assert_allclose(seen[..., 0], -np.sort(-across, axis=1))
    order = np.argsort(-across, axis=1)[..., np.newaxis]
    sorted_ = np.take_along_axis(momenta, order, axis=1)
    truth = [
        square(sorted_[:, i - 1] + sorted_[:, j - 1]) for i, j in PAIRS
    ] + [square(sorted_.sum(axis=1))]
    np.testing.assert_allclose(
        *(collisions.masses(seen) ** 2, np.stack(truth, axis=1)),
        rtol=1e-4,
        atol=1e-2,
    )


def test_no_column_tells_much_by_itself():
    from sklearn.metrics import roc_auc_score

    data = collisions.load(small=False).test
    areas = [roc_auc_score(data.targets, column) for column in data.inputs.T]
    assert np.abs(np.array(areas) - 0.5).max() < 0.03
    # How far the total mass it is from the heavy one's tells.
    near = -np.abs(data.inputs[:, -1] - collisions.HEAVY)
    assert roc_auc_score(data.targets, near) > 0.6
