"""Runs become rows, and rows become tables."""

import csv
import sys

import pytest
from conftest import ROOT

from recipes._config import Target

sys.path.insert(0, str(ROOT / "scripts"))
import run_recipes
import update_readme


def record(accuracy, seconds=2.0, dataset="mnist"):
    return {
        "dataset": dataset,
        "model": "cnn",
        "params": 1234,
        "metrics": {"test_accuracy": accuracy, "train_seconds": seconds},
        "settings": {"epochs": 3},
        "environment": {"hardware": "a machine", "versions": {"keras": "3"}},
        "commit": "abc",
        "date": "2026-01-01",
    }


def test_row_has_mean_deviation_and_median():
    records = [record(0.98, 1.0), record(0.99, 2.0), record(1.0, 9.0)]
    row = run_recipes.aggregate(
        "mnist_cnn", ["--epochs", "3"], Target("test_accuracy", 0.9), records
    )
    assert tuple(row) == run_recipes.COLUMNS
    assert float(row["mean"]) == pytest.approx(0.99)
    assert float(row["std"]) == pytest.approx(0.01)
    assert float(row["train_seconds"]) == 2.0
    assert row["seeds"] == 3
    assert row["command"] == "python -m recipes.mnist_cnn --epochs 3"


def test_sample_never_becomes_a_row():
    with pytest.raises(SystemExit, match="no results"):
        run_recipes.aggregate(
            *("mnist_cnn", [], Target("test_accuracy", 0.9)),
            [record(0.9, dataset="digits")],
        )


def test_row_takes_the_place_of_the_older_one(tmp_path, monkeypatch):
    results = tmp_path / "results.csv"
    monkeypatch.setattr(run_recipes, "RESULTS", results)
    target = Target("test_accuracy", 0.9)
    for accuracy in (0.97, 0.98):
        run_recipes.enter(
            run_recipes.aggregate("mnist_cnn", [], target, [record(accuracy)])
        )
    run_recipes.enter(
        run_recipes.aggregate("mnist_mlp", [], target, [record(0.5)])
    )
    with open(results, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["recipe"], float(row["mean"])) for row in rows] == [
        ("mnist_cnn", 0.98),
        ("mnist_mlp", 0.5),
    ]
    monkeypatch.setattr(update_readme, "RESULTS", results)
    assert "| Test accuracy 98.00 ± 0.00 % |" in update_readme.table()


def test_unknown_recipe_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        run_recipes.main(["mnist_cn"])
    assert end.value.code == 2
    assert "no such recipe: mnist_cn" in capsys.readouterr().err


def test_recipes_become_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_recipes, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr("recipes._runs.commit", lambda: "abc")
    seeds = []

    def run_seed(recipe, seed, flags, output_dir):
        seeds.append((recipe, seed, flags))
        return record(0.99)

    monkeypatch.setattr(run_recipes, "run_seed", run_seed)
    arguments = ["mnist_cnn", "--seeds", "2", "--", "--epochs", "1"]
    assert run_recipes.main(arguments) == 0
    assert seeds == [("mnist_cnn", i, ["--epochs", "1"]) for i in range(2)]
    assert "0.990000 ± 0.000000 (2 seeds" in capsys.readouterr().out
    assert "recipes.mnist_cnn --epochs 1" in run_recipes.RESULTS.read_text()
