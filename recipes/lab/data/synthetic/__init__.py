"""Data sets that a program draws, each by its seed: one file each."""

from collections.abc import Callable
from functools import partial

from recipes.lab.data.splits import Data
from recipes.lab.data.synthetic import (
    adding,
    bars,
    collisions,
    copies,
    entities,
    faces,
    ising,
    memories,
    methylation,
    patients,
    roads,
    sentences,
    series,
    written,
)

# Each takes whether a small sample is enough.
SETS: dict[str, Callable[[bool], Data]] = {
    **{f"faces_{what}": partial(faces.load, what) for what in faces.ANSWERS},
    **{f"ising_{size}": partial(ising.load, size) for size in ising.SIZES},
    **{f"adding_{n}": partial(adding.load, n) for n in adding.STEPS},
    **{f"entities_{t}": partial(entities.load, t) for t in entities.TEMPLATES},
    **{name: partial(series.load, name) for name in series.TITLES},
    **{f"copies_{n}": partial(copies.load, n) for n in copies.LONGEST},
    "roads": roads.load,
    "collisions": collisions.load,
    "patients": patients.load,
    "sentences": sentences.load,
    "written_dates_and_numbers": written.load,
    "memories": memories.load,
    "bars_3": bars.load,
    "methylation": methylation.load,
}
