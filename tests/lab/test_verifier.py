"""The process that verifies is started early, used once and never left."""

import subprocess
import sys

import pytest

from recipes.lab import verifier

ECHO = """
import sys
folder, _, exam = sys.stdin.read().partition(chr(10))
sys.exit(f"{folder}: {exam}")
"""


@pytest.fixture
def started(monkeypatch):
    """The processes that were started: they say what they were asked."""
    processes = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", ECHO],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    monkeypatch.setattr(verifier, "_start", start)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return processes


def test_the_process_at_hand_is_taken(started, tmp_path):
    with verifier.at_hand():
        assert len(started) == 1
        with verifier.taken() as process:
            assert process is started[0]
            found = verifier.ask(process, tmp_path, b"the exam")
    assert found == f"{tmp_path}: the exam"
    assert len(started) == 1
    assert process.returncode == 1


def test_a_second_export_gets_a_new_process(started, tmp_path):
    with verifier.at_hand():
        for _ in range(2):
            with verifier.taken() as process:
                assert verifier.ask(process, tmp_path, b"x").endswith(": x")
    assert len(started) == 2


def test_a_process_that_nobody_takes_is_ended(started):
    with pytest.raises(KeyboardInterrupt), verifier.at_hand():
        raise KeyboardInterrupt
    [process] = started
    assert process.returncode is not None
    assert process.stdin.closed


def test_workers_of_a_cluster_start_none(started, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with verifier.at_hand():
        assert not started


@pytest.mark.thorough
def test_it_ends_in_silence_when_its_command_was_killed():
    process = verifier._start()
    with process:
        process.stdin.close()
        assert process.wait(60) == 0
        assert b"Traceback" not in process.stderr.read()
