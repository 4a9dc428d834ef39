"""`python -m zoo playground`: draw a digit, and see into networks.

The page runs their `model.onnx` files in plain JavaScript. It is one file, with
the networks in it, and asks for nothing: a browser opens it from a disk as it
does from a server.
"""

import argparse
import base64
import contextlib
import html
import http.server
import json
import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np

import zoo
from zoo import _loading, _runtimes, _sources

HERE = Path(__file__).parent
# In the order in which the page needs them.
SCRIPTS = ("onnx", "operators", "network", "mnist", "pad", "views", "app")
NETWORKS = (
    *("mnist_lenet5", "mnist_cnn", "mnist_by_hand", "mnist_lstm"),
    *("mnist_autoencoder", "mnist_vae"),
)
PIXELS = 28, 28, 1
PORT = 8502  # beside that of `python -m zoo serve`
MARK = 'content="keras-zoo-recipes playground"'  # of a page of this command
LARGEST = 64_000_000  # bytes of a page that browsers open without trouble

EPILOG = """\
Any network will do that takes images of 28 x 28 grey pixels, or codes to draw
from, and has a model.onnx: what ships (`mnist_gru`, `mnist_gan`,
`fashion_mnist_cnn`, ...), and what was trained here. The page carries them, at
four thirds of their size on the disk: those that it shows by default are 5 MB
together. Nothing but the page is read from the server, and nothing is sent."""


def main(argv) -> int:
    """Serve or write the page; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo playground",
        description="A page on which you draw a digit, and see what networks "
        "make of it, layer by layer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "networks",
        metavar="NETWORK",
        nargs="*",
        help="name or path of an export, as for zoo.load_model (default: "
        f"those that ship as {', '.join(NETWORKS)})",
    )
    parser.add_argument(
        "--export",
        metavar="DIR",
        help="write the page to DIR/index.html, for any web host or for "
        "opening from there, and end",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=PORT,
        help=f"port (default: {PORT}; 0 takes any that is free)",
    )
    arguments = parser.parse_args(argv)
    if not arguments.host.strip():  # that would be every address there is
        parser.error("argument --host: must be an address. Received: ''")
    if not 0 <= arguments.port <= 65_535:
        parser.error(
            "argument --port: must be between 0 and 65,535. "
            f"Received: {arguments.port}"
        )
    names = arguments.networks or [f"{name}@shipped" for name in NETWORKS]
    try:
        page = build_page(names).encode()
    except (FileNotFoundError, ModuleNotFoundError, NotForThePage) as error:
        return _fail(error, 2)
    except (OSError, ValueError) as error:
        return _fail(error, 1)
    if arguments.export is not None:
        return _export(page, Path(arguments.export))
    return _serve(page, arguments.host, arguments.port)


class NotForThePage(ValueError):
    """A network can be asked, and not on the page."""


# --- the page ------------------------------------------------------------


def build_page(names) -> str:
    """Return the page, which needs no other file.

    Args:
        names: Exports, as for `zoo.load_model`, each of which it carries.

    Raises:
        FileNotFoundError: If there is no such export, or it has no ONNX file.
        ModuleNotFoundError: If ONNX Runtime, which opens it, is not installed.
        NotForThePage: If it takes something else than the page can give, or
            the page would become too large.
        ValueError: If an export is damaged.
    """
    exports = dict.fromkeys(
        _loading.find_export(name).resolve() for name in names
    )
    summaries = {name: text for name, *_, text in _sources.read_models()}
    entries = [_entry(export, summaries) for export in exports]
    size = sum(len(entry["onnx"]) for entry in entries)
    if size > LARGEST:
        parts = ", ".join(
            f"{entry['name']} {len(entry['onnx']) / 1e6:.1f}"
            for entry in entries
        )
        raise NotForThePage(
            f"The page would have {size / 1e6:.0f} MB, and may have "
            f"{LARGEST / 1e6:.0f}. Name fewer networks, or smaller ones. "
            f"In MB: {parts}."
        )
    # "<" would end the script that they are in, as in "</script>".
    files = json.dumps(entries).replace("<", "\\u003c")
    scripts = "\n".join(
        f"<script>\n{_read(f'{name}.js')}</script>" for name in SCRIPTS
    )
    parts = {
        "style": _read("page.css"),
        "version": html.escape(zoo.__version__),
        "files": files,
        "scripts": scripts,
    }
    page = _read("page.html")
    for name, part in parts.items():
        page = page.replace(f"{{{{{name}}}}}", part)
    return page


def _entry(export: Path, summaries: dict[str, str]) -> dict[str, str]:
    """Return what the page knows of an export."""
    _loading.check_sums(export)
    name, version = export.parts[-2:]
    if not version.isdecimal():  # it is in no numbered folder
        name = version
    elif version != "1":
        name = f"{name}:{version}"
    _check(name, _runtimes.open_format(export, "onnx"), export)
    record = json.loads((export / "metrics.json").read_text())
    summary = summaries.get(record["model"], "").removeprefix("Build ")
    if not summary and record["model"] == "generator":  # a part of a model
        summary = "A network that draws images from codes."
    facts = f"{record['model']}, {record['params']:,} parameters"
    if (share := record["metrics"].get("test_accuracy")) is not None:
        facts += f", {100 * share:.2f} % of the test images right"
    content = (export / "model.onnx").read_bytes()
    return {
        "name": name,
        "title": summary[:1].upper() + summary[1:],
        "facts": facts,
        "onnx": base64.b64encode(content).decode(),
    }


def _check(name: str, runtime: _runtimes.ONNX, export: Path) -> None:
    """Refuse a network that takes or draws what the page cannot show."""
    signatures = runtime.signatures
    signature = "serving_default"
    if signature not in signatures:  # it takes codes
        [signature, *_] = signatures
    arguments = {
        key: np.zeros((1, *shape[1:]), dtype)
        for key, (shape, dtype) in signatures[signature].items()
    }
    takes = {key: (x.shape[1:], x.dtype) for key, x in arguments.items()}
    answer = runtime.start(signature)(**arguments)
    draws = answer["pixels"].shape[1:] if "pixels" in answer else None
    if takes == {"image": (PIXELS, np.uint8)}:
        if draws == PIXELS or (draws is None and "probabilities" in answer):
            return
        if draws is None:
            raise NotForThePage(
                f"{name} is not for this page, which shows the probabilities "
                f"of classes, or pictures. It answers with {', '.join(answer)}."
            )
    if [*takes] == ["code"] and draws == PIXELS:
        if not (export / "assets" / "labels.txt").exists():
            return
        raise NotForThePage(
            f"{name} is not for this page: a part of its code is a label, "
            "which sliders do not ask for. zoo.load_predictor asks it."
        )
    sizes = {key: shape for key, (shape, _) in takes.items()}
    if draws:
        sizes["pixels"] = draws
    listed = ", ".join(
        f"`{key}` of {' x '.join(map(str, shape)) or 'one number'}"
        for key, shape in sizes.items()
    )
    raise NotForThePage(
        f"{name} is not for this page, which has images of 28 x 28 x 1 pixels "
        f"and codes that they are drawn from. It has {listed}."
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


# --- where it goes -------------------------------------------------------


def _export(page: bytes, folder: Path) -> int:
    """Write the page, whole or not at all."""
    path = folder / "index.html"
    try:
        if path.exists() and MARK not in path.read_text(errors="replace"):
            return _fail(
                f"{path} is there, and is no page of this command. Choose "
                "another folder.",
                2,
            )
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{path.name}-{os.getpid()}"
        try:
            part.write_bytes(page)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        return _fail(f"{path} cannot be written: {error.strerror or error}.", 1)
    print(
        f"{path}: {len(page) / 1e6:.1f} MB. Open it in a browser, or put it on "
        "any web host."
    )
    return 0


class Server(http.server.ThreadingHTTPServer):
    """A server that has one page.

    Args:
        page: The page.
        host: Address to listen at.
        port: Port, or 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, page: bytes, host: str, port: int):
        [self.address_family, *_], *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
        self.page = page
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """Where it is."""
        host, port, *_ = self.server_address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def handle_error(self, request, client_address):
        """Say nothing of clients that leave before they have the page."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one client."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "keras-zoo-recipes", ""
    timeout = 30  # seconds that a client may be silent

    def do_GET(self):
        """Answer with the page, or say that there is nothing else."""
        path = self.path.partition("?")[0]
        if path in ("/", "/index.html"):
            self._answer(200, "text/html", self.server.page)
        else:
            words = f"There is nothing at {path}; the page is at /.\n"
            self._answer(404, "text/plain", words.encode())

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format, *args):
        """Write nothing: the terminal says where the page is."""


def _serve(page: bytes, host: str, port: int) -> int:
    """Serve the page until SIGTERM or Ctrl-C."""
    try:
        server = Server(page, host, port)
    except OSError as error:
        reason = error.strerror or error
        return _fail(
            f"{host}:{port} cannot be served: {reason}. Choose another --port "
            "or --host.",
            1,
        )
    with server:
        print(
            f"The playground is at {server.url}, {len(page) / 1e6:.1f} MB. "
            "Ctrl-C ends it.",
            flush=True,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if hasattr(signal, "SIGPIPE"):  # a client that leaves ends nothing
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _fail(message, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
