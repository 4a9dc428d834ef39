"""Every recipe trains, and the main job does all that a recipe promises."""

import csv
import importlib
import json

import numpy as np
import pytest
from conftest import RECIPES, ROOT

import zoo
from recipes._config import RunOptions


def test_main_job_leaves_a_whole_run(dry_run):
    run = dry_run / "runs" / "mnist_cnn" / "1"
    for name in ("config.json", "environment.json", "metrics.json"):
        assert json.loads((run / name).read_text())["schema"] == 1
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1"]
    assert "<html" in (run / "report.html").read_text()
    assert {p.name for p in (run / "plots").iterdir()} >= {
        "curves.png",
        "confusion_matrix.png",
    }
    assert list((run / "checkpoints" / "train").glob("000001-*.npz"))


def test_main_job_exports_the_model_that_it_scored(dry_run, export):
    run = dry_run / "runs" / "mnist_cnn" / "1"
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    exported = json.loads((export / "metrics.json").read_text())["metrics"]
    assert metrics["test_accuracy"] == exported["test_accuracy"]

    from recipes import _data

    test = _data.load("mnist", RunOptions(dry_run=True)).test
    model = zoo.load_model(export, verbose=False)
    answers = model.predict(test.images, verbose=0).argmax(axis=1)
    assert np.mean(answers == test.labels) == metrics["test_accuracy"]


@pytest.fixture
def no_export(monkeypatch):
    """Leave out the export and the report, which are tested elsewhere."""
    for kind in ("classifier", "autoencoder"):
        monkeypatch.setattr(f"recipes._export.export_{kind}", _no_export)
        monkeypatch.setattr(f"recipes._report.report_{kind}", _no_report)


def _no_export(run, model, metrics):
    return run.folder


def _no_report(run, model, history, metrics, outputs, **more):
    assert len(outputs) == len(run.data.test)


def train(name, **options):
    """Train a recipe for two steps and score it."""
    recipe = importlib.import_module(f"recipes.{name}")
    options = RunOptions(dry_run=True, **options)
    return recipe, recipe.train(
        recipe.Config(epochs=1, batch_size=600, run=options)
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains(name, tmp_path, no_export):
    recipe, metrics = train(name, output_dir=tmp_path)
    assert {recipe.TARGETS[0].metric, "train_seconds"} <= metrics.keys()
    assert np.isfinite(list(metrics.values())).all()
    assert metrics.get("test_accuracy", 0) < 1


@pytest.mark.thorough
@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_on_two_devices(name, tmp_path, no_export):
    recipe, metrics = train(
        name, output_dir=tmp_path, strategy="mirrored", cpu_devices=2
    )
    assert np.isfinite(metrics[recipe.TARGETS[0].metric])


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_shows_its_command_first(name):
    text = (ROOT / "recipes" / f"{name}.py").read_text()
    assert f"\n\n    python -m recipes.{name}\n" in text


def test_list_of_recipes_names_them_all(capsys):
    from recipes.__main__ import main

    assert main([]) == 0
    listed = capsys.readouterr().out
    for name in RECIPES:
        assert name in listed
