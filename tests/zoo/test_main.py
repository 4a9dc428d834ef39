"""`python -m zoo` shows the table of models, or one of them."""

import sys

import pytest
from helpers.builders import build, count
from helpers.commands import run_python

import zoo
from zoo.__main__ import COMMANDS, main
from zoo._sources import read_models


def test_command_without_name_prints_the_table(capsys):
    assert main([]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["model", "task", "parameters"]
    assert all(len(line) <= 80 for line in lines)
    rows = [line for line in lines if not line.startswith(" ")]
    assert [row.split()[0] for row in rows] == zoo.list_models()
    lenet = lines.index("lenet5                     classification      60,000")
    assert lines[lenet + 1].strip() == zoo.model_info("lenet5").summary


def test_the_course_is_printed_at_once(capsys):
    assert main(["--lectures"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1. One neuron"
    assert max(map(len, lines)) <= 80
    done = run_python("-m", "zoo", "--lectures", env={"KERAS_BACKEND": "none"})
    assert done.stdout.splitlines() == lines
    assert (done.returncode, done.stderr) == (0, "")


def test_table_is_read_from_the_sources_as_it_is_registered():
    """The sums are those of the docstrings' tables, which tests compare with
    the models."""
    infos = [zoo.model_info(name) for name in zoo.list_models()]
    assert [(name, task, text) for name, task, _, text in read_models()] == [
        (info.name, info.task, info.summary) for info in infos
    ]
    for name, _, parameters, _ in read_models():
        weights = build(name).trainable_weights
        assert parameters == f"{count(weights):,}"


def test_table_needs_no_keras_and_starts_no_tensorflow(capsys):
    assert main([]) == 0
    done = run_python("-m", "zoo", env={"KERAS_BACKEND": "none such"})
    assert done.stdout == capsys.readouterr().out
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.thorough
def test_command_shows_a_model_without_what_tensorflow_logs():
    done = run_python("-m", "zoo", "mlp", env={"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert "Total params: 669,706" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [["-m", "zoo.__main__"], ["-m", "zoo"]])
def test_only_the_command_itself_is_imported_without_keras(
    options, monkeypatch
):
    monkeypatch.setattr(sys, "orig_argv", ["python", *options])
    assert not zoo._is_command()  # this process has its program
    monkeypatch.setattr(sys, "argv", ["-m"])
    assert zoo._is_command() == (options == ["-m", "zoo"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "other", *options])
    assert not zoo._is_command()


def test_command_with_a_name_shows_the_model(capsys):
    assert main(["lenet5"]) == 0
    out = capsys.readouterr().out
    assert zoo.model_info("lenet5").reference in " ".join(out.split())
    assert "Departures from the paper" in out  # the docstring
    assert "see help(zoo.create_model)" in out
    assert "distances" in out.partition("Param #")[2]  # Keras' summary


def test_command_with_an_unknown_name_is_a_usage_error(capsys):
    assert main(["lenet"]) == 2
    captured = capsys.readouterr()
    assert "Did you mean lenet5" in captured.err
    assert captured.out == ""


def test_nothing_is_shown_before_all_names_are_known(capsys):
    assert main(["lenet5", "lenet6"]) == 2
    captured = capsys.readouterr()
    assert "Unknown model 'lenet6'" in captured.err
    assert captured.out == ""


def test_a_misspelt_command_is_told_from_a_model(capsys):
    assert main(["serv"]) == 2
    assert "Did you mean the command serve?" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("--lectures", "lenet5"), ("--chart", "-x")])
def test_what_stands_alone_is_named(names, capsys):
    assert main([*names]) == 2
    assert "--lectures and --chart stand alone" in capsys.readouterr().err


def test_command_explains_itself(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert f"python -m zoo {command} " in said
    assert main(["--list"]) == 2
    captured = capsys.readouterr()
    assert "--list" in captured.err
    assert "python -m zoo" in captured.err
    assert captured.out == ""
