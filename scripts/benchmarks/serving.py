"""Callers of an export that is loaded as a server does, or of our server.

The signatures of an export are called from several threads, each of which asks
again as soon as it is answered, with 1 to 32 images at a time. With `--http`
`python -m zoo serve` is asked instead, over connections that stay open, in both
of its protocols, with one number of callers after the other; memory is that of
the server.

The exit code is 1 if a call fails, if an answer is not the one that was given
before, or if memory grows after the warm-up.
"""

import array
import contextlib
import http.client
import itertools
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from benchmarks.recipe_runs import ROOT

LARGEST_BATCH = 32
MAY_GROW = 64  # megabytes


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--export", default="mnist_cnn")
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--callers", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, default=60)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if arguments.http:
        callers = arguments.callers or [1, 8, 64]
        return serve_over_http(arguments.export, callers, arguments.seconds)
    callers = arguments.callers or [8]
    if len(callers) > 1:
        arguments.refuse("--callers may be several with --http only")
    return serve(arguments.export, *callers, arguments.seconds)


def serve(name: str, callers: int, seconds: float) -> int:
    """Call an export from several threads; return the exit code."""
    import tensorflow as tf

    from zoo import _loading

    export = _loading.find_export(name)
    _loading.check_sums(export)
    # A server holds on to what it loaded: signatures alone lose their weights.
    served = tf.saved_model.load(str(export))
    started = resident_megabytes()
    questions = [
        question(signature, served.signatures[signature])
        for signature in ("serving_default", "image_bytes")
        if signature in served.signatures
    ]
    call_together(questions, callers, seconds / 10)
    warm = resident_megabytes()
    print(
        f"{export}: {callers} callers for {seconds:g} s, "
        f"1 to {LARGEST_BATCH} images at a time",
        flush=True,
    )
    results, errors = call_together(questions, callers, seconds)
    grown = resident_megabytes() - warm
    for signature, (latencies, images) in results.items():
        print(describe(signature, latencies, images, seconds))
    print(
        f"memory {started:.0f} MB when loaded, {warm:.0f} MB when warm, "
        f"{grown:+.0f} MB at the end (at most {MAY_GROW:+} MB)"
    )
    print(f"errors {len(errors)}", *errors[:3], sep="\n  ")
    return int(bool(errors) or grown > MAY_GROW)


def question(name: str, signature) -> tuple:
    """Return a signature's name, what to ask it, and how to check an answer.

    What it answers to a question of the largest size is taken for true.
    """
    import numpy as np
    import tensorflow as tf

    _, arguments = signature.structured_input_signature
    [(argument, spec)] = arguments.items()
    noise = np.random.default_rng(0).integers
    if spec.dtype == tf.string:
        pictures = noise(256, size=(LARGEST_BATCH, 28, 28, 1), dtype="uint8")
        files = [tf.io.encode_png(picture) for picture in pictures]
        values = tf.stack(files)
    else:
        shape = (LARGEST_BATCH, *spec.shape[1:])
        values = tf.constant(noise(256, size=shape, dtype="uint8"))

    def ask(size):
        return {
            key: value.numpy()
            for key, value in signature(**{argument: values[:size]}).items()
        }

    expected = ask(LARGEST_BATCH)

    def check(answer, size):
        for key, value in answer.items():
            if value.dtype.kind == "f":  # a near tie may flip the others
                np.testing.assert_allclose(
                    value, expected[key][:size], atol=1e-5, err_msg=key
                )

    return name, ask, check


def call_together(questions, callers: int, seconds: float) -> tuple:
    """Ask from several threads at once, each question at least once.

    Returns:
        For each signature its latencies in seconds and the number of images;
        and the errors.
    """
    results = {
        name: (array.array("d"), array.array("q")) for name, *_ in questions
    }
    errors = []
    deadline = time.perf_counter() + seconds

    def caller(seed):
        sizes = random.Random(seed)
        for number in itertools.count():
            if number >= len(questions) and time.perf_counter() > deadline:
                return
            name, ask, check = questions[(seed + number) % len(questions)]
            size = sizes.randint(1, LARGEST_BATCH)
            asked = time.perf_counter()
            try:
                answer = ask(size)
                latency = time.perf_counter() - asked
                check(answer, size)
            except Exception as error:  # whatever it is, it is to be counted
                errors.append(f"{name}: {error!r}"[:300])
                continue
            latencies, images = results[name]
            latencies.append(latency)
            images.append(size)

    threads = [
        threading.Thread(target=caller, args=(seed,)) for seed in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, errors


def describe(name: str, latencies, images, seconds: float) -> str:
    """Return a line on one signature."""
    import numpy as np

    if not latencies:
        return f"{name:<16} no answer"
    found = 1e3 * np.percentile(latencies, [50, 95, 99, 100])
    return (
        f"{name:<16} {len(latencies) / seconds:.0f} requests/s, "
        f"{sum(images) / seconds:,.0f} images/s, latency "
        "p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms".format(
            *found
        )
    )


def serve_over_http(name: str, callers: Sequence[int], seconds: float) -> int:
    """Call `python -m zoo serve` from several threads; return the exit code."""
    with (
        served(name) as (process, address, family),
        contextlib.ExitStack() as connections,
    ):

        def connect():
            connection = http.client.HTTPConnection(address, timeout=60)
            connections.callback(connection.close)
            return connection

        questions = [
            http_question(connect, family, form)
            for form in ("predict", "infer")
        ]
        call_together(questions, max(callers), seconds / 10)
        warm = resident_megabytes(process.pid)
        errors = []
        for count in callers:
            print(
                f"{family}: {count} callers for {seconds:g} s, 1 to "
                f"{LARGEST_BATCH} images at a time",
                flush=True,
            )
            results, more = call_together(questions, count, seconds)
            errors += more
            for form, (latencies, images) in results.items():
                print(describe(form, latencies, images, seconds), flush=True)
        grown = resident_megabytes(process.pid) - warm
    print(
        f"memory of the server {warm:.0f} MB when warm, {grown:+.0f} MB at the "
        f"end (at most {MAY_GROW:+} MB)"
    )
    print(f"errors {len(errors)}", *errors[:3], sep="\n  ")
    return int(bool(errors) or grown > MAY_GROW)


@contextlib.contextmanager
def served(name: str):
    """Serve an export; give the process, the address and the model's name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "serve", name, "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://([\d.:]+)/v1/models/(.+):predict", line)
            if not found:
                raise SystemExit("error: the server did not start")
            yield process, *found.groups()
        finally:
            process.terminate()


def http_question(connect: Callable, family: str, form: str) -> tuple:
    """Return a form of request, how to ask it, and how to check an answer."""
    import numpy as np

    noise = np.random.default_rng(0).integers
    images = noise(256, size=(LARGEST_BATCH, 28, 28, 1), dtype="uint8")
    bodies, own = {}, threading.local()

    def body_of(size):
        if form == "predict":
            return json.dumps(
                {"instances": images[:size].tolist()}
            ).encode(), {}
        content = images[:size].tobytes()
        tensor = {
            **{"name": "image", "shape": [size, 28, 28, 1]},
            **{"datatype": "UINT8"},
            "parameters": {"binary_data_size": len(content)},
        }
        header = json.dumps({"inputs": [tensor]}).encode()
        length = {"Inference-Header-Content-Length": str(len(header))}
        return header + content, length

    path = {
        "predict": f"/v1/models/{family}:predict",
        "infer": f"/v2/models/{family}/infer",
    }[form]

    def ask(size):
        if not hasattr(own, "connection"):
            own.connection = connect()
        if size not in bodies:
            bodies[size] = body_of(size)
        own.connection.request("POST", path, *bodies[size])
        answer = own.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {content[:200]!r}")
        return content

    def probabilities_in(content):
        found = json.loads(content)
        if form == "predict":
            rows = [row["probabilities"] for row in found["predictions"]]
            return np.array(rows, "float32")
        [tensor] = [
            tensor
            for tensor in found["outputs"]
            if tensor["name"] == "probabilities"
        ]
        return np.array(tensor["data"], "float32").reshape(tensor["shape"])

    expected = probabilities_in(ask(LARGEST_BATCH))

    def check(content, size):
        np.testing.assert_allclose(
            probabilities_in(content), expected[:size], atol=1e-5
        )

    return form, ask, check


def resident_megabytes(process: int | None = None) -> float:
    """Return the memory that a process holds now; None for this one."""
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process or os.getpid())],
        check=True,
        capture_output=True,
    )
    return int(answer.stdout) / 1024
