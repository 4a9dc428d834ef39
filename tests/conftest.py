"""What all tests share: a quiet machine with two CPUs, and one dry run."""

import contextlib
import gc
import io
import os

# Before TensorFlow is imported, here and in the processes that tests start.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("TF_CONFIG", None)
os.environ.pop("SLURM_PROCID", None)

import keras
import numpy as np
import pytest

GARBAGE = (
    1_000_000_000  # bytes that a process may grow by until it is tidied up
)

pytest.register_assert_rewrite("helpers")

from helpers.commands import run_recipe  # noqa: E402


def pytest_xdist_auto_num_workers(config):
    """Let two processes share the whole suite; a part of it stays in one."""
    return 2 if config.args_source is config.ArgsSource.TESTPATHS else 0


@pytest.fixture(scope="session", autouse=True)
def two_cpus():
    """Split the CPU in two, for tests of strategies; others use the first."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(scope="session", autouse=True)
def verified_by_forks(two_cpus):
    """Spare the exports of tests a TensorFlow that is imported for each."""
    from helpers import forked_verifier

    with forked_verifier.verified_by(forked_verifier):
        yield


@pytest.fixture(scope="session", autouse=True)
def rarely_any_garbage():
    """Look for garbage rarely: most of a million objects stay."""
    gc.set_threshold(10_000)


@pytest.fixture(scope="session")
def footprint():
    """What this process took when it was last tidied up, in bytes."""
    return {"bytes": 0}


@pytest.fixture(autouse=True)
def never_much_garbage(footprint):
    """Look for it in time: a graph that nobody needs holds its tensors."""
    yield
    if resident() > footprint["bytes"] + GARBAGE:
        gc.collect()
        footprint["bytes"] = resident()


def resident() -> int:
    """Return how much memory this process takes, in bytes; 0 if unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # of another system than Linux
        return 0


@pytest.fixture(autouse=True)
def seeded():
    """Let no test depend on those before it."""
    from helpers.seeds import set_seed

    set_seed(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests out of the user's cache folders, and Keras' own."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["KERAS_HOME"] = str(tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="session")
def said_dry_run(tmp_path_factory):
    """The output folder of one whole dry run of the main job; what it said."""
    from helpers.forked_verifier import verified_by

    from recipes.lab import verifier

    folder = tmp_path_factory.mktemp("dry_run")
    with (
        contextlib.redirect_stdout(io.StringIO()) as said,
        verified_by(verifier),  # as users have it
    ):
        code = run_recipe("mnist_cnn", "--dry-run", "--output-dir", folder)
    assert code == 0
    return folder, said.getvalue()


@pytest.fixture
def no_export(monkeypatch):
    """Leave out the export and the report, which are tested elsewhere."""
    monkeypatch.setattr("recipes.lab.runs.run.export", _no_export)
    monkeypatch.setattr("recipes.lab.runs.run.write_report", _no_report)


def _no_export(run, task, model, metrics, meanwhile):
    meanwhile()
    return run.folder


def _no_report(run, task, model, scores, history, sections):
    for outputs in keras.tree.flatten(scores.outputs):
        assert len(outputs) == len(task.data.test)


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


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Run in an empty folder, and find it empty afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not list(folder.iterdir()), "a refused command left something"
