"""A run records what it was: its command, its commit, what it loaded."""

import dataclasses
import importlib
import json
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
from helpers.cells import CONFIG
from helpers.commands import run_recipe

from recipes.lab import command
from recipes.lab.flags import RunOptions
from recipes.lab.runs import identity, record
from recipes.lab.settings import describe, describe_loaded, recipe_name


def test_a_commit_that_lacks_the_recipe_is_not_named_as_if_it_had_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        record, "__file__", str(tmp_path / "recipes/lab/runs/record.py")
    )
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/mine.py").touch()
    (tmp_path / "recipes/ours.py").touch()
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models/results.csv").touch()
    assert record.commit(["recipes/ours.py"]) == ""
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    ours = ["recipes/ours.py", "saved_models/results.csv"]
    subprocess.run([*git, "add", *ours], check=True)
    subprocess.run([*git, "commit", "-qm", "Begin"], check=True)
    commit = record.commit(["recipes/ours.py"])
    assert re.fullmatch("[0-9a-f]{12}", commit)
    assert record.commit(["recipes/mine.py"]) == commit + "-dirty"
    assert record.commit(["/elsewhere/mine.py"]) == commit + "-dirty"
    (tmp_path / "saved_models/results.csv").write_text("another result")
    assert record.commit(["recipes/ours.py"]) == commit
    (tmp_path / "recipes/ours.py").write_text("# changed")
    assert record.commit(["recipes/ours.py"]) == commit + "-dirty"
    assert record.commit(["recipes/mine.py"]) == commit + "-dirty"


@pytest.mark.thorough
def test_records_name_what_a_recipe_started_from(tmp_path):
    name = "mnist_to_fashion_mnist"
    assert run_recipe(name, "--dry-run", "--output-dir", tmp_path) == 0
    loaded = identity.loaded(["mnist_cnn@shipped"])
    run = tmp_path / "runs" / f"{name}-sample" / "1"
    export = tmp_path / "saved_models" / f"{name}-sample" / "1"
    for file in ("config.json", "metrics.json"):
        record = json.loads((run / file).read_text())
        assert record["settings"]["loaded"] == loaded
    record = json.loads((export / "metrics.json").read_text())
    assert record["settings"]["loaded"] == loaded
    card = (export / "README.md").read_text()
    started = describe_loaded(loaded, digits=64)
    assert f"- Started from: {started}\n- Machine: " in card
    assert "Not as it was" not in card


NOT_RECORDED = {
    "output_dir": "/home/anna/results",
    "data_dir": "/home/anna/data",
    "run_name": "anna-1",
    "offline": True,
    "target": 0.5,
}

CHANGES = [
    ("mnist_cnn", {}, {}),
    ("mnist_cnn", {"epochs": 1, "learning_rate": 0.5}, {"seed": 3}),
    ("mnist_cnn", {}, {"deterministic": True, "precision": "mixed_bfloat16"}),
    ("mnist_autoencoder", {"code_lengths": (2, 4)}, {}),
    ("mnist_to_fashion_mnist", {"thaw": ("a b", "c'd")}, {"cpu_devices": 2}),
    ("fashion_mnist_mobilenet", {"weights": None}, {"dry_run": True}),
]


@pytest.fixture
def train_from(monkeypatch):
    """A function that runs Python text with a recipe that does not train."""

    def run(text, recipe):
        received = []
        module = importlib.import_module(f"recipes.{recipe}")
        monkeypatch.setattr(module, "train", received.append)
        exec(text, {})
        return received

    return run


@pytest.mark.parametrize(("recipe", "fields", "options"), CHANGES)
def test_a_call_is_recorded_as_text_that_makes_it_again(
    recipe, fields, options, train_from
):
    module = importlib.import_module(f"recipes.{recipe}")
    options = RunOptions(**options, **NOT_RECORDED)
    config = module.Config(**fields, run=options)
    text = record.command(config)
    assert text.startswith(f"from recipes.{recipe} import Config, ")
    assert "anna" not in text
    [again] = train_from(text, recipe)
    assert describe(again) == describe(config)
    assert again.run.output_dir == Path(".")


def test_a_call_of_the_defaults_is_short():
    config = importlib.import_module("recipes.mnist_cnn").Config()
    text = "from recipes.mnist_cnn import Config, train; train(Config())"
    assert record.command(config) == text
    changed = dataclasses.replace(config, epochs=1, run=RunOptions(seed=3))
    assert record.command(changed) == (
        "from recipes.mnist_cnn import Config, RunOptions, train; "
        "train(Config(epochs=1, run=RunOptions(seed=3)))"
    )


@pytest.mark.parametrize(("recipe", "fields", "options"), CHANGES)
def test_a_command_is_recorded_as_flags_that_make_it_again(
    recipe, fields, options, monkeypatch
):
    module = importlib.import_module(f"recipes.{recipe}")
    options = RunOptions(**options, **NOT_RECORDED)
    config = module.Config(**fields, run=options)
    # As `python -m` does.
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(module.Config, "__module__", "__main__")
    monkeypatch.setattr(sys, "argv", [module.__file__, "--whatever"])
    text = record.command(config)
    start = f"python -m recipes.{recipe}"
    assert text.startswith(start)
    assert "anna" not in text

    received = []
    monkeypatch.setattr(
        sys, "argv", shlex.split(text.removeprefix("python -m"))
    )
    code = command.run_command(
        lambda config: received.append(config) or {"train_seconds": 0.0},
        *(module.Config, ()),
    )
    assert code == 0
    again = received[0]
    if config.run.dry_run:  # means one epoch at a shell
        again = dataclasses.replace(again, epochs=config.epochs)
    assert describe(again) == describe(config)


def test_a_script_of_ones_own_is_named_without_its_folder(monkeypatch):
    main = types.ModuleType("__main__")
    main.__file__ = "/home/anna/mine.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(CONFIG, vars(main))
    monkeypatch.setattr(sys, "argv", [main.__file__])
    assert record.command(main.Config(epochs=7)) == "python mine.py"
    monkeypatch.setattr(sys, "argv", [main.__file__, "--epochs", "7"])
    assert record.command(main.Config(epochs=7)) == "python mine.py --epochs 7"
    assert recipe_name(main.Config()) == "mine"


def test_a_path_below_the_home_folder_does_not_name_its_owner(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    recipe = importlib.import_module("recipes.mnist_to_fashion_mnist")
    config = recipe.Config(backbone="/home/anna/models/mine/1")
    assert "Config(backbone='~/models/mine/1')" in record.command(config)
    assert describe(config)["backbone"] == "~/models/mine/1"
