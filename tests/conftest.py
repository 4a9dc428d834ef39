"""What all tests share: a quiet machine with two CPUs, and one dry run."""

import contextlib
import dataclasses
import functools
import importlib
import io
import os
import pathlib
import subprocess
import sys

# Before TensorFlow is imported, here and in the processes that tests start.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("TF_CONFIG", None)
os.environ.pop("SLURM_PROCID", None)

import chaos
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = sorted(path.stem for path in ROOT.glob("recipes/[!_]*.py"))


@pytest.fixture(scope="session", autouse=True)
def two_cpus():
    """Split the CPU in two, for tests of strategies; others use the first."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def seeded():
    """Let no test depend on those before it."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests out of the user's cache folders, and Keras' own."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["KERAS_HOME"] = str(tmp_path_factory.mktemp("keras"))


def run_recipe(name, *flags):
    """Run a recipe in this process; return its exit code."""
    recipe = importlib.import_module(f"recipes.{name}")
    try:
        return recipe.main([str(flag) for flag in flags])
    except SystemExit as end:
        return end.code


def run_python(*arguments, **options):
    """Run Python in a process of its own, from the root of the checkout."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=options.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 120),
        **options,
    )


def assert_same_end(output, other, run="*"):
    """Two runs have computed the same bits; the first may be one of several."""
    arrays, numbers = chaos.end_of(output, run)
    others, expected = chaos.end_of(other)
    assert numbers == expected
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, others[name])


@contextlib.contextmanager
def ordinary_rights():
    """Give up root's right to read and write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture(scope="session")
def said_dry_run(tmp_path_factory):
    """The output folder of one whole dry run of the main job; what it said."""
    folder = tmp_path_factory.mktemp("dry_run")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = run_recipe("mnist_cnn", "--dry-run", "--output-dir", folder)
    assert code == 0
    return folder, said.getvalue()


def classification(class_names="0123456789"):
    """The task of a classifier of the embedded digits."""
    from recipes.lab import tasks

    return tasks.Classification(
        dataclasses.replace(sample(), class_names=tuple(class_names))
    )


def reconstruction():
    """The task of an autoencoder of the embedded digits."""
    from recipes.lab import tasks

    return tasks.Reconstruction(sample())


@functools.cache
def sample():
    """The embedded digits."""
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    with contextlib.redirect_stdout(None):
        return sources.load("mnist", RunOptions(dry_run=True))


@pytest.fixture
def no_export(monkeypatch):
    """Leave out the export and the report, which are tested elsewhere."""
    monkeypatch.setattr("recipes.lab.runs.run.export", _no_export)
    monkeypatch.setattr("recipes.lab.runs.run.write_report", _no_report)


def _no_export(run, task, model, metrics):
    return run.folder


def _no_report(run, task, model, scores, history, sections):
    assert len(scores.outputs) == len(task.data.test)


@pytest.fixture(scope="session")
def dry_run(said_dry_run):
    """The output folder of that dry run."""
    return said_dry_run[0]


@pytest.fixture(scope="session")
def export(dry_run):
    """The export of that dry run."""
    return dry_run / "saved_models" / "mnist_cnn-sample" / "1"


@pytest.fixture(scope="session")
def autoencoder_dry_run(tmp_path_factory):
    """The output folder of one of an autoencoder, with all of its pictures."""
    folder = tmp_path_factory.mktemp("autoencoder_dry_run")
    flags = ["--dry-run", "--code-lengths", 4, "--output-dir", folder]
    assert run_recipe("mnist_autoencoder", *flags) == 0
    return folder


@pytest.fixture
def images():
    """Eight images of noise, uint8 `(8, 28, 28, 1)`."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1))
    return noise.astype("uint8")
