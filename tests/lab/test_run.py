"""A run is opened as what it is."""

import logging
import re
import threading
import types
from concurrent import futures

import pytest
import tensorflow as tf
from helpers.small_recipe import Config, Training, few_digits, perceptron

from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.runs.run import _agree_on_settings


@pytest.mark.parametrize("other", [{"seed": 1}, {"run_name": "theirs"}])
def test_workers_with_different_flags_are_refused(other):
    """What the other one sends is that of its own settings."""
    settings = {"seed": 0, "run_name": None}
    sent = []
    alone = types.SimpleNamespace(gather=lambda n: sent.append(n) or [n])
    _agree_on_settings(settings | other, alone)
    both = types.SimpleNamespace(gather=lambda number: [number, *sent])
    with pytest.raises(UsageError, match="different settings or data"):
        _agree_on_settings(settings, both)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1}, "different settings or data"),
        ({"loaded": [{"name": "mnist_cnn", "version": "2", "sum": "ab"}]},
         "would start from different models"),
        ({"source": {"a.py": "1", "b.py": "3"}}, "These differ: b.py."),
        ({"source": {"a.py": "1"}}, "These differ: what the recipe imports."),
    ],
)  # fmt: skip
def test_workers_that_would_train_different_models_are_refused(other, said):
    settings = {"seed": 0, "source": {"a.py": "1", "b.py": "2"}, "loaded": []}
    meeting, numbers = threading.Barrier(2, timeout=20), [0, 0]

    def agree(index):
        def gather(number):
            numbers[index] = number
            meeting.wait()
            gathered = list(numbers)
            meeting.wait()
            return gathered

        devices = types.SimpleNamespace(gather=gather)
        mine = settings | (other if index else {})
        with pytest.raises(UsageError, match=re.escape(said)):
            _agree_on_settings(mine, devices)

    with futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(agree, range(2)))


@pytest.mark.usefixtures("no_export")
def test_of_several_trainings_the_first_that_is_given_is_drawn(
    tmp_path, capsys
):
    config = Config(epochs=1, run=RunOptions(output_dir=tmp_path))
    with open_run(config, few_digits()) as run:
        first, other = Training(), Training()
        first.fit(run, lambda: (perceptron(), "sgd"), phase="first")
        run.losses["first"] = "something of its own"
        other.fit(run, lambda: (perceptron(), "sgd"), phase="other")
        run.finish(*first.score(run), other.history)
    said = " ".join(capsys.readouterr().out.split())
    assert "something else: something of its own" in said


def test_graphs_of_several_models_are_nothing_to_warn_of(tmp_path):
    logger, said = logging.getLogger("tensorflow"), []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)

    def trace(function):
        for _ in range(10):
            tf.function(function)(tf.constant(1.0))

    try:
        config = Config(run=RunOptions(output_dir=tmp_path))
        with open_run(config, few_digits()):
            trace(lambda x: x)
            logger.warning("something else")
        assert said == ["something else"]
        trace(lambda x: -x)  # it warns twice of each function
        assert "tf.function retracing" in said[1]
    finally:
        logger.removeHandler(handler)
