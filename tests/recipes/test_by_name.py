"""`python -m recipes` lists the recipes and runs one by its name, at once."""

import sys

import pytest
from helpers.commands import RECIPES, run_python

pytestmark = pytest.mark.usefixtures("empty_folder")

# --- answers come at once -----------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["recipes"], 0),
        (["recipes", "--help"], 0),
        (["recipes", "mnist_cnn", "--help"], 0),
        (["recipes", "verify", "--help"], 0),
        (["recipes", "compare", "--help"], 0),
        (["recipes", "gallery", "--help"], 0),
        (["recipes", "mnist_cnn", "--epochs", "0"], 2),
        (["recipes", "mnist_cn"], 2),
        (["recipes.mnist_cnn", "--help"], 0),
        (["recipes.mnist_cnn", "--epoch", "3"], 2),
        (["recipes.mnist_cnn", "--epochs", "0"], 2),
    ],
    ids=[
        *("list", "help of all", "help by name", "help of verify"),
        *("help of compare", "help of gallery"),
        "bad number by name",
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
        (["lstm"], "Did you mean mnist_lstm or fashion_mnist_lstm or"),
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
