"""What a number needs, for anyone to check it."""

import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab.settings import call_of, flags_of, is_program
from recipes.lab.training import devices


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
    if is_program(type(config)):
        program = Path(sys.modules[module].__file__)
        start = ["python", program.name]
        if program.parent.name == "recipes":
            start[1:] = ["-m", f"recipes.{program.stem}"]
        # A script that calls `train` by itself needs no flags for it.
        flags = flags_of(config) if sys.argv[1:] else []
        return shlex.join([*start, *flags])
    call = f"train({call_of(config)})"
    if module == "__main__":
        return f"{call}  # defined in a notebook"
    names = [type(config).__name__, "train"]
    if "RunOptions(" in call:
        names.insert(1, "RunOptions")
    return f"from {module} import {', '.join(names)}; {call}"


def commit(files: Iterable[str] = ()) -> str:
    """Return the Git commit of this checkout, "" outside of one.

    It ends in `-dirty` if a file was changed since, but for what recipes write
    themselves: one of several results that are measured in turn changes none of
    the others.

    Args:
        files: Paths within the checkout. It ends in `-dirty` if the commit
            lacks one of them, too.
    """
    root = Path(__file__).parents[3]

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True
        )

    try:
        if not (root / ".git").exists():
            return ""
        name = git("describe", "--always", "--abbrev=12").stdout.strip()
        same = git("diff", "--quiet", "HEAD", "--", ".", ":!saved_models")
        tracked = git("ls-files", "--error-unmatch", "--", *files)
    except OSError:
        return ""
    is_dirty = same.returncode or tracked.returncode
    return f"{name}-dirty" if name and is_dirty else name


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
        "threads": devices.threads(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_bytes().splitlines():
            if line.startswith(b"model name"):
                return line.partition(b":")[2].strip().decode(errors="replace")
    except OSError:
        pass
    return platform.processor() or platform.machine()
