"""Flags have help and bounds, at the terminal and from Python."""

import dataclasses
import importlib
import math
import random
import re
import typing
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.commands import (
    RECIPE,
    RECIPES,
    config_of,
    is_a_usage_error,
    run_recipe,
)

from recipes.lab import command, flags
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions, bounds_of, check, fields_of

pytestmark = pytest.mark.usefixtures("empty_folder")

# --- flags --------------------------------------------------------------


def flags_of(recipe):
    config = importlib.import_module(f"recipes.{recipe}").Config
    run_options = config.run if dataclasses.is_dataclass(config.run) else None
    fields = [f for f in dataclasses.fields(config) if f.name != "run"]
    names = [f.name for f in [*fields, *dataclasses.fields(run_options)]]
    return ["--" + name.replace("_", "-") for name in names]


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_names_every_flag_and_what_the_recipe_is(recipe, capsys):
    assert run_recipe(recipe, "--help") == 0
    said = capsys.readouterr().out
    words = said.split()
    flags = flags_of(recipe)
    assert {"--seed", "--strategy", "--dry-run"} <= {*flags}
    for flag in flags:
        assert flag in words
    assert f"python -m recipes.{recipe}" in said
    story = importlib.import_module(f"recipes.{recipe}").__doc__
    assert said.startswith(story.strip())
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_on_or_off_is_off_at_first(recipe):
    """So that a flag says so, and stands alone in the recorded command."""
    config = importlib.import_module(f"recipes.{recipe}").Config()
    assert not any(value is True for _, value, _ in fields_of(config))


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_unknown_flag_is_met_with_a_suggestion(recipe, capsys):
    said = is_a_usage_error(capsys, "--sed", 3, recipe=recipe)
    assert "Unrecognized options: --sed" in said
    assert "--seed INT" in said


NUMBERS = [
    ("--epochs", ["0", "-1", "1000000000", "nan", "1.5", "many", ""]),
    ("--batch-size", ["0", "-8", "100000", "nan"]),
    ("--learning-rate", ["0", "-0.1", "1000", "nan", "inf", "fast"]),
    ("--seed", ["-1", "99999999999", "nan"]),
    ("--cpu-devices", ["0", "-1", "1000"]),
    ("--target", ["nan", "inf", "good"]),
]


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, v) for flag, vs in NUMBERS for v in vs]
)
def test_numbers_that_no_run_can_use_are_refused(flag, value, capsys):
    said = is_a_usage_error(capsys, flag, value)
    assert flag in said
    assert value in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_checks_its_numbers(recipe, capsys):
    names = {name for name, *_ in fields_of(config_of(recipe))}
    for name in names & {"epochs", "batch_size", "restarts", "cpu_devices"}:
        flag = "--" + name.replace("_", "-")
        said = is_a_usage_error(capsys, flag, 0, recipe=recipe)
        assert f"{flag} must be between 1 and" in said
        assert "Received: 0" in said


@pytest.mark.parametrize(
    ("recipe", "flag", "values", "reason"),
    [
        ("mnist_autoencoder", "--latent-dim", [0], "Received: 0"),
        ("mnist_autoencoder", "--code-lengths", [4, 0], "Received: 0"),
        ("mnist_autoencoder", "--code-lengths", [4, "two"], "'two'"),
        ("mnist_autoencoder", "--sparsity", [-1], "Received: -1"),
        ("mnist_autoencoder", "--sparsity", ["nan"], "Received: nan"),
        ("fashion_mnist_cnn", "--weight-decay", [-1], "Received: -1"),
        ("fashion_mnist_mobilenet", "--image-size", [8], "Received: 8"),
        ("mnist_cnn", "--label-smoothing", [7], "Received: 7"),
        ("mnist_cnn", "--label-smoothing", [1], "Received: 1"),
        ("mnist_cnn", "--label-smoothing", [-0.1], "Received: -0.1"),
        ("mnist_denoising_autoencoder", "--noise", [-1], "Received: -1"),
        ("mnist_denoising_autoencoder", "--noise", ["inf"], "Received: inf"),
        ("mnist_transfer", "--mode", ["some"], "invalid choice 'some'"),
        ("mnist_transfer", "--labels-per-class", [0], "Received: 0"),
        ("mnist_transfer", "--labels-per-class", [10, -1], "Received: -1"),
    ],
)
def test_a_recipe_checks_flags_of_its_own(recipe, flag, values, reason, capsys):
    said = is_a_usage_error(capsys, flag, *values, recipe=recipe)
    assert flag in said
    assert reason in said


def is_number(kind):
    """Whether a declared type is a number, or holds some."""
    return kind in (int, float) or any(map(is_number, typing.get_args(kind)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_number_is_without_bounds(recipe):
    numbers = {
        name: kind
        for name, _, kind in fields_of(config_of(recipe))
        if is_number(kind)
    }
    assert "seed" in numbers
    # What a run is measured against may be any number.
    unbounded = {name for name in numbers if not bounds_of(numbers[name])}
    assert unbounded == {"target"}


@pytest.mark.parametrize("name", ["a/b", "/tmp/a", "..", ".hidden", ""])
def test_a_run_name_is_the_name_of_one_folder(name, capsys):
    said = is_a_usage_error(capsys, "--run-name", name)
    assert "--run-name names one folder" in said
    assert repr(name) in said


@pytest.mark.parametrize("flag", ["--device", "--strategy", "--precision"])
def test_unknown_choices_are_met_with_the_known_ones(flag, capsys):
    said = is_a_usage_error(capsys, flag, "abacus")
    assert flag in said
    assert "abacus" in said
    assert "invalid choice" in said


# --- from Python --------------------------------------------------------


@pytest.fixture
def untouched(monkeypatch):
    """See that nothing is loaded and nothing of the process is changed."""
    monkeypatch.setattr(
        "recipes.lab.data.sources.load", lambda *_: pytest.fail("loaded")
    )
    before = keras.config.dtype_policy().name, random.getstate()
    yield
    assert (keras.config.dtype_policy().name, random.getstate()) == before


MISTAKES = [
    ({"epochs": "3"}, "--epochs must be a whole number. Received: '3'"),
    ({"epochs": 2.5}, "--epochs must be a whole number. Received: 2.5"),
    ({"epochs": 0}, "--epochs must be between 1 and 100,000. Received: 0"),
    ({"epochs": None}, "--epochs must be a whole number. Received: None"),
    ({"batch_size": True}, "--batch-size must be a whole number"),
    (
        {"batch_size": np.int64(32)},
        "Give a plain Python number, as of its item",
    ),
    ({"learning_rate": "0.1"}, "--learning-rate must be a number. Received"),
    ({"learning_rate": False}, "--learning-rate must be a number. Received"),
    ({"learning_rate": math.nan}, "--learning-rate must be between 1e-09 and"),
    ({"run": None}, "--run must be of type RunOptions. Received: None"),
    ({"run": {"seed": 1}}, "--run must be of type RunOptions. Received: {"),
]

MISTAKES_OF_A_RUN = [
    ({"seed": None}, "--seed must be a whole number. Received: None"),
    ({"seed": -1}, "--seed must be between 0 and 2,147,483,647. Received: -1"),
    ({"strategy": "mirror"}, "Received: 'mirror'. Did you mean 'mirrored'?"),
    ({"strategy": None}, "--strategy must be auto, none, mirrored or multi_w"),
    (
        {"device": "GPU"},
        "--device must be auto, cpu or gpu. Received: 'GPU'. D",
    ),
    (
        {"device": ["gpu"]},
        "--device must be auto, cpu or gpu. Received: ['gpu']",
    ),
    ({"precision": "bfloat16"}, "Did you mean 'mixed_bfloat16'?"),
    ({"precision": "float16"}, "Did you mean 'mixed_float16'?"),
    ({"precision": "int8"}, "or mixed_float16. Received: 'int8'"),
    (
        {"deterministic": "no"},
        "--deterministic must be True or False. Received",
    ),
    ({"offline": 1}, "--offline must be True or False. Received: 1"),
    ({"data_dir": 3}, "--data-dir must be a path or None. Received: 3"),
    ({"output_dir": None}, "--output-dir must be a path. Received: None"),
    ({"output_dir": "~nobody-here/x"}, "there is no home folder ~nobody-here"),
    ({"run_name": 3}, "--run-name must be a string or None. Received: 3"),
    ({"run_name": "a/b"}, "--run-name names one folder"),
    ({"target": "good"}, "--target must be a number or None. Received: 'good'"),
    ({"target": math.inf}, "--target must be a number. Received: inf"),
]


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        *MISTAKES,
        *(({"run": RunOptions(**m)}, words) for m, words in MISTAKES_OF_A_RUN),
    ],
)
def test_python_is_refused_what_the_command_line_is(mistake, words, untouched):
    recipe = importlib.import_module(f"recipes.{RECIPE}")
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        recipe.train(recipe.Config(**mistake))
    assert isinstance(refusal.value, UsageError)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_looks_at_its_config_first(recipe, untouched):
    recipe = importlib.import_module(f"recipes.{recipe}")
    with pytest.raises(UsageError, match="--seed must be a whole number"):
        recipe.train(recipe.Config(run=RunOptions(seed="1")))
    with pytest.raises(UsageError, match="train takes a Config"):
        recipe.train(recipe.Config)


@pytest.mark.parametrize(
    ("recipe", "mistake", "words"),
    [
        (
            "mnist_autoencoder",
            {"code_lengths": 4},
            "--code-lengths must be a t",
        ),
        (
            "mnist_autoencoder",
            {"code_lengths": ("4",)},
            "each item a whole num",
        ),
        ("mnist_autoencoder", {"code_lengths": [4, 0]}, "Received: 0"),
        ("mnist_transfer", {"mode": "froze"}, "Did you mean 'frozen'?"),
        ("mnist_to_fashion_mnist", {"thaw": "conv2"}, "each item a string"),
        ("mnist_to_fashion_mnist", {"backbone": None}, "must be a string. Rec"),
        ("mnist_cnn", {"label_smoothing": 7}, "between 0.0 and 0.99. Received"),
    ],
)
def test_a_recipe_checks_fields_of_its_own(recipe, mistake, words, untouched):
    recipe = importlib.import_module(f"recipes.{recipe}")
    with pytest.raises(UsageError, match=re.escape(words)):
        recipe.train(recipe.Config(**mistake))


@pytest.mark.parametrize(
    ("recipe", "fields"),
    [
        ("mnist_cnn", {"learning_rate": 1, "label_smoothing": np.float64(0.1)}),
        ("mnist_autoencoder", {"code_lengths": [2, 4]}),
        ("mnist_to_fashion_mnist", {"thaw": ["conv2"]}),
        ("fashion_mnist_mobilenet", {"weights": None}),
    ],
)
def test_what_python_takes_for_the_same_is_the_same(recipe, fields):
    check(importlib.import_module(f"recipes.{recipe}").Config(**fields))


# --- what is installed, and where paths begin ---------------------------


def test_tensorboard_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr("recipes.lab.flags.find_spec", lambda name: None)
    assert run_recipe("mnist_cnn", "--tensorboard") == 2
    assert "pip install tensorboard" in capsys.readouterr().err


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
