"""From a recipe's dataclass to command-line flags, and to an exit code."""

import contextlib
import dataclasses
import difflib
import logging
import math
import os
import re
import signal
import sys
import threading
import time
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Union

from recipes import _terminal
from recipes._errors import NothingToDo, Preempted, RecipeError, UsageError


class Target(NamedTuple):
    """What a recipe promises.

    Attributes:
        metric: Name of the metric.
        floor: Value that the mean over seeds must reach.
        direction: `"max"` if larger is better, `"min"` if smaller is.
    """

    metric: str
    floor: float
    direction: Literal["max", "min"] = "max"

    def reached_by(self, value: float) -> bool:
        """Whether a value is as good as the floor; NaN never is."""
        if self.direction == "max":
            return value >= self.floor
        return value <= self.floor


def in_words(metric: str) -> str:
    """Return a metric's name for people: `Test MSE` for `test_mse`."""
    # The cross-entropy is called as Keras calls it, which names any loss so.
    metric = re.sub("loss$|cross_entropy$", "cross-entropy", metric)
    words = [
        word.upper() if word in ("mse", "pca", "psnr") else word
        for word in metric.split("_")
    ]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


_PATHS = ("data_dir", "output_dir")


@dataclass(frozen=True)
class RunOptions:
    """What every recipe lets you choose about a run."""

    seed: int = 0
    """Seed of the weights, the order of the data, dropout and augmentation."""
    deterministic: bool = False
    """Use deterministic operations only (this switches XLA off)."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train; auto takes GPUs where there are any."""
    cpu_devices: int = 1
    """Split the CPU into logical devices, for --strategy mirrored."""
    strategy: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """tf.distribute strategy; auto mirrors over several GPUs."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Precision of the computation; exports are float32 either way."""
    data_dir: Path | None = None
    """Where the data are, instead of TFDS_DATA_DIR or TFDS' default."""
    offline: bool = False
    """Never touch the network."""
    output_dir: Path = Path(".")
    """Where runs/ and saved_models/ are written."""
    run_name: str | None = None
    """Name of the run's folder, instead of the next number."""
    if_changed: Literal["refuse", "resume", "restart"] = "refuse"
    """What to do with an unfinished run whose code has changed since."""
    tensorboard: bool = False
    """Log for TensorBoard, too, into the run's folder."""
    dry_run: bool = False
    """One epoch on the embedded digits, with full export and report."""
    target: float | None = None
    """Exit with code 1 if the recipe's first metric misses this value."""

    def __post_init__(self):
        # From Python a path may be a string. `--output-dir=~/results` reaches
        # us as it is: shells expand a ~ at the beginning of a word only.
        for name in _PATHS:
            path = getattr(self, name)
            if isinstance(path, (str, os.PathLike)):
                path = Path(os.path.expanduser(path))
                object.__setattr__(self, name, path)  # this class is frozen


# Outside of these a value is a slip of the keyboard. Bounds are inclusive.
_LIMITS = {
    "batch_size": (1, 60_000),
    "code_lengths": (1, 100_000),
    "cpu_devices": (1, 64),
    "epochs": (1, 100_000),
    "image_size": (32, 1_024),
    "label_smoothing": (0.0, 0.99),
    "labels_per_class": (1, 60_000),
    "latent_dim": (1, 100_000),
    "learning_rate": (1e-9, 100.0),
    "noise": (0.0, 100.0),
    "seed": (0, 2**31 - 1),
    "sparsity": (0.0, 100.0),
    "weight_decay": (0.0, 10.0),
}
# Where a run is written, and what it is measured against, decide no result.
_BESIDE_THE_RESULT = {
    *("data_dir", "offline", "output_dir", "run_name"),
    *("if_changed", "target", "tensorboard"),
}


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
    for name, value, kind in _fields(config):
        flag = "--" + name.replace("_", "-")
        if not _is_of(kind, value):
            raise UsageError(
                f"{flag} must be {_in_words(kind)}. Received: {value!r}"
                f"{_meant(kind, value)}"
            )
        numbers = value if isinstance(value, (tuple, list)) else (value,)
        for number in numbers if name in _LIMITS else ():
            low, high = _LIMITS[name]
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


def _fields(config) -> Iterator[tuple]:
    """Yield name, value and declared type of each setting."""
    try:
        kinds = typing.get_type_hints(type(config), include_extras=True)
    except NameError:  # written as text, and known where they were written only
        kinds = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        kind = kinds.get(field.name, object)
        if dataclasses.is_dataclass(kind) and isinstance(value, kind):
            yield from _fields(value)
        else:
            yield field.name, value, kind


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


def recipe_name(config) -> str:
    """Return the name of the recipe: that of the file its Config is in.

    A Config that was typed at a prompt or into a notebook is in no file; its
    recipe is called `notebook`.
    """
    file = _file_of(type(config))
    return Path(file).stem if file else "notebook"


def _file_of(config_class: type) -> str | None:
    """Return the file that a Config is in, None if it was typed in."""
    module = sys.modules.get(config_class.__module__)
    return getattr(module, "__file__", None)


def is_program(config_class: type) -> bool:
    """Whether this process was started as the recipe of this Config.

    Then the arguments of the process are the recipe's flags. Those of a
    notebook's kernel, or of a script that imports the recipe, are not.
    """
    return config_class.__module__ == "__main__" and bool(
        _file_of(config_class)
    )


def describe(config) -> dict:
    """Return every setting that decides the result of a run, as JSON has it."""
    return {
        name: _plain(value)
        for name, value, _ in _fields(config)
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
        value = _plain(value)
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
            value = _plain(value)
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
        elif value != usual and field.name not in _BESIDE_THE_RESULT:
            yield field.name, value, usual


def _plain(value):
    """Return a setting as JSON has it, and as anybody may read it.

    A path in one's home folder would give away the user's name.
    """
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Path):
        value = str(value)
    home = os.path.expanduser("~")
    if isinstance(value, str) and value.startswith(home + os.sep):
        return "~" + value.removeprefix(home)
    return value


def run_command(
    train: Callable,
    config_class: type,
    targets: Sequence[Target],
    argv: Sequence[str] | None = None,
) -> int:
    """Read the flags, train, and return the exit code.

    Args:
        train: The recipe's `train(config) -> metrics`.
        config_class: The recipe's `Config`.
        targets: The recipe's `TARGETS`; `--target` is about the first.
        argv: Flags. None takes those of the process if it was started as this
            recipe, and no flags otherwise: a notebook's kernel has others.

    Returns:
        0 done; 1 a missed target, failed verification or I/O; 2 usage; 3 no
        data; 130 interrupted and 143 preempted, both resumable.

    Raises:
        SystemExit: With code 2 for flags that do not exist, 0 after `--help`.
    """
    import tyro

    started = time.perf_counter()
    _terminal.prepare()
    if argv is None and not is_program(config_class):
        argv = ()
    file = _file_of(config_class)
    config = tyro.cli(
        tyro.conf.OmitArgPrefixes[config_class],
        prog=f"python -m recipes.{Path(file).stem}" if file else "main",
        description=sys.modules[config_class.__module__].__doc__,
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    try:
        check(config)
        if config.run.dry_run:
            config = dataclasses.replace(config, epochs=1)
        with _as_a_command():
            metrics = train(config)
    except NothingToDo as reason:
        print(reason)
        return reason.exit_code
    except RecipeError as error:
        return _fail(error, error.exit_code)
    except Preempted:
        return _fail("preempted; the same command goes on from here", 143)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on from here", 130)
    except OSError as error:
        return _fail(error, 1)

    seconds = time.perf_counter() - started
    training = metrics["train_seconds"]
    print(f"done in {seconds:.1f} s, of which training {training:.1f} s")
    if config.run.target is not None:
        target = targets[0]._replace(floor=config.run.target)
        value = metrics[target.metric]
        if not target.reached_by(value):
            return _fail(
                f"{target.metric} {value:.4f} misses the target "
                f"{target.floor:.4f}",
                1,
            )
    return 0


_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",  # not keras.json's
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@contextlib.contextmanager
def _as_a_command():
    """Import TensorFlow quietly and end on SIGTERM, for as long as this lasts.

    In a notebook other things happen afterwards.
    """
    added = _ENVIRONMENT.keys() - os.environ.keys()
    os.environ.update({name: _ENVIRONMENT[name] for name in added})
    # Python lets only its main thread say what a signal does.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        previous = signal.signal(signal.SIGTERM, _preempt)
    try:
        _import_tensorflow_quietly()
        logging.getLogger("tensorflow").addFilter(_says_more_than_retracing)
        yield
    finally:
        logging.getLogger("tensorflow").removeFilter(_says_more_than_retracing)
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)
        for name in added:
            os.environ.pop(name, None)


def _preempt(signum, frame):
    raise Preempted


def _fail(message, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if get_shell else None
    return getattr(shell, "kernel", None) is not None


def shows_bars() -> bool:
    """Whether a progress bar can be seen where this process writes to."""
    return sys.stdout.isatty() or in_notebook()


def start_anew() -> str:
    """Return how a process gets other devices, in words."""
    if in_notebook():
        return "restart the kernel, and run the cell that asks for them first"
    return "start a new process"


def _import_tensorflow_quietly() -> None:
    """Import TensorFlow without the lines that it logs about this machine.

    They are written below Python, before any log level is heeded.
    """
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        import zoo  # noqa: F401  # imports Keras before TensorFlow does

        # isort: split
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def _says_more_than_retracing(record: logging.LogRecord) -> bool:
    """Drop what TensorFlow says of the graphs of several small models."""
    return "tf.function retracing" not in record.getMessage()
