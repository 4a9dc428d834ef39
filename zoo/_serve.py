"""`python -m zoo serve`: a trained model behind HTTP, for any client.

It speaks the predict requests of TensorFlow Serving's REST API and version 2 of
the Open Inference Protocol, see `zoo._protocols`, and asks LiteRT, or ONNX
Runtime. TensorFlow and Keras are not imported.
"""

import argparse
import asyncio
import contextlib
import functools
import gc
import importlib
import io
import logging
import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from zoo import _loading, _pictures, _protocols, _runtimes
from zoo._batching import Batcher
from zoo._predictor import AT_ONCE, Predictor
from zoo._protocols import Refused
from zoo._quiet import quiet

NAME = "keras-zoo-recipes"
PORT = 8501  # TensorFlow Serving's, for REST
SMALL = 1 << 18  # bytes of a body that is read at once, and not in a thread
READ_SECONDS = 30.0  # that a client may take to send a body
GRACE_SECONDS = 30.0  # for what is in flight when the server is to end
LENGTH = "Inference-Header-Content-Length"

EPILOG = """\
Endpoints of TensorFlow Serving's protocol:
  POST /v1/models/NAME:predict            instances or inputs, signature_name
  GET  /v1/models/NAME, .../metadata
Endpoints of the Open Inference Protocol, version 2:
  POST /v2/models/NAME/infer              parameters: {"signature_name": ...}
  GET  /v2, /v2/models/NAME, .../ready, /v2/health/live, /v2/health/ready
NAME may be followed by /versions/VERSION. GET /healthz is for monitoring.
The signature image_bytes takes picture files instead of pixels, in base64.
There is no password and no encryption: to other machines open it behind a
proxy that has them."""


class Endpoint:
    """One signature of the model, as the server asks it.

    Attributes:
        arguments: Shape and type of what it takes, by name.
        outputs: The same of what it returns.
    """

    def __init__(self, predictor: Predictor, pool: ThreadPoolExecutor):
        self.arguments = predictor.arguments
        self._predictor = predictor
        one = {
            name: np.zeros((1, *argument.shape[1:]), argument.dtype)
            for name, argument in self.arguments.items()
        }
        with quiet():  # LiteRT says what it has chosen when it is first asked
            answer = predictor(**one)
        self.outputs = {
            name: _runtimes.Argument(
                (None, *array.shape[1:]),
                np.dtype(object) if array.dtype.kind == "U" else array.dtype,
            )
            for name, array in answer.items()
        }
        self._batcher = Batcher(predictor, pool, AT_ONCE)

    async def ask(self, values: dict, most: int) -> dict:
        """Return the answer to the values of a request.

        Raises:
            Refused: If they do not fit, or are of too many examples.
        """
        try:
            arrays, count = self._predictor.fit(**values)
        except (TypeError, ValueError) as error:
            raise Refused(str(error)) from error
        _check_count(count, most)
        return await self._batcher.ask(arrays, count)


class Pictures:
    """The signature `image_bytes`: picture files instead of pixels.

    Attributes:
        arguments: Shape and type of what it takes, by name.
        outputs: The same of what it returns.
    """

    arguments = {
        _protocols.FILES: _runtimes.Argument((None,), np.dtype(object))
    }

    def __init__(self, endpoint: Endpoint, pool: ThreadPoolExecutor):
        [(self._argument, (shape, _))] = endpoint.arguments.items()
        self._shape, self._endpoint, self._pool = shape[1:], endpoint, pool
        self.outputs = endpoint.outputs

    @staticmethod
    def suit(endpoint: Endpoint) -> bool:
        """Whether a signature takes pictures."""
        if len(endpoint.arguments) > 1:
            return False
        [(shape, dtype)] = endpoint.arguments.values()
        return dtype == np.uint8 and len(shape) == 4 and shape[-1] in (1, 3)

    async def ask(self, values: dict, most: int) -> dict:
        """Return the answer to files; see `Endpoint.ask`."""
        [files] = values.values()
        _check_count(len(files), most)
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._pool, self._read, files)
        return await self._endpoint.ask({self._argument: pixels}, most)

    def _read(self, files: list[bytes]) -> np.ndarray:
        pixels = np.empty((len(files), *self._shape), np.uint8)
        for number, content in enumerate(files):
            try:
                pixels[number] = _pictures.read(
                    io.BytesIO(content), self._shape
                )
            except (OSError, ValueError, MemoryError) as error:
                raise Refused(f"Picture {number}: {error}") from error
        return pixels


def _check_count(count: int, most: int) -> None:
    if not count:
        raise Refused("There are no examples; send one or more.")
    if count > most:
        raise Refused(
            f"At most {most:,} examples may be sent at once. "
            f"Received: {count:,}",
            413,
        )


class Server:
    """A model and what is to be known while it is served.

    Args:
        export: The version folder.
        format: A key of `zoo._runtimes.FORMATS`.
        most_examples: Most examples of one request.
        most_requests: Most requests that are in hand at a time.
    """

    def __init__(
        self, export, format: str, most_examples: int, most_requests: int
    ):
        family, version = export.resolve().parts[-2:]
        if not version.isdecimal():  # it is in no numbered folder
            family, version = version, "1"
        self.name, self.version, self.format = family, version, format
        self._most_examples, self._most_requests = most_examples, most_requests
        self.in_hand = 0
        self.ready = True
        runtime = _runtimes.open_format(export, format)
        pool = ThreadPoolExecutor(os.cpu_count())
        self.signatures = {
            name: Endpoint(Predictor(runtime, name), pool)
            for name in runtime.signatures
        }
        default = self.signatures.get(_protocols.DEFAULT)
        if default and Pictures.suit(default):
            self.signatures[_protocols.FILES] = Pictures(default, pool)
        self._web = import_server_library()

    def application(self, largest_body: int):
        """Return the application for aiohttp.

        Args:
            largest_body: Most bytes of a body, once it is unpacked.
        """
        web = self._web

        @web.middleware
        async def in_words(request, handler):
            response = await self._in_words(request, handler)
            if not self.ready:  # or the next request would be lost
                response.force_close()
            return response

        app = web.Application(
            middlewares=[in_words], client_max_size=largest_body
        )
        app.router.add_get("/healthz", self._health)
        # TensorFlow Serving's
        for model in _with_versions("/v1/models/{name}"):
            app.router.add_get(model, self._status)
            app.router.add_get(f"{model}/metadata", self._metadata)
            app.router.add_post(f"{model}:{{verb}}", self._predict)
        # the Open Inference Protocol's
        app.router.add_get("/v2", self._about)
        app.router.add_get("/v2/health/{what:live|ready}", self._v2_health)
        for model in _with_versions("/v2/models/{name}"):
            app.router.add_get(model, self._about_model)
            app.router.add_get(f"{model}/ready", self._v2_ready)
            app.router.add_post(f"{model}/infer", self._infer)
        return app

    # --- around every request ---------------------------------------------

    async def _in_words(self, request, handler):
        """Answer errors as both protocols do: {"error": words}."""
        headers = {}
        try:
            return await handler(request)
        except Refused as error:
            message, status = str(error), error.status
            if status == 503:
                headers["Retry-After"] = "1"
        except self._web.HTTPRequestEntityTooLarge:
            most = request.client_max_size
            message, status = f"A body may have at most {most:,} bytes.", 413
        except self._web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            message, status = f"{request.path} answers to {allowed}.", 405
            headers["Allow"] = allowed
        except self._web.HTTPNotFound:
            message, status = f"There is nothing at {request.path}.", 404
        except self._web.HTTPException as error:
            message, status = error.reason, error.status
        except self._web.RequestPayloadError as error:
            words = " ".join(str(error).rpartition("message:")[-1].split())
            message, status = f"The body cannot be read: {words}", 400
        except ConnectionError:  # whoever asked has left, and hears nothing
            message, status = "The connection was lost.", 400
        except Exception:
            traceback.print_exc()
            message, status = "The server failed; its log says how.", 500
        return self._web.json_response(
            {"error": message}, status=status, headers=headers
        )

    def _check_model(self, request) -> None:
        name, version = (
            request.match_info.get(key) for key in ("name", "version")
        )
        if name != self.name:
            raise Refused(
                f"There is no model {name!r} here; there is {self.name!r}.", 404
            )
        if version not in (None, self.version):
            raise Refused(
                f"There is no version {version!r} of {name} here; there is "
                f"{self.version!r}.",
                404,
            )

    async def _read(self, request, read):
        """Return what a body says, read where it holds up nobody else."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                content = await request.read()
        except TimeoutError as error:
            raise Refused(
                f"The body did not come within {READ_SECONDS:g} s.", 408
            ) from error
        if len(content) <= SMALL:
            return read(content)
        return await asyncio.to_thread(read, content)

    async def _answer(self, request, read, write):
        """Answer one question of either protocol."""
        self._check_model(request)
        if not self.ready:
            raise Refused("The server is about to end.", 503)
        if self.in_hand >= self._most_requests:
            raise Refused(
                f"{self.in_hand} requests are in hand, which is the most. "
                "Try again.",
                503,
            )
        self.in_hand += 1
        try:
            asked = await self._read(request, read)
            signature = self.signatures[asked.signature]
            answer = await signature.ask(asked.values, self._most_examples)
            count = len(next(iter(answer.values())))
            if count <= AT_ONCE:
                return write(asked, answer)
            return await asyncio.to_thread(write, asked, answer)
        finally:
            self.in_hand -= 1

    async def _health(self, request):
        if not self.ready:
            raise Refused("The server is about to end.", 503)
        return self._web.json_response({"status": "ok"})

    # --- TensorFlow Serving -----------------------------------------------

    async def _status(self, request):
        self._check_model(request)
        state = {
            "version": self.version,
            "state": "AVAILABLE" if self.ready else "UNLOADING",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return self._web.json_response({"model_version_status": [state]})

    async def _metadata(self, request):
        self._check_model(request)
        return self._web.json_response(
            _protocols.describe_signatures(
                self.name, self.version, self.signatures
            )
        )

    async def _predict(self, request):
        verb = request.match_info["verb"]
        if verb != "predict":
            raise Refused(f"Only predict is served. Received: {verb!r}", 404)
        read = functools.partial(
            _protocols.read_predict, signatures=self.signatures
        )

        def write(asked, answer):
            return self._web.Response(
                body=_protocols.write_predict(asked, answer),
                content_type="application/json",
            )

        return await self._answer(request, read, write)

    # --- the Open Inference Protocol --------------------------------------

    async def _about(self, request):
        return self._web.json_response(
            {
                "name": NAME,
                "version": importlib.import_module("zoo").__version__,
                "extensions": [_protocols.BINARY],
            }
        )

    async def _v2_health(self, request):
        what = request.match_info["what"]
        good = what == "live" or self.ready
        status = 200 if good else 503
        return self._web.json_response({what: good}, status=status)

    async def _about_model(self, request):
        self._check_model(request)
        [first, *_] = self.signatures.values()
        default = self.signatures.get(_protocols.DEFAULT, first)
        return self._web.json_response(
            _protocols.describe_model(
                self.name, self.version, self.format, default
            )
        )

    async def _v2_ready(self, request):
        self._check_model(request)
        status = 200 if self.ready else 503
        return self._web.json_response(
            {"name": self.name, "ready": self.ready}, status=status
        )

    async def _infer(self, request):
        read = functools.partial(
            _protocols.read_infer,
            length=request.headers.get(LENGTH),
            signatures=self.signatures,
        )

        def write(asked, answer):
            body, length = _protocols.write_infer(
                asked, answer, self.name, self.version
            )
            kind, headers = "application/json", {}
            if length is not None:
                kind, headers = (
                    "application/octet-stream",
                    {LENGTH: str(length)},
                )
            return self._web.Response(
                body=body, content_type=kind, headers=headers
            )

        return await self._answer(request, read, write)


def _with_versions(path: str) -> tuple[str, str]:
    # A colon begins the verb of TensorFlow Serving's.
    path = path.replace("{name}", "{name:[^/:]+}")
    return path, f"{path}/versions/{{version:[^/:]+}}"


def import_server_library():
    """Return `aiohttp.web`, or say what to install."""
    try:
        return importlib.import_module("aiohttp.web")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "To serve takes aiohttp, which is not installed. Install it with "
            "`pip install aiohttp`."
        ) from error


async def run(server: Server, host: str, port: int, largest_body: int) -> None:
    """Serve until SIGTERM or Ctrl-C, and finish what is in flight then.

    Raises:
        OSError: If the address cannot be had.
    """
    # JSON makes a list of every pixel's row, and the garbage collector, which
    # looks for cycles among them, takes as long as reading them.
    gc.freeze()
    gc.set_threshold(100_000)
    logging.getLogger("aiohttp.server").addFilter(_is_of_the_server)
    web, ending = server._web, asyncio.Event()
    app = server.application(largest_body)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ending.set)
        host, port, *_ = runner.addresses[0]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(
            f"Serving {server.name} version {server.version} "
            f"({server.format}) at {url}/v1/models/{server.name}:predict\n"
            f"and {url}/v2/models/{server.name}/infer. Ctrl-C ends it.",
            flush=True,
        )
        await ending.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # the next one ends it at once
        server.ready = False
        await site.stop()  # nobody new comes in
        if server.in_hand:
            print(f"finishing {server.in_hand} requests", flush=True)
        # aiohttp would read no further of their bodies.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while server.in_hand:
                    await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()


def _is_of_the_server(record: logging.LogRecord) -> bool:
    """Drop what aiohttp logs of requests that are none: clients are told."""
    of_clients = (
        ConnectionError,
        importlib.import_module("aiohttp.http_exceptions").HttpProcessingError,
        importlib.import_module("aiohttp.web").RequestPayloadError,
    )
    return not (record.exc_info and isinstance(record.exc_info[1], of_clients))


def main(argv) -> int:
    """Serve a model from the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo serve",
        description="Serve a trained model over HTTP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", help="name or path of an export, as for zoo.load_model"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=_between(0, 65_535),
        default=PORT,
        help=f"port (default: {PORT}; 0 takes any that is free)",
    )
    parser.add_argument(
        "--format",
        choices=[*_runtimes.FORMATS],
        default="litert",
        help="what answers (default: litert)",
    )
    parser.add_argument(
        "--max-body",
        type=_between(1, 1 << 20),
        default=16,
        metavar="MEGABYTES",
        help="largest body of a request (default: 16)",
    )
    parser.add_argument(
        "--max-batch",
        type=_between(1, 1_000_000),
        default=1_000,
        metavar="EXAMPLES",
        help="most examples of a request (default: 1000)",
    )
    parser.add_argument(
        "--max-requests",
        type=_between(1, 100_000),
        default=64,
        metavar="REQUESTS",
        help="most requests at a time; others get 503 (default: 64)",
    )
    arguments = parser.parse_args(argv)
    if not arguments.host.strip():  # that would be every address there is
        parser.error("argument --host: must be an address. Received: ''")
    try:
        export = _loading.find_export(arguments.model)
        _loading.check_sums(export)
        server = Server(
            export,
            arguments.format,
            arguments.max_batch,
            arguments.max_requests,
        )
    except (FileNotFoundError, ModuleNotFoundError) as error:
        return _fail(error, 2)
    except (OSError, ValueError) as error:
        return _fail(error, 1)
    try:
        asyncio.run(
            run(
                *(server, arguments.host, arguments.port),
                arguments.max_body << 20,
            )
        )
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        reason = error.strerror or error
        return _fail(
            f"{arguments.host}:{arguments.port} cannot be served: {reason}. "
            "Choose another --port or --host.",
            1,
        )
    return 0


def _between(low: int, high: int):
    """Return a type of flag: a whole number within bounds."""

    def number(text):
        if not low <= (value := int(text)) <= high:
            raise argparse.ArgumentTypeError(
                f"must be between {low:,} and {high:,}. Received: {text}"
            )
        return value

    number.__name__ = "whole number"
    return number


def _fail(message, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
