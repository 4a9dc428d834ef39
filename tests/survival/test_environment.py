"""Whatever a process inherits, a command works or says in a sentence why not.

A notebook's MPLBACKEND, no home folder, a terminal of ASCII, a disk without
locks.
"""

import os

import pytest
from helpers.commands import ASCII, run_python, run_recipe

from recipes.lab.data import sources, tfds
from recipes.lab.errors import DataError
from recipes.lab.flags import RunOptions

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
    "backend",
    [
        pytest.param(NOTEBOOK, marks=pytest.mark.thorough),
        pytest.param("mine", marks=pytest.mark.slow),
    ],
)
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
    assert sources.cache_folder() is None


def test_without_a_home_nothing_is_downloaded_into_it(no_home):
    with pytest.raises(DataError, match="no home folder to download mnist"):
        tfds.download("mnist", None)


def test_a_folder_that_tensorflow_cannot_write_to(tmp_path, capsys):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert run_recipe(RECIPE, "--dry-run", "--output-dir", folder) == 2
    assert "whose name is not UTF-8" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


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
