"""Runs become rows, and rows become tables."""

import csv
import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import benchmark
import prepare_data
import pytest
import remake_exports
import run_recipes
import update_readme

from recipes.lab.command import Target
from recipes.lab.data import sources
from recipes.lab.data.tfds import find
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY
from zoo import _loading


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
        "mnist_cnn", ["--epochs", "3"], Target(ACCURACY, 0.9), records
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


def test_a_seed_that_was_run_on_the_sample_is_refused(tmp_path, monkeypatch):
    """Its record is in another folder."""
    monkeypatch.setattr(
        "recipes.lab.runs.record.commit", lambda files=(): "abc"
    )
    monkeypatch.setattr(run_recipes.subprocess, "run", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="no results"):
        run_recipes.run_seed("mnist_cnn", 0, [], tmp_path)


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
    monkeypatch.setattr(update_readme, "RESULTS", results)
    assert "| Test accuracy 98.00 ± 0.00 % |" in update_readme.table()


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
    listed = run_recipes.SHIPPED.read_text()
    assert listed == "mnist_cnn/1\nmnist_lstm/1\nmnist_mlp/2\n"


# --- the data, once for all ---------------------------------------------


@pytest.fixture
def tfds(monkeypatch):
    """What TFDS is asked to download, and a TFDS that does it at once."""
    import tensorflow_datasets as tfds

    asked = []

    class Builder:
        def __init__(self, name, data_dir):
            self.data_dir = str(Path(data_dir) / name / "3.0.1")

        def download_and_prepare(self):
            asked.append(self.data_dir)
            Path(self.data_dir).mkdir(parents=True)
            (Path(self.data_dir) / "dataset_info.json").write_text("{}")

    monkeypatch.setattr(tfds, "builder", Builder)
    return asked


@pytest.mark.parametrize("inside", ["", "mnist", "mnist/3.0.1"])
def test_prepared_data_are_where_it_says(
    inside, tfds, tmp_path, monkeypatch, capsys
):
    home = tmp_path / "a folder"
    monkeypatch.setenv("TFDS_DATA_DIR", str(home))
    assert prepare_data.main(["mnist"]) == 0
    said = capsys.readouterr().out
    assert f"mnist is in {home / 'mnist' / '3.0.1'}" in said
    [line] = re.findall("export TFDS_DATA_DIR=.*", said)
    shell = subprocess.run(
        ["sh", "-c", f'{line}; printf "%s" "$TFDS_DATA_DIR"'],
        capture_output=True,
        text=True,
    )
    assert shell.stdout == str(home)

    # Nothing is downloaded twice, nor into the folder of another data set.
    assert prepare_data.main(["--data-dir", str(home / inside)]) == 0
    assert tfds == [str(home / n / "3.0.1") for n in ("mnist", "fashion_mnist")]
    for name in ("mnist", "fashion_mnist"):
        assert find(name, home) == home / name / "3.0.1"
    assert line in capsys.readouterr().out


def test_data_that_cannot_be_prepared(monkeypatch, tmp_path, capsys):
    import tensorflow_datasets as tfds

    def fail(name, data_dir):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds, "builder", fail)
    assert prepare_data.main(["--data-dir", str(tmp_path)]) == 3
    assert "could not download mnist: no network" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        prepare_data.main(["imagenet"])
    assert end.value.code == 2
    assert "There are: mnist fashion_mnist" in capsys.readouterr().err


# --- what devices and data cost ----------------------------------------


@pytest.fixture
def recipe_that_takes(monkeypatch):
    """A function that has a recipe take so many seconds, in so many runs."""

    def install(seconds, cpu_seconds, runs=1, dataset="mnist"):
        def run(command, **options):
            home = Path(command[command.index("--output-dir") + 1])
            for number in range(runs):
                sample = "-sample" * (dataset == "digits")
                name = f"mnist_cnn{sample}"
                folder = home / "runs" / name / str(number)
                folder.mkdir(parents=True)
                found = record(0.9, dataset=dataset)
                found["settings"]["batch_size"] = 1_000
                (folder / "metrics.json").write_text(json.dumps(found))
                rows = ["epoch,seconds,cpu_seconds", "1,99,99"]
                rows += [f"2,{seconds},{cpu_seconds}"] * 3
                (folder / "history.csv").write_text("\n".join(rows))

        monkeypatch.setattr(benchmark.subprocess, "run", run)
        monkeypatch.setattr(
            benchmark, "loopback_bytes", iter((0, 440)).__next__
        )

    return install


@pytest.mark.parametrize(
    ("launcher", "runs", "images", "cpu"),
    [
        ((), 1, 5_500, 20 / 55_000),
        (("launcher",), 1, 5_500, 40 / 55_000),  # of both workers
        (("launcher",), 2, 11_000, 20 / 55_000),  # of two strangers
    ],
)
def test_throughput_is_that_of_all_processes_after_the_first_epoch(
    launcher, runs, images, cpu, recipe_that_takes
):
    recipe_that_takes(10, 20, runs)
    found = benchmark.throughput(launcher, "mnist_cnn")
    assert found == pytest.approx((images, cpu, 1_234, 440 / (220 * runs)))


def test_throughput_is_of_real_data_only(recipe_that_takes):
    recipe_that_takes(10, 20, dataset="digits")
    with pytest.raises(SystemExit, match="set TFDS_DATA_DIR"):
        benchmark.throughput((), "mnist_cnn")


def test_scaling_says_what_talking_costs(monkeypatch, capsys):
    def throughput(launcher, recipe, *flags):
        strategy = flags[flags.index("--strategy") + 1]
        images = {"none": 20_000, "mirrored": 16_000, "multi_worker": 10_000}
        return images[strategy] * (2 if "512" in flags else 1), 1e-4, 1_000, 5.0

    monkeypatch.setattr(benchmark, "throughput", throughput)
    assert benchmark.main(["scaling", "--rounds", "2"]) == 0
    said = capsys.readouterr().out
    assert "two workers       10,000 images/s  0.50  " in said
    assert (
        "25.6 ms to compute, as strangers do, and 76.8 ms to talk and to wait"
        in said
    )
    assert "each sends 4,000 bytes of gradients" in said


def test_training_is_measured_on_real_data_only(recipe_that_takes):
    recipe_that_takes(10, 20, dataset="digits")
    with pytest.raises(SystemExit, match="set TFDS_DATA_DIR"):
        benchmark.measure("mnist_cnn")


@pytest.mark.parametrize(
    "arguments", [["scaling", "--epochs", "1"], ["growth", "--largest", "1"]]
)
def test_what_has_no_difference_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(arguments)
    assert end.value.code == 2
    assert "must be 2 or more" in capsys.readouterr().err


@pytest.mark.parametrize(("bytes_an_image", "code"), [(1_600, 0), (3_200, 1)])
def test_growth_is_measured_from_step_to_step(
    bytes_an_image, code, monkeypatch, capsys
):
    def train_on_more(recipe, factor):
        images = 1_000 * factor
        return images, 3 + images / 1e4, 1e9 + bytes_an_image * images, 784

    monkeypatch.setattr(benchmark, "train_on_more", train_on_more)
    monkeypatch.setattr(
        benchmark.concurrent.futures,
        "ProcessPoolExecutor",
        lambda *_, **__: benchmark.concurrent.futures.ThreadPoolExecutor(1),
    )
    assert benchmark.main(["growth", "--largest", "5"]) == code
    said = capsys.readouterr().out
    assert "  5 x 1,000 images: an epoch of 3.5 s" in said
    assert "costs 100.0, 100.0 us from step to step" in said
    assert f"and {bytes_an_image:,} bytes of memory" in said


# --- exports made anew ---------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """A copy of an export that ships."""
    name = "mnist_softmax_regression"
    shutil.copytree(_loading.SHIPPED / name / "1", tmp_path / name / "1")
    return tmp_path / name / "1"


def remade(copy):
    names = [copy.parent.name, "--folder", str(copy.parent.parent)]
    return remake_exports.main(names)


@pytest.mark.thorough
def test_a_shipped_export_is_made_anew(copy, monkeypatch, capsys):
    """On the embedded digits, under the name of the real ones."""
    record = json.loads((copy / "metrics.json").read_text())
    data = dataclasses.replace(
        sources.load("mnist", RunOptions(dry_run=True)),
        **{"name": "mnist", "checksum": record["data_checksum"]},
    )
    monkeypatch.setattr(remake_exports.sources, "load", lambda *_: data)
    graph = (copy / "saved_model.pb").read_bytes()
    assert remade(copy) == 0
    assert "its answers are the same to the bit" in capsys.readouterr().out
    assert (copy / "saved_model.pb").read_bytes() != graph
    for file in ("metrics.json", "model.keras", "variables/variables.index"):
        shipped = _loading.SHIPPED / copy.parent.name / "1" / file
        assert (copy / file).read_bytes() == shipped.read_bytes()
    _loading.check_sums(copy)


def test_other_data_make_nothing_anew(copy, monkeypatch, capsys):
    data = sources.load("mnist", RunOptions(dry_run=True))
    monkeypatch.setattr(remake_exports.sources, "load", lambda *_: data)
    graph = (copy / "saved_model.pb").read_bytes()
    assert remade(copy) == 1
    assert "stays as it was: it was trained on" in capsys.readouterr().err
    assert (copy / "saved_model.pb").read_bytes() == graph


def test_only_what_ships_is_made_anew(capsys):
    with pytest.raises(SystemExit) as end:
        remake_exports.main(["mnist_cnn", "no_such_export"])
    assert end.value.code == 2
    assert "no such export ships: no_such_export" in capsys.readouterr().err
