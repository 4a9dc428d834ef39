"""Associative memories: what they store, and that their energy falls."""

import keras
import numpy as np
import pytest

import zoo
from zoo import associative
from zoo.associative import hebbian_weights, pseudo_inverse_weights
from zoo.lenet import digit_codes

RULES = (hebbian_weights, pseudo_inverse_weights)


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_signs(*shape, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape)


@pytest.mark.parametrize("rule", RULES)
def test_no_step_makes_the_energy_rise(rule):
    patterns = random_signs(20, 60)
    weights = rule(patterns)
    layer = associative.HopfieldUnits(1)
    states = random_signs(200, 60, seed=1).astype("float32")
    layer.build(states.shape)
    layer.set_weights([weights])
    before = associative.energy(weights, states)
    for _ in range(12):
        states = plain(layer(states))
        assert {*np.unique(states)} <= {-1, 1}
        after = associative.energy(weights, states)
        assert (after <= before + 1e-5).all()
        before = after
    # Many have come to rest somewhere below.
    assert (after < associative.energy(weights, random_signs(200, 60))).any()


def test_the_energy_is_that_of_pairs():
    weights, state = hebbian_weights(random_signs(3, 5)), random_signs(1, 5)
    pairs = [
        weights[i, j] * state[0, i] * state[0, j]
        for i in range(5)
        for j in range(5)
    ]
    assert associative.energy(weights, state) == pytest.approx(-sum(pairs) / 2)


def test_the_pseudo_inverse_stores_what_hebb_cannot():
    patterns = digit_codes()
    for rule, stored in zip(RULES, (0, 10), strict=True):
        sums = patterns @ rule(patterns)
        stays = (np.sign(sums) == patterns).all(axis=1)
        assert stays.sum() == stored
    weights = pseudo_inverse_weights(patterns)
    np.testing.assert_allclose(patterns @ weights, patterns, atol=1e-6)
    np.testing.assert_allclose(weights, weights.T, atol=1e-9)


def test_of_patterns_at_right_angles_both_rules_are_one():
    patterns = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1]])
    np.testing.assert_allclose(
        hebbian_weights(patterns), pseudo_inverse_weights(patterns), atol=1e-12
    )


def test_how_many_random_patterns_stay_is_a_distribution_and_not_a_wall():
    """At N = 100, without joining units to themselves: frontiers of others."""
    shares = {}
    for count in (10, 14, 20):
        draws = []
        for seed in range(100):
            patterns = random_signs(count, 100, seed=[count, seed])
            weights = hebbian_weights(patterns)
            np.fill_diagonal(weights, 0)
            stay = np.sign(patterns @ weights) == patterns
            draws.append(stay.all(axis=1).mean())
        shares[count] = np.mean(draws)
        if count == 14:
            assert 0.1 < np.std(draws) < 0.3
    assert shares[10] == pytest.approx(0.974, abs=0.02)
    assert shares[14] == pytest.approx(0.799, abs=0.04)
    assert shares[20] == pytest.approx(0.394, abs=0.05)


def test_a_network_completes_what_it_has_stored():
    bitmaps = np.where(digit_codes() > 0, 255, 0).reshape(10, 12, 7, 1)
    model = zoo.create_model("hopfield", input_shape=(12, 7, 1))
    zoo.associative.store(model, bitmaps)
    np.testing.assert_array_equal(
        associative.patterns_of(model, bitmaps), digit_codes()
    )
    cues = bitmaps.copy()
    cues[:, 3, 2:5] = 255 - cues[:, 3, 2:5]
    memories = zoo.feature_extractor(model, "memory")
    np.testing.assert_array_equal(plain(memories(cues)), digit_codes())
    assert plain(model(cues)).argmax(axis=1).tolist() == [*range(10)]


def test_another_number_of_patterns_is_refused():
    model = zoo.create_model("hopfield", input_shape=(2, 2, 1), num_classes=3)
    with pytest.raises(ValueError, match="names 3 patterns. Received: 2"):
        zoo.associative.store(model, np.zeros((2, 2, 2, 1)))
