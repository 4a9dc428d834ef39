"""The folder of a run: its number, its lock, its settings and its records."""

from recipes.lab.runs.run import Run, open_run

__all__ = ["Run", "open_run"]
