"""Write files so that nobody ever sees half of one."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from recipes.lab.errors import RecipeError

# What disks answer to a request that they do not know.
_NOT_SUPPORTED = {
    *(errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP),
    *(errno.EINVAL, errno.EBADF),
}
_without_locks = set()  # disks that were named already


def write_atomically(path: Path, content: bytes | memoryview | str) -> None:
    """Write a whole file, or leave what was there before.

    The content goes to a temporary file beside `path`, onto the disk, and only
    then under its name.

    Raises:
        OSError: If the disk is full or the folder cannot be written; it names
            `path`. Nothing is left behind.
    """
    if isinstance(content, str):
        content = _as_utf8(content)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # it may be read-only by now
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk does not say for what
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync(path.parent)


def is_utf8(path: Path) -> bool:
    """Whether a path is text, and not bytes that Python could not decode."""
    return str(path).encode("utf-8", "replace").decode() == str(path)


def _as_utf8(text: str) -> bytes:
    """Encode a text, in which a path may be that is not."""
    content = text.encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "replace").encode()


def write_json(path: Path, content: dict) -> None:
    """Write a dictionary as sorted, indented JSON, atomically."""
    write_atomically(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def sync(path: Path) -> None:
    """Make sure that a file or a folder's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Shared folders of virtual machines, say, sync files and not folders.
        if error.errno not in _NOT_SUPPORTED or not path.is_dir():
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def lock(file, folder: Path, *, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed, however that comes.

    Some disks, of networks above all, know no locks. There everything works on
    without, once that has been said.

    Args:
        file: An open file, or a descriptor.
        folder: What the lock is for, to be named.
        wait: Wait for another process to give the lock back.

    Returns:
        False if another process has the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        _say_that_there_are_no_locks(folder)
    return True


def _say_that_there_are_no_locks(folder: Path) -> None:
    """Warn, once for each disk."""
    disk = os.stat(folder).st_dev
    if disk not in _without_locks:
        _without_locks.add(disk)
        print(
            f"the disk of {folder} knows no locks: nothing keeps a second "
            "process out, so run one at a time with this --output-dir",
            file=sys.stderr,
        )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_npz(path: Path, arrays: dict) -> None:
    """Write NumPy arrays as one uncompressed archive, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getbuffer())


def read_npz(path: Path, names) -> dict[str, np.ndarray]:
    """Read some arrays of an archive whose sums are right.

    Raises:
        Exception: Of any kind if it is not there, damaged, or lacks an array.
    """
    with open(path, "rb") as stream:
        # NumPy reads what a header says, and zipfile looks at the sum of
        # nothing less than the whole.
        if zipfile.ZipFile(stream).testzip():
            raise zipfile.BadZipFile("a sum is wrong")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in names}


SCHEMA = 1  # of every file that a run writes


def check_clock() -> None:
    """Refuse a date that a `.keras` file cannot hold, before Keras trips on it.

    Raises:
        RecipeError: If the clock is before 1980, where zip archives begin.
    """
    if time.localtime().tm_year < 1980:
        raise RecipeError(
            f"The clock of this machine says {time.strftime('%Y-%m-%d')}, and "
            "a .keras file holds no date before 1980. Set the clock, then run "
            "the same command again to resume."
        )
