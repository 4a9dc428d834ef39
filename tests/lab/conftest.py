"""What tests of the lab share: prepared data, and an export to ask."""

import shutil
import urllib.request

import pytest
from helpers.datasets import write_tfds
from helpers.tasks import sample


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A TFDS data directory with an MNIST of numbered images."""
    folder = tmp_path_factory.mktemp("tfds")
    write_tfds(folder, "tfrecord")
    return folder


@pytest.fixture
def prepared(written, tmp_path, monkeypatch):
    """A copy of that directory, to be damaged, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(written, tmp_path / "tfds")
    return tmp_path / "tfds"


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """No prepared data anywhere, and no proxy between us and 127.0.0.1."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    # urllib keeps the proxies that it found the first time.
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def digits():
    """The embedded digits."""
    return sample()
