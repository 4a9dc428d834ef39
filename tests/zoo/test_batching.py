"""Requests that wait together are answered together, and each gets its own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zoo._batching import Batcher


class Model:
    """Squares numbers, no faster than it is let; refuses 13 in a batch."""

    def __init__(self):
        self.sizes, self.gate = [], threading.Event()

    def __call__(self, x):
        self.gate.wait(10)
        self.sizes.append(len(x))
        if 13 in x:
            raise RuntimeError("bad luck")
        return {"y": x**2}


def ask_together(requests, largest=64):
    """Ask for all, the first before the others; return model and answers."""
    model = Model()

    async def ask():
        with ThreadPoolExecutor(2) as pool:
            batcher = Batcher(model, pool, largest)
            asked = [
                asyncio.create_task(batcher.ask({"x": np.array(x)}, len(x)))
                for x in requests
            ]
            await asyncio.sleep(0)  # each has begun to wait
            model.gate.set()
            return await asyncio.gather(*asked, return_exceptions=True)

    return model, asyncio.run(ask())


def test_whoever_is_alone_does_not_wait():
    model, [answer] = ask_together([[3]])
    assert model.sizes == [1]
    np.testing.assert_array_equal(answer["y"], [9])


def test_those_that_wait_together_are_one_batch():
    requests = [[1], [2, 3], [4], [5, 6, 7]]
    model, answers = ask_together(requests)
    assert sum(model.sizes) == 7 and len(model.sizes) <= 2
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["y"], np.square(request))


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [((3, 3, 3), [3, 3, 3]), ((1, 2, 3, 1), [3, 4]), ((9, 1), [9, 1])],
)
def test_no_batch_is_larger_than_the_largest(counts, sizes):
    requests = [list(range(count)) for count in counts]
    model, answers = ask_together(requests, largest=4)
    assert model.sizes == sizes
    assert [len(answer["y"]) for answer in answers] == [*counts]


def test_a_failure_is_only_that_of_whoever_asked_for_it():
    model, answers = ask_together([[1], [13], [2]])
    assert isinstance(answers[1], RuntimeError)
    np.testing.assert_array_equal(answers[0]["y"], [1])
    np.testing.assert_array_equal(answers[2]["y"], [4])


def test_whoever_leaves_holds_up_nobody():
    model = Model()

    async def ask():
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(model, pool, 64)
            first, second = (
                asyncio.create_task(batcher.ask({"x": np.array([x])}, 1))
                for x in (1, 2)
            )
            await asyncio.sleep(0)
            first.cancel()
            model.gate.set()
            return await second, await batcher.ask({"x": np.array([3])}, 1)

    second, third = asyncio.run(ask())
    assert (second["y"], third["y"]) == (4, 9)
