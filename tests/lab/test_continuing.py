"""A finished run is trained longer, by a run that names it."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from helpers.commands import is_a_usage_error, run_recipe
from helpers.small_recipe import (
    STEPS,
    Config,
    Cut,
    Training,
    assert_same_training,
    few_digits,
    perceptron,
    without_times,
)

from recipes.lab import results
from recipes.lab.command import Target, run_command
from recipes.lab.errors import Preempted
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY
from recipes.lab.runs import open_run


def constant(config):
    """A perceptron with dropout, at one learning rate."""
    return perceptron(dropout=0.3), keras.optimizers.Adam(config.learning_rate)


def falling(config):
    """A perceptron whose learning rate falls to zero."""
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, STEPS * config.epochs
    )
    return perceptron(dropout=0.3), keras.optimizers.Adam(schedule)


def wide(config):
    """Another network."""
    return perceptron(), keras.optimizers.SGD(config.learning_rate)


@pytest.fixture
def trained(tmp_path, no_export, capsys):
    """A function that runs a small recipe; returns what it came to."""

    def run(*flags, build=constant, cut=None, data=few_digits, phase="train"):
        end = Training()

        def train(config):
            with open_run(config, data()) as run:
                callbacks = [cut] if cut else []
                model = lambda: build(config)  # noqa: E731
                end.fit(run, model, callbacks=callbacks, phase=phase)
                return run.finish(*end.score(run))

        flags = [*map(str, flags), "--output-dir", str(tmp_path)]
        target = Target(ACCURACY, 0.5)
        end.code = run_command(train, Config, (target,), flags)
        end.out, end.err = capsys.readouterr()
        return end

    return run


def record_of(end):
    return json.loads((end.folder / "metrics.json").read_text())


def assert_refused(end, words):
    assert end.code == 2, end.err
    assert words in " ".join(end.err.split())
    assert end.folder is None or not end.folder.exists()


# --- what continues -----------------------------------------------------


@pytest.mark.thorough
def test_two_epochs_and_one_more_are_three(trained):
    """To the bit, with dropout and an optimizer: all of the state continues."""
    whole = trained("--epochs", 3)
    first = trained("--epochs", 2)
    more = trained("--epochs", 1, "--continue-from", first.folder)
    assert (whole.code, first.code, more.code) == (0, 0, 0)
    assert f"continues {first.folder} after 2 epochs" in more.out
    for one, other in zip(whole.bits(), more.bits(), strict=True):
        np.testing.assert_array_equal(one, other)
    history = without_times(whole.history)
    assert {k: v[2:] for k, v in history.items()} == without_times(more.history)


@pytest.mark.thorough
def test_a_run_that_continues_is_cut_off_and_resumes(trained):
    first = trained("--epochs", 2, build=falling)
    flags = ["--epochs", 3, "--continue-from", first.folder.name]
    whole = trained(*flags, "--run-name", "whole", build=falling)
    cut = trained(*flags, build=falling, cut=Cut(1, Preempted))
    assert cut.code == 143
    rest = trained(*flags, build=falling)
    assert "train: resuming after epoch 1 of 3" in rest.out
    assert rest.folder == cut.folder
    assert_same_training(whole, rest)


@pytest.mark.thorough
def test_its_schedule_begins_anew(trained):
    first = trained("--epochs", 2, build=falling)
    optimizer = first.model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
    more = trained("--epochs", 1, "--continue-from", "1", build=falling)
    optimizer = more.model.optimizer
    assert int(optimizer.iterations) == 3 * STEPS
    rates = [float(optimizer._learning_rate(s * STEPS)) for s in (2, 3)]
    assert rates == pytest.approx([0.01, 0], abs=1e-9)
    for one, other in zip(first.weights(), more.weights(), strict=True):
        assert one.ndim < 2 or np.any(one != other)


@pytest.mark.thorough
def test_another_learning_rate_is_taken_and_said(trained):
    trained("--epochs", 1)
    flags = ["--continue-from", "1", "--learning-rate", 0.002]
    more = trained("--epochs", 1, *flags)
    assert float(more.model.optimizer.learning_rate) == pytest.approx(0.002)
    assert "learning_rate 0.01 there, 0.002 here" in more.err


@pytest.mark.thorough
def test_the_record_names_what_was_continued(trained):
    first = trained("--epochs", 2)
    trained("--epochs", 1, "--continue-from", first.folder)
    last = trained("--epochs", 1, "--continue-from", "2")
    record = record_of(last)
    continued = record["settings"]["continued"]
    assert continued["run"] == f"{last.folder.parent.name}/2"
    assert continued["epochs"] == 3
    assert continued["checkpoint"].startswith("000001-")
    assert "continue_from=" in record["command"]


def test_no_published_result_is_of_a_run_that_continues(monkeypatch):
    from recipes.mnist_cnn import Config

    config = Config()
    assert results.of(config, "mnist")
    options = RunOptions(continue_from="1")
    assert not results.of(dataclasses.replace(config, run=options), "mnist")


# --- what cannot be continued -------------------------------------------


def test_a_run_that_is_not_there_or_not_finished(trained, tmp_path):
    cut = trained("--epochs", 2, cut=Cut(1, Preempted))
    refused = trained("--continue-from", "1")
    assert_refused(refused, f"{cut.folder} is not finished. Run its own")
    refused = trained("--continue-from", "7")
    assert_refused(refused, "no such run. Finished ones in")
    (tmp_path / "empty").mkdir()
    refused = trained("--continue-from", tmp_path / "empty")
    assert_refused(refused, "is not the folder of a run")
    (tmp_path / "empty" / "SHA256SUMS").touch()
    refused = trained("--continue-from", tmp_path / "empty")
    assert_refused(refused, "is an export, which keeps no optimizer. Give the")


@pytest.mark.thorough
def test_another_model_is_refused_with_the_flags_that_differ(trained):
    trained("--epochs", 1)
    flags = ["--continue-from", "1", "--code-lengths", 3]
    refused = trained(*flags, build=wide)
    assert_refused(refused, "has trained another model: it has more")
    assert "code_lengths [4, 2] there, [3] here" in refused.err
    assert "epochs" not in refused.err.partition("trained with: ")[2]


@pytest.mark.thorough
def test_other_data_and_other_recipes_are_refused(trained):
    first = trained("--epochs", 1)

    def other():
        return dataclasses.replace(few_digits(), checksum="0" * 64)

    refused = trained("--continue-from", "1", data=other)
    assert_refused(refused, "was trained on other data: data_checksum")
    file = first.folder / "metrics.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"recipe": "mnist_cnn"}))
    refused = trained("--continue-from", "1")
    assert_refused(refused, "is a run of mnist_cnn, and this is small_recipe")
    file.write_text("{")
    assert_refused(trained("--continue-from", "1"), "json is damaged")


@pytest.mark.thorough
def test_what_is_left_of_a_run_must_be_whole(trained):
    first = trained("--epochs", 2)
    folder = first.folder / "checkpoints"
    last = max(folder.glob("*/*.npz"))
    content = last.read_bytes()
    last.write_bytes(content[:-1])
    refused = trained("--continue-from", "1")
    assert_refused(refused, f"{last.name} is damaged, so nobody knows")
    shutil.copytree(folder / "train", folder / "other")
    refused = trained("--continue-from", "1")
    assert_refused(refused, "has trained several: other, train")
    shutil.rmtree(folder)
    assert_refused(trained("--continue-from", "1"), "checkpoints are gone")


@pytest.mark.thorough
def test_other_networks_are_not_trained_beside_it(trained):
    trained("--epochs", 1)
    refused = trained("--continue-from", "1", phase="beside")
    assert_refused(refused, "this command trains others, too: beside.")


def test_what_is_computed_has_no_further_epochs(capsys, tmp_path):
    flags = ["--dry-run", "--output-dir", tmp_path, "--continue-from", "1"]
    said = is_a_usage_error(capsys, *flags, recipe="diabetes_linear")
    assert "diabetes_linear has none: it computes" in " ".join(said.split())


@pytest.mark.thorough
def test_the_card_and_the_report_say_it(tmp_path):
    recipe = "mnist_softmax_regression"
    flags = ["--dry-run", "--output-dir", tmp_path]
    assert run_recipe(recipe, *flags) == 0
    assert run_recipe(recipe, *flags, "--continue-from", "1") == 0
    named = f"{recipe}-sample/1"
    card = (tmp_path / f"saved_models/{recipe}-sample/2/README.md").read_text()
    assert f"- Continues the run {named}, of 1 epochs" in card
    assert "--continue-from 1`" in card or "continue_from='1'" in card
    report = tmp_path / f"runs/{recipe}-sample/2/report.html"
    assert f"{named}, 1 epochs" in report.read_text()
