"""Simulated histories: the risk is in the order of codes, as it was planted."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import patients

INPUTS = patients.load(small=True).inputs


def risk_of(*codes):
    return patients.risk(INPUTS.read([" ".join(codes)]))[0]


def odds(log_odds):
    return pytest.approx(1 / (1 + np.exp(-log_odds)))


def test_the_risk_is_in_the_order():
    base, pattern = patients.BASE, patients.BASE + patients.PATTERN
    assert risk_of("checkup") == odds(base)
    assert risk_of("arrhythmia", "hypertension") == odds(base)
    assert risk_of("hypertension", "gout", "arrhythmia") == odds(pattern)
    treated = ("hypertension", "beta_blocker", "arrhythmia")
    assert risk_of(*treated) == odds(base)
    assert risk_of(*treated, "hypertension", "arrhythmia") == odds(pattern)
    assert risk_of("smoking", "diabetes") == odds(base + 2 * patients.EACH)


def test_failures_are_as_frequent_as_the_risk_says():
    data = patients.load().train
    risks = patients.risk(data.inputs)
    for low, high in ((0, 0.2), (0.2, 0.6), (0.6, 1)):
        group = (low <= risks) & (risks < high)
        assert data.targets[group].mean() == pytest.approx(
            risks[group].mean(), abs=0.015
        )


def test_histories_are_as_long_as_they_should_be():
    random = np.random.default_rng(0)
    tokens = patients.histories(2_000, random)
    lengths = (tokens > 0).sum(axis=1)
    assert (lengths.min(), lengths.max()) == (8, 30)
    # Zeros are first, and nowhere else.
    assert (np.diff((tokens > 0).astype(int), axis=1) >= 0).all()
    assert patients.counts(tokens).sum(axis=1).tolist() == lengths.tolist()
    assert tokens.max() == len(patients.CODES)
