"""The folder of a run: where it can be, and what it is found to hold."""

import contextlib
import dataclasses
import pathlib
import re
import tempfile
import threading
from concurrent import futures

import pytest
from helpers.commands import answer, is_a_usage_error, ordinary_rights
from helpers.marks import only_thorough
from helpers.small_recipe import Config

from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import folder as lab_folder
from recipes.lab.runs import open_run
from recipes.lab.runs.folder import _lock


@pytest.mark.usefixtures("empty_folder")
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


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("output", ["/proc/nope", "/proc/version/nope"])
def test_a_folder_that_cannot_be_written(output, capsys):
    code, said = answer(capsys, "--dry-run", "--output-dir", output)
    assert code == 1
    assert f"error: --output-dir {output} cannot be written: " in said


# --- which run resumes ----------------------------------------------------


def test_other_settings_or_data_have_a_run_of_their_own(opened, digits):
    other = dataclasses.replace(digits, checksum="0" * 64)
    assert opened().name == "1"
    assert opened(epochs=1).name == "2"
    assert opened(seed=1).name == "3"
    assert opened(other).name == "4"
    assert opened(strategy="none").name == "5"
    assert opened(code_lengths=(4, 2, 1)).name == "6"
    # Each is found again; where the data lie is no setting.
    assert opened(epochs=1).name == "2"
    assert opened(other).name == "4"
    assert opened(data_dir="elsewhere", offline=True, target=0.5).name == "1"


def test_a_run_on_the_sample_never_continues_as_another(
    opened, digits, tmp_path
):
    assert opened().name == "1"
    assert opened(dataclasses.replace(digits, is_sample=False)).name == "1"
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "small_recipe-sample",
        "small_recipe",
    }


def test_a_folder_that_nobody_began_in_is_used(opened, tmp_path):
    home = tmp_path / "runs/small_recipe-sample"
    assert opened().name == "1"
    (home / "2").mkdir()
    (home / "2/.lock").touch()
    # But first comes what was begun.
    assert opened().name == "1"
    assert opened(epochs=1).name == "2"
    # What lacks its settings is not empty for that, nor is a file.
    (home / "2/config.json").unlink()
    (home / "3").touch()
    assert opened(epochs=2).name == "4"


# --- a run with a name --------------------------------------------------


def test_a_named_run_with_other_settings_is_refused_with_the_difference(
    opened, tmp_path
):
    opened(run_name="mine")
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(UsageError, match="0.01 there, 0.5 here") as error:
        opened(run_name="mine", learning_rate=0.5)
    assert "learning_rate" in str(error.value)
    assert "epochs" not in str(error.value)
    assert {p: p.read_bytes() for p in files} == files
    (tmp_path / "runs/small_recipe-sample/mine/config.json").write_text("{")
    with pytest.raises(UsageError, match="config.json is damaged"):
        opened(run_name="mine")


def test_a_run_that_is_open_is_refused_by_name_and_passed_over_else(
    digits, tmp_path
):
    named = Config(run=RunOptions(output_dir=tmp_path, run_name="mine"))
    unnamed = Config(run=RunOptions(output_dir=tmp_path))
    with open_run(named, digits):
        with pytest.raises(RecipeError, match="in use by another process") as e:
            with open_run(named, digits):
                pass
        assert e.value.exit_code == 1
    with open_run(named, digits):
        pass  # it is free again
    with (
        open_run(unnamed, digits) as first,
        open_run(unnamed, digits) as second,
    ):
        assert (first.folder.name, second.folder.name) == ("1", "2")
    with open_run(unnamed, digits) as newest:
        assert newest.folder.name == "2"


# --- a damaged record of a run ------------------------------------------


def empty(path):
    path.write_bytes(b"")


def garble(path):
    path.write_bytes(b"\xff\x00{")


def no_object(path):
    path.write_text("[]")


def no_settings(path):
    path.write_text('{"settings": null}')


def another_seed(path):
    """One bit."""
    text = path.read_text()
    assert '"seed": 0' in text
    path.write_text(text.replace('"seed": 0', '"seed": 1'))


def remove(path):
    path.unlink()


DAMAGED_SETTINGS = [
    empty, garble, no_object, no_settings, another_seed, remove
]  # fmt: skip


def begun(folder):
    """Leave what a run has that was cut off in its second epoch."""
    checkpoint = folder / "checkpoints" / "train" / "000001-ab.npz"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    return folder


@pytest.mark.parametrize(
    "damage", only_thorough(DAMAGED_SETTINGS, [garble, remove])
)
def test_a_run_that_lost_its_settings_is_named(damage, opened, capsys):
    folder = begun(opened())
    damage(folder / "config.json")
    lost = f"{folder} cannot be resumed: its config.json is damaged"
    for seed in (0, 1):
        capsys.readouterr()
        assert opened(seed=seed).name == str(seed + 2)
        assert lost in capsys.readouterr().err
        with pytest.raises(UsageError, match=re.escape(lost)):
            opened(seed=seed, run_name=folder.name)
    (folder / "metrics.json").touch()  # a finished one is nobody's worry
    opened()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", [empty, garble, no_object])
def test_a_finished_run_whose_metrics_are_damaged_stays_as_it_is(
    damage, opened
):
    folder = opened(run_name="1")
    damage(folder / "metrics.json")
    files = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert opened().name == "2"
    with pytest.raises(UsageError, match="is finished. Choose another"):
        opened(run_name="1")
    assert files == {p: p.read_bytes() for p in files}


# --- folders that cannot be written -------------------------------------


def test_where_no_export_can_go_is_said_before_training(opened):
    with tempfile.TemporaryDirectory() as output:
        output = pathlib.Path(output)
        output.chmod(0o755)  # as pytest's own folders are not
        closed = output / "saved_models"
        for folder in (closed, closed / "small_recipe-sample"):
            folder.mkdir()
            with (
                unwritable(folder),
                pytest.raises(RecipeError, match=f"{folder} is read-only"),
            ):
                opened(output_dir=output)
            assert not (output / "runs").exists()
        assert opened(output_dir=output).name == "1"


@contextlib.contextmanager
def unwritable(folder):
    """Take from a folder, and from root, the right to write it."""
    folder.chmod(0o555)
    try:
        with ordinary_rights():
            yield
    finally:
        folder.chmod(0o755)


# --- two runs of one folder ---------------------------------------------


def test_runs_that_begin_at_once_have_a_folder_each(digits, tmp_path):
    config = Config(run=RunOptions(output_dir=tmp_path))
    begin, end = threading.Barrier(8), threading.Barrier(8)

    def open_and_hold(_):
        begin.wait(20)
        with open_run(config, digits) as run:
            end.wait(20)
            return run.folder.name

    with futures.ThreadPoolExecutor(8) as pool:
        names = sorted(pool.map(open_and_hold, range(8)))
    assert names == sorted(map(str, range(1, 9)))


def test_a_run_that_is_finished_at_that_very_moment(opened, monkeypatch):
    folder = opened()
    lock = _lock

    def lock_when_it_is_finished(path):
        (folder / "metrics.json").touch()
        return lock(path)

    monkeypatch.setattr(lab_folder, "_lock", lock_when_it_is_finished)
    assert opened().name == "2"
