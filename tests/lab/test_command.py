"""A command says how it ended, and leaves nothing in its process."""

import importlib
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.commands import RECIPE

from recipes.lab import command
from recipes.lab.command import Target
from recipes.lab.errors import RecipeError
from recipes.lab.metrics import ACCURACY, Metric

pytestmark = pytest.mark.usefixtures("empty_folder")


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


@pytest.mark.parametrize(("floor", "code"), [("0.5", 0), ("0.51", 1)])
def test_a_missed_target_is_exit_code_1_and_a_reached_one_0(
    floor, code, capsys
):
    recipe = importlib.import_module(f"recipes.{RECIPE}")
    metrics = {"test_accuracy": 0.5, "train_seconds": 0}
    arguments = (recipe.Config, (Target(ACCURACY, 0.9),), ["--target", floor])
    assert command.run_command(lambda config: metrics, *arguments) == code
    said = capsys.readouterr().err
    missed = "error: Test accuracy 50.00 % misses the target, 51.00 %\n"
    assert said == (missed if code else "")


def test_a_pipe_that_nobody_reads_is_named(capsys):
    recipe = importlib.import_module(f"recipes.{RECIPE}")

    def train(config):
        raise BrokenPipeError(32, "Broken pipe")

    assert command.run_command(train, recipe.Config, (), []) == 1
    assert "again to resume" in capsys.readouterr().err


@pytest.mark.parametrize("floor", ["99", "1.01", "-0.1"])
def test_a_target_that_is_no_share_is_refused_at_once(floor, capsys):
    recipe = importlib.import_module(f"recipes.{RECIPE}")
    arguments = (recipe.Config, (Target(ACCURACY, 0.9),), ["--target", floor])
    assert command.run_command(lambda config: 1 / 0, *arguments) == 2
    assert "--target is a share of 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("direction", "value", "reached"),
    [
        ("max", 0.5, True),
        ("max", 0.49, False),
        ("min", 0.5, True),
        ("min", 0.51, False),
        ("max", float("nan"), False),
        ("min", float("nan"), False),
    ],
)
def test_the_direction_of_a_target_counts(direction, value, reached):
    metric = Metric("error", "Error", better=direction)
    assert Target(metric, 0.5).reached_by(value) is reached
