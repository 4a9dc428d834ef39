"""What decides a run: its settings, as flags, as Python and as JSON."""

import dataclasses
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from recipes.lab.errors import UsageError
from recipes.lab.flags import fields_of

# Where a run is written, and what it is measured against, decide no result.
_BESIDE_THE_RESULT = {
    *("data_dir", "offline", "output_dir", "run_name"),
    *("if_changed", "target", "tensorboard", "explain"),
    "continue_from",  # what decides is in that run, see runs/continuing.py
}
_BESIDE_THE_COMMAND = _BESIDE_THE_RESULT - {"continue_from"}


def recipe_name(config) -> str:
    """Return the name of the recipe: that of the file its Config is in.

    A Config that was typed at a prompt or into a notebook is in no file; its
    recipe is called `notebook`.
    """
    file = file_of(type(config))
    return Path(file).stem if file else "notebook"


def check_is_own(config, caller: types.FrameType) -> None:
    """Refuse the Config of a recipe in the `train` of another.

    The run would bear the name of the one, and be recorded as its result.

    Args:
        config: A recipe's Config.
        caller: The frame of the `train` that was given it, or of a function
            that this has called.

    Raises:
        UsageError: If the `train` beside the Config is not what is running.
    """
    module = sys.modules[type(config).__module__]
    # It may have been imported to where the Config was typed.
    names = getattr(getattr(module, "train", None), "__globals__", None)
    frame = caller
    while frame is not None and frame.f_globals is not names:
        frame = frame.f_back
    if names is not None and frame is None:
        raise UsageError(
            f"This {type(config).__name__} belongs to the train of "
            f"{recipe_name(config)}, and another train was given it. Import "
            "both from the same recipe, or define both yourself."
        )


def file_of(config_class: type) -> str | None:
    """Return the file that a Config is in, None if it was typed in."""
    module = sys.modules.get(config_class.__module__)
    return getattr(module, "__file__", None)


def is_program(config_class: type) -> bool:
    """Whether this process was started as the recipe of this Config.

    Then the arguments of the process are the recipe's flags. Those of a
    notebook's kernel, or of a script that imports the recipe, are not.
    """
    return config_class.__module__ == "__main__" and bool(file_of(config_class))


def describe(config) -> dict:
    """Return every setting that decides the result of a run, as JSON has it."""
    return {
        name: _plain(value, name)
        for name, value, _ in fields_of(config)
        if name not in _BESIDE_THE_RESULT
    }


def flags_of(config, default=None) -> list[str]:
    """Return the flags that make a Config from the recipe's default one.

    Flags that decide no result are left out: they are paths, or a name.

    Args:
        config: A recipe's Config.
        default: What to compare it with, instead of its fields' defaults.
    """
    flags = []
    for name, value, usual in _changed(config, default):
        if dataclasses.is_dataclass(value):
            flags += flags_of(value, usual)
            continue
        value = _plain(value, name)
        flags.append("--" + name.replace("_", "-"))
        if value is not True:
            flags += map(str, value if isinstance(value, list) else [value])
    return flags


def call_of(config, default=None) -> str:
    """Return the Python text that makes a Config, as short as `flags_of`.

    Args:
        config: A recipe's Config.
        default: What to compare it with, instead of its fields' defaults.
    """
    arguments = []
    for name, value, usual in _changed(config, default):
        if not dataclasses.is_dataclass(value):
            value = _plain(value, name)
            text = repr(tuple(value) if isinstance(value, list) else value)
        elif (text := call_of(value, usual)).endswith("()"):
            continue
        arguments.append(f"{name}={text}")
    return f"{type(config).__name__}({', '.join(arguments)})"


def _changed(config, default) -> Iterator[tuple]:
    """Yield name, value and default of what differs and decides the result.

    What is a dataclass itself is always among them.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if default is not None:
            usual = getattr(default, field.name)
        elif field.default_factory is not dataclasses.MISSING:
            usual = field.default_factory()
        else:
            usual = field.default
        if dataclasses.is_dataclass(value):
            same = type(value) is type(usual)
            yield field.name, value, usual if same else None
        elif value != usual and field.name not in _BESIDE_THE_COMMAND:
            yield field.name, value, usual


def _plain(value, name: str = ""):
    """Return a setting as JSON has it, and as anybody may read it.

    A path in one's home folder would give away the user's name, and where the
    data of one's own are decides nothing.
    """
    if name == "dataset" and value:
        path = os.path.realpath(os.path.expanduser(value))
        if os.path.exists(path):
            return os.path.basename(path)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Path):
        value = str(value)
    home = os.path.expanduser("~")
    if isinstance(value, str) and value.startswith(home + os.sep):
        return "~" + value.removeprefix(home)
    return value


# The settings of a run that no flag says: its code, and what it loads.
UNSAID = ("source", "loaded")


def said(settings: dict) -> dict:
    """Return the settings that flags and data say."""
    return {k: v for k, v in settings.items() if k not in UNSAID}


def difference(present: dict, asked: dict, besides=()) -> str:
    """Return in words how the settings of a run differ from those asked for.

    Code and what is loaded are not among them: see `recipes.lab.runs.identity`.

    Args:
        present: Settings of the run.
        asked: Settings that are asked for.
        besides: Names of further settings that are passed over.
    """
    present, asked = said(present), said(asked)
    names = sorted((present.keys() | asked.keys()) - {*besides})
    return ", ".join(
        f"{name} {present.get(name)!r} there, {asked.get(name)!r} here"
        for name in names
        if present.get(name) != asked.get(name)
    )


def describe_loaded(loaded: list[dict], digits: int = 12) -> str:
    """Return in words what a run started from; "" if it was nothing.

    Args:
        loaded: What `loaded` has returned.
        digits: How much is said of each sum, of 64.
    """
    return ", ".join(
        entry["name"]
        + (f" version {entry['version']}" if "version" in entry else "")
        + f" (sha256 {entry['sum'][:digits]})"
        for entry in loaded
    )
