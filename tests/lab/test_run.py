"""A run is opened as what it is."""

import types

import pytest

from recipes.lab.errors import UsageError
from recipes.lab.runs.run import _agree_on_settings


@pytest.mark.parametrize("other", [{"seed": 1}, {"run_name": "theirs"}])
def test_workers_with_different_flags_are_refused(other):
    """What the other one sends is that of its own settings."""
    settings = {"seed": 0, "run_name": None}
    sent = []
    alone = types.SimpleNamespace(gather=lambda n: sent.append(n) or [n])
    _agree_on_settings(settings | other, alone)
    both = types.SimpleNamespace(gather=lambda number: [number, *sent])
    with pytest.raises(UsageError, match="different settings or data"):
        _agree_on_settings(settings, both)
