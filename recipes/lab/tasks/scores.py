"""A model's answers to a split, and what they are worth."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from recipes.lab import terminal
from recipes.lab.data.splits import Split

BATCH = 1_000  # examples that are predicted at once


@dataclass(frozen=True)
class Scores:
    """What a task makes of a model and a split.

    Attributes:
        split: What was asked.
        outputs: The model's answers, `(n, ...)`; of several heads a
            dictionary.
        metrics: Metric name to value; a recipe may add its own.
        inputs: What the model got to see instead of the split's inputs, or
            None.
    """

    split: Split
    outputs: np.ndarray | dict[str, np.ndarray]
    metrics: dict[str, float] = field(default_factory=dict)
    inputs: np.ndarray | None = None


class Parts(NamedTuple):
    """What the report of a run says of the model.

    Attributes:
        headline: HTML.
        facts: The first rows of the table of facts.
        before: Sections before the learning curves.
        after: Sections after them.
    """

    headline: str
    facts: dict[str, str]
    before: list
    after: list


def predict(
    model: keras.Model,
    inputs: np.ndarray | dict[str, np.ndarray],
    progress: bool = False,
) -> np.ndarray | dict[str, np.ndarray]:
    """Return what a model says of inputs, whole and in order.

    Each process asks for itself, on one device. Under a strategy Keras would
    share the inputs out, and wait for workers that ask for nothing.

    Args:
        model: A model.
        inputs: `(n, ...)`, as the model takes them; of several inputs a
            dictionary.
        progress: Whether to show a bar.

    Returns:
        float32 `(n, ...)`; a dictionary if the model returns one.
    """
    spec = keras.tree.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), inputs
    )
    count = len(keras.tree.flatten(inputs)[0])

    @tf.function(input_signature=[spec], autograph=False)
    def answer(batch):
        return model(batch, training=False)

    bar = keras.utils.Progbar(count) if progress else None
    answers = []
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        batch = keras.tree.map_structure(lambda x, part=part: x[part], inputs)
        answers.append(
            keras.tree.map_structure(
                lambda x: x.numpy().astype("float32"), answer(batch)
            )
        )
        if bar:
            bar.add(part.stop - part.start)
    return keras.tree.map_structure(
        lambda *parts: np.concatenate(parts), *answers
    )


def say_what_is_scored(split: Split) -> None:
    """Say what keeps people waiting now."""
    print(f"scoring {len(split):,} examples", flush=True)


def features_of(extractor: keras.Model, split: Split) -> Split:
    """Return a split with the features of its inputs in their place.

    Args:
        extractor: A model from raw inputs to features, as of
            `zoo.feature_extractor`.
        split: Inputs and targets.
    """
    many = len(split) > 10 * BATCH
    if many:
        print(f"computing the features of {len(split):,} examples")
    features = predict(
        extractor, split.inputs, progress=many and terminal.shows_bars()
    )
    return replace(split, inputs=features)
