"""From a recipe's dataclass to command-line flags, and to an exit code."""

import atexit
import contextlib
import dataclasses
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recipes.lab import terminal, verifier
from recipes.lab.errors import NothingToDo, Preempted, RecipeError, UsageError
from recipes.lab.flags import ONCE, check
from recipes.lab.metrics import Metric
from recipes.lab.settings import file_of, is_program


class Target(NamedTuple):
    """What a recipe promises.

    Attributes:
        metric: What is measured.
        floor: Value that the mean over seeds must reach.
    """

    metric: Metric
    floor: float

    def reached_by(self, value: float) -> bool:
        """Whether a value is as good as the floor; NaN never is."""
        return self.metric.is_reached(value, self.floor)

    def check(self, floor: float) -> None:
        """Refuse another floor that no value can reach, or every one does.

        Raises:
            UsageError: If it is no share, and the metric is one.
        """
        if self.metric.unit == "%" and not 0 <= floor <= 1:
            raise UsageError(
                f"--target is a share of 1 for {self.metric.name}, between 0 "
                f"and 1. Received: {floor:g}"
            )


def command(train: Callable, config_class: type, targets: Sequence[Target]):
    """Return a recipe's `main(argv=None)`; see `run_command`."""

    def main(argv: Sequence[str] | None = None) -> int:
        """Run the recipe from the command line; return the exit code."""
        return run_command(train, config_class, targets, argv)

    return main


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
    terminal.prepare()
    if argv is None and not is_program(config_class):
        argv = ()
    file = file_of(config_class)
    if {"-h", "--help"} & {*(sys.argv[1:] if argv is None else argv)}:
        # Left as it is: tyro would join the lines of a paragraph.
        print((sys.modules[config_class.__module__].__doc__ or "").strip())
        print()
    config = tyro.cli(
        tyro.conf.OmitArgPrefixes[config_class],
        prog=f"python -m recipes.{Path(file).stem}" if file else "main",
        description="",
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    try:
        check(config)
        if config.run.target is not None:
            targets[0].check(config.run.target)
        if config.run.dry_run:
            names = {field.name for field in dataclasses.fields(config)}
            once = dict.fromkeys(names & ONCE, 1)
            config = dataclasses.replace(config, **once)
        with verifier.at_hand(), _as_a_command(file):
            metrics = train(config)
    except NothingToDo as reason:
        print(reason)
        return reason.exit_code
    except RecipeError as error:
        return _fail(error, error.exit_code)
    except Preempted:
        return _fail("preempted. Run the same command again to resume.", 143)
    except KeyboardInterrupt:
        return _fail("interrupted. Run the same command again to resume.", 130)
    except BrokenPipeError:  # as of `| head`
        return _fail(
            "nobody reads any more what this writes. Run the same command "
            "again to resume.",
            1,
        )
    except OSError as error:
        return _fail(error, 1)

    seconds = time.perf_counter() - started
    training = metrics["train_seconds"]
    print(f"done in {seconds:.1f} s, of which training {training:.1f} s")
    if config.run.target is not None:
        target = targets[0]._replace(floor=config.run.target)
        value = metrics[target.metric.name]
        if not target.reached_by(value):
            return _fail(
                f"{target.metric.words} {target.metric.write(value)} misses "
                f"the target, {target.metric.write(target.floor)}",
                1,
            )
    return 0


def quietly(act: Callable[[], int]) -> int:
    """Import TensorFlow quietly, act, and return the exit code.

    Args:
        act: What to do then; it returns an exit code.
    """
    try:
        with _as_a_command(None):
            return act()
    except RecipeError as error:
        return _fail(error, error.exit_code)
    except Preempted:
        return _fail("preempted.", 143)
    except KeyboardInterrupt:
        return _fail("interrupted.", 130)
    except OSError as error:
        return _fail(error, 1)


_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",  # not keras.json's
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@contextlib.contextmanager
def _as_a_command(file):
    """Import TensorFlow quietly and end on SIGTERM, for as long as this lasts.

    In a notebook other things happen afterwards.

    Args:
        file: The recipe's file, or None.
    """
    added = _ENVIRONMENT.keys() - os.environ.keys()
    os.environ.update({name: _ENVIRONMENT[name] for name in added})
    # Python lets only its main thread say what a signal does.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        previous = signal.signal(signal.SIGTERM, _preempt)
    try:
        with _without_garbage(), _without_wrappers(file):
            _import_tensorflow_quietly()
        with terminal.without_retracing():
            yield
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)
        for name in added:
            os.environ.pop(name, None)
        gc.unfreeze()


def _preempt(signum, frame):
    raise Preempted


def _fail(message, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _without_garbage():
    """Collect no garbage, and never what is there at the end.

    Half a million objects come with TensorFlow and stay. To look at them again
    and again took a second, and another when the process ends.
    """
    atexit.register(gc.freeze)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _without_wrappers(file):
    """Keep Keras from importing scikit-learn, unless the recipe asks for it.

    It does so for `keras.wrappers` alone, and that takes the better part of a
    second. The recipe itself imports scikit-learn as ever.
    """
    asked = file and "keras.wrappers" in Path(file).read_text()
    if asked or "sklearn" in sys.modules:
        yield
        return
    sys.modules["sklearn"] = None
    try:
        yield
    finally:
        del sys.modules["sklearn"]


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
