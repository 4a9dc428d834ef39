"""Files are written whole and in UTF-8, on disks that lack locks or syncs."""

import errno
import fcntl
import os
import stat

import pytest

from recipes.lab import files as lab_files
from recipes.lab.files import sync, write_atomically
from recipes.lab.flags import RunOptions
from recipes.lab.runs import run as lab_run
from recipes.mnist_softmax_regression import Config as RecipesConfig


def test_files_are_utf8_whatever_a_file_name_is(tmp_path):
    path = tmp_path / "report.html"
    write_atomically(path, "é ± \udcc3\udca9 \udcff")
    assert path.read_text(encoding="utf-8") == "é ± é \ufffd"


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
    folder = tmp_path / "runs" / "test_files-sample" / "1"
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
