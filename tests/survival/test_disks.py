"""Disks that are full, read-only or damaged, and a clock that goes back.

What a user is left with is the last good state and one line that names a file.
"""

import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import types
from concurrent import futures
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from helpers import ends
from helpers.commands import ordinary_rights, run_python, run_recipe
from helpers.ends import assert_same_end

import zoo
from recipes.lab import files as lab_files
from recipes.lab.data import sources
from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.export import exporting
from recipes.lab.files import write_atomically
from recipes.lab.flags import RunOptions
from recipes.lab.runs import folder as lab_folder
from recipes.lab.runs import open_run
from recipes.lab.runs.folder import _lock
from recipes.lab.training.progress import Progress, training_state

RECIPE = "mnist_softmax_regression"
PLACES = 200  # at which a checkpoint is damaged
TIMES = ("seconds", "cpu_seconds")


@dataclass(frozen=True)
class Config:
    """The settings of runs that are only opened."""

    epochs: int = 3
    batch_size: int = 32
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    return sources.load("mnist", RunOptions(dry_run=True))


@pytest.fixture
def opened(digits, tmp_path):
    """A function that opens a run and returns its folder."""

    def name(epochs=3, data=digits, **options):
        options = {"output_dir": tmp_path, **options}
        config = Config(epochs, run=RunOptions(**options))
        with open_run(config, data) as run:
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
        folder=tmp_path / "run",
        settings={"seed": 0},
        devices=types.SimpleNamespace(
            is_chief=True,
            scope=contextlib.nullcontext,
            gather=lambda value: [value],
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
        for folder in (closed, closed / "test_disks-sample"):
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


# --- a whole run on a bad disk ------------------------------------------


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """A function that runs a small recipe to its end; nothing is verified."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(exporting, "_verifier_of", contextlib.nullcontext)
    monkeypatch.setattr(exporting, "_verify", lambda *_: None)

    def run(output, *flags):
        flags = ("--epochs", 2, "--offline", "--output-dir", output, *flags)
        code = run_recipe(RECIPE, *flags)
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert "Traceback" not in said.err
        assert len([x for x in lines if x.startswith("error: ")]) == (code != 0)
        return types.SimpleNamespace(
            code=code, out=said.out, last=lines[-1] if lines else ""
        )

    return run


def assert_nothing_is_half(output):
    """Every file under its final name is whole, and none is under another."""
    assert ends.not_whole(output) == []
    assert ends.unfinished(output) == set()


class FullOnce:
    """A disk that is full once a run, at a place where it was not before.

    That is the opening of a file, its way to the disk or its rename in turn,
    or a folder that is made.
    """

    TURNS = ("open", "fsync", "replace")

    def __init__(self, output, monkeypatch):
        self.output = output
        self.places = []  # where it has been full
        self.now = None  # where it is in this run
        for module, name in (
            (lab_files, "open"),
            (os, "fsync"),
            (os, "replace"),
            (os, "rename"),
            (os, "mkdir"),
        ):
            real = getattr(module, name, open)
            monkeypatch.setattr(module, name, self.sometimes(name, real), False)

    def sometimes(self, name, real):
        def full_or(*arguments, **options):
            path = arguments[1 if name in ("replace", "rename") else 0]
            if name == "fsync":
                path = os.readlink(f"/proc/self/fd/{path}")
            reads = name == "open" and arguments[1] == "rb"
            if not reads and self.is_full(name, pathlib.Path(path)):
                # The system names a file only where it was given a name.
                names = [path] if name != "fsync" else []
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *names)
            return real(*arguments, **options)

        return full_or

    def is_full(self, name, path):
        if self.now or not path.is_relative_to(self.output):
            return False
        place = re.sub(r"\.tmp-\d+-?|-[0-9a-f]{32}", "", str(path))
        if name in self.TURNS:
            if name != self.TURNS[len(self.places) % len(self.TURNS)]:
                return False
        elif path.exists():
            return False
        else:
            place = f"{name} {place}"
        if place in self.places:
            return False
        self.places.append(place)
        self.now = path
        return True


needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/fd"), reason="/proc names what is synced"
)


@needs_proc
@pytest.mark.faults
def test_a_disk_that_is_full_at_any_place_costs_no_bit(
    tmp_path, command, monkeypatch
):
    assert command(tmp_path / "unbroken").code == 0
    output = tmp_path / "output"
    disk = FullOnce(output, monkeypatch)
    while (ended := command(output)).code:
        assert ended.code == 1
        assert "No space left on device" in ended.last
        where = re.sub(r"\.tmp-\d+-", "", str(disk.now))
        if "saved_models" in where:
            where = output / "saved_models" / f"{RECIPE}-sample"
        assert str(where) in ended.last
        assert_nothing_is_half(output)
        disk.now = None
    assert disk.now is None
    assert len(disk.places) > 25
    assert_same_end(output, tmp_path / "unbroken")
    assert_nothing_is_half(output)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, which can be filled and closed."""
    if not shutil.which("mount"):
        pytest.skip("there is no mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    if (mounted := mount(*options)).returncode:
        pytest.skip(mounted.stderr.strip())
    yield folder
    while os.path.ismount(folder):
        subprocess.run(["umount", "--recursive", folder], check=True)


def mount(*arguments):
    return subprocess.run(
        ["mount", *arguments], capture_output=True, text=True, timeout=20
    )


def fill(disk, pages):
    """Leave so many pages; a file that is longer is cut short."""
    with open(disk / "filler", "wb", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4_096))
        filler.truncate(filler.tell() - pages * 4_096)


def close(folder):
    """Make a folder read-only, for root too, until it is unmounted."""
    for arguments in (("--bind", folder), ("-o", "remount,bind,ro")):
        done = mount(*arguments, folder)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def at(monkeypatch):
    """Has something done once, before a file of some name is written."""
    faults = {}
    write = write_atomically

    def before(path):
        for name in list(faults):
            if path.match(name):
                faults.pop(name)()

    def write_after(path, content):
        before(path)
        write(path, content)

    monkeypatch.setattr(lab_files, "write_atomically", write_after)
    return types.SimpleNamespace(faults=faults, before=before)


# What is being written, and how many pages of it the disk still takes.
STAGES = [
    ("config.json", 0),
    ("environment.json", 0),
    ("000001-*.npz", 1),
    ("history.csv", 0),
    ("000002-*.npz", 1),
    ("saved_model.pb", 1),
    ("labels.txt", 0),
    ("model.keras", 3),
    ("SHA256SUMS", 0),
    ("curves.png", 1),
    ("report.html", 1),
    (f"{RECIPE}-sample/1/metrics.json", 0),
]
EXPORTED = ("saved_model.pb", "labels.txt", "model.keras", "SHA256SUMS")


@pytest.mark.faults
def test_a_real_disk_that_is_full_at_every_stage(
    disk, tmp_path, command, at, monkeypatch
):
    assert command(tmp_path / "unbroken").code == 0
    write, save = exporting._write_saved_model, keras.Model.save

    def write_saved_model(folder, signatures):
        at.before(folder / "saved_model.pb")
        write(folder, signatures)

    def save_keras(model, path):
        at.before(path)
        save(model, path)

    monkeypatch.setattr(exporting, "_write_saved_model", write_saved_model)
    monkeypatch.setattr(keras.Model, "save", save_keras)
    for name, pages in STAGES:
        at.faults[name] = functools.partial(fill, disk, pages)
        ended = command(disk)
        assert ended.code == 1, name
        assert not at.faults
        assert "No space left on device" in ended.last, name
        where = name.partition("*")[0]
        if name in EXPORTED:
            where = f"{disk}/saved_models/{RECIPE}-sample"
        assert where in ended.last
        (disk / "filler").unlink()
        assert_nothing_is_half(disk)
    assert command(disk).code == 0
    assert_same_end(disk, tmp_path / "unbroken")


@pytest.mark.faults
def test_a_disk_that_is_read_only_from_the_start(disk, command):
    exports = disk / "saved_models"
    exports.mkdir()
    close(exports)
    ended = command(disk)
    assert (ended.code, *os.listdir(disk)) == (1, "saved_models")
    assert f"{exports} is read-only" in ended.last
    close(disk)
    for output in (disk, disk / "new"):
        ended = command(output)
        assert ended.code == 1
        assert f"--output-dir {output} cannot be written: {disk}" in ended.last


@pytest.mark.faults
def test_a_run_whose_folder_becomes_read_only_in_mid_training(
    disk, tmp_path, command, at
):
    assert command(tmp_path / "unbroken").code == 0
    folder = disk / "runs" / f"{RECIPE}-sample" / "1"
    at.faults["000002-*.npz"] = functools.partial(close, folder)
    for file in ("checkpoints/train/000002-", ".lock"):
        ended = command(disk)
        assert ended.code == 1
        assert f"Read-only file system: '{folder}/{file}" in ended.last
    subprocess.run(["umount", folder], check=True)
    ended = command(disk)
    assert ended.code == 0
    assert "resuming after epoch 1 of 2" in ended.out
    assert_same_end(disk, tmp_path / "unbroken")


# --- a process of its own -----------------------------------------------

# `after` is told of every checkpoint.
DRIVER = f"""
import contextlib, os, pathlib, shutil, sys, time

from recipes.lab import files
from recipes.lab.export import exporting
from recipes import {RECIPE} as recipe

exporting._verifier_of = contextlib.nullcontext
exporting._verify = lambda *arguments: None
write, after = files.write_atomically, None

def write_and_tell(path, content):
    write(path, content)
    if after and path.suffix == ".npz":
        after(int(path.name[:6]))

files.write_atomically = write_and_tell

def train(folder):
    flags = ["--epochs", "4", "--offline", "--output-dir", folder]
    print("code", recipe.main(flags), flush=True)

def checkpoints(folder):
    return sorted(pathlib.Path(folder).glob("runs/*/1/checkpoints/*/*"))

train("unbroken")
"""


def drive(folder, story, codes):
    """Have a story told after an unbroken run; return its process."""
    (folder / "driver.py").write_text(DRIVER + story)
    nowhere = {"TFDS_DATA_DIR": str(folder / "nowhere")}
    done = run_python("driver.py", cwd=folder, env=nowhere)
    assert done.returncode == 0, done.stderr
    assert re.findall("^code (.*)", done.stdout, re.MULTILINE) == codes
    return done


DAMAGED = """
def after(epoch):
    if epoch == 3:
        raise KeyboardInterrupt

train("cut")
after = None
for name in ("flipped", "renamed"):
    shutil.copytree("cut", name)
    newest = checkpoints(name)[-1]
    if name == "renamed":
        newest.rename(newest.with_name("000009.npz"))
    else:
        content = bytearray(newest.read_bytes())
        content[len(content) // 3] ^= 1
        newest.write_bytes(content)
    train(name)
"""


@pytest.mark.faults
def test_a_command_that_meets_a_damaged_checkpoint_ends_with_the_same_bits(
    tmp_path,
):
    done = drive(tmp_path, DAMAGED, ["0", "130", "0", "0"])
    assert done.stderr.count(".npz is damaged; going back to the one") == 2
    assert "train/000009.npz is damaged" in done.stderr
    assert done.stdout.count("resuming after epoch 2 of 4") == 2
    for name in ("flipped", "renamed"):
        assert_same_end(tmp_path / name, tmp_path / "unbroken")


# The disk of the second run is full once two epochs are kept.
FULL = """
def after(epoch):
    if epoch == 2:
        with open("disk/filler", "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(4_096))

train("disk")
os.remove("disk/filler")
after = None
train("disk")
"""


@pytest.mark.faults
def test_a_command_whose_disk_is_full_and_then_read_only(disk, tmp_path):
    done = drive(tmp_path, FULL, ["0", "1", "0"])
    [error] = re.findall("^error: .*", done.stderr, re.MULTILINE)
    folder = f"disk/runs/{RECIPE}-sample/1"
    assert error.endswith(f"No space left on device: '{folder}/history.csv'")
    assert "Traceback" not in done.stderr
    assert "resuming after epoch 2 of 4" in done.stdout
    assert_same_end(disk, tmp_path / "unbroken")
    assert_nothing_is_half(disk)
    close(disk)
    flags = ("--offline", "--output-dir", disk)
    done = run_python("-m", f"recipes.{RECIPE}", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert f"--output-dir {disk} cannot be written: {disk}" in done.stderr


# The clock goes back after every epoch. After the third the run is cut off, and
# gone on with when the dates of its files lie ahead. After the fourth there is
# no date that an export can hold, until the clock is set.
CLOCK = """
clock, local, ahead = time.time, time.localtime, 0
time.time = lambda: clock() + ahead
time.localtime = lambda *now: local(*now or [time.time()])

def after(epoch):
    global ahead
    days = {1: 1, 2: 100, 3: 20 * 365, 4: clock() / 86_400 + 10}[epoch]
    ahead = -86_400 * days
    if epoch == 3:
        raise KeyboardInterrupt

train("output")
for i, path in enumerate(checkpoints("output")):
    os.utime(path, (4e9 - 1e9 * i,) * 2)  # the older, the later
train("output")
train("output")
ahead = -86_400 * 20 * 365
train("output")
"""


@pytest.mark.faults
def test_a_clock_that_goes_back_a_day_and_decades_and_before_1970(tmp_path):
    done = drive(tmp_path, CLOCK, ["0", "130", "1", "1", "0"])
    assert done.stdout.count("resuming after epoch 3 of 4") == 1
    assert done.stdout.count("resuming after epoch 4 of 4") == 1
    assert done.stderr.count("holds no date before 1980. Set the clock") == 2
    assert "Traceback" not in done.stderr
    output = tmp_path / "output"
    assert_same_end(output, tmp_path / "unbroken")
    assert_nothing_is_half(output)
    folder = output / "runs" / f"{RECIPE}-sample" / "1"
    rows = (folder / "history.csv").read_text().splitlines()
    for row in csv.DictReader(rows):
        assert all(0 < float(row[name]) < 100 for name in TIMES)
    [export] = output.glob("saved_models/*/*")
    assert zoo.load_model(export, verbose=False).count_params() == 7_850


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


@pytest.mark.slow
def test_two_recipes_at_once_in_one_folder(tmp_path):
    nowhere = {"TFDS_DATA_DIR": str(tmp_path / "nowhere")}
    recipes = (RECIPE, "mnist_autoencoder")
    with futures.ThreadPoolExecutor(2) as pool:
        ends = pool.map(
            lambda name: run_python(
                *("-m", f"recipes.{name}", "--dry-run"),
                cwd=tmp_path,
                env=nowhere,
            ),
            recipes,
        )
        assert [done.returncode for done in ends] == [0, 0]
    for name in recipes:
        [folder] = (tmp_path / "runs" / f"{name}-sample").iterdir()
        assert (folder / "metrics.json").exists()
        [export] = (tmp_path / "saved_models" / f"{name}-sample").iterdir()
        zoo.load_model(export, verbose=False)
    assert_nothing_is_half(tmp_path)
