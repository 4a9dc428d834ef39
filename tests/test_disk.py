"""Disks that are full, read-only or damaged, and a clock that goes back.

What a user is left with is the last good state and one line that names a file.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import tempfile
import types
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from recipes import _data, _devices, _runs, _training
from recipes._config import RunOptions
from recipes._errors import RecipeError, UsageError

PLACES = 200  # at which a checkpoint is damaged


@dataclass(frozen=True)
class Config:
    """The settings of runs that are only opened."""

    epochs: int = 3
    batch_size: int = 32
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    return _data.load("mnist", RunOptions(dry_run=True))


@pytest.fixture
def opened(digits, tmp_path):
    """A function that opens a run and returns its folder."""

    def name(epochs=3, data=digits, **options):
        options = {"output_dir": tmp_path, **options}
        config = Config(epochs, run=RunOptions(**options))
        devices = _devices.set_up(config.run, config.batch_size)
        with _runs.open_run(config, data, devices) as run:
            return run.folder

    return name


# --- a damaged checkpoint -----------------------------------------------


def small_model(layers=2):
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(layers):
        model.add(keras.layers.Dense(4))
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def bits(model):
    return [v.numpy() for v in model.variables + model.optimizer.variables]


def set_all(model, value):
    for variable in model.variables + model.optimizer.variables:
        variable.assign(np.full(variable.shape, value, variable.dtype))


@dataclass
class Checkpoints:
    """Two checkpoints of a small model, and a way back to either."""

    run: types.SimpleNamespace
    model: keras.Model

    @property
    def folder(self):
        return self.run.folder / "checkpoints" / "train"

    def recorder(self, **settings):
        run = types.SimpleNamespace(**vars(self.run))
        run.settings = self.run.settings | settings
        recorder = _training._Recorder(run, "train", 9, (), True)
        recorder.set_model(self.model)
        return recorder

    def restore(self):
        """Return the epoch that is restored, and the bits."""
        set_all(self.model, -1)
        return self.recorder().restore(self.model), bits(self.model)


@pytest.fixture
def checkpoints(tmp_path):
    """Those of epochs 3 and 4, whose variables are all 3 and all 4."""
    run = types.SimpleNamespace(
        folder=tmp_path / "run",
        settings={"seed": 0},
        devices=types.SimpleNamespace(
            is_chief=True, scope=contextlib.nullcontext
        ),
    )
    made = Checkpoints(run, small_model())
    recorder = made.recorder()
    for epoch in (3, 4):
        set_all(made.model, epoch)
        recorder.on_train_begin()
        recorder.on_epoch_end(epoch - 1, {"loss": 0.5})
    return made


def flip_a_bit(content, place, random):
    content[place] ^= 1 << random.integers(8)


def cut_short(content, place, random):
    del content[place:]


def zero_a_block(content, place, random):
    # Nothing happens to a block that was zero before.
    place = min(place, max(i for i, byte in enumerate(content) if byte))
    content[place : place + 512] = bytes(len(content[place : place + 512]))


def insert(content, place, random):
    content[place:place] = random.bytes(random.integers(1, 64))


DAMAGES = (flip_a_bit, cut_short, zero_a_block, insert)


@pytest.mark.faults
def test_a_checkpoint_damaged_anywhere_is_named_and_the_one_before_taken(
    checkpoints, capsys
):
    before, newest = sorted(checkpoints.folder.iterdir())
    good = newest.read_bytes()
    random = np.random.default_rng(0)
    capsys.readouterr()
    for i, place in enumerate(random.integers(len(good), size=PLACES)):
        damage = DAMAGES[i % len(DAMAGES)]
        content = bytearray(good)
        damage(content, place, random)
        assert content != good
        newest.write_bytes(content)
        assert_epoch_3(checkpoints)
        said = capsys.readouterr().err
        assert f"{newest} is damaged; going back to" in said, (damage, place)
    newest.write_bytes(good)
    epoch, restored = checkpoints.restore()
    assert epoch == 4
    assert all(np.all(values == 4) for values in restored)
    assert capsys.readouterr().err == ""


def assert_epoch_3(checkpoints):
    epoch, restored = checkpoints.restore()
    assert epoch == 3
    assert all(np.all(values == 3) for values in restored)


def emptied(path, before):
    path.write_bytes(b"")
    return path


def name_of_another_epoch(path, before):
    return path.rename(path.with_name("000009" + path.name[6:]))


def name_of_no_epoch(path, before):
    return path.rename(path.with_name("4" + path.name[6:]))


def name_with_half_a_sum(path, before):
    return path.rename(path.with_name(path.name[:20] + ".npz"))


def name_without_a_sum(path, before):
    return path.rename(path.with_name("000004-.npz"))


def name_of_an_epoch_only(path, before):
    return path.rename(path.with_name("000004.npz"))


def another_under_its_name(path, before):
    shutil.copy(before, path)
    return path


def another_under_a_name_of_its_own(path, before):
    path.unlink()
    path = path.with_name("000004" + before.name[6:])
    shutil.copy(before, path)
    return path


def no_archive(path, before):
    content = b"no archive"
    path.unlink()
    path = path.with_name(
        f"000004-{hashlib.sha256(content).hexdigest()[:32]}.npz"
    )
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "damage",
    [
        emptied,
        name_of_another_epoch,
        name_of_no_epoch,
        name_with_half_a_sum,
        name_without_a_sum,
        name_of_an_epoch_only,
        another_under_its_name,
        another_under_a_name_of_its_own,
        no_archive,
    ],
)
def test_a_checkpoint_that_is_not_what_its_name_says(
    damage, checkpoints, capsys
):
    before, newest = sorted(checkpoints.folder.iterdir())
    damaged = damage(newest, before)
    assert_epoch_3(checkpoints)
    assert f"{damaged} is damaged; going back to" in capsys.readouterr().err


def written_as(path, **changes):
    """Write a checkpoint anew with other metadata, under its right name."""
    with np.load(path) as file:
        arrays = dict(file)
    meta = json.loads(arrays["meta"].tobytes()) | changes
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.unlink()
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:32]
    path.with_name(f"{path.name[:6]}-{digest}.npz").write_bytes(
        buffer.getvalue()
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 2}, "another version of this package, as schema 2"),
        ({"settings": {"seed": 1}}, "another run: seed 1 there, 0 here"),
    ],
)
def test_a_checkpoint_of_another_version_or_run_is_refused(
    changes, reason, checkpoints
):
    written_as(sorted(checkpoints.folder.iterdir())[-1], **changes)
    with pytest.raises(RecipeError, match=reason):
        checkpoints.restore()
    assert all(np.all(values == -1) for values in bits(checkpoints.model))


def test_a_checkpoint_of_a_larger_model_is_refused(checkpoints):
    # All that the smaller one has fits what the larger one has first.
    smaller = small_model(layers=1)
    smaller.optimizer = types.SimpleNamespace(variables=[])
    checkpoints.model = smaller
    with pytest.raises(RecipeError, match="model: it has more variables"):
        checkpoints.recorder().restore(smaller)


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


@pytest.mark.parametrize("damage", DAMAGED_SETTINGS)
def test_a_run_that_lost_its_settings_is_named(damage, opened, capsys):
    folder = begun(opened())
    damage(folder / "config.json")
    lost = f"{folder} cannot go on: its config.json is damaged"
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
        for folder in (closed, closed / "test_disk-sample"):
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
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
