"""Data are prepared where it says, or it says why not."""

import re
import subprocess
from pathlib import Path

import prepare_data
import pytest

from recipes.lab.data.tfds import find


@pytest.fixture
def tfds(monkeypatch):
    """What TFDS is asked to download, and a TFDS that does it at once."""
    import tensorflow_datasets as tfds

    asked = []

    class Builder:
        def __init__(self, name, data_dir):
            self.data_dir = str(Path(data_dir) / name / "3.0.1")

        def download_and_prepare(self):
            asked.append(self.data_dir)
            Path(self.data_dir).mkdir(parents=True)
            (Path(self.data_dir) / "dataset_info.json").write_text("{}")

    monkeypatch.setattr(tfds, "builder", Builder)
    return asked


@pytest.mark.parametrize("inside", ["", "mnist", "mnist/3.0.1"])
def test_prepared_data_are_where_it_says(
    inside, tfds, tmp_path, monkeypatch, capsys
):
    home = tmp_path / "a folder"
    monkeypatch.setenv("TFDS_DATA_DIR", str(home))
    assert prepare_data.main(["mnist"]) == 0
    said = capsys.readouterr().out
    assert f"mnist is in {home / 'mnist' / '3.0.1'}" in said
    [line] = re.findall("export TFDS_DATA_DIR=.*", said)
    shell = subprocess.run(
        ["sh", "-c", f'{line}; printf "%s" "$TFDS_DATA_DIR"'],
        capture_output=True,
        text=True,
    )
    assert shell.stdout == str(home)

    # Nothing is downloaded twice, nor into the folder of another data set.
    assert prepare_data.main(["--data-dir", str(home / inside)]) == 0
    assert tfds == [str(home / n / "3.0.1") for n in ("mnist", "fashion_mnist")]
    for name in ("mnist", "fashion_mnist"):
        assert find(name, home) == home / name / "3.0.1"
    assert line in capsys.readouterr().out


def test_data_that_cannot_be_prepared(monkeypatch, tmp_path, capsys):
    import tensorflow_datasets as tfds

    def fail(name, data_dir):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds, "builder", fail)
    assert prepare_data.main(["--data-dir", str(tmp_path)]) == 3
    assert "could not download mnist: no network" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        prepare_data.main(["imagenet"])
    assert end.value.code == 2
    assert "There are: mnist fashion_mnist" in capsys.readouterr().err
