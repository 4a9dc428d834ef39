"""Recipes keep their promises on the real data; all of them take an hour."""

import importlib
import json

import pytest
from helpers.commands import RECIPES, run_recipe


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_recipe_reaches_its_target(name, tmp_path):
    recipe = importlib.import_module(f"recipes.{name}")
    target = recipe.TARGETS[0]
    # A promise is about the mean over seeds; one seed may fall a little short.
    slack = 0.002 if target.metric.better == "max" else -0.02 * target.floor
    code = run_recipe(
        *(name, "--output-dir", tmp_path, "--run-name", "slow"),
        *("--target", target.floor - slack),
    )
    if code == 3:
        pytest.skip("its data or weights cannot be had here")
    record = tmp_path / "runs" / name / "slow" / "metrics.json"
    assert record.exists(), "needs the real data"
    metrics = json.loads(record.read_text())
    assert code == 0, metrics["metrics"]
    if target.floor < 1:  # which a plane reaches that separates the classes
        assert metrics["metrics"][target.metric.name] != 1
    for method, accuracy in getattr(recipe, "PUBLISHED", {}).items():
        found = metrics["metrics"][f"{method}_test_accuracy"]
        assert abs(found - accuracy) <= 0.01, method
