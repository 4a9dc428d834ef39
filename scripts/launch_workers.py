"""Start some workers on this machine that train one model together.

    python scripts/launch_workers.py --workers 2 -- python -m recipes.mnist_cnn

Each worker gets a TF_CONFIG of its own, with free ports of the loopback
interface, and its share of the cores, as a scheduler would bind it. Its lines
get its number in front. When one of them fails the others are stopped, and the
launcher ends with its exit code. Ctrl-C and SIGTERM go to all, and so does
SIGHUP, when the terminal is closed.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 20  # to end by themselves, once one has failed


def main(argv=None) -> int:
    """Start the workers, and wait for them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, default=2)
    argv = sys.argv[1:] if argv is None else argv
    split = argv.index("--") if "--" in argv else len(argv)
    arguments, command = parser.parse_args(argv[:split]), argv[split + 1 :]
    if arguments.workers < 1:
        parser.error("--workers must be 1 or more")
    if not command:
        parser.error("say what to start, after --")
    if command[0] == "python":
        command[0] = sys.executable

    workers = []

    def stop_all(signum, frame=None):
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, stop_all)
    addresses = free_addresses(arguments.workers)
    for index in range(arguments.workers):
        try:
            workers.append(start(command, addresses, index))
        except OSError as error:
            parser.error(f"cannot start {command[0]}: {error.strerror}")
    printers = [
        threading.Thread(target=print_lines, args=(index, worker))
        for index, worker in enumerate(workers)
    ]
    for printer in printers:
        printer.start()
    code = wait(workers, stop_all)
    for printer in printers:
        printer.join()
    return code


def free_addresses(count: int) -> list[str]:
    """Return addresses on the loopback interface that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def start(command: list[str], addresses: list[str], index: int):
    """Start one worker in a process of its own."""
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    worker = subprocess.Popen(
        command,
        env={
            # With a single thread TensorFlow would wait for its own input.
            "TF_NUM_INTEROP_THREADS": "2",
            **os.environ,
            "TF_CONFIG": json.dumps(config),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C comes through the launcher
    )
    bind(worker, index, len(addresses))
    return worker


def bind(worker: subprocess.Popen, index: int, workers: int) -> None:
    """Keep a worker to its share of the cores: workers that roam are slower."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    share = cores[index * len(cores) // workers :][: len(cores) // workers]
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(worker.pid, share or {cores[index % len(cores)]})


def print_lines(index: int, worker: subprocess.Popen) -> None:
    """Print what a worker says, with its number in front."""
    for line in worker.stdout:
        try:
            print(f"[{index}] {line}", end="", flush=True)
        except BrokenPipeError:
            # Nobody reads on. A worker whose lines nobody took would wait.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def wait(workers: list, stop_all) -> int:
    """Wait for all, or for the first that fails; return its exit code."""
    while any(worker.poll() is None for worker in workers):
        codes = [worker.poll() for worker in workers]
        if failed := [code for code in codes if code]:
            deadline = time.monotonic() + GRACE_SECONDS
            while time.monotonic() < deadline and None in [
                worker.poll() for worker in workers
            ]:
                time.sleep(0.1)
            stop_all(signal.SIGKILL)
            return exit_code(failed[0])
        time.sleep(0.1)
    return exit_code(next((w.returncode for w in workers if w.returncode), 0))


def exit_code(returncode: int) -> int:
    """Return the exit code that a shell would give a process."""
    return returncode if returncode >= 0 else 128 - returncode


if __name__ == "__main__":
    sys.exit(main())
