"""What a terminal can show: its alphabet, its links, its Python."""

import codecs
import contextlib
import io
import logging
import os
import shutil
import sys
import unicodedata
from pathlib import Path

_IN_ASCII = {
    "±": "+-",
    "×": "x",
    "→": "->",
    "…": "...",
    "–": "-",
    "━": "=",  # Keras' progress bar
}


def prepare() -> None:
    """Let no character end a command that a terminal does not have.

    One of ASCII, as under `LC_ALL=C`, would raise an error at the first `±`.
    Where there is no terminal at all, what is said goes nowhere.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's is another
            stream.reconfigure(errors="legibly")


def _open_closed_streams() -> None:
    """Give a process the standard streams that it was started without.

    Python has None for each of them then, and the next file that is opened
    gets its number, to which TensorFlow writes what it logs. `zoo._quiet` does
    the same; to import that here would start Keras.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # so it is the lowest number that is free
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))


@contextlib.contextmanager
def without_retracing():
    """Drop what TensorFlow says of the graphs of several small models."""

    def says_more(record):
        return "tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(says_more)
    try:
        yield
    finally:
        logger.removeFilter(says_more)


def _legibly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what to write for characters that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        return codecs.replace_errors(error)  # of one who reads the stream, too
    text = error.object[error.start : error.end]
    with contextlib.suppress(UnicodeError):
        # Bytes of a file name, of which Python could make no text.
        name = text.encode("ascii", "surrogateescape")
        name.decode("utf-8")
        return name, error.end
    return b"".join(map(_in_ascii, text)), error.end


def _in_ascii(character: str) -> bytes:
    if "BOX DRAWINGS" in unicodedata.name(character, ""):
        plain = {"─": "-", "│": "|", "━": "="}.get(character, "+")
    else:
        plain = _IN_ASCII.get(character) or unicodedata.normalize(
            "NFKD", character
        )
    return plain.encode("ascii", "ignore") or b"?"


codecs.register_error("legibly", _legibly)


def say(text: str) -> None:
    """Print a text at once, whatever this process' terminal can show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = text.encode(encoding, "legibly").decode(encoding, "replace")
    print(text, flush=True)


def link(path: Path) -> str:
    """Return a path as a link, which many terminals open at a click."""
    return path.resolve().as_uri()


def python() -> str:
    """Return the Python that runs here as it is typed in this folder."""
    here = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and os.path.abspath(found) == str(here):
            return name
    if here.is_relative_to(Path.cwd()):
        return str(here.relative_to(Path.cwd()))
    return str(here)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if get_shell else None
    return getattr(shell, "kernel", None) is not None


def shows_bars() -> bool:
    """Whether a progress bar can be seen where this process writes to."""
    if sys.stdout is None:  # as where nobody listens
        return False
    return sys.stdout.isatty() or in_notebook()


def start_anew() -> str:
    """Return how a process gets other devices, in words."""
    if in_notebook():
        return "restart the kernel, and run the cell that asks for them first"
    return "start a new process"
