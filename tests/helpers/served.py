"""A model that `python -m zoo serve` serves, and a plain client of it."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys

from helpers.commands import ROOT


class Served:
    """A server in a process of its own.

    Attributes:
        process: The process.
        address: Where it listens: `127.0.0.1:8501`.
        model: The name of the model.
    """

    def __init__(self, process):
        self.process = process
        line = process.stdout.readline()
        found = re.search(r"http://([\d.:]+)/v1/models/(.+):predict", line)
        assert found, line + process.stderr.read()
        self.address, self.model = found.groups()

    def ask(self, method, path, body=None, headers=None, raw=False):
        """Send a request; return status, headers and what the JSON says."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        with contextlib.closing(connection):
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            path = path.format(model=self.model)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        found = content if raw else json.loads(content)
        return answer.status, dict(answer.headers), found

    def get(self, path):
        status, _, found = self.ask("GET", path)
        assert status == 200, found
        return found

    def predict(self, body):
        """Ask by TensorFlow Serving's protocol."""
        status, _, found = self.ask("POST", "/v1/models/{model}:predict", body)
        assert status == 200, found
        return found

    def end(self):
        """End it as a service manager does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def serving(*flags):
    """Serve until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "serve", "--port", "0"]
        + [str(flag) for flag in flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Served(process)
        finally:
            process.kill()
