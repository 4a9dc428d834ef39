"""A loop of one's own resumes at the epoch that was cut off, and says so."""

import re

import keras
import pytest
import tensorflow as tf
from helpers.small_recipe import Config, Training, perceptron, without_times

from recipes.lab import training
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run


def train_by_hand(digits, output, cut_in=None, **options):
    """Count the epochs in a variable; return it, and what is written down."""
    options = RunOptions(output_dir=output, **options)
    with open_run(Config(run=options), digits) as run:
        count = keras.Variable(0.0, name="count")
        progress = training.Progress(run, [count])
        for epoch in progress:
            count.assign_add(epoch + 1)
            if epoch == cut_in:
                raise KeyboardInterrupt
            progress.end_epoch({"loss": 1 / (epoch + 1)})
    return float(count.numpy()), without_times(progress.history)


def test_a_loop_of_ones_own_resumes_at_the_epoch_that_was_cut_off(
    digits, tmp_path, capsys
):
    whole = train_by_hand(digits, tmp_path / "whole")
    assert whole == (1 + 2 + 3 + 4, {"loss": [1, 1 / 2, 1 / 3, 1 / 4]})
    with pytest.raises(KeyboardInterrupt):
        train_by_hand(digits, tmp_path / "cut", cut_in=2)
    assert "stopped; 2 of 4 epochs are kept in" in capsys.readouterr().err
    assert train_by_hand(digits, tmp_path / "cut") == whole
    assert "train: resuming after epoch 2 of 4" in capsys.readouterr().out


def test_a_loop_that_forgets_to_end_an_epoch_is_told(digits, tmp_path):
    with open_run(Config(run=RunOptions(output_dir=tmp_path)), digits) as run:
        with pytest.raises(RuntimeError, match="end_epoch"):
            for _ in training.Progress(run, []):
                pass


def test_a_loop_without_a_bar_says_each_epoch_in_a_terminal_too(
    digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("recipes.lab.terminal.shows_bars", lambda: True)
    train_by_hand(digits, tmp_path)
    said = capsys.readouterr().out
    assert re.findall(r"epoch (\d)/4  loss ([\d.]+)", said) == [
        *(("1", "1"), ("2", "0.5"), ("3", "0.3333"), ("4", "0.25"))
    ]


def test_a_quiet_training_that_is_stopped_says_its_line(
    digits, tmp_path, capsys
):
    with open_run(Config(run=RunOptions(output_dir=tmp_path)), digits) as run:
        progress = training.Progress(run, [], phase="few", quiet=True)
        for epoch in progress:
            progress.end_epoch({"loss": 0.5}, stopped=epoch == 1)
    said = capsys.readouterr().out
    assert re.findall(r"^few  loss (0\.5)  ", said, re.MULTILINE) == ["0.5"]


# --- TensorBoard ---------------------------------------------------------


def logged(folder):
    """Return the scalars below a folder: the values by step, by their name."""
    found = {}
    for file in sorted(folder.rglob("events.out.*")):
        part = file.parent.relative_to(folder).as_posix()
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                steps = found.setdefault(f"{part}/{value.tag}", {})
                assert event.step not in steps
                steps[event.step] = pytest.approx(number, rel=1e-6)
    return found


def test_a_loop_is_logged_where_and_as_a_fit_is(digits, tmp_path):
    pytest.importorskip("tensorboard")
    options = RunOptions(output_dir=tmp_path, tensorboard=True)
    with open_run(Config(run=options), digits) as run:
        trained = Training()
        trained.fit(run, lambda: (perceptron(), "sgd"))
        progress = training.Progress(run, [], phase="loop")
        for epoch in progress:
            progress.end_epoch({"loss": 0.5 * epoch, "val_loss": epoch})
    found = logged(run.folder / "tensorboard")
    for part, name in (("train", "loss"), ("validation", "val_loss")):
        for where, history in (
            (part, trained.history),
            (f"loop/{part}", progress.history),
        ):
            steps = found[f"{where}/epoch_loss"]
            assert steps == dict(enumerate(history[name]))


def test_a_loop_that_was_cut_off_is_logged_on(digits, tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(KeyboardInterrupt):
        train_by_hand(digits, tmp_path, cut_in=2, tensorboard=True)
    train_by_hand(digits, tmp_path, tensorboard=True)
    found = logged(next(tmp_path.rglob("tensorboard")))
    assert found == {"train/epoch_loss": {0: 1, 1: 1 / 2, 2: 1 / 3, 3: 1 / 4}}


def test_nothing_is_logged_that_nobody_has_asked_for(digits, tmp_path):
    train_by_hand(digits, tmp_path)
    assert not [*tmp_path.rglob("tensorboard")]
