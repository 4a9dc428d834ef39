"""Searches from several starts: the best is kept, and each is an epoch."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

import zoo
from recipes.lab.data import tables
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import Progress, minimize


@dataclass(frozen=True)
class Config:
    """The settings of the small recipe below: there is nothing to choose."""

    run: RunOptions = RunOptions()


def half_squares(truth, outputs):
    return tf.reduce_sum(tf.square(outputs[:, 0] - truth)) / 2


def search(folder, restarts=3, **options):
    """Fit two hidden units to a part of infert; say how that ended."""
    config = Config(RunOptions(output_dir=folder, **options))
    with open_run(config, tables.infert()) as run:
        with run.scope():
            model = zoo.create_model("ann", hidden_units=2)
        rows = run.data.train[:60]
        history = minimize(
            *(run, model, rows, half_squares),
            restarts=restarts,
            loss_in_words="half the squares",
        )
        loss = float(half_squares(rows.targets, model(rows.inputs)))
        return model.get_weights(), history, loss


def without_times(history):
    return {k: v for k, v in history.items() if not k.endswith("seconds")}


@pytest.mark.thorough
def test_the_best_search_is_kept_and_a_cut_one_begins_again(
    tmp_path, monkeypatch
):
    weights, history, loss = search(tmp_path / "whole")
    assert loss == pytest.approx(min(history["loss"]), rel=1e-6)
    np.testing.assert_array_equal(
        history["best"], np.minimum.accumulate(history["loss"])
    )
    assert len({*history["loss"]}) > 1  # or the best would be any

    end = Progress.end_epoch

    def end_or_cut(self, logs, stopped=False):
        if self.epoch == 2:
            raise KeyboardInterrupt
        end(self, logs, stopped)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "end_epoch", end_or_cut)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "cut")
    again, resumed, _ = search(tmp_path / "cut")
    assert without_times(resumed) == without_times(history)
    for one, other in zip(again, weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_searches_are_on_one_device(tmp_path):
    with pytest.raises(UsageError, match="--strategy must be none"):
        search(tmp_path, strategy="mirrored", cpu_devices=2)
