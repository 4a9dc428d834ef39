"""A recipe in a notebook: cells, the kernel's flags, and what is recorded."""

import dataclasses
import importlib
import json
import shlex
import sys
import types
from pathlib import Path

import pytest

from recipes.lab import command, flags, terminal
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import record
from recipes.lab.settings import describe, recipe_name


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """A function that runs a cell as ipykernel does; returns its names."""
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(
        get_ipython=lambda: shell, version_info=(9, 18)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    main = types.ModuleType("__main__")  # it has no __file__
    monkeypatch.setitem(sys.modules, "__main__", main)
    arguments = ["/home/anna/.venv/ipykernel_launcher.py", "-f", "/tmp/k.json"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.chdir(tmp_path)

    def run(cell):
        exec(cell, vars(main))
        return vars(main)

    return run


# --- cells --------------------------------------------------------------

CONFIG = """
from dataclasses import dataclass, replace
from recipes import mnist_softmax_regression as recipe
from recipes.lab.flags import RunOptions

@dataclass(frozen=True)
class Config:
    epochs: int = 2
    batch_size: int = 128
    learning_rate: float = 0.01
    width: int | None = None
    run: RunOptions = RunOptions()
"""
TRAIN = """
options = RunOptions(dry_run=True, seed=3, output_dir="out")
metrics = recipe.train(replace(Config(), epochs=1, run=options))
"""


@pytest.mark.thorough
def test_a_config_of_a_cell_trains(kernel, tmp_path, capsys):
    kernel(CONFIG)
    assert 0 < kernel(TRAIN)["metrics"]["test_accuracy"] < 1
    said = capsys.readouterr().out
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


# --- what is recorded ---------------------------------------------------

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


# --- paths --------------------------------------------------------------


def test_paths_may_be_strings_and_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    options = RunOptions(output_dir="out", data_dir="~/data")
    assert options.output_dir == Path("out")
    assert options.data_dir == Path("/home/anna/data")
    assert RunOptions().output_dir == Path(".")
    assert RunOptions().data_dir is None
    changed = dataclasses.replace(options, output_dir=Path("~/out"))
    assert changed.output_dir == Path("/home/anna/out")
    flags.check(
        importlib.import_module("recipes.mnist_cnn").Config(run=changed)
    )


def test_a_flag_may_hold_a_path_that_begins_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    received = []
    code = command.run_command(
        lambda config: received.append(config.run) or {"train_seconds": 0.0},
        importlib.import_module("recipes.mnist_cnn").Config,
        (),
        ["--output-dir=~/results"],
    )
    assert code == 0
    assert received[0].output_dir == Path("/home/anna/results")
