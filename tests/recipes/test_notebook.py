"""A recipe in a notebook: its cells, and the flags of the kernel."""

import importlib
import json
import sys
import types

import pytest
from helpers.cells import CONFIG

from recipes.lab import command, flags, terminal
from recipes.lab.errors import UsageError
from recipes.lab.runs import record
from recipes.lab.settings import recipe_name


@pytest.fixture
def shown():
    """What a cell has shown below itself."""
    return []


@pytest.fixture
def kernel(monkeypatch, tmp_path, shown):
    """A function that runs a cell as ipykernel does; returns its names."""
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(
        get_ipython=lambda: shell, version_info=(9, 18)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    display = types.SimpleNamespace(HTML=str, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    main = types.ModuleType("__main__")  # it has no __file__
    monkeypatch.setitem(sys.modules, "__main__", main)
    arguments = ["/home/anna/.venv/ipykernel_launcher.py", "-f", "/tmp/k.json"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.chdir(tmp_path)

    def run(cell):
        exec(cell, vars(main))
        return vars(main)

    return run


TRAIN = """
options = RunOptions(dry_run=True, seed=3, output_dir="out")
metrics = recipe.train(replace(Config(), epochs=1, run=options))
"""


@pytest.mark.thorough
def test_a_config_of_a_cell_trains(kernel, tmp_path, capsys, shown):
    kernel(CONFIG)
    assert 0 < kernel(TRAIN)["metrics"]["test_accuracy"] < 1
    said = capsys.readouterr().out
    [report] = shown  # its pictures are below the cell
    assert report.count("<img ") > 2 and "<html" not in report
    assert "━━" in said  # a progress bar
    assert "epoch 1/1" not in said
    call = (
        "train(Config(epochs=1, run=RunOptions(seed=3, dry_run=True)))"
        "  # defined in a notebook"
    )
    run = tmp_path / "out/runs/notebook-sample/1"
    for name in ("metrics.json", "environment.json"):
        assert json.loads((run / name).read_text())["command"] == call
    export = tmp_path / "out/saved_models/notebook-sample/1"
    for card in (export / "README.md", export / "metrics.json"):
        text = card.read_text()
        assert call in text
        assert str(tmp_path) not in text
        assert "ipykernel" not in text
    # The next cell is refused what the first would have been.
    with pytest.raises(UsageError, match="--epochs must be a whole number"):
        kernel("recipe.train(Config(epochs='1'))")
    with pytest.raises(
        UsageError, match="restart the kernel, and run the cell"
    ):
        kernel("recipe.train(Config(run=RunOptions(cpu_devices=7)))")


def test_a_config_may_be_derived_in_a_cell(kernel):
    names = kernel(
        "from dataclasses import dataclass\n"
        "from recipes import mnist_cnn\n"
        "@dataclass(frozen=True)\n"
        "class Wide(mnist_cnn.Config):\n"
        "    width: int = 4\n"
    )
    config = names["Wide"](width=8)
    flags.check(config)
    assert recipe_name(config) == "notebook"
    assert record.command(config) == (
        "train(Wide(width=8))  # defined in a notebook"
    )
    with pytest.raises(UsageError, match="--label-smoothing must be between"):
        flags.check(names["Wide"](label_smoothing=7))


def test_a_config_of_another_recipe_is_refused(kernel, tmp_path):
    """Its run would be recorded as a result of that recipe."""
    names = kernel(
        "from recipes import mnist_lstm, mnist_softmax_regression\n"
        "from recipes.lab.flags import RunOptions\n"
        "from recipes.lab.runs import open_run\n"
        "options = RunOptions(dry_run=True, output_dir='out')\n"
        "config = mnist_lstm.Config(epochs=1, run=options)\n"
        "def train(config):\n"
        "    with open_run(config, 'mnist'):\n"
        "        pass\n"
    )
    for train in (names["mnist_softmax_regression"].train, names["train"]):
        with pytest.raises(UsageError, match="to the train of mnist_lstm, and"):
            train(names["config"])
    assert not (tmp_path / "out").exists()


def test_names_that_only_the_cell_knew_are_no_obstacle(kernel):
    names = kernel(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "def make():\n"
        "    Mine = dict\n"
        "    @dataclass\n"
        "    class Config:\n"
        "        epochs: int = 3\n"
        "        more: Mine = None\n"
        "    return Config(epochs=0)\n"
    )
    flags.check(names["make"]())


def test_the_flags_of_a_kernel_are_not_the_recipes(kernel, capsys):
    received = []

    def train(config):
        received.append(config)
        return {"train_seconds": 0.0}

    recipe = importlib.import_module("recipes.mnist_cnn")
    arguments = (train, recipe.Config, recipe.TARGETS)
    assert command.run_command(*arguments) == 0
    assert command.run_command(*arguments, []) == 0
    assert command.run_command(*arguments, ["--epochs", "1"]) == 0
    assert received == [*[recipe.Config()] * 2, recipe.Config(epochs=1)]
    # A Config of a cell has flags, too.
    own = kernel(CONFIG)["Config"]
    assert command.run_command(train, own, (), ["--width", "3"]) == 0
    assert received[-1].width == 3


def test_a_script_that_imports_a_recipe_keeps_its_flags(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mine.py", "--fast"])
    recipe = importlib.import_module("recipes.mnist_cnn")
    received = []
    command.run_command(
        lambda config: received.append(config) or {"train_seconds": 0.0},
        *(recipe.Config, ()),
    )
    assert received == [recipe.Config()]


@pytest.mark.parametrize(
    ("ipython", "here"),
    [
        (None, False),
        (types.SimpleNamespace(), False),  # being imported
        (types.SimpleNamespace(get_ipython=lambda: None), False),
        (types.SimpleNamespace(get_ipython=object), False),  # in a terminal
    ],
)
def test_no_kernel_is_no_notebook(ipython, here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert terminal.in_notebook() is here
    assert terminal.shows_bars() is here
    assert terminal.start_anew() == "start a new process"
