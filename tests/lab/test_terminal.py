"""What is said can be read on a terminal of ASCII."""

import contextlib
import io
import sys

import pytest
from helpers.commands import ASCII, run_python

import zoo
import zoo.__main__
from recipes.lab.terminal import prepare, say, shows_bars


@pytest.mark.parametrize("env", ASCII, ids=["stdio", "locale"])
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["recipes"], 0, " +- 0."),
        (["recipes.mnist_cnn", "--help"], 0, "python -m recipes.mnist_cnn"),
        (["recipes.mnist_cnn", "--epoch", "3"], 2, "--epochs INT"),
        (["recipes", "mnist_cn\xe9"], 2, "no recipe 'mnist_cn"),
    ],
    ids=["list", "help", "usage", "unknown"],
)
def test_commands_speak_ascii(env, command, code, words):
    done = run_python("-m", *command, env=env, errors="replace")
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@contextlib.contextmanager
def terminal(monkeypatch, encoding):
    """Stand in for standard output; what it gives holds what was written."""
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding, write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        yield written


def test_models_are_described_in_ascii(monkeypatch):
    with terminal(monkeypatch, "ascii") as written:
        assert zoo.__main__.main(["lenet5", "autoencoder"]) == 0
        for name in zoo.list_models():
            print(zoo.model_info(name).builder.__doc__)
        said = written.getvalue().decode("ascii")
    assert "28x28x1" in said
    assert said.count("?") == 1  # of a title


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"1 +- 2 x 3 -> ... - == e 2 +-+| ? ??? \xc3\xa9"),
        (
            "latin-1",
            b"1 \xb1 2 \xd7 3 -> ... - == \xe9 \xb2 +-+| ? ??? \xc3\xa9",
        ),
        ("utf-8", "1 ± 2 × 3 → … – ━━ é ² ┌─┐│ \U0001f600 ??? é".encode()),
    ],
)
def test_every_character_has_a_stand_in(encoding, shown, monkeypatch):
    with terminal(monkeypatch, encoding) as written:
        prepare()
        print("1 ± 2 × 3 → … – ━━ é ² ┌─┐│ \U0001f600", end=" ")
        print("\udcff\udcc3\udca9 \udcc3\udca9", end="")
        assert written.getvalue() == shown


def test_who_trains_from_python_is_spoken_to_in_ascii_too(monkeypatch):
    with terminal(monkeypatch, "ascii") as written:
        say("99.47 ± 0.05 %")
        assert written.getvalue() == b"99.47 +- 0.05 %\n"


def test_nobody_who_listens_sees_no_bar(monkeypatch):
    """Several exports are scored without a word, and without a stdout."""
    monkeypatch.setattr("sys.stdout", None)
    assert not shows_bars()
