"""The launcher starts workers, names their lines and ends with them."""

import json
import os
import signal
import subprocess
import sys

import pytest
from helpers.commands import run_python
from helpers.workers import LAUNCHER, launch


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
