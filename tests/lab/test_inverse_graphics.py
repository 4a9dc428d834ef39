"""What the numbers of a code follow, and how that is shown."""

import numpy as np
import pytest
from helpers.tasks import sample

import zoo
from recipes.lab import tasks
from recipes.lab.data import poses
from recipes.lab.tasks import inverse_graphics


def test_correlations_have_a_sign_and_none_of_what_never_changes():
    random = np.random.default_rng(0)
    values = random.standard_normal((1_000, 2))
    noise = random.standard_normal(1_000)
    codes = np.column_stack(
        [-3 * values[:, 0], values[:, 1] + noise, noise, np.ones(1_000)]
    )
    found = inverse_graphics.correlations(values, codes)
    expected = [[-1, 0, 0, 0], [0, 0.5**0.5, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_one_number_moves_through_its_range_and_all_others_stay():
    codes = np.random.default_rng(0).normal(size=(10_000, 3))
    moved = inverse_graphics.moved_codes(codes, 2, codes[:4], steps=5)
    moved = moved.reshape(2, 4, 5, 3)
    for unit in range(2):
        others = np.delete(np.arange(3), unit)
        for row, code in zip(moved[unit], codes[:4], strict=True):
            assert (row[:, others] == code[others]).all()
            ends = row[[0, -1], unit]
            np.testing.assert_allclose(ends, [-2.33, 2.33], atol=0.15)


@pytest.mark.thorough
def test_scores_say_how_well_the_factors_are_followed(tmp_path):
    data, values = poses.in_random_poses(sample())
    model = zoo.create_model("dcign", filters=(2,), hidden_units=8)
    task = tasks.InverseGraphics(data, 3, poses.FACTORS, values)
    scores = task.score(model, data.test)
    own = scores.metrics["test_factor_correlation"]
    others = scores.metrics["test_other_correlation"]
    # Of 24 numbers that mean nothing the best is better than a given one.
    assert 0 < own < others < 1
    headline, _, before, _ = task.report(model, scores, tmp_path)
    assert f"{own:.3f}" in headline
    assert before[0][0] == "One number, one factor"
    assert (tmp_path / "factors.png").exists()
