"""Where the answers of `python -m zoo predict` go: a table, or a CSV file."""

import csv
import fcntl
import io
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

FAILED = "failed"
PAUSE = 0.1  # seconds between two states of a progress bar
BAR = 30  # characters


class Answer(NamedTuple):
    """What a model says of a picture, or why it says nothing.

    Attributes:
        classes: Names, the likeliest first.
        probabilities: One each.
        error: What is wrong with the file; empty if it was answered.
        is_light: Whether the picture is more light than dark.
    """

    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str = ""
    is_light: bool = False


class Table:
    """Lines on the terminal, each as soon as its answer is known.

    Args:
        labels: The names of all classes, for the width of a column.
        top: How many classes a line has.
    """

    kept = failed = 0  # rows of an earlier command

    def __init__(self, labels: Iterable[str], top: int):
        self._width = max(map(len, ("class", FAILED, *labels)))
        cells = [f"{'class':<{self._width}}  probability"] * top
        heading = "  ".join([*cells, "file"])
        self._before_file = heading.index("file")
        print(heading)

    def write(self, files: Iterable[str], answers: Iterable[Answer]) -> None:
        """Print a line for each file."""
        for file, answer in zip(files, answers, strict=True):
            if answer.error:
                cells = FAILED.ljust(self._before_file)
                file = f"{file}: {answer.error}"
            else:
                cells = "".join(
                    f"{name:<{self._width}}  {100 * probability:9.2f} %  "
                    for name, probability in zip(
                        answer.classes, answer.probabilities, strict=True
                    )
                )
            print(f"{cells}{file}")
        sys.stdout.flush()

    def finish(self) -> None:
        """Do nothing: every line is there."""

    close = finish


class Csv:
    """A file of comma-separated values that is there once it is whole.

    Rows go to a file beside it, `NAME.<mark>.partial`, which gets the name at
    the end. The same command finds there what an earlier one has written, and
    adds to it.

    Args:
        path: The file to write; one that is there will be replaced.
        mark: What tells this question from all others, in a few letters.
        top: How many classes a row has.

    Attributes:
        partial: The file beside it.
        kept: How many rows an earlier command has written,
        failed: and in how many of them is an error.

    Raises:
        OSError: If it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path, mark: str, top: int):
        # A link stays one, and what it leads to is written.
        self.path = path.resolve() if path.is_symlink() else path
        self.partial = self.path.with_name(f"{self.path.name}.{mark}.partial")
        self.kept = self.failed = 0
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        names = ["file", "class", "probability"]
        for rank in range(2, top + 1):
            names += [f"class_{rank}", f"probability_{rank}"]
        self._columns = len(names)
        self._header = _encode([[*names, "error"]])
        self._file = open(self.partial, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError("another process is writing it") from None
        except OSError:  # some disks know no locks
            pass

    def without_answered(self, files: Iterable[str]) -> Iterator[str]:
        """Return the files that are still to be answered.

        The rows that are there are kept as far as they are whole, and of these
        files in this order. What follows is cut off.
        """
        self._file.seek(0)
        if self._file.read(len(self._header)) != self._header:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self._header)
            self._file.flush()
        end, files = len(self._header), iter(files)
        self._file.seek(end)
        for file in files:
            name = _encode([[file]])[:-1] + b","
            row = self._file.read(len(name)) + self._file.readline()
            if not (row.startswith(name) and row.endswith(b"\n")):
                files = itertools.chain([file], files)
                break
            end += len(row)
            self.kept += 1
            self.failed += not row.endswith(b",\n")
        self._file.truncate(end)
        return files

    def write(self, files: Iterable[str], answers: Iterable[Answer]) -> None:
        """Add a row for each file."""
        rows = []
        for file, answer in zip(files, answers, strict=True):
            row = [file]
            for name, probability in zip(
                answer.classes, answer.probabilities, strict=True
            ):
                row += [name, f"{probability:.6g}"]
            row += [""] * (self._columns - len(row))
            rows.append([*row, answer.error])
        self._file.write(_encode(rows))
        self._file.flush()

    def finish(self) -> None:
        """Give the file its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self.partial, self.path)

    def close(self) -> None:
        """Let other processes write it."""
        self._file.close()


def _encode(rows) -> bytes:
    """Return rows as a CSV file has them, names of files to the byte."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


class Bar:
    """How far the work is, on one line of the terminal.

    Args:
        total: How many files there are,
        done: and how many of them were done before.
    """

    def __init__(self, total: int, done: int):
        self._total, self._before = total, done
        self._started = self._shown = time.monotonic()

    def show(self, done: int) -> None:
        """Show how many files are done."""
        now = time.monotonic()
        if now - self._shown < PAUSE:
            return
        self._shown = now
        share = min(done / self._total, 1)
        rate = (done - self._before) / (now - self._started)
        left = max(self._total - done, 0) / rate
        self._say(
            f"{100 * share:3.0f} % [{'=' * round(BAR * share):{BAR}}] "
            f"{done:,} of {self._total:,}, {rate:,.0f} a second, {left:,.0f} s"
        )

    def clear(self) -> None:
        """Remove the line."""
        self._say("")

    def _say(self, text):
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
