"""What every recipe lets you choose, and what a flag may be."""

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Union

from typing_extensions import Doc

from recipes.lab.errors import UsageError


class Between(NamedTuple):
    """Bounds of a number, inclusive: outside, it is a slip of the keyboard."""

    low: float
    high: float


# What a field of a Config may be, with the help of those that mean the same
# everywhere; the others are followed by a docstring.
Epochs = Annotated[
    int,
    Between(1, 100_000),
    Doc("How often training sees every example."),
]
BatchSize = Annotated[
    int,
    Between(1, 60_000),
    Doc("Examples in one step, over all devices."),
]
Rate = Annotated[float, Between(1e-9, 100.0)]
Share = Annotated[float, Between(0.0, 0.99)]
Amount = Annotated[float, Between(0.0, 100.0)]
Count = Annotated[int, Between(1, 100_000)]

# Flags that say how often; a dry run does all of it once.
ONCE = {
    "classifier_epochs",
    "epochs",
    "layer_epochs",
    "machine_epochs",
    "repeats",
    "restarts",
    "tries",
}

_PATHS = ("data_dir", "output_dir", "continue_from")


@dataclass(frozen=True)
class RunOptions:
    """What every recipe lets you choose about a run."""

    seed: Annotated[int, Between(0, 2**31 - 1)] = 0
    """Seed of the weights, the order of the data, dropout and augmentation."""
    deterministic: bool = False
    """Use deterministic operations only (this switches XLA off)."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train; auto takes GPUs where there are any."""
    cpu_devices: Annotated[int, Between(1, 64)] = 1
    """Split the CPU into logical devices, and train on all of them."""
    strategy: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """tf.distribute strategy; auto mirrors over several GPUs or CPU devices."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Precision of the computation; exports are float32 either way."""
    dataset: str | None = None
    """Other images than the recipe's: a folder of class folders, .npz, IDX or
    a name of TFDS."""
    resize: Annotated[int, Between(4, 1_024)] | None = None
    """Side in pixels of the pictures of --dataset, instead of the usual one."""
    data_dir: Path | None = None
    """Where the data are, instead of TFDS_DATA_DIR or TFDS' default."""
    offline: bool = False
    """Never touch the network."""
    output_dir: Path = Path(".")
    """Where runs/ and saved_models/ are written."""
    run_name: str | None = None
    """Name of the run's folder, instead of the next number."""
    continue_from: Path | None = None
    """Folder or name of a finished run, to train for --epochs more: a new run,
    which takes its weights, its optimizer and its random state, and begins the
    schedule of the learning rate anew."""
    if_changed: Literal["refuse", "resume", "restart"] = "refuse"
    """What to do with an unfinished run whose code has changed since."""
    tensorboard: bool = False
    """Log for TensorBoard, too, into the run's folder."""
    explain: bool = False
    """Have the report show what a classifier of images looks at."""
    dry_run: bool = False
    """One epoch on embedded data, or --dataset, with full export and report."""
    target: float | None = None
    """Exit with code 1 if the recipe's first metric misses this value; of what
    is said in percent, 0.99 is 99 %."""

    def __post_init__(self):
        # From Python a path may be a string. `--output-dir=~/results` reaches
        # us as it is: shells expand a ~ at the beginning of a word only.
        for name in _PATHS:
            path = getattr(self, name)
            if isinstance(path, (str, os.PathLike)):
                path = Path(os.path.expanduser(path))
                object.__setattr__(self, name, path)  # this class is frozen
        if isinstance(self.dataset, os.PathLike):
            object.__setattr__(self, "dataset", os.fspath(self.dataset))


def check(config) -> None:
    """Refuse what no run can use, whether it comes from a shell or from Python.

    Args:
        config: A recipe's Config.

    Raises:
        UsageError: Names the flag, what it may be and what it was.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise UsageError(
            "train takes a Config of its recipe, as in train(Config(epochs=1))."
            f" Received: {config!r}"
        )
    for name, value, kind in fields_of(config):
        flag = "--" + name.replace("_", "-")
        if not _is_of(kind, value):
            raise UsageError(
                f"{flag} must be {_in_words(kind)}. Received: {value!r}"
                f"{_meant(kind, value)}"
            )
        numbers = value if isinstance(value, (tuple, list)) else (value,)
        for number in numbers if (bounds := bounds_of(kind)) else ():
            low, high = bounds
            # NaN fails this, too.
            if number is not None and not low <= number <= high:
                raise UsageError(
                    f"{flag} must be between {low:,} and {high:,}. "
                    f"Received: {number}"
                )
        if name == "target" and value is not None and not math.isfinite(value):
            raise UsageError(f"{flag} must be a number. Received: {value}")
        if name == "run_name" and value is not None:
            if not value or value.startswith(".") or "/" in value:
                raise UsageError(
                    f"{flag} names one folder: no slash, no leading dot. "
                    f"Received: {value!r}"
                )
        if name in _PATHS and str(value).startswith("~"):
            raise UsageError(
                f"{flag}: there is no home folder {value.parts[0]} here. Write "
                f"the whole path. Received: {str(value)!r}"
            )
        if name == "tensorboard" and value and not find_spec("tensorboard"):
            raise UsageError(
                f"{flag} needs a package that is not installed: "
                "pip install tensorboard"
            )


def fields_of(config) -> Iterator[tuple]:
    """Yield name, value and declared type of each setting."""
    try:
        kinds = typing.get_type_hints(type(config), include_extras=True)
    except NameError:  # written as text, and known where they were written only
        kinds = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        kind = kinds.get(field.name, object)
        if dataclasses.is_dataclass(kind) and isinstance(value, kind):
            yield from fields_of(value)
        else:
            yield field.name, value, kind


def bounds_of(kind) -> Between | None:
    """Return the bounds that a declared type has, or its items have."""
    for part in typing.get_args(kind):
        if isinstance(part, Between):
            return part
        if bounds := bounds_of(part):
            return bounds
    return None


def _is_of(kind, value) -> bool:
    """Whether a value is of a declared type; of one not known here, it is."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _is_of(inner[0], value)
    if origin in (Union, types.UnionType):
        return any(_is_of(choice, value) for choice in inner)
    if origin is Literal:
        return any(isinstance(value, type(c)) and value == c for c in inner)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            return False
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(kinds) == len(value) and all(map(_is_of, kinds, value))
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, (int, float))
    if kind is Path:
        return isinstance(value, (str, os.PathLike))
    return isinstance(value, kind) if isinstance(kind, type) else True


def _in_words(kind) -> str:
    """Return what a value of a declared type is, for people."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _in_words(inner[0])
    if origin is Literal or origin in (Union, types.UnionType):
        words = [str(c) if origin is Literal else _in_words(c) for c in inner]
        return " or ".join([", ".join(words[:-1]), words[-1]][-len(words) :])
    if origin is tuple:
        return f"a tuple, each item {_in_words(inner[0])}"
    words = {
        bool: "True or False",
        float: "a number",
        int: "a whole number",
        Path: "a path",
        str: "a string",
        type(None): "None",
    }
    return words.get(kind) or f"of type {getattr(kind, '__name__', kind)}"


def _meant(kind, value) -> str:
    """Return which of the choices was probably meant, or what will do."""
    if typing.get_origin(kind) is Literal and isinstance(value, str):
        choices, asked = list(map(str, typing.get_args(kind))), value.lower()
        close = difflib.get_close_matches(asked, choices, len(choices))
        # By its letters float16 is nearer to float32 than to mixed_float16.
        close.sort(key=lambda choice: asked not in choice)
        return f". Did you mean {close[0]!r}?" if close else ""
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return ". Give a plain Python number, as of its item()."
    return ""
