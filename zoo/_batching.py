"""Answer requests that come at the same time together.

Nobody waits for company: a request that finds the model idle is answered at
once. Those that come meanwhile are the next batch, however many they are. So
the wait grows with the load, and there is none without.
"""

import asyncio
import collections
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np


class _Waiting(NamedTuple):
    arrays: dict
    count: int
    future: asyncio.Future


class Batcher:
    """Asks one function of arrays for many.

    Args:
        answer: Function from arrays by name to arrays by name, of as many
            examples. It is called in one thread at a time.
        pool: Where that runs.
        largest: Most examples of several requests that are asked together.
    """

    def __init__(self, answer: Callable, pool: Executor, largest: int):
        self._answer, self._pool, self._largest = answer, pool, largest
        self._waiting, self._worker = collections.deque(), None

    async def ask(self, arrays: dict, count: int) -> dict:
        """Return the answer to some examples.

        Args:
            arrays: The arguments by name, as the function takes them.
            count: How many examples they hold.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(arrays, count, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self):
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._take()
                found = await loop.run_in_executor(
                    self._pool, self._answers, batch
                )
                for waiting, answer in zip(batch, found, strict=True):
                    if waiting.future.done():  # whoever asked has left
                        continue
                    if isinstance(answer, Exception):
                        waiting.future.set_exception(answer)
                    else:
                        waiting.future.set_result(answer)
        finally:
            self._worker = None

    def _take(self) -> list[_Waiting]:
        """Return those that are next, in the order in which they came."""
        batch = [self._waiting.popleft()]
        total = batch[0].count
        while self._waiting:
            total += self._waiting[0].count
            if total > self._largest:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _answers(self, batch: list[_Waiting]) -> list:
        """Return an answer or an exception for each."""
        try:
            if len(batch) == 1:
                return [self._answer(**batch[0].arrays)]
            joined = {
                name: np.concatenate([each.arrays[name] for each in batch])
                for name in batch[0].arrays
            }
            whole = self._answer(**joined)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            # It is one's fault, and the others' answers are as good as ever.
            return [self._answers([each])[0] for each in batch]
        ends = np.cumsum([each.count for each in batch])
        return [
            {
                name: array[end - each.count : end]
                for name, array in whole.items()
            }
            for each, end in zip(batch, ends, strict=True)
        ]
