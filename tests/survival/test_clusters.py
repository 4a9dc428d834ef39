"""Several workers train one model as one process would, and die by name."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time

import launch_workers
import numpy as np
import pytest
from helpers.commands import (
    ON_ONE_DEVICE,
    RECIPES,
    ROOT,
    run_python,
    run_recipe,
)
from helpers.workers import DRIVER, launch, metrics, tf_config, weights

from recipes.lab.data import sample
from recipes.lab.runs.folder import _lock
from recipes.lab.training.devices import threads

FLAGS = ("--epochs", 3, "--batch-size", 128)
MIRRORED = ("--strategy", "mirrored")


def train(folder, recipe, **environment):
    """Train with two workers in a folder; return the launcher's process."""
    (folder / "driver.py").write_text(DRIVER)
    return launch(
        *("python", "driver.py", recipe, *FLAGS),
        cwd=folder,
        env={
            "TFDS_DATA_DIR": str(folder / "nowhere"),
            # How many threads share an operation decides how it rounds.
            "TF_NUM_INTRAOP_THREADS": str(threads()),
            **environment,
        },
        timeout=240,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A function from a recipe to the folder in which two workers trained."""

    @functools.cache
    def folder_of(recipe):
        folder = tmp_path_factory.mktemp("unbroken")
        done = train(folder, recipe)
        assert done.returncode == 0, done.stdout
        return folder

    return folder_of


@pytest.mark.faults
@pytest.mark.parametrize(
    ("recipe", "flags", "tolerance"),
    [
        # One device under tf.distribute, for the same Adam: without a strategy
        # it is one operation, whose steps differ by 2e-5, see fused.py.
        pytest.param(
            "mnist_autoencoder", MIRRORED, 1e-4, marks=pytest.mark.slow
        ),
        ("mnist_mlp", MIRRORED, 1e-4),  # with dropout
        # Batch normalization: what two devices of one process do. How near that
        # is to one device is stated in tests/lab/test_distributed.py.
        ("mnist_cnn", (*MIRRORED, "--cpu-devices", 2), 1e-6),
    ],
    ids=["one device", "dropout", "two devices"],
)
def test_two_workers_train_what_one_process_does(
    recipe, flags, tolerance, unbroken, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sample, "PASSES", 1)  # as in DRIVER
    flags = (*FLAGS, *flags, "--offline", "--output-dir", tmp_path)
    assert run_recipe(recipe, *flags) == 0
    together = unbroken(recipe)
    for one, two in zip(
        weights(tmp_path, recipe), weights(together, recipe), strict=True
    ):
        np.testing.assert_allclose(two, one, atol=tolerance)
    expected = metrics(tmp_path, recipe)
    assert metrics(together, recipe) == pytest.approx(expected, rel=tolerance)
    assert_the_chief_alone_has_written(together, recipe)


def assert_the_chief_alone_has_written(folder, recipe):
    [run] = (folder / "runs" / f"{recipe}-sample").iterdir()
    assert (run / "report.html").exists()
    assert len(list(folder.glob(f"saved_models/{recipe}-sample/*"))) == 1


@pytest.mark.faults
@pytest.mark.parametrize(
    "inside",
    [pytest.param(True, marks=pytest.mark.slow), False],
    ids=["in", "beside"],
)
def test_a_cluster_with_an_evaluator_trains(inside, tmp_path):
    """As Kubernetes operators start it: a chief, a worker, an evaluator."""
    chief, worker, evaluator = launch_workers.free_addresses(3)
    cluster = {"chief": [chief], "worker": [worker]}
    if inside:
        cluster["evaluator"] = [evaluator]
    arguments = ["-m", "recipes.mnist_autoencoder", "--dry-run"]
    with contextlib.ExitStack() as stack:
        processes = {
            kind: stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *arguments, "--output-dir", tmp_path],
                    cwd=ROOT,
                    env={**os.environ, "TF_CONFIG": tf_config(cluster, kind)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for kind in ("evaluator", "worker", "chief")
        }
        for kind, process in processes.items():
            said, _ = process.communicate(timeout=240)
            assert process.returncode == 0, said
            nothing = "there is nothing for it to do" in said
            assert nothing is (kind == "evaluator")
    assert_the_chief_alone_has_written(tmp_path, "mnist_autoencoder")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in RECIPES if name not in ON_ONE_DEVICE]
)
def test_every_recipe_trains_with_two_workers(name, tmp_path):
    done = launch(
        *("python", "-m", f"recipes.{name}", "--dry-run"),
        *("--strategy", "multi_worker", "--output-dir", tmp_path),
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    assert_the_chief_alone_has_written(tmp_path, name)
    for values in weights(tmp_path, name):
        assert np.isfinite(values).all()


def train_until_lost(folder, recipe, lost):
    """Kill a worker in the second epoch; see that the other names it, soon."""
    started = time.monotonic()
    done = train(folder, recipe, FAULT=f"{lost} 14 SIGKILL")
    assert time.monotonic() - started < 90
    assert done.returncode == 128 + signal.SIGKILL
    assert f"[{1 - lost}] error: worker {lost} at 127.0.0.1:" in done.stdout
    assert "was lost" in done.stdout


def assert_goes_on(folder, recipe, unbroken):
    """Start again what was cut off, and see the unbroken training's bits."""
    again = train(folder, recipe)
    assert again.returncode == 0, again.stdout
    assert "resuming after epoch 1 of 3" in again.stdout
    for one, two in zip(
        weights(unbroken(recipe), recipe), weights(folder, recipe), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert metrics(folder, recipe) == metrics(unbroken(recipe), recipe)


@pytest.mark.faults
def test_a_killed_chief_is_named(tmp_path):
    train_until_lost(tmp_path, "mnist_mlp", 0)


@pytest.mark.faults
def test_a_killed_worker_is_named_and_the_next_start_goes_on(
    tmp_path, unbroken
):
    train_until_lost(tmp_path, "mnist_cnn", 1)
    assert_goes_on(tmp_path, "mnist_cnn", unbroken)


@pytest.mark.faults
def test_a_preempted_worker_ends_with_143_and_the_next_start_goes_on(
    tmp_path, unbroken
):
    done = train(tmp_path, "mnist_mlp", FAULT="1 14 SIGTERM")
    assert done.returncode == 143, done.stdout
    assert "[1] error: preempted" in done.stdout
    assert_goes_on(tmp_path, "mnist_mlp", unbroken)


@pytest.mark.faults
def test_a_worker_that_never_comes_is_named(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    cluster = {"worker": [f"127.0.0.1:{port}", "127.0.0.1:9"]}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "driver.py", "mnist_autoencoder", "--dry-run"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CONFIG": tf_config(cluster),
            "START": "5",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no answer from worker 1 at 127.0.0.1:9." in done.stderr
    assert time.monotonic() - started < 40


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(0, marks=pytest.mark.slow),
        pytest.param(1, marks=pytest.mark.faults),
    ],
)
def test_a_worker_that_is_lost_just_after_the_meeting_is_named(index, tmp_path):
    """It answers at its address, but TensorFlow never does."""
    (tmp_path / "driver.py").write_text(DRIVER)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lost = f"127.0.0.1:{mute.getsockname()[1]}"
        addresses = [f"127.0.0.1:{port}", lost]
        if index:
            addresses.reverse()
        config = tf_config({"worker": addresses}, index=index)
        done = run_python(
            *("driver.py", "mnist_autoencoder", "--dry-run"),
            cwd=tmp_path,
            env={"TF_CONFIG": config, "START": "5"},
            timeout=60,
        )
    assert done.returncode == 1
    assert f"for worker {1 - index} at {lost}: lost" in done.stderr


@pytest.mark.faults
def test_workers_that_see_different_folders_are_refused(tmp_path):
    flags = "--dry-run --run-name ours --output-dir $$"
    command = f"{sys.executable} -m recipes.mnist_autoencoder {flags}"
    done = launch("sh", "-c", command, cwd=tmp_path, timeout=120)
    assert done.returncode == 2
    for number in (0, 1):
        refusal = f"[{number}] error: --output-dir must be a folder that all"
        assert refusal in done.stdout
    assert not list(tmp_path.glob("**/checkpoints"))


@pytest.mark.faults
def test_workers_leave_a_run_alone_that_others_are_at(tmp_path):
    folder = tmp_path / "runs" / "mnist_autoencoder-sample" / "ours"
    folder.mkdir(parents=True)
    with _lock(folder):
        done = launch(
            *("python", "-m", "recipes.mnist_autoencoder", "--dry-run"),
            *("--output-dir", tmp_path, "--run-name", "ours"),
            timeout=120,
        )
    assert done.returncode == 1
    assert f"[0] error: {folder} is in use by another process" in done.stdout
    assert list(folder.glob("[!.]*")) == []
