"""The playground's page is whole, served and written, or refused in words."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import keras
import pytest
from helpers.builders import small_cnn
from helpers.commands import ROOT, ordinary_rights, run_python

from recipes.lab.export.onnx_graph import Graph
from zoo import _loading
from zoo.__main__ import main
from zoo._playground import playground
from zoo._sources import read_models

SMALL = "mnist_softmax_regression@shipped"


def start(*arguments):
    return main(["playground", *map(str, arguments)])


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """What should have been refused does not wait for Ctrl-C instead."""
    monkeypatch.setattr(playground, "_serve", lambda *arguments: 0)


@pytest.fixture(scope="module")
def page():
    return playground.build_page([SMALL, "mnist_gan@shipped"])


def entries(page):
    """The networks in a page."""
    [files] = re.findall(r'id="files">(.*?)</script>', page)
    return json.loads(files)


# --- the page ------------------------------------------------------------


def test_it_carries_networks_and_scripts_and_asks_for_nothing(page):
    names = [entry["name"] for entry in entries(page)]
    assert names == ["mnist_softmax_regression", "mnist_gan"]
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "@import" not in page and "url(" not in page
    assert "{{" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
    for name in playground.SCRIPTS:
        assert (playground.HERE / f"{name}.js").read_text() in page
    scripts = {path.stem for path in playground.HERE.glob("*.js")}
    assert scripts == {*playground.SCRIPTS}


def test_it_says_what_each_network_is(page):
    softmax, gan = entries(page)
    export = _loading.find_export(SMALL)
    record = json.loads((export / "metrics.json").read_text())
    share = 100 * record["metrics"]["test_accuracy"]
    assert softmax["facts"] == (
        "softmax_regression, 7,850 parameters, "
        f"{share:.2f} % of the test images right"
    )
    [summary] = [
        text for name, *_, text in read_models() if name == record["model"]
    ]
    title = softmax["title"]
    assert summary == f"Build {title[0].lower()}{title[1:]}"
    assert "test images" not in gan["facts"]


def test_what_it_carries_cannot_end_a_script(monkeypatch):
    models = [("softmax_regression", "", "", "Build </script><script>evil()")]
    monkeypatch.setattr(playground._sources, "read_models", lambda: models)
    page = playground.build_page([SMALL])
    assert "evil()" in entries(page)[0]["title"]
    assert "<script>evil" not in page


def test_the_networks_of_the_default_page_are_a_few_megabytes():
    names = [f"{name}@shipped" for name in playground.NETWORKS]
    page = playground.build_page(names)
    assert [entry["name"] for entry in entries(page)] == [*playground.NETWORKS]
    assert 1e6 < len(page.encode()) < 6e6


def test_a_network_is_carried_once():
    page = playground.build_page([SMALL, "mnist_softmax_regression"])
    assert len(entries(page)) == 1


# --- refusals ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist_cn"], "Did you mean mnist_cnn"),
        (["iris_perceptron@shipped"], "It has `features` of 4."),
        (["mnist_captioner@shipped"], "answers with letters, letter_prob"),
        (["--port", "70000"], "between 0 and 65,535. Received: 70000"),
        (["--host", " "], "must be an address"),
        (["--open"], "unrecognized arguments: --open"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_usage_errors_are_said(arguments, words, capsys):
    try:
        code = start(*arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err


def test_too_many_megabytes_are_refused_with_the_size_of_each(
    monkeypatch, capsys
):
    monkeypatch.setattr(playground, "LARGEST", 500_000)
    assert start(SMALL, "mnist_cnn@shipped") == 2
    said = capsys.readouterr().err
    assert "In MB: mnist_softmax_regression 0.0, mnist_cnn 0.8." in said


def test_images_of_another_size_are_refused(tmp_path):
    graph = Graph()
    x = graph.input("image", (32, 32, 3), "uint8")
    model = small_cnn(input_shape=(32, 32, 3))
    graph.output("probabilities", graph.add(model, graph.cast(x, "float32")))
    (tmp_path / "model.onnx").write_bytes(graph.to_bytes("cnn", {}))
    runtime = playground._runtimes.open_format(tmp_path, "onnx")
    size = "`image` of 32 x 32 x 3"
    with pytest.raises(playground.NotForThePage, match=size):
        playground._check("photos", runtime, tmp_path)


def test_codes_that_hold_a_label_are_refused(tmp_path):
    graph = Graph()
    x = graph.input("code", (4,), "float32")
    decoder = keras.Sequential(
        [keras.layers.Dense(28 * 28), keras.layers.Reshape((28, 28, 1))]
    )
    decoder.build((None, 4))
    graph.output("pixels", graph.add(decoder, x))
    (tmp_path / "model.onnx").write_bytes(graph.to_bytes("generator", {}))
    runtime = playground._runtimes.open_format(tmp_path, "onnx")
    playground._check("drawer", runtime, tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(playground.NotForThePage, match="code is a label"):
        playground._check("drawer", runtime, tmp_path)


def test_a_damaged_export_is_refused(tmp_path, capsys):
    copy = shutil.copytree(_loading.find_export(SMALL), tmp_path / "mine" / "1")
    (copy / "model.onnx").write_bytes(b"damaged")
    assert start(copy) == 1
    assert "is damaged: model.onnx was changed" in capsys.readouterr().err


# --- where it goes -------------------------------------------------------


def test_it_is_written_for_any_web_host(tmp_path, capsys):
    folder = tmp_path / "new" / "site"
    for _ in range(2):  # the second one takes the place of the first
        assert start(SMALL, "--export", folder) == 0
        assert str(folder / "index.html") in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page == playground.build_page([SMALL])


def test_a_page_of_somebody_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "index.html").write_text("<p>mine</p>")
    assert start(SMALL, "--export", tmp_path) == 2
    assert "is no page of this command" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<p>mine</p>"


def test_where_it_cannot_be_written_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert start(SMALL, "--export", tmp_path / "file") == 1
    assert "index.html cannot be written" in capsys.readouterr().err
    (tmp_path / "locked").mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    with ordinary_rights():
        code = start(SMALL, "--export", tmp_path / "locked")
    assert code == 1 and not [*(tmp_path / "locked").iterdir()]


@contextlib.contextmanager
def serving(*arguments):
    """Serve in a process of its own; yield it, and where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "playground", SMALL, "--port", "0"]
        + [*arguments],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "none such"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://(.+?):(\d+)/, \d+\.\d MB", line)
            assert found, line + process.stderr.read()
            yield process, (found[1], int(found[2]))
        finally:
            process.kill()


def ask(address, method, path):
    connection = http.client.HTTPConnection(*address, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_it_is_served_until_it_is_told_to_end():
    """Without Keras, for which there is no such backend."""
    with serving() as (process, address):
        expected = playground.build_page([SMALL]).encode()
        for path in ("/", "/index.html", "/?from=a-link"):
            status, headers, content = ask(address, "GET", path)
            assert (status, content) == (200, expected)
            assert headers["Content-Type"] == "text/html; charset=utf-8"
        status, headers, content = ask(address, "HEAD", "/")
        assert (status, content) == (200, b"")
        assert headers["Content-Length"] == str(len(expected))
        for path in ("/../pyproject.toml", "/model.onnx"):
            status, _, content = ask(address, "GET", path)
            assert status == 404
            assert b"There is nothing at" in content
        assert ask(address, "POST", "/")[0] == 501
        with socket.create_connection(address) as leaving:
            leaving.sendall(b"GET / HTTP/1.1\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_python("-m", "zoo", "playground", SMALL, "--port", port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be served" in done.stderr
    assert "Choose another --port" in done.stderr
    assert "Traceback" not in done.stderr
