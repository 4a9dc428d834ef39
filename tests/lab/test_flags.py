"""What a recipe answers at the terminal when it is not asked to train."""

import dataclasses
import importlib
import logging
import math
import os
import random
import re
import signal
import sys
import typing
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from helpers.commands import RECIPES, run_python, run_recipe

from recipes.lab import command
from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.flags import RunOptions, bounds_of, check, fields_of

RECIPE = "mnist_softmax_regression"  # for what they all share


def answer(capsys, *flags, recipe=RECIPE):
    """Run a recipe; return its exit code and what it says to stderr."""
    code = run_recipe(recipe, *flags)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said


def is_a_usage_error(capsys, *flags, recipe=RECIPE):
    code, said = answer(capsys, *flags, recipe=recipe)
    assert code == 2, said
    return said


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Run in an empty folder, and find it empty afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not list(folder.iterdir()), "a refused command left something"


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
    assert {"--epochs", "--batch-size", "--seed", "--dry-run"} <= {*flags}
    for flag in flags:
        assert flag in words
    assert f"python -m recipes.{recipe}" in said
    summary = importlib.import_module(f"recipes.{recipe}").__doc__
    assert summary.splitlines()[0] in " ".join(words)


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_unknown_flag_is_met_with_a_suggestion(recipe, capsys):
    said = is_a_usage_error(capsys, "--epoch", 3, recipe=recipe)
    assert "Unrecognized options: --epoch" in said
    assert "--epochs INT" in said


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
    for flag in ("--epochs", "--batch-size"):
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
    config = importlib.import_module(f"recipes.{recipe}").Config()
    numbers = {
        name: kind for name, _, kind in fields_of(config) if is_number(kind)
    }
    assert {"epochs", "batch_size", "seed"} <= numbers.keys()
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
    with pytest.raises(UsageError, match="--epochs must be a whole number"):
        recipe.train(recipe.Config(epochs="1"))
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


# --- what a command leaves in its process -------------------------------


def test_a_command_leaves_nothing_in_its_process(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    environment = {**os.environ}
    logger = logging.getLogger("tensorflow")
    during = []

    def train(config):
        during.extend((*state(), os.environ["TF_CPP_MIN_LOG_LEVEL"]))
        raise RecipeError("enough")

    def state():
        return signal.getsignal(signal.SIGTERM), [*logger.filters]

    before = state()
    recipe = importlib.import_module(f"recipes.{RECIPE}")
    assert command.run_command(train, recipe.Config, (), []) == 1
    assert during == [command._preempt, [*before[1], during[1][-1]], "3"]
    assert state() == before
    assert os.environ == environment


def test_a_command_may_be_given_in_any_thread(monkeypatch):
    recipe = importlib.import_module(f"recipes.{RECIPE}")
    with ThreadPoolExecutor() as pool:
        code = pool.submit(
            command.run_command,
            *(lambda config: {"train_seconds": 0}, recipe.Config, (), []),
        )
        assert code.result() == 0


# --- devices ------------------------------------------------------------


def test_no_gpu_is_a_usage_error(capsys):
    said = is_a_usage_error(capsys, "--device", "gpu")
    assert "--device gpu: TensorFlow sees no GPU here" in said
    assert "--device cpu" in said


def test_workers_must_be_named(capsys):
    said = is_a_usage_error(capsys, "--strategy", "multi_worker")
    assert "nothing says who the workers are. Set TF_CONFIG" in said


@pytest.mark.parametrize("value", ["{", "[]", "3"])
def test_a_broken_tf_config_is_named(value, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", value)
    said = is_a_usage_error(capsys, "--dry-run")
    assert "TF_CONFIG must be a JSON object" in said
    assert repr(value) in said


def test_replicas_must_be_able_to_share_the_batch(capsys):
    said = is_a_usage_error(
        capsys,
        "--dry-run",
        *("--strategy", "mirrored", "--cpu-devices", 2, "--batch-size", 33),
    )
    assert "--batch-size must be a multiple of the 2 replicas" in said
    assert "Received: 33" in said


def test_the_cpu_cannot_be_split_again_in_a_process_that_runs(capsys):
    said = is_a_usage_error(capsys, "--dry-run", "--cpu-devices", 7)
    assert "For another --device or --cpu-devices, start a new proc" in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_larger_than_the_data_is_refused(recipe, capsys):
    said = is_a_usage_error(
        capsys, "--dry-run", "--batch-size", 1_298, recipe=recipe
    )
    # Some recipes train on a part of the 1,297.
    size = re.search(r"--batch-size must be at most the ([\d,]+) train", said)
    assert int(size.group(1).replace(",", "")) <= 1_297


# --- where to write -----------------------------------------------------


@pytest.mark.parametrize("name", ["", "runs", "saved_models"])
def test_a_file_where_a_folder_should_be(name, tmp_path, capsys):
    output = tmp_path / "output"
    file = output / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    said = is_a_usage_error(capsys, "--dry-run", "--output-dir", output)
    assert f"--output-dir {output}: {file} is a file, not a folder" in said
    assert file.read_text() == "mine"
    assert [*output.rglob("*")] == ([file] if name else [])


@pytest.mark.parametrize("output", ["/proc/nope", "/proc/version/nope"])
def test_a_folder_that_cannot_be_written(output, capsys):
    code, said = answer(capsys, "--dry-run", "--output-dir", output)
    assert code == 1
    assert f"error: --output-dir {output} cannot be written: " in said


# --- answers come at once -----------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["recipes"], 0),
        (["recipes", "--help"], 0),
        (["recipes", "mnist_cnn", "--help"], 0),
        (["recipes", "mnist_cnn", "--epochs", "0"], 2),
        (["recipes", "mnist_cn"], 2),
        (["recipes.mnist_cnn", "--help"], 0),
        (["recipes.mnist_cnn", "--epoch", "3"], 2),
        (["recipes.mnist_cnn", "--epochs", "0"], 2),
    ],
    ids=[
        *("list", "help of all", "help by name", "bad number by name"),
        *("unknown name", "help", "unknown flag", "bad number"),
    ],
)
def test_what_needs_no_tensorflow_does_not_wait_for_it(arguments, code):
    done = run_python("-X", "importtime", "-m", *arguments)
    assert done.returncode == code
    lines = done.stderr.splitlines()
    names = [x.rpartition("|")[2].strip() for x in lines if "import time" in x]
    imported = {name.partition(".")[0] for name in names}
    assert "recipes" in imported  # the list is what it is taken for
    heavy = {"tensorflow", "keras", "tensorflow_datasets", "numpy", "sklearn"}
    assert not imported & heavy


def test_the_list_names_every_recipe_and_fits_a_terminal():
    done = run_python("-m", "recipes", env={"COLUMNS": "200"})
    lines = done.stdout.splitlines()
    assert {*RECIPES} <= {line.split(" ")[0] for line in lines}
    assert max(map(len, lines)) <= 80


# --- a recipe by its name -----------------------------------------------


def test_a_recipe_is_run_by_its_name(monkeypatch, capsys):
    """With its flags, and recorded as the command that it is the same as."""
    from recipes import __main__
    from recipes.lab import command as lab_command
    from recipes.lab.runs import record as lab_record

    def record(train, config_class, targets, argv):
        assert argv is None  # the process's own
        print(lab_record.command(config_class(epochs=1)), sys.argv[1:])
        return 3

    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(lab_command, "run_command", record)
    for name in ("mnist_cnn", "recipes.mnist_cnn"):
        monkeypatch.delitem(sys.modules, "recipes.mnist_cnn", raising=False)
        with pytest.raises(SystemExit) as end:
            __main__.main([name, "--epochs", "1"])
        assert end.value.code == 3
        said = "python -m recipes.mnist_cnn --epochs 1 ['--epochs', '1']\n"
        assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["mnist_cn"], "no recipe 'mnist_cn'. Did you mean mnist_cnn or"),
        (["lstm"], "Did you mean mnist_lstm or fashion_mnist_lstm?"),
        (["mnist_sofmax_regression"], "mean mnist_softmax_regression?"),
        (["x", "--epochs", "1"], "no recipe 'x'. `python -m recipes` lists"),
        (["--epochs", "1"], "--epochs is a flag; the name of a recipe comes"),
        (["__main__"], "no recipe '__main__'"),
        (["_data"], "no recipe '_data'"),
        ([""], "no recipe ''"),
    ],
)
def test_a_name_that_is_no_recipes_is_refused(words, reason, capsys):
    from recipes.__main__ import main

    assert main(words) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("package", ["recipes", "zoo"])
def test_a_list_that_is_not_read_to_its_end(package):
    code = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-u', '-m', '{package}']\n"
        "listing = subprocess.Popen(command, stdout=-1, stderr=-1)\n"
        "listing.stdout.close()\n"
        "print(listing.stderr.read().decode())"
    )
    assert run_python("-c", code).stdout == "\n"


def test_tensorboard_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr("recipes.lab.flags.find_spec", lambda name: None)
    assert run_recipe("mnist_cnn", "--tensorboard") == 2
    assert "pip install tensorboard" in capsys.readouterr().err
