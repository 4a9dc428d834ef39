"""What is measured once: a run remembers it, and Ctrl-C need not wait."""

import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from recipes.lab.data import tables
from recipes.lab.errors import RecipeError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import once


@dataclass(frozen=True)
class Config:
    """The settings of the small recipe below: there is nothing to choose."""

    run: RunOptions = RunOptions()


@pytest.fixture
def measure(tmp_path):
    """A function that measures in the same run each time."""

    def measure_(act, phase="one"):
        with open_run(Config(RunOptions(output_dir=tmp_path)), data) as run:
            return once(run, act, phase=phase)

    data = tables.iris()
    return measure_


def test_what_was_measured_is_not_measured_again(measure, capsys):
    found = measure(lambda: {"accuracy": 0.75})
    assert found["accuracy"] == 0.75
    assert found["seconds"] >= 0
    assert "one  accuracy 0.75" in capsys.readouterr().out
    assert measure(lambda: 1 / 0) == found
    assert measure(lambda: {"accuracy": 0.5}, "two")["accuracy"] == 0.5


def test_what_goes_wrong_is_raised_and_nothing_kept(measure):
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)
    with pytest.raises(RecipeError, match="accuracy is NaN"):
        measure(lambda: {"accuracy": float("nan")})
    assert measure(lambda: {"accuracy": 1.0})["accuracy"] == 1


def test_ctrl_c_does_not_wait_for_what_looks_at_no_signal(measure):
    done = threading.Event()

    def deaf():
        done.wait(30)
        return {"accuracy": 1.0}

    def press():
        os.kill(os.getpid(), signal.SIGINT)

    # What a shell starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.2, press).start()
        began = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            measure(deaf)
        assert time.perf_counter() - began < 10
    finally:
        signal.signal(signal.SIGINT, before)
        done.set()
    assert measure(lambda: {"accuracy": 0.5})["accuracy"] == 0.5
