"""Disks that are full, read-only or damaged, and a clock that goes back.

What a user is left with is the last good state and one line that names a file.
"""

import contextlib
import csv
import errno
import functools
import os
import pathlib
import re
import shutil
import subprocess
import types
from concurrent import futures

import keras
import pytest
from helpers import ends
from helpers.commands import run_python, run_recipe
from helpers.ends import TIMES, assert_same_end
from helpers.forks import Fork

import zoo
from recipes.lab import files as lab_files
from recipes.lab import verifier
from recipes.lab.export import exporting, formats
from recipes.lab.files import write_atomically

RECIPE = "mnist_softmax_regression"


# --- a whole run on a bad disk ------------------------------------------


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """A function that runs a small recipe to its end.

    Nothing is verified, and converted to no other format.
    """
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    for start in ("at_hand", "taken"):
        monkeypatch.setattr(verifier, start, contextlib.nullcontext)
    monkeypatch.setattr(exporting, "_verify", lambda *_: None)
    monkeypatch.setattr(formats, "write", lambda *_: {})

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
# What fails with the export, or while it is being verified.
EXPORTED = (
    *("saved_model.pb", "labels.txt", "model.keras", "SHA256SUMS"),
    *("curves.png", "report.html"),
)


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

from recipes.lab import files, verifier
from recipes.lab.export import exporting, formats
from recipes import {RECIPE} as recipe

verifier.at_hand = verifier.taken = contextlib.nullcontext
exporting._verify = lambda *arguments: None
formats.write = lambda *arguments: {{}}
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
    done = Fork("driver.py", cwd=folder, env=nowhere).ends()
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
def test_a_command_whose_disk_is_full(disk, tmp_path):
    done = drive(tmp_path, FULL, ["0", "1", "0"])
    [error] = re.findall("^error: .*", done.stderr, re.MULTILINE)
    folder = f"disk/runs/{RECIPE}-sample/1"
    assert error.endswith(f"No space left on device: '{folder}/history.csv'")
    assert "Traceback" not in done.stderr
    assert "resuming after epoch 2 of 4" in done.stdout
    assert_same_end(disk, tmp_path / "unbroken")
    assert_nothing_is_half(disk)


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
