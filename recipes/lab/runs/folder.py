"""The folder of a run: found, made and locked."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from recipes.lab import files
from recipes.lab.data.splits import Data
from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.runs import identity
from recipes.lab.settings import difference, said

# --- finding, creating and locking a folder -----------------------------

# Who asks whether a folder can be written is who would write it.
_EFFECTIVE = {"effective_ids": os.access in os.supports_effective_ids}


def export_name(recipe: str, options, data: Data) -> str:
    """Return the name under runs/ and saved_models/.

    Other data than the recipe's, and samples, say so: what is trained on them
    never answers to the name of the recipe.
    """
    name = recipe if options.dataset is None else f"{recipe}-{data.name}"
    return name + ("-sample" if data.is_sample or options.dry_run else "")


def home_of_runs(options, recipe: str, data: Data) -> Path:
    """Make the folder of a recipe's runs, or say now that it cannot be.

    That of its exports is only looked at: training comes first, and takes long.
    """
    output_dir = options.output_dir
    if not files.is_utf8(output_dir):
        raise UsageError(
            f"--output-dir {output_dir}: TensorFlow writes to no folder whose "
            "name is not UTF-8. Choose another, or set PYTHONUTF8=1 if it is."
        )
    name = export_name(recipe, options, data)
    home = output_dir / "runs" / name
    family = output_dir / "saved_models" / name
    for folder in (output_dir, home.parent, family.parent, family):
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(
                f"--output-dir {output_dir}: {folder} is a file, not a folder."
            )
    while not family.exists():
        family = family.parent
    if not os.access(family, os.W_OK | os.X_OK, **_EFFECTIVE):
        raise RecipeError(
            f"--output-dir {output_dir} cannot be written: {family} is "
            "read-only, and an export is to go there."
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(
            f"--output-dir {output_dir} cannot be written: "
            f"{error.filename}: {error.strerror}"
        ) from error
    return home


def open_named(folder: Path, settings: dict, if_changed: str):
    """Return the run of this name, new or unfinished, and its lock."""
    folder.mkdir(exist_ok=True)
    lock = _lock(folder)
    if lock is None:
        raise RecipeError(
            f"{folder} is in use by another process. Wait for it, or choose "
            "another --run-name."
        )
    if (folder / "metrics.json").exists():
        lock.close()
        raise UsageError(
            f"{folder} is finished. Choose another --run-name, or delete it."
        )
    if _has_lost_its_settings(folder):
        lock.close()
        raise UsageError(
            f"{folder} cannot be resumed: its config.json is damaged. Choose "
            "another --run-name, or delete it."
        )
    present = settings_of(folder) or settings
    if said(present) != said(settings):
        lock.close()
        raise UsageError(
            f"{folder} was started with other settings: "
            f"{difference(present, settings)}. Use those, or another "
            "--run-name."
        )
    if present != settings and has_trained(folder) and if_changed != "resume":
        lock.close()
        raise _refusal(folder, present, settings, "another --run-name")
    return folder, lock


def open_changed(home: Path, settings: dict, if_changed: str):
    """Open the newest run of these flags, if it waits and code has changed.

    Raises:
        UsageError: If it has trained, and nobody said what to do with it.
    """
    asked = said(settings)
    for number in sorted(_numbers(home), reverse=True):
        folder = home / str(number)
        present = settings_of(folder)
        if present is None or said(present) != asked:
            continue
        # Whoever has finished it has left the older ones behind, and one that
        # is in use is left alone.
        finished = (folder / "metrics.json").exists()
        lock = None if finished else _lock(folder)
        if lock is None:
            return None
        if if_changed == "resume" or not has_trained(folder):
            return folder, lock
        lock.close()
        if if_changed == "restart":
            return None
        raise _refusal(folder, present, settings, "--if-changed restart")
    return None


def _refusal(folder: Path, present: dict, settings: dict, anew: str):
    """Return the error that says what has changed, and what can be done."""
    changes = "; ".join(identity.changes(present, settings))
    return UsageError(
        f"{folder} is unfinished, and not all is as it was when it began: "
        f"{changes}. Put that back to resume it; add --if-changed resume to "
        f"resume it with what is there now; or take {anew} to start anew."
    )


def has_trained(folder: Path) -> bool:
    """Whether a run has epochs to lose."""
    return any(folder.glob("checkpoints/*/*.npz"))


def name_what_is_lost(home: Path) -> None:
    """Say which unfinished runs are passed over, whatever they were."""
    for number in sorted(_numbers(home)):
        folder = home / str(number)
        finished = (folder / "metrics.json").exists()
        if not finished and _has_lost_its_settings(folder):
            print(
                f"{folder} cannot be resumed: its config.json is damaged. "
                "Another run is used; delete that folder when you no longer "
                "need it.",
                file=sys.stderr,
            )


def open_newest_unfinished(home: Path, fits: Callable):
    """Return the newest run that fits, and its lock; None if there is none."""
    for number in sorted(_numbers(home), reverse=True):
        folder = home / str(number)
        if (folder / "metrics.json").exists() or not fits(folder):
            continue
        lock = _lock(folder)
        if lock is None:
            continue  # one in use is left alone
        # Another process may have used it since.
        if not (folder / "metrics.json").exists() and fits(folder):
            return folder, lock
        lock.close()
    return None


def is_empty(folder: Path) -> bool:
    """Whether a run was killed as soon as it had made its folder."""
    return folder.is_dir() and all(
        path.name.startswith(".") for path in folder.iterdir()
    )


def create_folder(home: Path):
    """Make the folder of the next number; return it and its lock."""
    while True:
        folder = home / str(max(_numbers(home), default=0) + 1)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            if lock := _lock(folder):
                return folder, lock


def leave_nothing(folder: Path, output_dir: Path) -> None:
    """Remove the folder of a run that was refused before it trained."""
    if has_trained(folder):
        return
    shutil.rmtree(folder)
    for parent in folder.parents:
        if parent == output_dir or any(parent.iterdir()):
            return
        parent.rmdir()


def _numbers(home: Path) -> list[int]:
    return [int(p.name) for p in home.iterdir() if p.name.isdecimal()]


def settings_of(folder: Path) -> dict | None:
    """Return the settings of a run; None if it has none, or damaged ones."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        settings = config["settings"]
        return settings if config["sum"] == sum_of(settings) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sum_of(value) -> str:
    """Return the SHA-256 of what JSON can hold."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_lost_its_settings(folder: Path) -> bool:
    """Whether a run has lost what it takes to resume it."""
    begun = (folder / "config.json").exists() or has_trained(folder)
    return begun and settings_of(folder) is None


def _lock(folder: Path):
    """Return an open, locked file, or None if another process has it.

    The system drops the lock with the process, however that ends.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(folder / ".lock", "wb"))
        if files.lock(file, folder):
            stack.pop_all()  # it stays open
            return file
    return None
