"""Verifies exports in fresh processes that need not import TensorFlow.

It takes the place of `recipes.lab.verifier` while this process exports. The
verifier that users have verifies the main job, and what commands export that
tests start.
"""

import contextlib
import io
from concurrent.futures import ProcessPoolExecutor

import pytest

from helpers.forks import FORKS
from recipes.lab import command
from recipes.lab.export import exporting, verification

at_hand = taken = contextlib.nullcontext


def ask(process, folder, exam):
    """Have an export verified; see `recipes.lab.verifier.ask`."""
    with ProcessPoolExecutor(1, FORKS) as pool:
        question = folder.resolve(), io.BytesIO(exam)
        return pool.submit(verification.main, *question).result()


@contextlib.contextmanager
def verified_by(verifier):
    """Have a module verify what this process exports."""
    with pytest.MonkeyPatch.context() as patch:
        for user in (command, exporting):
            patch.setattr(user, "verifier", verifier)
        yield
