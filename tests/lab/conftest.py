"""What tests of the lab share: prepared data, and an export to ask."""

import shutil
import urllib.request

import numpy as np
import pytest
from helpers.datasets import write_tfds
from helpers.exports import asking
from helpers.models import split_of
from helpers.small_recipe import Config
from helpers.tasks import sample

import zoo
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run


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


@pytest.fixture
def opened(digits, tmp_path):
    """A function that opens a run and closes it; returns its folder."""

    def folder(
        data=digits,
        epochs=4,
        learning_rate=0.01,
        code_lengths=(4, 2),
        **options,
    ):
        config = Config(
            epochs,
            learning_rate=learning_rate,
            code_lengths=code_lengths,
            run=RunOptions(**{"output_dir": tmp_path, **options}),
        )
        with open_run(config, data) as run:
            return run.folder

    return folder


@pytest.fixture(scope="session")
def scored():
    """A hundred of the images that the exported model was scored on."""
    return sample().test.inputs[:100]


@pytest.fixture(scope="session")
def ask(export):
    """Call a signature of the classifier."""
    return asking(export)


@pytest.fixture(scope="session")
def autoencoder_export(autoencoder_dry_run):
    """The export of an autoencoder."""
    return autoencoder_dry_run / "saved_models/mnist_autoencoder-sample/1"


@pytest.fixture(scope="session")
def ask_autoencoder(autoencoder_export):
    """Call a signature of the autoencoder."""
    return asking(autoencoder_export)


@pytest.fixture(scope="session")
def autoencoder(autoencoder_export):
    """The Keras model of that export."""
    return zoo.load_model(autoencoder_export, verbose=False)


@pytest.fixture
def tampered(export, tmp_path):
    """A copy of the export, to be changed."""
    return shutil.copytree(export, tmp_path / "1")


@pytest.fixture
def other_weights(export):
    """The exported model, a little more certain of everything."""
    model = zoo.load_model(export, verbose=False)
    kernel = model.get_layer("predictions").kernel
    kernel.assign(kernel * 1.01)
    return model


@pytest.fixture
def noise():
    """Twenty images of noise."""
    return split_of(np.random.default_rng(0).integers(0, 256, 80), range(20))
