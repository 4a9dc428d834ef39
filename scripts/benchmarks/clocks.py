"""What two sides took, beside each other, and how to have it measured."""

import concurrent.futures
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Measured(NamedTuple):
    """What one side took, in seconds, and how good it was."""

    wall: float
    cpu: float
    score: float
    way: str = ""  # to ask, where there are several


class Clock:
    """Reads the wall and CPU seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Return both."""
        return (
            time.perf_counter() - self.wall,
            time.process_time() - self.cpu,
        )


def alone(function: Callable, *arguments):
    """Call a function in a process of its own."""
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        return pool.submit(function, *arguments).result()


def print_table(rows: Sequence[str], other: str, rounds: int) -> None:
    """Print rows below a heading that says whose numbers they are."""
    print(
        f"{'median of ' + str(rounds):<24}{'wall':>10}{other:>10}"
        f"{'ratio':>7}{'CPU':>10}{other:>10}{'ratio':>7}{'score':>9}"
        f"{other:>9}",
        *rows,
        sep="\n",
    )


def row(name: str, pairs: Sequence[tuple[Measured, Measured]]) -> str:
    """Return the medians of both sides' seconds, ratios and scores."""
    cells = [f"{name:<24}"]
    for field in ("wall", "cpu"):
        times = [[getattr(one, field) for one in pair] for pair in pairs]
        for seconds in zip(*times, strict=True):
            cells.append(f"{in_units(statistics.median(seconds)):>10}")
        ratio = statistics.median(ours / peer for ours, peer in times)
        cells.append(f"{ratio:>7.2f}")
    for scores in zip(*([one.score for one in p] for p in pairs), strict=True):
        cells.append(f"{statistics.median(scores):>9.4f}")
    return "".join(cells)


def in_words(found: Measured) -> str:
    """Return what one side took, for people."""
    way = f" {found.way}" if found.way else ""
    return (
        f"{in_units(found.wall)} ({in_units(found.cpu)} CPU){way}, "
        f"score {found.score:.4f}"
    )


def in_units(seconds: float) -> str:
    """Return seconds in a unit that suits them."""
    if seconds >= 0.1:
        return f"{seconds:.2f} s"
    if seconds >= 1e-3:
        return f"{1e3 * seconds:.1f} ms"
    return f"{1e6 * seconds:.0f} us"
