"""The folder of a run: its number, its lock, its settings and its records."""

import contextlib
import datetime
import hashlib
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes import (
    _config,
    _devices,
    _files,
    _identity,
    _summary,
    _terminal,
    _workers,
)
from recipes._data import Data
from recipes._devices import Devices
from recipes._errors import RecipeError, UsageError

SCHEMA = 1  # of every file that a run writes


@dataclass(frozen=True)
class Run:
    """One training, from its first epoch to its report.

    Attributes:
        recipe: Name of the recipe.
        folder: `runs/<export_name>/<run>`.
        settings: What decides the result: the recipe's flags, the data, the
            code and what it loads.
        options: The run's options.
        data: The data set.
        devices: What the run computes on.
        changes: What is not as it was when the run began, in words.
        command: What starts it again: a command, or a call from Python.
        config: The recipe's Config.
        losses: What `loss` means in each phase of the training, in words.
    """

    recipe: str
    folder: Path
    settings: dict
    options: _config.RunOptions
    data: Data
    devices: Devices
    changes: tuple[str, ...] = ()
    command: str = ""
    config: object = None
    losses: dict[str, str] = field(default_factory=dict)

    @property
    def export_name(self) -> str:
        """Name under `runs/` and `saved_models/`; what is no result says so."""
        return _export_name(self.recipe, self.options, self.data)

    @property
    def title(self) -> str:
        """What a report is headed by."""
        return f"{self.export_name}, run {self.folder.name}"

    def finish(self, model, metrics: dict, export: Path) -> dict:
        """Record the result, which also marks the run as finished; print it.

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
        _terminal.say(_summary.summary(self, metrics, export))
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
            "changes": list(self.changes),
            "seed": self.options.seed,
            "metrics": metrics,
            "command": self.command,
            "commit": commit(self.settings["source"]),
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
        }


def open_run(
    config, data: Data, devices: Devices, *, loads: Iterable[str | None] = ()
) -> contextlib.AbstractContextManager[Run]:
    """Open the folder of a run: an unfinished one of these settings, or a new.

    Args:
        config: The recipe's Config.
        data: The data set.
        devices: What the run computes on.
        loads: Names of the exports, and files of weights, that the run starts
            from. Other names are passed over.

    Returns:
        A context that gives the `Run`; nobody else can open it meanwhile.

    Raises:
        UsageError: If the run that was named has other settings, or the code
            or what it loads is not what an unfinished run began with.
        RecipeError: If the run that was named is in use, or the folder of
            runs or of exports cannot be written.
        OSError: If the folder of the run cannot be written.
    """
    source = _identity.source(config, caller=sys._getframe(1))
    return _open_run(config, data, devices, source, loads)


@contextlib.contextmanager
def _open_run(config, data, devices, source, loads):
    options = config.run
    recipe = _config.recipe_name(config)
    settings = _config.describe(config) | {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "replicas": devices.replicas,
        "source": source,
        "loaded": _identity.loaded(loads),
    }
    started_by = command(config)
    with (
        _devices.numerics(options),
        _workers.named_if_lost(devices.cluster),
    ):
        _agree_on_settings(settings | {"run_name": options.run_name}, devices)
        if not devices.is_chief:
            # The chief writes; the others read its checkpoints.
            name = _export_name(recipe, options, data)
            home = options.output_dir / "runs" / name
            number = devices.gather(0)[0]
            folder = home / (options.run_name or str(number))
            _agree_on_folder(folder, settings, devices)
            yield Run(
                *(recipe, folder, settings, options, data, devices),
                command=started_by,
                config=config,
            )
            devices.gather(0)  # the chief has written everything
            return
        check_clock()
        home = _home(options, recipe, data)
        if options.run_name:
            folder, lock = _open_named(
                home / options.run_name, settings, options.if_changed
            )
        else:
            _name_what_is_lost(home)
            folder, lock = (
                _open_newest_unfinished(
                    home, lambda f: _settings(f) == settings
                )
                or _open_changed(home, settings, options.if_changed)
                or _open_newest_unfinished(home, _is_empty)
                or _create(home)
            )
        with lock:
            changes = _begin(folder, settings, devices, data, started_by)
            devices.gather(0 if options.run_name else int(folder.name))
            _agree_on_folder(folder, settings, devices)
            yield Run(
                *(recipe, folder, settings, options, data, devices),
                *(tuple(changes), started_by),
                config=config,
            )
            # Who is lost by now had nothing left to do.
            with contextlib.suppress(tf.errors.OpError):
                devices.gather(0)


def _begin(
    folder: Path, settings, devices: Devices, data: Data, started_by: str
) -> list[str]:
    """Write down what is run, and remove what a killed process left.

    Returns:
        What is not as it was when the run began.
    """
    for leftover in folder.rglob(".tmp-*"):
        leftover.unlink()
    now = environment()
    config = {
        "schema": SCHEMA,
        "version": zoo.__version__,
        "settings": settings,
        "sum": _sum(settings),
        "versions": now["versions"],
        "changes": [],
    }
    present = _settings(folder)
    if present == settings or (present is not None and _has_trained(folder)):
        print(f"continuing {folder}")
        before = json.loads((folder / "config.json").read_text())
        changes = [
            *_identity.changes(present, settings),
            *_other_versions(before.get("versions", {}), now["versions"]),
        ]
        for change in changes:
            print(f"not as it was then: {change}", file=sys.stderr)
        config["changes"] = before.get("changes", []) + changes
    else:
        print(f"run {folder}")
        changes = []
    if present != settings or changes:
        _files.write_json(folder / "config.json", config)
    _files.write_json(
        folder / "environment.json",
        {"schema": SCHEMA, "command": started_by}
        | {"commit": commit(settings["source"])}
        | now
        | {"devices": devices.description, "data": data.describe()},
    )
    return config["changes"]


def _other_versions(before: dict, now: dict) -> list[str]:
    """Return in words which packages have changed that compute."""
    return [
        f"{name} {before[name]} became {now[name]}"
        for name in ("tensorflow", "keras", "numpy")
        if before.get(name, now[name]) != now[name]
    ]


def _agree_on_settings(settings: dict, devices: Devices) -> None:
    """Refuse workers that would train different models."""

    def differ(value) -> bool:
        return len(set(devices.gather(int(_sum(value)[:15], 16)))) > 1

    if not differ(settings):
        return
    said = _identity.said(settings)
    if differ(said):
        raise UsageError(
            "The workers were started with different settings or data; give "
            f"all of them the same flags. Those of this one: {said}"
        )
    if differ(settings["loaded"]):
        loaded = _identity.describe_loaded(settings["loaded"])
        raise UsageError(
            "The workers would start from different models; give all of them "
            f"the same saved_models/. This one has {loaded or 'none'}."
        )
    source = settings["source"]
    if differ(sorted(source)):
        others = "what the recipe imports"
    else:
        others = ", ".join(f for f in sorted(source) if differ(source[f]))
    raise UsageError(
        "The workers run different code; give all of them the same files. "
        f"These differ: {others}."
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


def command(config) -> str:
    """Return what starts a run again: a command, or a call from Python.

    What decides no result is left out, and so are the folders of whoever ran
    it: this is published with the model.

    Args:
        config: The recipe's Config.
    """
    module = type(config).__module__
    if _config.is_program(type(config)):
        program = Path(sys.modules[module].__file__)
        start = ["python", program.name]
        if program.parent.name == "recipes":
            start[1:] = ["-m", f"recipes.{program.stem}"]
        # A script that calls `train` by itself needs no flags for it.
        flags = _config.flags_of(config) if sys.argv[1:] else []
        return shlex.join([*start, *flags])
    call = f"train({_config.call_of(config)})"
    if module == "__main__":
        return f"{call}  # defined in a notebook"
    names = [type(config).__name__, "train"]
    if "RunOptions(" in call:
        names.insert(1, "RunOptions")
    return f"from {module} import {', '.join(names)}; {call}"


def commit(files: Iterable[str] = ()) -> str:
    """Return the Git commit of this checkout, "" outside of one.

    Args:
        files: Paths within the checkout. It ends in `-dirty` if the commit
            lacks one of them, and also if a file was changed since.
    """
    root = Path(__file__).parent.parent

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True
        )

    try:
        if not (root / ".git").exists():
            return ""
        answer = git("describe", "--always", "--dirty", "--abbrev=12")
        tracked = git("ls-files", "--error-unmatch", "--", *files)
    except OSError:
        return ""
    name = answer.stdout.strip()
    lacks = tracked.returncode and not name.endswith("-dirty")
    return name + "-dirty" if name and lacks else name


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
        for line in Path("/proc/cpuinfo").read_bytes().splitlines():
            if line.startswith(b"model name"):
                return line.partition(b":")[2].strip().decode(errors="replace")
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
    if not _files.is_utf8(output_dir):
        raise UsageError(
            f"--output-dir {output_dir}: TensorFlow writes to no folder whose "
            "name is not UTF-8. Choose another, or set PYTHONUTF8=1 if it is."
        )
    name = _export_name(recipe, options, data)
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


def _open_named(folder: Path, settings: dict, if_changed: str):
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
    present = _settings(folder) or settings
    if _identity.said(present) != _identity.said(settings):
        lock.close()
        raise UsageError(
            f"{folder} was started with other settings: "
            f"{difference(present, settings)}. Use those, or another "
            "--run-name."
        )
    if present != settings and _has_trained(folder) and if_changed != "resume":
        lock.close()
        raise _refusal(folder, present, settings, "another --run-name")
    return folder, lock


def _open_changed(home: Path, settings: dict, if_changed: str):
    """Open the newest run of these flags, if it waits and code has changed.

    Raises:
        UsageError: If it has trained, and nobody said what to do with it.
    """
    said = _identity.said(settings)
    for number in sorted(_numbers(home), reverse=True):
        folder = home / str(number)
        present = _settings(folder)
        if present is None or _identity.said(present) != said:
            continue
        # Whoever has finished it has left the older ones behind, and one that
        # is in use is left alone.
        finished = (folder / "metrics.json").exists()
        lock = None if finished else _lock(folder)
        if lock is None:
            return None
        if if_changed == "resume" or not _has_trained(folder):
            return folder, lock
        lock.close()
        if if_changed == "restart":
            return None
        raise _refusal(folder, present, settings, "--if-changed restart")
    return None


def _refusal(folder: Path, present: dict, settings: dict, anew: str):
    """Return the error that says what has changed, and what can be done."""
    changes = "; ".join(_identity.changes(present, settings))
    return UsageError(
        f"{folder} is unfinished, and not all is as it was when it began: "
        f"{changes}. Put that back to resume it; add --if-changed resume to "
        f"resume it with what is there now; or take {anew} to start anew."
    )


def _has_trained(folder: Path) -> bool:
    """Whether a run has epochs to lose."""
    return any(folder.glob("checkpoints/*/*.npz"))


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
        config = json.loads((folder / "config.json").read_bytes())
        settings = config["settings"]
        return settings if config["sum"] == _sum(settings) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sum(value) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_lost_its_settings(folder: Path) -> bool:
    """Whether nobody can say any more how a run was to go on."""
    begun = (folder / "config.json").exists() or _has_trained(folder)
    return begun and _settings(folder) is None


def difference(present: dict, asked: dict) -> str:
    """Return in words how the settings of a run differ from those asked for.

    Code and what is loaded are not among them: see `_identity.changes`.
    """
    present, asked = _identity.said(present), _identity.said(asked)
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
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(folder / ".lock", "wb"))
        if _files.lock(file, folder):
            stack.pop_all()  # it stays open
            return file
    return None
