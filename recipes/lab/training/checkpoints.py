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


def write_checkpoint(
    folder: Path, epoch: int, arrays: dict, kept: int = KEPT_CHECKPOINTS
) -> None:
    """Write the arrays of an epoch; keep the one before it, too.

    Args:
        folder: Where the checkpoints are.
        epoch: Number of complete epochs.
        arrays: What to write.
        kept: How many checkpoints to keep, this one included.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getbuffer()
    name = f"{epoch:06d}-{sum_of(content)}.npz"
    files.write_atomically(folder / name, content)
    # What was there for this epoch or a later one was damaged, or it would
    # have been gone on from.
    earlier = [p for p in sorted(folder.glob("*.npz")) if p.name < name[:6]]
    newest = {folder / name, *earlier[max(0, len(earlier) + 1 - kept) :]}
    for old in set(folder.glob("*.npz")) - newest:
        old.unlink()


def read_checkpoint(path: Path, variables, settings: dict):
    """Return variables, metadata and callback states; None if damaged."""
    content = open_checkpoint(path)
    if content is None:
        return None
    arrays, meta = content
    other = None
    if meta["schema"] != SCHEMA:
        other = f"version of this package, as schema {meta['schema']}"
    elif said(meta["settings"]) != said(settings):
        # Its code was compared when the run was opened.
        other = f"run: {difference(meta['settings'], settings)}"
    elif misfit := misfit_of(arrays, variables):
        other = f"model: {misfit}"
    if other:
        raise RecipeError(
            f"{path} was written for another {other}. To start anew choose "
            f"another --run-name, or delete {path.parents[2]}."
        )
    values = [arrays[f"v{i}"] for i in range(len(variables))]
    for i, state in enumerate(meta["others"]):
        if isinstance(count := state.get("best_weights"), int):
            state["best_weights"] = [arrays[f"b{i}_{j}"] for j in range(count)]
    return values, meta, meta["others"]


def open_checkpoint(path: Path) -> tuple[dict, dict] | None:
    """Return arrays and metadata of a checkpoint; None if it is damaged."""
    try:
        content = path.read_bytes()
        epoch, _, expected = path.stem.partition("-")
        if sum_of(content) != expected:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        meta = json.loads(arrays.pop("meta").tobytes())
        known = {"schema", "settings", "stopped", "history", "others"}
        if f"{meta['epoch']:06d}" != epoch or not known <= meta.keys():
            return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return arrays, meta


def misfit_of(arrays: dict, variables) -> str | None:
    """Return in words why the arrays are not of these variables, or None."""
    if f"v{len(variables)}" in arrays:
        return "it has more variables"
    for i, variable in enumerate(variables):
        value = arrays.get(f"v{i}")
        if value is None or value.shape != tuple(variable.shape):
            return f"it does not fit {variable.path}"
    return None


def sum_of(content) -> str:
    """Return the first half of a SHA-256, for the name of a checkpoint."""
    return hashlib.sha256(content).hexdigest()[:32]
