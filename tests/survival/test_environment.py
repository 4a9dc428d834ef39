"""Whatever a process inherits, a command works or says in a sentence why not.

A notebook's MPLBACKEND, no home folder, a terminal of ASCII, a disk without
locks.
"""

import contextlib
import errno
import fcntl
import io
import os
import stat
import sys

import pytest
from helpers.commands import run_python, run_recipe

import zoo
import zoo.__main__
from recipes.lab import files as lab_files
from recipes.lab.data import sources, tfds
from recipes.lab.errors import DataError
from recipes.lab.files import sync, write_atomically
from recipes.lab.flags import RunOptions
from recipes.lab.runs import run as lab_run
from recipes.lab.terminal import prepare, say
from recipes.mnist_softmax_regression import Config as RecipesConfig

RECIPE = "mnist_softmax_regression"
NOTEBOOK = "module://matplotlib_inline.backend_inline"

# What a container is that runs under a user id that it does not know.
NOBODY = """
import os, pwd, runpy, sys

def unknown(user):
    raise KeyError(f"getpwuid(): uid not found: {user}")

pwd.getpwuid = unknown
del os.environ["HOME"]
os.environ.pop("KERAS_HOME", None)
"""


# --- Matplotlib's backend, and no home ----------------------------------


@pytest.mark.parametrize(
    "backend", [NOTEBOOK, pytest.param("mine", marks=pytest.mark.thorough)]
)
@pytest.mark.thorough
def test_import_without_matplotlibs_backend_or_a_home(backend, tmp_path):
    code = f"""{NOBODY}
import zoo
import matplotlib.pyplot
matplotlib.pyplot.plot([1, 2])
assert os.environ["MPLBACKEND"] == {backend!r}
assert "KERAS_HOME" not in os.environ
"""
    env = {"MPLBACKEND": backend, "DISPLAY": "", "TMPDIR": str(tmp_path)}
    here = tmp_path / "here"
    here.mkdir()
    done = run_python("-c", code, cwd=here, env=env)
    assert done.returncode == 0, done.stderr
    assert not [*here.iterdir()], "a folder called ~"


@pytest.mark.thorough
def test_a_backend_that_is_here_is_kept():
    code = """
import zoo
import matplotlib
assert matplotlib.get_backend() == "svg"
"""
    done = run_python("-c", code, env={"MPLBACKEND": "svg"})
    assert done.returncode == 0, done.stderr


@pytest.fixture
def no_home(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", str)
    for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_data_are_not_looked_for_in_it(no_home, capsys):
    assert sources.load("mnist", RunOptions(offline=True)).is_sample
    assert sources._cache_folder() is None


def test_without_a_home_nothing_is_downloaded_into_it(no_home):
    with pytest.raises(DataError, match="no home folder to download mnist"):
        tfds.download("mnist", None)


# --- a terminal of ASCII ------------------------------------------------

ASCII = (
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("env", ASCII, ids=["stdio", "locale"])
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["recipes"], 0, "99.47 +- 0.05 %"),
        (["recipes.mnist_cnn", "--help"], 0, "python -m recipes.mnist_cnn"),
        (["recipes.mnist_cnn", "--epoch", "3"], 2, "--epochs INT"),
        (["recipes", "mnist_cn\xe9"], 2, "no recipe 'mnist_cn"),
    ],
    ids=["list", "help", "usage", "unknown"],
)
def test_commands_speak_ascii(env, command, code, words):
    done = run_python("-m", *command, env=env, errors="replace")
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@contextlib.contextmanager
def terminal(monkeypatch, encoding):
    """Stand in for standard output; what it gives holds what was written."""
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding, write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        yield written


def test_models_are_described_in_ascii(monkeypatch):
    with terminal(monkeypatch, "ascii") as written:
        assert zoo.__main__.main(["lenet5", "autoencoder"]) == 0
        for name in zoo.list_models():
            print(zoo.model_info(name).builder.__doc__)
        said = written.getvalue().decode("ascii")
    assert "28x28x1" in said
    assert said.count("?") == 1  # of a title


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"1 +- 2 x 3 -> ... - == e 2 +-+| ? ??? \xc3\xa9"),
        (
            "latin-1",
            b"1 \xb1 2 \xd7 3 -> ... - == \xe9 \xb2 +-+| ? ??? \xc3\xa9",
        ),
        ("utf-8", "1 ± 2 × 3 → … – ━━ é ² ┌─┐│ \U0001f600 ??? é".encode()),
    ],
)
def test_every_character_has_a_stand_in(encoding, shown, monkeypatch):
    with terminal(monkeypatch, encoding) as written:
        prepare()
        print("1 ± 2 × 3 → … – ━━ é ² ┌─┐│ \U0001f600", end=" ")
        print("\udcff\udcc3\udca9 \udcc3\udca9", end="")
        assert written.getvalue() == shown


def test_who_trains_from_python_is_spoken_to_in_ascii_too(monkeypatch):
    with terminal(monkeypatch, "ascii") as written:
        say("99.47 ± 0.05 %")
        assert written.getvalue() == b"99.47 +- 0.05 %\n"


def test_files_are_utf8_whatever_a_file_name_is(tmp_path):
    path = tmp_path / "report.html"
    write_atomically(path, "é ± \udcc3\udca9 \udcff")
    assert path.read_text(encoding="utf-8") == "é ± é \ufffd"


def test_a_folder_that_tensorflow_cannot_write_to(tmp_path, capsys):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert run_recipe(RECIPE, "--dry-run", "--output-dir", folder) == 2
    assert "whose name is not UTF-8" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


# --- disks without locks, or without fsync of folders -------------------

NOT_SUPPORTED = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL", "EBADF")


@pytest.fixture(params=NOT_SUPPORTED)
def no_locks(request, monkeypatch):
    """A disk whose locks are an error, as some disks of networks have it."""
    code = getattr(errno, request.param)

    def flock(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(lab_files, "_without_locks", set())


@pytest.fixture
def synced(request, monkeypatch):
    """The files that were synced, on a disk that does not sync folders."""
    files = []
    fsync = os.fsync

    def fsync_of_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        files.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_of_files)
    return files


class Config(RecipesConfig):
    """The settings of runs that are only opened."""


def open_run(tmp_path):
    config = Config(run=RunOptions(dry_run=True, output_dir=tmp_path))
    with lab_run.open_run(config, "mnist") as run:
        return run.folder


def test_a_disk_without_locks_is_named_once(no_locks, tmp_path, capsys):
    for number in ("1", "1"):  # it is resumed
        assert open_run(tmp_path).name == number
    said = capsys.readouterr().err
    assert said.count("knows no locks") == 1
    folder = tmp_path / "runs" / "test_environment-sample" / "1"
    assert f"the disk of {folder} knows no locks" in said


def test_a_lock_that_fails_otherwise_is_an_error(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=f"error: '{tmp_path}"):
        open_run(tmp_path)


def test_a_disk_that_syncs_no_folders(synced, tmp_path):
    folder = open_run(tmp_path)
    sync(folder)
    path = folder / "config.json"
    assert path.stat().st_ino in synced


def test_a_file_that_cannot_be_synced_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()

    def fsync(descriptor):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=str(path)):
        sync(path)
    with pytest.raises(OSError, match=str(path)):
        write_atomically(path, "text")


# --- all of it at once --------------------------------------------------


@pytest.mark.thorough
def test_a_whole_run_where_nothing_is_as_usual(tmp_path):
    code = f"""{NOBODY}
import errno, fcntl, stat

def flock(file, operation):
    raise OSError(errno.ENOSYS, "Function not implemented")

def fsync(descriptor, fsync=os.fsync):
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "Invalid argument")
    fsync(descriptor)

fcntl.flock, os.fsync = flock, fsync
sys.argv = ["-m", {RECIPE!r}, "--dry-run"]
runpy.run_module("recipes", run_name="__main__", alter_sys=True)
"""
    here = tmp_path / "here"
    here.mkdir()
    env = {**ASCII[1], "MPLBACKEND": NOTEBOOK, "TMPDIR": str(tmp_path)}
    done = run_python("-c", code, cwd=here, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("knows no locks") == 1
    assert {path.name for path in here.iterdir()} == {"runs", "saved_models"}
    report = here / "runs" / f"{RECIPE}-sample" / "1" / "report.html"
    assert f"report  {report.as_uri()}" in done.stdout
