"""A real browser without a window, and pages that people do things to.

Chromium takes commands of the DevTools protocol from a pipe, as JSON that ends
in a zero byte. So this needs no port and no library.
"""

import base64
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium to show the page in"
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--remote-debugging-pipe", "--hide-scrollbars"),
)
# It reads from 3 and writes to 4, which are dealt out before.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in enumerate(ends, start=3):
    os.dup2(end, number)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""
SECONDS = 60.0  # that an answer may take
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
KEYS |= {"Tab": 9, "Enter": 13, " ": 32, "Backspace": 8, "Delete": 46}


class Page:
    """A page in a browser.

    Attributes:
        complaints: Errors and warnings of its console, and what failed in it.
    """

    def __init__(self, send, answers):
        self._to, self._from = send, answers
        self._numbers = itertools.count(1)
        self._session = None
        self.complaints = []
        target = self.ask("Target.createTarget", url="about:blank")
        self._session = self.ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **arguments):
        """Send a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        return self._read(lambda found: found.get("id") == number)["result"]

    def wait_for(self, event):
        return self._read(lambda found: found.get("method") == event)

    def _read(self, is_it):
        while True:
            found = self._from.get(timeout=SECONDS)
            assert found, "the browser has ended"
            assert "error" not in found, found
            self._listen(found)
            if is_it(found):
                return found

    def _listen(self, found):
        method, about = found.get("method"), found.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            if about["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(about["args"]))
        elif method == "Log.entryAdded":
            if about["entry"]["level"] in ("error", "warning"):
                self.complaints.append(about["entry"]["text"])

    # --- what people do ---------------------------------------------------

    def open(self, url):
        self.ask("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def resize(self, width, height, *, dark=False, scale=1):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        theme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def run(self, script):
        """Return what a JavaScript expression, or its promise, is."""
        answer = self.ask(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self):
        """Wait until what was done is on the screen."""
        self.run(
            "new Promise((done) => requestAnimationFrame(() => "
            "requestAnimationFrame(() => setTimeout(done))))"
        )

    def box(self, selector):
        """Return left, top, width and height of an element."""
        return self.run(
            f"(({{left, top, width, height}}) => [left, top, width, height])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )

    def drag(self, points, *, finger=False):
        """Press, move and release the mouse, or a finger."""
        if finger:
            names = ["touchStart"] + ["touchMove"] * (len(points) - 1)
            for name, (x, y) in zip(names, points, strict=True):
                self.ask(
                    "Input.dispatchTouchEvent",
                    type=name,
                    touchPoints=[{"x": x, "y": y}],
                )
            self.ask(
                "Input.dispatchTouchEvent", type="touchEnd", touchPoints=[]
            )
            return
        names = ["mousePressed"] + ["mouseMoved"] * (len(points) - 1)
        steps = [*zip(names, points, strict=True)]
        for name, (x, y) in [*steps, ("mouseReleased", points[-1])]:
            self.ask(
                "Input.dispatchMouseEvent",
                type=name,
                x=x,
                y=y,
                button="left",
                buttons=int(name != "mouseReleased"),
                clickCount=int(name != "mouseMoved"),
            )

    def click(self, selector):
        script = f"document.querySelector({selector!r}).scrollIntoView()"
        self.run(script)
        left, top, width, height = self.box(selector)
        self.drag([(left + width / 2, top + height / 2)])

    def press(self, *keys, modifiers=0):
        for key in keys:
            about = {
                "key": key,
                "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper())),
                "modifiers": modifiers,
            }
            for kind in ("rawKeyDown", "keyUp"):
                self.ask("Input.dispatchKeyEvent", type=kind, **about)

    def picture(self, path, *, whole=False):
        """Save what is to be seen as a PNG file."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.contextmanager
def browser(*flags):
    """Start Chromium, and yield a page in it until the block ends."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    # A child of the browser may outlive it for a moment, and write meanwhile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCH, str(to_read), str(from_write)]
            + [CHROMIUM, *FLAGS, *flags]
            + [f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        answers = queue.Queue()
        with open(to_write, "wb") as send, open(from_read, "rb") as receive:
            reader = threading.Thread(target=_read, args=(receive, answers))
            reader.start()
            try:
                yield Page(send, answers)
            finally:
                process.terminate()
                process.wait(SECONDS)
                reader.join()


def _read(stream, answers):
    """Put messages into a queue, and None at their end."""
    rest = b""
    while part := stream.read1(1 << 16):
        *messages, rest = (rest + part).split(b"\0")
        for message in messages:
            answers.put(json.loads(message))
    answers.put(None)
