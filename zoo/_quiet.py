"""Keep what runtimes log from the terminal."""

import contextlib
import os
import sys


@contextlib.contextmanager
def quiet():
    """Drop what TensorFlow and LiteRT log about this machine when they start.

    It is written below Python, before any log level is heeded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
