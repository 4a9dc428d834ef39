"""Cells of notebooks."""

CONFIG = """
from dataclasses import dataclass, replace
from recipes import mnist_softmax_regression as recipe
from recipes.lab.flags import RunOptions

@dataclass(frozen=True)
class Config:
    epochs: int = 2
    batch_size: int = 128
    learning_rate: float = 0.01
    width: int | None = None
    run: RunOptions = RunOptions()
"""
