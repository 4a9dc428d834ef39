"""The embedded digits, and the tasks that recipes have with them."""

import contextlib
import dataclasses
import functools


def classification(class_names="0123456789"):
    """The task of a classifier of the embedded digits."""
    from recipes.lab import tasks

    return tasks.Classification(
        dataclasses.replace(sample(), class_names=tuple(class_names))
    )


def reconstruction():
    """The task of an autoencoder of the embedded digits."""
    from recipes.lab import tasks

    return tasks.Reconstruction(sample())


@functools.cache
def sample():
    """The embedded digits."""
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    with contextlib.redirect_stdout(None):
        return sources.load("mnist", RunOptions(dry_run=True))


@functools.cache
def few_of(name):
    """A few data of the kind that an export was made of, by their name."""
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    if name in sources.SOURCES:  # nobody has to have these: the digits are like
        return sample()
    with contextlib.redirect_stdout(None):
        return sources.load(name, RunOptions(dry_run=True))
