"""Two hosts train one model, whatever networks and disks do to them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import launch_workers
import numpy as np
import pytest
from helpers.commands import ROOT, run_recipe
from helpers.hosts import Site
from helpers.workers import DRIVER, metrics, tf_config, weights

from recipes.lab.data import sample
from recipes.lab.training import devices

pytestmark = pytest.mark.faults

RECIPE = "mnist_cnn"
FLAGS = ("--epochs", "3", "--batch-size", "256")
IN_SECOND_EPOCH = 7  # a batch; an epoch of the sample has five
ADDRESSES = ("10.7.7.1", "10.7.7.2")
MOVED = ("10.7.7.1", "10.7.7.3")
PATIENCE = 180  # seconds for whatever has an end, on a busy machine


class TwoHosts:
    """Two hosts, and the worker that was started last on each of them."""

    def __init__(self, site, folder):
        self.site = site
        self.folder = folder
        self.workers = []

    def start(self, *configs, fault="-1 0 SIGKILL", start_seconds=60):
        """Start a worker on each host.

        Args:
            configs: The addresses in the TF_CONFIG of each.
            fault: See `DRIVER`.
            start_seconds: What the recipe waits for all to come up.
        """
        (self.folder / "driver.py").write_text(DRIVER)
        self.workers = []
        for index, host in enumerate(self.site.hosts):
            addresses = (configs or (ADDRESSES, ADDRESSES))[index]
            cluster = {"worker": [f"{address}:2222" for address in addresses]}
            with open(self.folder / f"said-{index}", "w") as said:
                worker = subprocess.Popen(
                    host.enter(
                        *(sys.executable, self.folder / "driver.py", RECIPE),
                        *(*FLAGS, "--output-dir", self.site.shared),
                    ),
                    env={
                        **os.environ,
                        "PYTHONPATH": str(ROOT),
                        "PYTHONUNBUFFERED": "1",
                        "TFDS_DATA_DIR": str(self.folder / "nowhere"),
                        "TF_CONFIG": tf_config(cluster, index=index),
                        "TF_NUM_INTEROP_THREADS": "2",
                        "TF_NUM_INTRAOP_THREADS": str(devices.threads()),
                        "FAULT": fault,
                        "START": str(start_seconds),
                    },
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for pytest
                )
            self.workers.append(worker)
            launch_workers.bind(worker, index, len(self.site.hosts))

    def start_until_second_epoch(self):
        """Start both, and stop the second one's time in the second epoch."""
        self.start(fault=f"1 {IN_SECOND_EPOCH} SIGSTOP")
        deadline = time.monotonic() + PATIENCE
        how = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        while not (state := os.waitid(os.P_PID, self.workers[1].pid, how)) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        assert state and state.si_code == os.CLD_STOPPED, self.said()

    def go_on(self):
        self.workers[1].send_signal(signal.SIGCONT)

    def wait(self):
        """Wait until both have ended, in words; return their exit codes."""
        deadline = time.monotonic() + PATIENCE
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(max(0, deadline - time.monotonic()))
        assert "Traceback" not in "".join(self.said())
        return [worker.poll() for worker in self.workers]

    def said(self):
        return [(self.folder / f"said-{n}").read_text() for n in (0, 1)]

    def stop(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def result(self):
        """Return the weights that both have trained, and their metrics."""
        assert self.wait() == [0, 0], self.said()
        copy = self.folder / "result"
        shutil.copytree(self.site.seen, copy)
        return weights(copy, RECIPE), metrics(copy, RECIPE)


@contextlib.contextmanager
def two_hosts(folder):
    try:
        site = Site(ADDRESSES, folder)
    except OSError as error:
        pytest.skip(f"no hosts can be made here: {error}")
    two = TwoHosts(site, folder)
    try:
        yield two
    finally:
        two.stop()
        site.close()


@pytest.fixture
def two(tmp_path):
    with two_hosts(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The weights and metrics of a training that nothing happened to.

    The chief alone could write.
    """
    with two_hosts(tmp_path_factory.mktemp("unbroken")) as two:
        close(two, 1)
        two.start()
        return two.result()


def assert_equal(result, expected):
    for one, two in zip(result[0], expected[0], strict=True):
        np.testing.assert_array_equal(one, two)
    assert result[1] == expected[1]


def assert_resumes(two, unbroken, *configs):
    """Start both again, and see the second epoch and the unbroken end."""
    two.start(*configs)
    result = two.result()
    assert "epoch 1/3" not in two.said()[0]
    assert "epoch 2/3" in two.said()[0]
    assert_equal(result, unbroken)


def test_two_hosts_train_what_two_devices_do_and_the_chief_alone_writes(
    unbroken, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sample, "PASSES", 1)  # as in DRIVER
    mirrored = ("--strategy", "mirrored", "--cpu-devices", 2)
    flags = (*FLAGS, *mirrored, "--offline", "--output-dir", tmp_path)
    assert run_recipe(RECIPE, *flags) == 0
    for one, two in zip(weights(tmp_path, RECIPE), unbroken[0], strict=True):
        np.testing.assert_allclose(two, one, atol=1e-6)
    expected = pytest.approx(metrics(tmp_path, RECIPE), rel=1e-6)
    assert unbroken[1] == expected


def test_a_cut_cable_ends_both_and_they_resume(two, unbroken):
    two.start_until_second_epoch()
    two.site.set_cables(loss=1.0)
    two.go_on()
    assert two.wait() == [1, 1], two.said()
    for index, said in enumerate(two.said()):
        lost = f"worker {1 - index} at {ADDRESSES[1 - index]}:2222"
        assert f"error: {lost} was lost. Start all workers again" in said
    two.site.set_cables()
    assert_resumes(two, unbroken)


def test_a_cut_of_four_seconds_costs_only_the_wait(two, unbroken):
    two.start_until_second_epoch()
    two.site.set_cables(loss=1.0)
    two.go_on()
    time.sleep(4)
    two.site.set_cables()
    assert_equal(two.result(), unbroken)


def test_a_slow_and_lossy_network_costs_only_the_wait(two, unbroken):
    two.site.set_cables(delay=0.05, loss=0.01)
    two.start()
    assert_equal(two.result(), unbroken)


def test_a_host_comes_back_with_another_address(two, unbroken):
    two.start(fault=f"1 {IN_SECOND_EPOCH} SIGKILL")
    assert two.wait() == [1, -signal.SIGKILL], two.said()
    assert f"error: worker 1 at {ADDRESSES[1]}:2222 was lost" in two.said()[0]
    move(two)
    assert_resumes(two, unbroken, MOVED, MOVED)


@pytest.mark.parametrize(
    "known",
    [MOVED, pytest.param(ADDRESSES, marks=pytest.mark.slow)],
    ids=["to itself", "to nobody"],
)
def test_an_address_that_others_do_not_know_is_named(known, two):
    move(two)
    two.start(ADDRESSES, known, start_seconds=10)
    assert two.wait() == [1, 1], two.said()
    said = two.said()
    assert f"no answer from worker 1 at {ADDRESSES[1]}:2222" in said[0]
    assert f"worker 0 at {ADDRESSES[0]}:2222" in said[1]


def move(two):
    address = ("ip", "address")
    two.site.hosts[1].run(*address, "del", f"{ADDRESSES[1]}/24", "dev", "eth0")
    two.site.hosts[1].run(*address, "add", f"{MOVED[1]}/24", "dev", "eth0")


def test_a_full_disk_ends_both_and_they_resume(two, unbroken):
    """The chief alone writes, so it alone meets the full disk."""
    two.start_until_second_epoch()
    filler = two.site.seen / "filler"
    with open(filler, "wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 16))
    two.go_on()
    assert two.wait() == [1, 1], two.said()
    chief, other = two.said()
    assert "No space left on device" in chief
    assert f"error: worker 0 at {ADDRESSES[0]}:2222 was lost" in other
    filler.unlink()
    assert_resumes(two, unbroken)


def test_a_chief_whose_folder_cannot_be_written_ends_both(two):
    close(two, 0)
    two.start()
    assert two.wait() == [1, 1], two.said()
    chief, other = two.said()
    assert f"error: --output-dir {two.site.shared} cannot be written" in chief
    assert f"error: worker 0 at {ADDRESSES[0]}:2222 was lost" in other


def close(two, index):
    """Mount the shared folder read-only on one of the hosts."""
    two.site.hosts[index].run("mount", "-o", "remount,bind,ro", two.site.shared)
