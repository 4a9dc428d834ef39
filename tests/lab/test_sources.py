"""Where the data come from, what they are, and what happens if they are not."""

import contextlib
import dataclasses
import functools
import http.server
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from helpers.commands import ordinary_rights
from helpers.datasets import (
    TEST,
    cache_file,
    cut_between_records,
    cut_short,
    flip_a_bit,
    is_refused,
    load,
    records,
    same,
)
from helpers.marks import only_thorough

from recipes.lab.data import sources, tfds
from recipes.lab.errors import DataError, UsageError
from recipes.lab.flags import RunOptions

# --- where they are -----------------------------------------------------


def test_the_directory_may_come_from_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    data = load(None)
    assert (data.source, len(data.test)) == ("TFDS mnist/3.0.1", TEST)


@pytest.mark.parametrize(
    "part", only_thorough(["mnist", "mnist/3.0.1"], ["mnist"])
)
def test_the_folder_of_a_data_set_or_of_its_version_will_do(
    part, prepared, monkeypatch
):
    fashion = prepared / "fashion_mnist" / "3.0.1"
    shutil.copytree(prepared / "mnist" / "3.0.1", fashion)
    for record in fashion.glob("mnist-*"):
        record.rename(fashion / f"fashion_{record.name}")
    info = fashion / "dataset_info.json"
    info.write_text(info.read_text().replace('"mnist"', '"fashion_mnist"'))
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / part))
    for folder in (prepared / part, None):
        data = load(folder)
        assert (data.source, len(data.test)) == ("TFDS mnist/3.0.1", TEST)
        # Beside it there is another data set, which is found as well.
        other = load(folder, "fashion_mnist")
        assert other.source == "TFDS fashion_mnist/3.0.1"


# --- a data directory that is not right ---------------------------------


def test_a_directory_that_does_not_exist(tmp_path, capsys):
    said = is_refused(capsys, "--data-dir", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in said
    assert "scripts/prepare_data.py mnist" in said


def test_a_directory_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    said = is_refused(capsys, "--data-dir", tmp_path / "file")
    assert f"{tmp_path / 'file'} is a file" in said


def test_an_empty_directory(tmp_path, capsys):
    said = is_refused(capsys, "--data-dir", tmp_path)
    assert f"mnist is not in --data-dir {tmp_path} and cannot" in said
    assert "--offline forbids it" in said


def test_only_the_digits_have_a_stand_in(nothing):
    with pytest.raises(
        DataError, match="fashion_mnist is not in TFDS_DATA_DIR="
    ):
        load(None, "fashion_mnist")


@pytest.mark.parametrize(
    "part",
    only_thorough([".", "mnist", "mnist/3.0.1", "records"], (".", "records")),
)
def test_a_directory_that_cannot_be_read(part, prepared):
    load(prepared)  # all imports are done, and the arrays are in the cache
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # pytest's own folders are closed to others
        folder = pathlib.Path(folder) / "tfds"
        shutil.copytree(prepared, folder)
        locked = records(folder) if part == "records" else folder / part
        mode = locked.stat().st_mode
        locked.chmod(0)
        try:
            with (
                ordinary_rights(),
                pytest.raises(DataError, match="cannot be read: Permission"),
            ):
                load(folder)
        finally:
            locked.chmod(mode)


def test_the_same_in_words_and_exit_code_where_rights_cannot_be_dropped(
    prepared, monkeypatch, capsys
):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)
    said = is_refused(capsys, "--data-dir", prepared)
    assert f"The data directory {prepared} cannot be read" in said


def test_an_unknown_data_set_is_met_with_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean .*fashion_mnist"):
        load(None, "fashion-mnist")
    with pytest.raises(UsageError, match="There are: mnist, fashion_mnist"):
        load(None, "imagenet")


# --- the cache ----------------------------------------------------------


def test_the_second_time_tfds_is_not_even_imported(prepared, monkeypatch):
    first = load(prepared)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert same(first, load(prepared))
    cache_file(prepared).unlink()
    with pytest.raises(ImportError, match="tensorflow_datasets"):
        load(prepared)  # it would have been noticed


def flip_a_bit_of_the_header(path):
    """Have 4,010 labels instead of 5,010; of those the sum is not checked."""
    content = bytearray(path.read_bytes())
    content[content.index(b"(5010,)") + 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        cut_between_records,
        flip_a_bit,
        flip_a_bit_of_the_header,
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)),
        lambda path: np.savez(path, train_images=np.zeros(3)),
    ],
    ids=["cut", "empty", "flipped", "header", "garbage", "other arrays"],
)
@pytest.mark.thorough
def test_a_damaged_cache_file_is_rebuilt(damage, prepared, monkeypatch):
    first = load(prepared)
    good = cache_file(prepared).read_bytes()
    damage(cache_file(prepared))
    assert same(first, load(prepared))
    assert cache_file(prepared).read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(
    prepared, monkeypatch, capsys
):
    (prepared.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(prepared.parent / "file"))
    assert len(load(prepared).test) == TEST
    assert "not cached: " in capsys.readouterr().err


# --- the network --------------------------------------------------------


def point_to(monkeypatch, name, url):
    source = dataclasses.replace(sources.SOURCES[name], download_url=url)
    monkeypatch.setitem(sources.SOURCES, name, source)


def load_online(name, **options):
    """Load, and see that it did not take TFDS' minutes of trying."""
    started = time.perf_counter()
    try:
        return sources.load(name, RunOptions(**options))
    finally:
        assert time.perf_counter() - started < 60


@pytest.fixture
def refusing():
    """The URL of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}/file"


@pytest.fixture
def silent():
    """The URL of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


@pytest.fixture
def server():
    """An HTTP server that answers with `status`, and its list of requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.status, server.requests = 200, []
        server.url = f"http://127.0.0.1:{server.server_port}/file"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_no_network_ends_in_the_sample_for_digits(
    nothing, refusing, monkeypatch
):
    point_to(monkeypatch, "mnist", refusing)
    assert load_online("mnist").is_sample


def test_no_network_ends_in_exit_code_3_for_others(
    nothing, silent, monkeypatch
):
    point_to(monkeypatch, "fashion_mnist", silent)
    soon = functools.partial(sources._answers, seconds=0.5)
    monkeypatch.setattr(sources, "_answers", soon)
    with pytest.raises(DataError, match=f"{silent} does not answer") as error:
        load_online("fashion_mnist")
    assert error.value.exit_code == 3
    assert "scripts/prepare_data.py fashion_mnist" in str(error.value)


def test_who_names_a_directory_gets_no_sample(
    nothing, refusing, monkeypatch, tmp_path
):
    point_to(monkeypatch, "mnist", refusing)
    with pytest.raises(DataError, match="does not answer"):
        load_online("mnist", data_dir=tmp_path)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_http_error_is_no_offer(status, nothing, server, monkeypatch):
    server.status = status
    point_to(monkeypatch, "mnist", server.url)
    assert load_online("mnist").is_sample
    assert server.requests == ["/file"]


def test_proxies_are_honoured(nothing, server, monkeypatch):
    server.status = 403
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/file"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError):
        load_online("fashion_mnist")
    assert server.requests == [sources.SOURCES["fashion_mnist"].download_url]


def test_a_download_that_fails_says_how_else(nothing, server, monkeypatch):
    import tensorflow_datasets as tfds

    def fail(name, data_dir):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(tfds, "builder", fail)
    point_to(monkeypatch, "mnist", server.url)
    with pytest.raises(DataError, match="reset by peer\nTo get mnist: run"):
        load_online("mnist")


def test_a_download_goes_beside_what_is_there(
    prepared, nothing, server, monkeypatch
):
    asked = []

    def download(name, folder):
        asked.append((name, folder))
        raise DataError("enough")

    monkeypatch.setattr(tfds, "download", download)
    point_to(monkeypatch, "fashion_mnist", server.url)
    for folder in (prepared / "mnist", prepared):
        monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
        with pytest.raises(DataError, match="enough"):
            load_online("fashion_mnist")
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(prepared))
    with pytest.raises(DataError, match="enough"):
        load_online("fashion_mnist")
    folders = [folder for _, folder in asked]
    assert folders == [prepared, prepared, None]


@pytest.mark.parametrize("name", sources.SOURCES)
def test_offline_never_opens_a_socket(name, nothing, monkeypatch):
    opened = []

    def note(*arguments, **options):
        opened.append(arguments)
        raise OSError("no network in this test")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, note)
    with contextlib.suppress(DataError):
        load(None, name)
    assert not opened
    with contextlib.suppress(DataError):
        load_online(name)
    assert opened  # without --offline this test sees it
