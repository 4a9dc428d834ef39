"""Runs become rows, and rows become tables."""

import csv

import pytest
import run_recipes
import update_readme
from helpers.records import record

from recipes.lab.command import Target
from recipes.lab.metrics import ACCURACY


def test_row_has_mean_deviation_and_median():
    records = [record(0.98, 1.0), record(0.99, 2.0), record(1.0, 9.0)]
    row = run_recipes.aggregate(
        "mnist_cnn", ["--epochs", "3"], Target(ACCURACY, 0.9), records
    )
    assert tuple(row) == run_recipes.COLUMNS
    assert float(row["mean"]) == pytest.approx(0.99)
    assert float(row["std"]) == pytest.approx(0.01)
    assert float(row["train_seconds"]) == 2.0
    assert row["seeds"] == 3
    assert row["command"] == "python -m recipes.mnist_cnn --epochs 3"


def test_a_solution_has_no_epochs():
    solved = record(0.9)
    del solved["settings"]["epochs"]
    row = run_recipes.aggregate(
        "mnist_elm", [], Target(ACCURACY, 0.9), [solved]
    )
    assert row["epochs"] == ""
    row = {name: str(value) for name, value in row.items()}
    assert "| 1 | – | 2 s |" in update_readme.table([row])


def test_sample_never_becomes_a_row():
    with pytest.raises(SystemExit, match="no results"):
        run_recipes.aggregate(
            *("mnist_cnn", [], Target(ACCURACY, 0.9)),
            [record(0.9, dataset="digits")],
        )


def test_a_run_that_changed_on_the_way_never_becomes_a_row():
    changed = record(0.9) | {"changes": ["recipes/mnist_cnn.py has changed"]}
    with pytest.raises(SystemExit, match="as it began: recipes/mnist_cnn.py"):
        run_recipes.aggregate(
            *("mnist_cnn", [], Target(ACCURACY, 0.9)),
            [record(0.9), changed],
        )


def test_a_run_that_continues_another_never_becomes_a_row():
    longer = record(0.9)
    longer["settings"]["continued"] = {"run": "mnist_cnn/1", "epochs": 3}
    with pytest.raises(SystemExit, match="continues another is no result"):
        run_recipes.aggregate("mnist_cnn", [], Target(ACCURACY, 0.9), [longer])


def test_a_seed_that_was_run_on_the_sample_is_refused(tmp_path, monkeypatch):
    """Its record is in another folder."""
    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): "abc"
    )
    monkeypatch.setattr(run_recipes.subprocess, "run", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="no results"):
        run_recipes.run_seed("mnist_cnn", 0, [], tmp_path)


def test_many_flags_make_a_name_that_a_folder_can_have(tmp_path, monkeypatch):
    def run(command, **_):
        name = command[command.index("--run-name") + 1]
        (tmp_path / name).mkdir()  # a second one of that name would fail

    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): "abc"
    )
    monkeypatch.setattr(run_recipes.subprocess, "run", run)
    members = [f"mnist_cnn_accurate:{i}" for i in range(20)]
    for flags in (members, members[::-1]):
        with pytest.raises(SystemExit, match="no results"):
            run_recipes.run_seed("mnist_committee", 0, flags, tmp_path)
    assert len([*tmp_path.iterdir()]) == 2


def test_row_takes_the_place_of_the_older_one(tmp_path, monkeypatch):
    results = tmp_path / "results.csv"
    monkeypatch.setattr(run_recipes, "RESULTS", results)
    target = Target(ACCURACY, 0.9)
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
    assert "| Test accuracy 98.00 % |" in update_readme.table(rows)
    assert "| Test accuracy 50.00 % |" in update_readme.table(rows)


def test_readme_shows_the_best_plain_command_of_a_kind():
    def row(recipe, mean, metric="test_accuracy", dataset="mnist", flags=""):
        return {
            "recipe": recipe,
            "dataset": dataset,
            "metric": metric,
            "mean": str(mean),
            "command": f"python -m recipes.{recipe}{flags}",
        }

    best = [
        row("b", 0.98),
        row("c", 0.5, dataset="fashion_mnist"),
        row("e", 0.004, "test_mse"),
    ]
    others = [
        row("a", 0.97),
        row("b", 0.99, flags=" --epochs 9"),
        row("d", 0.005, "test_mse"),
    ]
    rows = [others[0], *best, *others[1:]]
    assert update_readme.best(rows) == best


def test_unknown_recipe_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        run_recipes.main(["mnist_cn"])
    assert end.value.code == 2
    assert "no such recipe: mnist_cn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("commit", "words"), [("", "no Git checkout"), ("a-dirty", "commit your")]
)
def test_results_name_their_commit(commit, words, monkeypatch, capsys):
    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): commit
    )
    with pytest.raises(SystemExit) as end:
        run_recipes.main(["mnist_cnn"])
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_recipes_become_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_recipes, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): "abc"
    )
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


def test_a_recipe_that_is_not_committed_is_refused(monkeypatch, capsys):
    asked = []

    def commit(files):
        asked.extend(files)
        return "abc-dirty"

    monkeypatch.setattr("recipes.lab.runs.record.commit", commit)
    with pytest.raises(SystemExit) as end:
        run_recipes.main(["mnist_cnn"])
    assert end.value.code == 2
    assert "commit your changes first" in capsys.readouterr().err
    assert asked == ["recipes/mnist_cnn.py"]


def test_what_is_shipped_is_listed(tmp_path, monkeypatch, export):
    monkeypatch.setattr(run_recipes, "ROOT", tmp_path)
    monkeypatch.setattr(run_recipes, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(run_recipes, "SHIPPED", tmp_path / "SHIPPED")
    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): "abc"
    )
    made = record(0.99) | {"export": str(export)}
    monkeypatch.setattr(run_recipes, "run_seed", lambda *arguments: made)
    run_recipes.SHIPPED.write_text("mnist_cnn/1\nmnist_mlp/2\n")
    for recipe in ("mnist_lstm", "mnist_cnn"):
        assert run_recipes.main([recipe, "--seeds", "1", "--ship"]) == 0
        assert (tmp_path / "saved_models" / recipe / "1/SHA256SUMS").exists()
    other = ["--", "--dataset", "fashion_mnist"]
    assert (
        run_recipes.main(["mnist_cnn", "--seeds", "1", "--ship", *other]) == 0
    )
    assert run_recipes.SHIPPED.read_text().split() == [
        *("mnist_cnn-fashion_mnist/1", "mnist_cnn/1"),
        *("mnist_lstm/1", "mnist_mlp/2"),
    ]
    made["export"] = str(tmp_path / "saved_models" / "mnist_gru" / "6")
    with pytest.raises(SystemExit, match="the first seed is version 6"):
        run_recipes.main(["mnist_gru", "--seeds", "1", "--ship"])


def test_runs_on_data_of_ones_own_are_no_results(capsys):
    with pytest.raises(SystemExit) as end:
        run_recipes.main(["mnist_cnn", "--", "--dataset", "photos"])
    assert end.value.code == 2
    assert "data that anybody can get" in capsys.readouterr().err
