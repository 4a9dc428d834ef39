"""Workers find each other, and who is lost is named."""

import json
import socket
import threading
import time

import launch_workers
import pytest
import tensorflow as tf
from helpers.commands import is_a_usage_error, run_recipe
from helpers.workers import tf_config

from recipes.lab.errors import NothingToDo, RecipeError, UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.training.devices import set_up
from recipes.lab.training.workers import (
    Cluster,
    _host_and_port,
    _meet,
    _silent,
    find,
    named_if_lost,
)
from recipes.mnist_autoencoder import Config

TWO = ["127.0.0.1:1", "127.0.0.1:2"]


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


@pytest.mark.usefixtures("empty_folder")
def test_workers_must_be_named(capsys):
    said = is_a_usage_error(capsys, "--strategy", "multi_worker")
    assert "nothing says who the workers are. Set TF_CONFIG" in said


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("value", ["{", "[]", "3"])
def test_a_broken_tf_config_is_named(value, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", value)
    said = is_a_usage_error(capsys, "--dry-run")
    assert "TF_CONFIG must be a JSON object" in said
    assert repr(value) in said
