"""The files that a training resumes from."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from recipes.lab import files
from recipes.lab.errors import RecipeError
from recipes.lab.files import SCHEMA
from recipes.lab.settings import difference, said

KEPT_CHECKPOINTS = 2


def write_checkpoint(folder: Path, epoch: int, arrays: dict) -> None:
    """Write the arrays of an epoch; keep the one before it, too."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getbuffer()
    name = f"{epoch:06d}-{sum_of(content)}.npz"
    files.write_atomically(folder / name, content)
    # What was there for this epoch or a later one was damaged, or it would
    # have been gone on from.
    earlier = [p for p in sorted(folder.glob("*.npz")) if p.name < name[:6]]
    kept = {folder / name, *earlier[1 - KEPT_CHECKPOINTS :]}
    for old in set(folder.glob("*.npz")) - kept:
        old.unlink()


def read_checkpoint(path: Path, variables, settings: dict):
    """Return variables, metadata and callback states; None if damaged."""
    try:
        content = path.read_bytes()
        epoch, _, expected = path.stem.partition("-")
        if sum_of(content) != expected:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        meta = json.loads(arrays.pop("meta").tobytes())
        if f"{meta['epoch']:06d}" != epoch:
            return None
        schema, present = meta["schema"], meta["settings"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    other = None
    if schema != SCHEMA:
        other = f"version of this package, as schema {schema}"
    elif said(present) != said(settings):
        # Its code was compared when the run was opened.
        other = f"run: {difference(present, settings)}"
    values = [arrays.pop(f"v{i}", None) for i in range(len(variables))]
    if other is None and f"v{len(variables)}" in arrays:
        other = "model: it has more variables"
    for variable, value in zip(variables, values, strict=True):
        if value is None or value.shape != tuple(variable.shape):
            other = other or f"model: it does not fit {variable.path}"
    if other:
        raise RecipeError(
            f"{path} was written for another {other}. To start anew choose "
            f"another --run-name, or delete {path.parents[2]}."
        )
    for i, state in enumerate(meta["others"]):
        if isinstance(count := state.get("best_weights"), int):
            state["best_weights"] = [arrays[f"b{i}_{j}"] for j in range(count)]
    return values, meta, meta["others"]


def sum_of(content) -> str:
    """Return the first half of a SHA-256, for the name of a checkpoint."""
    return hashlib.sha256(content).hexdigest()[:32]
