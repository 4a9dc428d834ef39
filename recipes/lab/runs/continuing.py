"""A finished run that another one trains longer."""

import json
import sys
from pathlib import Path

from recipes.lab.errors import UsageError
from recipes.lab.runs.folder import settings_of
from recipes.lab.settings import difference, recipe_name
from recipes.lab.training.checkpoints import open_checkpoint
from zoo import _loading

PHASE = "train"


def find(config, name: str, settings: dict) -> tuple[tuple[Path, int], dict]:
    """Return what a run continues.

    Args:
        config: The recipe's Config.
        name: Name of the recipe's folder under runs/.
        settings: What decides the new run.

    Returns:
        The last checkpoint of the finished run, and the number of epochs until
        then; and what the record of the new run says of it.

    Raises:
        UsageError: If there is no such run, or it cannot be continued.
    """
    options = config.run
    home = options.output_dir / "runs" / name
    folder = options.continue_from
    if not folder.is_dir():
        folder = home / folder
    if not hasattr(config, "epochs"):
        raise UsageError(
            "--continue-from trains for further epochs, and "
            f"{recipe_name(config)} has none: it computes what it trains."
        )
    if not folder.is_dir():
        there = sorted(path.parent.name for path in home.glob("*/metrics.json"))
        raise UsageError(
            f"--continue-from {options.continue_from}: there is no such run. "
            f"Finished ones in {home}: {', '.join(there) or 'none'}."
        )
    if (folder / _loading.SUMS).exists():
        raise UsageError(
            f"--continue-from {folder} is an export, which keeps no optimizer. "
            f"Give the run that it came from, in {home}."
        )
    record = _record_of(folder)
    if record["recipe"] != recipe_name(config):
        raise UsageError(
            f"--continue-from {folder} is a run of {record['recipe']}, and "
            f"this is {recipe_name(config)}."
        )
    before = record["settings"]
    for setting in ("dataset", "data_checksum", "dry_run"):
        if before[setting] != settings[setting]:
            only = {setting: before[setting]}, {setting: settings[setting]}
            raise UsageError(
                f"--continue-from {folder} was trained on other data: "
                f"{difference(*only)}."
            )
    checkpoint = _last_checkpoint(folder)
    content = open_checkpoint(checkpoint)
    if content is None:
        raise UsageError(
            f"--continue-from {folder}: {checkpoint.name} is damaged, so "
            "nobody knows how it ended."
        )
    epochs = before.get("continued", {}).get("epochs", 0) + content[1]["epoch"]
    also = difference(before, settings, ("continued", "epochs"))
    print(f"continues {folder} after {epochs} epochs, with a schedule anew")
    if also:
        print(f"not as in that run: {also}", file=sys.stderr)
    return (checkpoint, epochs), {
        "run": f"{folder.resolve().parent.name}/{folder.name}",
        "epochs": epochs,
        "commit": record["commit"],
        "checkpoint": checkpoint.stem,
    }


def _record_of(folder: Path) -> dict:
    """Return the record of a finished run."""
    try:
        return json.loads((folder / "metrics.json").read_bytes())
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise UsageError(
            f"--continue-from {folder}: its metrics.json is damaged."
        ) from error
    if settings_of(folder) is None:
        raise UsageError(
            f"--continue-from {folder} is not the folder of a run."
        )
    raise UsageError(
        f"--continue-from {folder} is not finished. Run its own command again "
        "to resume it."
    )


def _last_checkpoint(folder: Path) -> Path:
    phases = sorted({p.parent.name for p in folder.glob("checkpoints/*/*.npz")})
    if not phases:
        raise UsageError(f"--continue-from {folder}: its checkpoints are gone.")
    if phases != [PHASE]:
        raise UsageError(
            f"--continue-from trains one network longer, and {folder} has "
            f"trained several: {', '.join(phases)}."
        )
    return max(folder.glob(f"checkpoints/{PHASE}/*.npz"))
