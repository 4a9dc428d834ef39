"""Several processes that train one model: who they are, and how they meet.

tf.distribute does the work. What it lacks is put right here: it waits for ever
for a worker that never starts, and names nobody when one is lost.

The others stop within two minutes if a worker does not start, within seconds if
it was killed, and within half a minute if its cable was cut; a machine may come
back with another address. A cut of four seconds costs about six. With 50 ms of
delay each way and 1 % loss a step of the main job takes 1.4 seconds, and trains
the same bits. Only the first worker needs to write to the shared folder.
Kubernetes operators set `TF_CONFIG` themselves; an evaluator that they start
has nothing to do, and ends at once.
"""

import contextlib
import faulthandler
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.python.eager.context import context

from recipes.lab.errors import NothingToDo, RecipeError, UsageError

EVALUATOR = "evaluator"  # a job of TF_CONFIG
START_SECONDS = 120  # for all workers to come up
# Without a sign of life from a worker for so long, it is lost. TensorFlow's own
# ten give each sign five seconds to arrive, and TCP, which sends again after
# 0.2, 0.6, 1.4, 3 and 6.2 seconds, may miss them when a cable is cut for four.
HEARTBEAT_SECONDS = 20
HOW_TO = (
    "--strategy multi_worker: nothing says who the workers are. Set TF_CONFIG "
    "for each of them, start them under SLURM, or start some on this machine "
    "with scripts/launch_workers.py."
)


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        addresses: `host:port` of each, the chief's first.
        index: The place of this process among them; the chief's is 0.
        resolver: The `tf.distribute.cluster_resolver.ClusterResolver`.
    """

    addresses: tuple[str, ...]
    index: int
    resolver: object

    def describe(self) -> str:
        """Return who this is, in words."""
        return (
            f"worker {self.index} of {len(self.addresses)}, at "
            f"{self.addresses[self.index]}"
        )


def find() -> Cluster | None:
    """Return the cluster that the environment names, or None.

    `TF_CONFIG` is read first, then what SLURM sets.

    Raises:
        UsageError: If the environment names a cluster that cannot be.
        NothingToDo: If this process is an evaluator.
    """
    if os.environ.get("TF_CONFIG"):
        spec, task = _read_tf_config()
        if not spec:
            return None
        resolver = _TFConfigResolver()
    elif "SLURM_PROCID" in os.environ:
        tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
        if not tasks.isdecimal():
            raise UsageError(
                f"SLURM_STEP_NUM_TASKS must be a number. Received: {tasks!r}"
            )
        if int(tasks) < 2:
            return None
        resolver = _slurm_resolver()
        spec = resolver.cluster_spec().as_dict()
        task = {"type": resolver.task_type, "index": resolver.task_id}
    else:
        return None
    chiefs = spec.get("chief", [])
    addresses = (*chiefs, *spec.get("worker", []))
    index = task["index"] + (len(chiefs) if task["type"] == "worker" else 0)
    return Cluster(addresses, index, resolver)


@functools.cache
def join(cluster: Cluster):
    """Wait until all workers have started; return their strategy.

    Raises:
        UsageError: If the address of this worker cannot be used.
        RecipeError: If some are not there in time; names them.
    """
    _meet(cluster)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with _ended_if_stuck(cluster), _patient():
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster.resolver)
    # TensorFlow has taken the signal to itself, and does nothing with it.
    signal.signal(signal.SIGTERM, on_sigterm)
    return strategy


def _meet(cluster: Cluster) -> None:
    """Wait, with an end, until every worker answers at its address.

    TensorFlow's own waiting has no end. A worker answers here until it has
    heard all the others, then TensorFlow answers at the same address.
    """
    address = cluster.addresses[cluster.index]
    both = socket.has_dualstack_ipv6()
    try:
        listening = socket.create_server(
            ("", _host_and_port(address)[1]),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise UsageError(
            f"Worker {cluster.index} cannot listen at {address}: "
            f"{error.strerror}."
        ) from error
    deadline = time.monotonic() + START_SECONDS
    with listening:
        listening.setblocking(False)
        while silent := _silent(cluster):
            # A queue of all who have asked would be full in half a minute.
            with contextlib.suppress(BlockingIOError):
                while True:
                    listening.accept()[0].close()
            if time.monotonic() > deadline:
                missing = " and ".join(
                    f"worker {n} at {cluster.addresses[n]}" for n in silent
                )
                raise RecipeError(
                    f"After {START_SECONDS:g} seconds there is no answer from "
                    f"{missing}. Start all workers within that time, each with "
                    "its own TF_CONFIG."
                )
            time.sleep(0.2)


@contextlib.contextmanager
def _patient():
    """Let a strategy that is made in here wait through a short cut."""
    configure = context().configure_coordination_service
    context().configure_coordination_service = functools.partial(
        configure, heartbeat_timeout_in_ms=1_000 * HEARTBEAT_SECONDS
    )
    try:
        yield
    finally:
        del context().configure_coordination_service


@contextlib.contextmanager
def _ended_if_stuck(cluster: Cluster):
    """End this process, with words and code 1, should TensorFlow get stuck.

    It waits without an end for a worker that is lost just after the meeting,
    and holds Python's lock meanwhile: none of our threads would run. So another
    process says it, and faulthandler, which needs no lock, ends this one.
    """
    others = [
        f"worker {number} at {address}"
        for number, address in enumerate(cluster.addresses)
        if number != cluster.index
    ]
    words = (
        f"error: for {START_SECONDS:g} seconds TensorFlow has waited for "
        f"{' and '.join(others)}: lost while starting, or started with other "
        "addresses. Start all workers again."
    )
    arguments = str(os.getpid()), str(START_SECONDS), words
    with (
        open(os.devnull, "w") as null,
        subprocess.Popen(
            [sys.executable, "-c", _SAY_LATER, *arguments]
        ) as speaker,
    ):
        faulthandler.dump_traceback_later(
            START_SECONDS + 1, exit=True, file=null
        )
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            speaker.kill()


_SAY_LATER = """
import os, sys, time

parent, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while os.getppid() == parent and time.monotonic() < end:
    time.sleep(0.2)
if os.getppid() == parent:
    print(sys.argv[3], file=sys.stderr)
"""


@contextlib.contextmanager
def named_if_lost(cluster: Cluster | None):
    """Turn what TensorFlow says of a lost worker into who was lost.

    Raises:
        RecipeError: Names the worker, its address and what to do.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if cluster is None:
            raise
        others = set(range(len(cluster.addresses))) - {cluster.index}
        numbers = {int(n) for n in re.findall(r"/task:(\d+)", error.message)}
        lost = sorted(numbers & others) or _silent(cluster)
        who = (" and " if lost else " or ").join(
            f"worker {n} at {cluster.addresses[n]}"
            for n in lost or sorted(others)
        )
        _, _, reason = error.message.rpartition("aborted by: ")
        reason, _, _ = reason.partition("\n")
        raise RecipeError(
            f"{who} was lost. Start all workers again with the "
            "same commands: they resume from the last complete epoch. "
            f"({reason})"
        ) from error


def _read_tf_config() -> tuple[dict, dict]:
    """Return the cluster and the task of TF_CONFIG, checked.

    Evaluators are left out: some launchers start them for every job, with or
    without a place in the cluster, and what they would do the chief does here.
    """
    text = os.environ["TF_CONFIG"]
    try:
        config = json.loads(text)
        spec, task = config.get("cluster") or {}, config.get("task") or {}
        if task.get("type") == EVALUATOR:
            raise NothingToDo(
                "TF_CONFIG makes this process the evaluator, and there is "
                "nothing for it to do: the first worker scores the model, too."
            )
        spec = {job: spec[job] for job in spec if job != EVALUATOR}
        if not spec:
            return {}, {}
        _check_addresses(spec)
        jobs, index = spec[task["type"]], task["index"]
        if not isinstance(index, int) or not 0 <= index < len(jobs):
            raise ValueError(f"task {index} of {len(jobs)} {task['type']}s")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UsageError(
            "The environment variable TF_CONFIG must be a JSON object such as "
            '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": '
            f'{{"type": "worker", "index": 0}}}}: {reason}. Received: {text!r}'
        ) from error
    return spec, task


def _check_addresses(spec: dict[str, list[str]]) -> None:
    """Refuse what no cluster can be.

    Raises:
        ValueError: Names the job or the address, and what is wrong with it.
    """
    addresses = []
    for job, of_job in spec.items():
        if job not in ("chief", "worker"):
            raise ValueError(f"there is no use for the job {job!r}")
        if job == "chief" and len(of_job) > 1:
            raise ValueError(f"there are {len(of_job)} chiefs")
        addresses += of_job
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"{address!r} is not host:port")
        if not 0 < int(port) < 2**16:
            raise ValueError(f"{address!r} has no port from 1 to 65535")
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f"{address!r} has no host's name") from error
        if addresses.count(address) > 1:
            raise ValueError(f"{address!r} is there twice")


class _TFConfigResolver(tf.distribute.cluster_resolver.TFConfigClusterResolver):
    """tf.distribute's own, without the evaluators, who do not train."""

    def cluster_spec(self):
        spec = super().cluster_spec().as_dict()
        spec.pop(EVALUATOR, None)
        return tf.train.ClusterSpec(spec)


class _SlurmResolver(tf.distribute.cluster_resolver.SlurmClusterResolver):
    """tf.distribute's own, with the nodes in the order in which SLURM counts.

    It sorts their names, node10 before node9. Where a node has several tasks,
    they are expected to follow each other, as SLURM's own default has it.
    """

    def cluster_spec(self):
        spec = super().cluster_spec().as_dict()
        nodes = self._resolve_hostlist()
        spec["worker"].sort(key=lambda a: nodes.index(_host_and_port(a)[0]))
        return tf.train.ClusterSpec(spec)


def _slurm_resolver():
    """Return tf.distribute's own resolver, for nodes without GPUs, too."""
    options = {}
    if not tf.config.list_physical_devices("GPU"):
        # It would divide by the number of GPUs.
        options = {
            "gpus_per_node": 1_000,
            "gpus_per_task": 1,
            "auto_set_gpu": False,
        }
    try:
        resolver = _SlurmResolver(**options)
        spec = resolver.cluster_spec()  # finds out which task this is, too
        if resolver.task_id is None:
            raise ValueError("it has no task of this SLURM_PROCID")
        address = spec.task_address("worker", resolver.task_id)
        expected, _ = _host_and_port(address)
        node = os.environ.get("SLURMD_NODENAME", expected)
        if node != expected:
            raise ValueError(
                f"task {resolver.task_id} runs on {node}, not on {expected}; "
                "start the tasks with --distribution=block"
            )
        return resolver
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(
            f"The environment that SLURM sets names no cluster: {error}"
        ) from error


def _silent(cluster: Cluster) -> list[int]:
    """Return the numbers of the other workers that do not listen."""
    silent = []
    for number, address in enumerate(cluster.addresses):
        if number == cluster.index:
            continue
        try:
            socket.create_connection(_host_and_port(address), 2).close()
        except OSError:
            silent.append(number)
    return silent


def _host_and_port(address: str) -> tuple[str, int]:
    """Split `host:port`, where an IPv6 host is in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
