"""Keep what runtimes log from the terminal, and from where there is none."""

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


def open_closed_streams():
    """Give a process the standard streams that it was started without.

    Python has None for each of them then, and the next file that is opened
    gets its number, to which runtimes write what they log.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # so it is the lowest number that is free
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))
