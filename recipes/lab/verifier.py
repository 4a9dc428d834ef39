"""The fresh process that verifies an export, started before there is one.

To import TensorFlow takes seconds, on one core. So a command starts this
process before it imports TensorFlow itself: both do it at once, and whoever
exports later finds it waiting. It has loaded nothing else, and asks an export
as a stranger would.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_waiting = []  # processes that nobody has taken


@contextlib.contextmanager
def at_hand() -> Iterator[None]:
    """Start a process to be taken, and end it if nobody does.

    Workers of a cluster start none: the chief alone exports.
    """
    if "TF_CONFIG" in os.environ:
        yield
        return
    process = _start()
    _waiting.append(process)
    try:
        yield
    finally:
        if process in _waiting:
            _waiting.remove(process)
            _end(process)


@contextlib.contextmanager
def taken() -> Iterator[subprocess.Popen]:
    """Give the process that waits, or a new one."""
    process = _waiting.pop() if _waiting else _start()
    try:
        yield process
    finally:
        _end(process)


def ask(process: subprocess.Popen, folder: Path, exam: bytes) -> str | None:
    """Have an export verified.

    Args:
        process: The process, which does this once.
        folder: The version folder.
        exam: What to ask and what to expect, see
            `recipes.lab.export.verification`.

    Returns:
        What is wrong with the export, or None.
    """
    question = os.fsencode(folder.resolve()) + b"\n" + exam
    _, errors = process.communicate(question)
    if not process.returncode:
        return None
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"


def _start() -> subprocess.Popen:
    """Start the process. It finds our packages where this one did."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "recipes.lab.export.verification"],
        env={
            "KERAS_BACKEND": "tensorflow",  # not keras.json's
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _end(process: subprocess.Popen) -> None:
    process.kill()  # it has ended by itself, unless we failed
    with process:  # closes its pipes and waits
        pass
