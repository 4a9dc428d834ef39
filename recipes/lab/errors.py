"""Errors that are meant for the person at the terminal, with exit codes."""


class RecipeError(Exception):
    """The command was valid, but training, export or I/O failed."""

    exit_code = 1


class UsageError(RecipeError, ValueError):
    """The command asks for something that cannot be."""

    exit_code = 2


class DataError(RecipeError):
    """The recipe's data cannot be had."""

    exit_code = 3


class NothingToDo(RecipeError):
    """This process has no part in the training, and that is no failure."""

    exit_code = 0


class Preempted(KeyboardInterrupt):
    """SIGTERM: the machine is wanted back."""
