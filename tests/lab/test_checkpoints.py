"""A checkpoint damaged anywhere is named, and the one before is taken."""

import contextlib
import hashlib
import io
import json
import shutil
import types
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from recipes.lab.errors import RecipeError
from recipes.lab.flags import RunOptions
from recipes.lab.training.progress import Progress, training_state

PLACES = 200  # at which a checkpoint is damaged


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

    def progress(self, model=None, **settings):
        """Return what a training of these settings resumes from."""
        run = types.SimpleNamespace(**vars(self.run))
        run.settings = self.run.settings | settings
        state = training_state(model or self.model)
        return Progress(run, state, epochs=9, quiet=True)

    def restore(self):
        """Return the epoch that is restored, and the bits."""
        set_all(self.model, -1)
        return self.progress().epoch, bits(self.model)


@pytest.fixture
def checkpoints(tmp_path):
    """Those of epochs 3 and 4, whose variables are all 3 and all 4."""
    run = types.SimpleNamespace(
        continued=None,
        folder=tmp_path / "run",
        settings={"seed": 0},
        options=RunOptions(),
        devices=types.SimpleNamespace(
            is_chief=True,
            scope=contextlib.nullcontext,
            gather=lambda value: [value],
            replicas=1,
        ),
        trainings={},
    )
    made = Checkpoints(run, small_model())
    progress = made.progress()
    for epoch in (3, 4):
        set_all(made.model, epoch)
        progress.epoch = epoch - 1
        progress.end_epoch({"loss": 0.5})
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
        checkpoints.progress(smaller)
