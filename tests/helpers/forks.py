"""Fresh processes that have imported TensorFlow already.

A server of multiprocessing's imports it once and forks for each of them. There
are modules before, and no device, no thread and no seed.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
# None of those that a script may change before others import from them.
FORKS.set_forkserver_preload(
    ["tensorflow", "keras", "zoo", "sklearn.datasets", "matplotlib.pyplot"]
)


class Fork:
    """A script that runs in a process of its own, as `python SCRIPT` does.

    Args:
        script: Its name, in the folder.
        flags: Its arguments.
        cwd: The folder, for what it says as well.
        env: More of an environment.
    """

    def __init__(self, script, *flags, cwd, env):
        self.arguments = [script, *map(str, flags)]
        number = len([*cwd.glob("said-*")])
        self.said = [cwd / f"said-{number}-{name}" for name in ("out", "err")]
        self.process = FORKS.Process(
            target=_run, args=(self.arguments, cwd, env, self.said)
        )
        self.process.start()

    def ends(self, timeout=120):
        """Wait for its end, and return what `subprocess.run` does."""
        self.process.join(timeout)
        code = self.process.exitcode
        said = [path.read_text() for path in self.said]
        if code is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout, *said)
        return subprocess.CompletedProcess(self.arguments, code, *said)


def _run(arguments, cwd, env, said):
    for number, path in enumerate(said, start=1):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.update(env)
    sys.argv = arguments
    sys.path[:0] = [str(Path(cwd))]
    runpy.run_path(arguments[0], run_name="__main__")
