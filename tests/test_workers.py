"""Several workers train one model as one process would, and die by name."""

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import launch_workers
import numpy as np
import pytest
import tensorflow as tf
from conftest import RECIPES, ROOT, run_python, run_recipe

import zoo
from recipes.lab.data import sample
from recipes.lab.errors import NothingToDo, RecipeError, UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs.folder import _lock
from recipes.lab.runs.run import _agree_on_settings
from recipes.lab.training.devices import set_up, threads
from recipes.lab.training.workers import (
    Cluster,
    _host_and_port,
    _meet,
    _silent,
    find,
    named_if_lost,
)
from recipes.mnist_autoencoder import Config

LAUNCHER = ROOT / "scripts" / "launch_workers.py"
TWO = ["127.0.0.1:1", "127.0.0.1:2"]


def tf_config(cluster, kind="worker", index=0):
    return json.dumps(
        {"cluster": cluster, "task": {"type": kind, "index": index}}
    )


# --- who they are -------------------------------------------------------


def test_nothing_in_the_environment_is_no_cluster():
    assert find() is None


def test_a_tf_config_without_workers_is_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert find() is None
    with pytest.raises(UsageError, match="nothing says who the workers are"):
        set_up(Config(run=RunOptions(strategy="multi_worker")))


@pytest.mark.parametrize("strategy", ["auto", "multi_worker"])
def test_a_worker_that_is_alone_needs_no_strategy(strategy, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1"]}))
    devices = set_up(Config(run=RunOptions(strategy=strategy)))
    assert (devices.cluster, devices.strategy) == (None, None)


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "place"),
    [
        ({"worker": TWO}, "worker", 1, 1),
        ({"chief": TWO[:1], "worker": TWO[1:]}, "chief", 0, 0),
        ({"chief": TWO[:1], "worker": TWO[1:]}, "worker", 0, 1),
    ],
)
def test_the_chief_comes_first(cluster, kind, index, place, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster, kind, index))
    found = find()
    assert found.addresses == tuple(TWO)
    assert found.index == place
    assert found.describe() == f"worker {place} of 2, at {TWO[place]}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "no attribute 'get'"),
        (json.dumps({"cluster": {"worker": TWO}}), "'type' is missing"),
        (tf_config({"worker": TWO}, index=2), "task 2 of 2 workers"),
        (tf_config({"worker": TWO}, index=-1), "task -1 of 2 workers"),
        (tf_config({"worker": TWO}, "chief"), "'chief' is missing"),
        (tf_config({"ps": TWO}, "ps"), "no use for the job 'ps'"),
        (tf_config({"worker": ["a", "b"]}), "'a' is not host:port"),
        (tf_config({"worker": ["a:0", "b:1"]}), "'a:0' has no port from 1"),
        (tf_config({"worker": ["a:70000", "b:1"]}), "'a:70000' has no port"),
        (tf_config({"worker": ["a..b:1", "b:1"]}), "'a..b:1' has no host"),
        (tf_config({"worker": ["a:1", "a:1"]}), "'a:1' is there twice"),
        (tf_config({"chief": TWO, "worker": ["a:1"]}), "there are 2 chiefs"),
        (tf_config({"worker": TWO}, index=1.0), "task 1.0 of 2 workers"),
    ],
)
def test_a_tf_config_that_cannot_be_says_why(text, reason, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG must be") as refusal:
        find()
    assert reason in str(refusal.value)
    assert repr(text) in str(refusal.value)


CHIEF = {"chief": TWO[:1], "worker": TWO[1:]}


@pytest.mark.parametrize(
    "cluster",
    [
        CHIEF | {"evaluator": ["127.0.0.1:3"]},
        CHIEF,
        {"evaluator": ["127.0.0.1:3"]},
        {},
    ],
    ids=["in the cluster", "beside it", "alone", "without a cluster"],
)
def test_an_evaluator_has_nothing_to_do(cluster, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster, "evaluator"))
    with pytest.raises(
        NothingToDo, match="the evaluator, and there is nothing"
    ):
        find()
    assert run_recipe("mnist_autoencoder", "--dry-run") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("TF_CONFIG makes this process")
    assert said.err == ""


@pytest.mark.parametrize("address", ["127.0.0.1:3", TWO[0], "nowhere"])
def test_workers_do_not_wait_for_an_evaluator(address, monkeypatch):
    cluster = CHIEF | {"evaluator": [address]}
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster))
    found = find()
    assert (found.addresses, found.index) == (tuple(TWO), 1)
    assert found.resolver.cluster_spec().as_dict() == CHIEF


def test_a_chief_with_an_evaluator_is_alone(monkeypatch):
    cluster = {"chief": ["a:1"], "evaluator": ["b:1"]}
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster, "chief"))
    devices = set_up(Config())
    assert (devices.cluster, devices.strategy) == (None, None)


def test_no_strategy_needs_no_tf_config(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(CHIEF, "evaluator"))
    devices = set_up(Config(run=RunOptions(strategy="none")))
    assert devices.strategy is None


def test_slurm_names_the_workers(monkeypatch):
    environment = {
        "SLURM_PROCID": "2",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = find()
    assert found.addresses == ("node1:8888", "node1:8889", "node2:8888")
    assert found.index == 2
    monkeypatch.setenv("SLURMD_NODENAME", "node1")
    with pytest.raises(UsageError, match="task 2 runs on node1, not on node2"):
        find()
    monkeypatch.delenv("SLURMD_NODENAME")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[9-10]")
    addresses = ("node9:8888", "node9:8889", "node10:8888")
    assert find().addresses == addresses
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert find() is None
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "many")
    with pytest.raises(UsageError, match="SLURM_STEP_NUM_TASKS .*'many'"):
        find()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_PROCID", "9")
    with pytest.raises(UsageError, match="no task of this SLURM_PROCID"):
        find()


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("[::1]", socket.AF_INET6)],
)
def test_silent_workers_are_found(host, family):
    try:
        listening = socket.create_server((host.strip("[]"), 0), family=family)
    except OSError as error:
        pytest.skip(f"{host}: {error}")
    with listening:
        address = f"{host}:{listening.getsockname()[1]}"
        for index, silent in enumerate(([1, 2], [2], [1])):
            cluster = Cluster((address, *TWO), index, None)
            assert _silent(cluster) == silent


def test_a_lost_worker_is_named_though_it_answers_again():
    """When the cable is back, nobody is silent, and some errors name nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        back = f"127.0.0.1:{listening.getsockname()[1]}"
        cluster = Cluster((back, "127.0.0.1:9"), 1, None)
        late = tf.errors.DeadlineExceededError(None, None, "Deadline Exceeded")
        with (
            pytest.raises(RecipeError, match=f"^worker 0 at {back} was lost"),
            named_if_lost(cluster),
        ):
            raise late


def test_a_worker_answers_however_often_it_is_asked():
    addresses = tuple(launch_workers.free_addresses(2))
    early, late = (Cluster(addresses, index, None) for index in (0, 1))
    waiting = threading.Thread(target=_meet, args=(early,))
    waiting.start()
    while _silent(late):
        time.sleep(0.1)
    for _ in range(300):  # more than a queue of the system holds
        assert _silent(late) == []
        time.sleep(0.002)
    _meet(late)
    host_and_port = _host_and_port(addresses[1])
    with socket.create_server(host_and_port):  # as TensorFlow does
        waiting.join(20)
    assert not waiting.is_alive()


# --- the launcher -------------------------------------------------------


def launch(*command, workers=2, **options):
    return run_python(
        *(LAUNCHER, "--workers", workers, "--", *command),
        **options,
    )


def test_launcher_numbers_the_lines_and_names_the_workers():
    code = "import os; print(os.environ['TF_CONFIG'])"
    done = launch("python", "-c", code, workers=3)
    assert done.returncode == 0, done.stdout
    lines = sorted(done.stdout.splitlines())
    for index, line in enumerate(lines):
        number, _, text = line.partition(" ")
        config = json.loads(text)
        assert number == f"[{index}]"
        assert config["task"] == {"type": "worker", "index": index}
        assert len(set(config["cluster"]["worker"])) == 3


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system binds nothing"
)
@pytest.mark.parametrize("workers", [2, 3])
def test_launcher_gives_each_worker_its_share_of_the_cores(workers):
    cores = os.sched_getaffinity(0)
    code = "import os, time; time.sleep(0.2); print([*os.sched_getaffinity(0)])"
    done = launch("python", "-c", code, workers=workers)
    assert done.returncode == 0, done.stdout
    shares = [
        set(json.loads(x.partition(" ")[2])) for x in done.stdout.splitlines()
    ]
    assert all(share and share <= cores for share in shares)
    assert all(len(share) == max(1, len(cores) // workers) for share in shares)
    if len(cores) >= workers:
        assert sum(map(len, shares)) == len(set().union(*shares))


def test_launcher_returns_the_code_of_the_first_that_fails():
    code = (
        "import json, os, sys, time;"
        "n = json.loads(os.environ['TF_CONFIG'])['task']['index'];"
        "sys.exit(3) if n else time.sleep(0.5)"
    )
    assert launch("python", "-c", code).returncode == 3


def test_launcher_trains_on_when_nobody_reads_what_it_says():
    code = "for _ in range(4000): print('x' * 80)"
    command = f'{sys.executable} {LAUNCHER} -- python -c "{code}" | head -1'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("x" * 80 + "\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_launcher_hands_on_a_signal(name):
    number = getattr(signal, name)
    code = (
        "import signal, sys, time;"
        f"signal.signal({number}, lambda *_: sys.exit({100 + number}));"
        "print('ready'); time.sleep(60)"
    )
    arguments = [sys.executable, LAUNCHER, "--", "python", "-c", code]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, preexec_fn=with_usual_signals
    ) as launcher:
        for _ in range(2):
            assert b"ready" in launcher.stdout.readline()
        launcher.send_signal(number)
        assert launcher.wait(30) == 100 + number


def with_usual_signals():
    """A shell has its background jobs ignore some of them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workers", "2"], "say what"),
        (["--workers", "0", "--", "x"], "1 or"),
        (["--", "no-such-command"], "cannot start no-such-command: No such"),
    ],
)
def test_launcher_refuses(arguments, reason):
    done = run_python(LAUNCHER, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr


# --- what they train ----------------------------------------------------

# FAULT is "<worker> <batch> <signal>": there and then, send it to oneself.
DRIVER = """
import importlib, json, os, signal, sys

worker, batch, name = os.environ.get("FAULT", "-1 0 SIGKILL").split()
task = json.loads(os.environ["TF_CONFIG"])["task"]

from recipes.lab import command
from recipes.lab.data import sample
from recipes.lab.training import workers

sample.PASSES = 1  # short epochs are enough to be lost in
workers.START_SECONDS = float(os.environ.get("START", 60))
quietly = command._import_tensorflow_quietly
seen = 0

def import_with_fault():
    quietly()
    import keras
    from tensorflow.python.data.ops import multi_device_iterator_ops

    # Nothing uses the iterator whose tuner sleeps on when it is deleted.
    multi_device_iterator_ops.OwnedMultiDeviceIterator = None

    real = keras.callbacks.CallbackList.on_train_batch_end

    def with_fault(*arguments, **options):
        global seen
        real(*arguments, **options)
        seen += 1
        if (task["index"], seen) == (int(worker), int(batch)):
            os.kill(os.getpid(), getattr(signal, name))

    keras.callbacks.CallbackList.on_train_batch_end = with_fault

command._import_tensorflow_quietly = import_with_fault

recipe = importlib.import_module("recipes." + sys.argv[1])
sys.exit(recipe.main([*sys.argv[2:], "--offline"]))
"""
FLAGS = ("--epochs", 3, "--batch-size", 128)


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


def weights(folder, recipe):
    [export] = folder.glob(f"saved_models/{recipe}-sample/*")
    return zoo.load_model(export, verbose=False).get_weights()


def metrics(folder, recipe):
    path = folder / "runs" / f"{recipe}-sample" / "1" / "metrics.json"
    found = json.loads(path.read_text())["metrics"]
    return {k: v for k, v in found.items() if not k.startswith("train_")}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("recipe", "flags", "tolerance"),
    [
        ("mnist_autoencoder", (), 1e-4),
        # Batch normalisation: what two devices of one process do. How near that
        # is to one device is stated in tests/test_devices.py.
        ("mnist_cnn", ("--strategy", "mirrored", "--cpu-devices", 2), 1e-6),
    ],
    ids=["one device", "two devices"],
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
@pytest.mark.parametrize("inside", [True, False], ids=["in", "beside"])
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
@pytest.mark.parametrize("name", RECIPES)
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


def train_until_lost(folder, lost):
    """Kill a worker in the second epoch; see that the other names it, soon."""
    started = time.monotonic()
    done = train(folder, "mnist_cnn", FAULT=f"{lost} 14 SIGKILL")
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
    train_until_lost(tmp_path, 0)


@pytest.mark.faults
def test_a_killed_worker_is_named_and_the_next_start_goes_on(
    tmp_path, unbroken
):
    train_until_lost(tmp_path, 1)
    assert_goes_on(tmp_path, "mnist_cnn", unbroken)


@pytest.mark.faults
def test_a_preempted_worker_ends_with_143_and_the_next_start_goes_on(
    tmp_path, unbroken
):
    done = train(tmp_path, "mnist_autoencoder", FAULT="1 14 SIGTERM")
    assert done.returncode == 143, done.stdout
    assert "[1] error: preempted" in done.stdout
    assert_goes_on(tmp_path, "mnist_autoencoder", unbroken)


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


@pytest.mark.parametrize("other", [{"seed": 1}, {"run_name": "theirs"}])
def test_workers_with_different_flags_are_refused(other):
    """What the other one sends is that of its own settings."""
    settings = {"seed": 0, "run_name": None}
    sent = []
    alone = types.SimpleNamespace(gather=lambda n: sent.append(n) or [n])
    _agree_on_settings(settings | other, alone)
    both = types.SimpleNamespace(gather=lambda number: [number, *sent])
    with pytest.raises(UsageError, match="different settings or data"):
        _agree_on_settings(settings, both)


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
