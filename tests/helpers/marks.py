"""Which parameters of a test are near copies of others."""

import pytest


def only_thorough(values, kept):
    """Return parameters of which the default run tries only some.

    Args:
        values: All of them.
        kept: Those that are tried by default; the others are `thorough`.
    """
    assert {*kept} <= {*values}
    return [
        value
        if value in kept
        else pytest.param(value, marks=pytest.mark.thorough)
        for value in values
    ]
