"""What the recipes' commands have reached: `saved_models/results.csv`."""

import csv
import shlex
import sys
from pathlib import Path

from recipes.lab.metrics import named
from recipes.lab.settings import describe, recipe_name

_RECIPES = Path(__file__).resolve().parent.parent
_RESULTS = _RECIPES.parent / "saved_models" / "results.csv"

# These change the speed of a run, or its luck, and not what it is.
_OF_THE_RUN = ("seed", "deterministic", "device", "cpu_devices", "strategy")


def read() -> dict[str, dict[str, str]]:
    """Return the rows, by command."""
    if not _RESULTS.exists():
        return {}
    with open(_RESULTS, newline="", encoding="utf-8") as file:
        return {row["command"]: row for row in csv.DictReader(file)}


def of_plain_commands() -> dict[str, dict[str, str]]:
    """Return the row of each recipe's command without flags, by recipe."""
    rows = read()
    names = {row["recipe"] for row in rows.values()}
    commands = {name: f"python -m recipes.{name}" for name in names}
    return {
        n: rows[command] for n, command in commands.items() if command in rows
    }


def of(config, dataset: str) -> dict[str, str] | None:
    """Return the row of the command that asks for what a Config does.

    Args:
        config: The Config of a recipe of this package.
        dataset: Name of the data that was used.
    """
    recipe = recipe_name(config)
    for command, row in read().items():
        same = (row["recipe"], row["dataset"]) == (recipe, dataset)
        if same and asks_for(command, config):
            return row
    return None


def is_ours(config) -> bool:
    """Whether a Config belongs to a recipe of this package.

    A copy elsewhere may do anything; no number here is a promise about it.
    """
    module = sys.modules.get(type(config).__module__)
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().parent == _RECIPES


def asks_for(command: str, config) -> bool:
    """Whether `python -m recipes.NAME FLAGS` asks for what a Config does.

    Seed and devices do not count.
    """
    import tyro

    try:
        other = tyro.cli(
            tyro.conf.OmitArgPrefixes[type(config)],
            args=shlex.split(command)[3:],
            config=(tyro.conf.FlagCreatePairsOff,),
            console_outputs=False,
        )
    except SystemExit:  # a flag of former times
        return False
    return _what_counts(other) == _what_counts(config)


def _what_counts(config) -> dict:
    settings = describe(config) | {"continue_from": config.run.continue_from}
    return {k: v for k, v in settings.items() if k not in _OF_THE_RUN}


def describe_result(row: dict[str, str]) -> str:
    """Return a result for people: `Test accuracy 99.47 ± 0.05 %`."""
    return f"{named(row['metric']).words} {describe_values(row)}"


def describe_values(row: dict[str, str]) -> str:
    """Return a mean and its spread: `99.47 ± 0.05 %`; of one seed none."""
    metric = named(row["metric"])
    if int(row["seeds"]) == 1:
        return metric.write(float(row["mean"]))
    return metric.write_mean(float(row["mean"]), float(row["std"]))
