"""The folder of a run: its number, its lock, its settings and its records."""

import contextlib
import datetime
import fcntl
import hashlib
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes import _config, _devices, _files, _workers
from recipes._data import Data
from recipes._devices import Devices
from recipes._errors import RecipeError, UsageError

SCHEMA = 1  # of every file that a run writes


@dataclass(frozen=True)
class Run:
    """One training, from its first epoch to its report.

    Attributes:
        recipe: Name of the recipe.
        folder: `runs/<recipe>/<run>`.
        settings: What decides the result: the recipe's flags and the data.
        options: The run's options.
        data: The data set.
        devices: What the run computes on.
    """

    recipe: str
    folder: Path
    settings: dict
    options: _config.RunOptions
    data: Data
    devices: Devices

    @property
    def export_name(self) -> str:
        """Name under `saved_models/`; what is no result says so."""
        return _export_name(self.recipe, self.options, self.data)

    def finish(self, model, metrics: dict, export: Path) -> dict:
        """Record the result, which also marks the run as finished.

        Args:
            model: The trained model.
            metrics: Metric name to value, `train_seconds` among them.
            export: The version folder that was exported.

        Returns:
            The metrics.
        """
        if not self.devices.is_chief:
            return metrics
        _files.write_json(
            self.folder / "metrics.json",
            {**self.record(model, metrics), "export": str(export)},
        )
        for name, value in metrics.items():
            print(f"{name}: {value:,.4f}".rstrip("0").rstrip("."))
        return metrics

    def record(self, model, metrics: dict) -> dict:
        """Return what a number needs, for anyone to check it."""
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "dataset": self.data.name,
            "data_checksum": self.data.checksum,
            "model": model.name,
            "params": trainable_parameters(model),
            "settings": self.settings,
            "seed": self.options.seed,
            "metrics": metrics,
            "command": command(),
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
        }


@contextlib.contextmanager
def open_run(config, data: Data, devices: Devices):
    """Open the folder of a run: an unfinished one of these settings, or a new.

    Args:
        config: The recipe's Config.
        data: The data set.
        devices: What the run computes on.

    Yields:
        The `Run`; nobody else can open it meanwhile.

    Raises:
        UsageError: If the run that was named has other settings.
        RecipeError: If the run that was named is in use, or the folder of
            runs or of exports cannot be written.
        OSError: If the folder of the run cannot be written.
    """
    _config.check(config)
    options = config.run
    recipe = _config.recipe_name(config)
    settings = _config.describe(config) | {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "replicas": devices.replicas,
    }
    with _workers.named_if_lost(devices.cluster):
        _agree_on_settings(settings | {"run_name": options.run_name}, devices)
        if not devices.is_chief:
            # The chief writes; the others read its checkpoints.
            home = options.output_dir / "runs" / recipe
            number = devices.gather(0)[0]
            folder = home / (options.run_name or str(number))
            _agree_on_folder(folder, settings, devices)
            yield Run(recipe, folder, settings, options, data, devices)
            devices.gather(0)  # the chief has written everything
            return
        check_clock()
        home = _home(options, recipe, data)
        if options.run_name:
            folder, lock = _open_named(home / options.run_name, settings)
        else:
            _name_what_is_lost(home)
            folder, lock = (
                _open_newest_unfinished(
                    home, lambda f: _settings(f) == settings
                )
                or _open_newest_unfinished(home, _is_empty)
                or _create(home)
            )
        with lock:
            _begin(folder, settings, devices, data)
            devices.gather(0 if options.run_name else int(folder.name))
            _agree_on_folder(folder, settings, devices)
            yield Run(recipe, folder, settings, options, data, devices)
            # Who is lost by now had nothing left to do.
            with contextlib.suppress(tf.errors.OpError):
                devices.gather(0)


def _begin(folder: Path, settings: dict, devices: Devices, data: Data) -> None:
    """Write down what is run, and what a killed process left."""
    for leftover in folder.rglob(".tmp-*"):
        leftover.unlink()
    if (folder / "config.json").exists():
        print(f"continuing {folder}")
    else:
        print(f"run {folder}")
        _files.write_json(
            folder / "config.json",
            {
                "schema": SCHEMA,
                "version": zoo.__version__,
                "settings": settings,
                "sum": _sum(settings),
            },
        )
    _files.write_json(
        folder / "environment.json",
        {"schema": SCHEMA, "command": command(), "commit": commit()}
        | environment()
        | {"devices": devices.description, "data": data.describe()},
    )


def _agree_on_settings(settings: dict, devices: Devices) -> None:
    """Refuse workers that would train different models."""
    sums = devices.gather(int(_sum(settings)[:15], 16))
    if len(set(sums)) > 1:
        raise UsageError(
            "The workers were started with different settings or data; give "
            f"all of them the same flags. Those of this one: {settings}"
        )


def _agree_on_folder(folder: Path, settings: dict, devices: Devices) -> None:
    """Refuse workers that do not all see the chief's folder."""
    if devices.cluster is None:
        return
    seen = devices.gather(int(_settings(folder) == settings))
    blind = [number for number, sees in enumerate(seen) if not sees]
    if blind:
        raise UsageError(
            f"--output-dir must be a folder that all workers share: {folder} "
            f"of worker 0 is not seen by worker {', '.join(map(str, blind))}."
        )


def check_clock() -> None:
    """Refuse a date that a `.keras` file cannot hold, before Keras trips on it.

    Raises:
        RecipeError: If the clock is before 1980, where zip archives begin.
    """
    if time.localtime().tm_year < 1980:
        raise RecipeError(
            f"The clock of this machine says {time.strftime('%Y-%m-%d')}, and "
            "a .keras file holds no date before 1980. Set the clock; then the "
            "same command goes on from here."
        )


def trainable_parameters(model) -> int:
    """Return the number of trainable parameters of a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def command() -> str:
    """Return the command that started this process, as one would type it."""
    program = Path(sys.argv[0])
    if program.parent.name == "recipes":
        return shlex.join(
            ["python", "-m", f"recipes.{program.stem}", *sys.argv[1:]]
        )
    return shlex.join([program.name, *sys.argv[1:]])


def commit() -> str:
    """Return the Git commit of this checkout, "" outside of one."""
    here = Path(__file__).parent
    try:
        if not (here.parent / ".git").exists():
            return ""
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()


def environment() -> dict:
    """Return the versions and the machine that a number depends on."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {
        "versions": {
            "keras-zoo-recipes": zoo.__version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "hardware": ", ".join(
            [f"{os.cpu_count()} x {_processor()}", *map(str, gpus)]
        ),
        "system": platform.platform(),
        "threads": _devices.threads(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# --- finding, creating and locking a folder -----------------------------

# Who asks whether a folder can be written is who would write it.
_EFFECTIVE = {"effective_ids": os.access in os.supports_effective_ids}


def _export_name(recipe: str, options, data: Data) -> str:
    no_result = data.is_sample or options.dry_run
    return recipe + ("-sample" if no_result else "")


def _home(options, recipe: str, data: Data) -> Path:
    """Make the folder of a recipe's runs, or say now that it cannot be.

    That of its exports is only looked at: training comes first, and takes long.
    """
    output_dir = options.output_dir
    home = output_dir / "runs" / recipe
    family = output_dir / "saved_models" / _export_name(recipe, options, data)
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


def _open_named(folder: Path, settings: dict):
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
            f"{folder} cannot go on: its config.json is damaged. Choose "
            "another --run-name, or delete it."
        )
    present = _settings(folder)
    if present not in (None, settings):
        lock.close()
        raise UsageError(
            f"{folder} was started with other settings: "
            f"{difference(present, settings)}. Use those, or another "
            "--run-name."
        )
    return folder, lock


def _name_what_is_lost(home: Path) -> None:
    """Say which unfinished runs are passed over, whatever they were."""
    for number in sorted(_numbers(home)):
        folder = home / str(number)
        finished = (folder / "metrics.json").exists()
        if not finished and _has_lost_its_settings(folder):
            print(
                f"{folder} cannot go on: its config.json is damaged. Another "
                "run is taken; delete that folder once you need it no more.",
                file=sys.stderr,
            )


def _open_newest_unfinished(home: Path, fits: Callable):
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


def _is_empty(folder: Path) -> bool:
    """Whether a run was killed as soon as it had made its folder."""
    return folder.is_dir() and all(
        path.name.startswith(".") for path in folder.iterdir()
    )


def _create(home: Path):
    while True:
        folder = home / str(max(_numbers(home), default=0) + 1)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            if lock := _lock(folder):
                return folder, lock


def _numbers(home: Path) -> list[int]:
    return [int(p.name) for p in home.iterdir() if p.name.isdecimal()]


def _settings(folder: Path) -> dict | None:
    """Return the settings of a run; None if it has none, or damaged ones."""
    try:
        config = json.loads((folder / "config.json").read_text())
        settings = config["settings"]
        return settings if config["sum"] == _sum(settings) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sum(settings: dict) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_lost_its_settings(folder: Path) -> bool:
    """Whether nobody can say any more how a run was to go on."""
    begun = (folder / "config.json").exists() or any(
        folder.glob("checkpoints/*/*.npz")
    )
    return begun and _settings(folder) is None


def difference(present: dict, asked: dict) -> str:
    """Return in words how the settings of a run differ from those asked for."""
    names = sorted(present.keys() | asked.keys())
    return ", ".join(
        f"{name} {present.get(name)!r} there, {asked.get(name)!r} here"
        for name in names
        if present.get(name) != asked.get(name)
    )


def _lock(folder: Path):
    """Return an open, locked file, or None if another process has it.

    The system drops the lock with the process, however that ends.
    """
    file = open(folder / ".lock", "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
