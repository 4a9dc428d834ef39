"""Exports that ship are made anew around their weights."""

import dataclasses
import json
import shutil

import pytest
import remake_exports

from recipes.lab.data import sources
from recipes.lab.flags import RunOptions
from zoo import _loading


@pytest.fixture
def copy(tmp_path):
    """A copy of an export that ships."""
    name = "mnist_softmax_regression"
    shutil.copytree(_loading.SHIPPED / name / "1", tmp_path / name / "1")
    return tmp_path / name / "1"


def remade(copy):
    names = [copy.parent.name, "--folder", str(copy.parent.parent)]
    return remake_exports.main(names)


@pytest.mark.thorough
def test_a_shipped_export_is_made_anew(copy, monkeypatch, capsys):
    """On the embedded digits, under the name of the real ones."""
    record = json.loads((copy / "metrics.json").read_text())
    data = dataclasses.replace(
        sources.load("mnist", RunOptions(dry_run=True)),
        **{"name": "mnist", "checksum": record["data_checksum"]},
    )
    monkeypatch.setattr(remake_exports.sources, "load", lambda *_: data)
    graph = (copy / "saved_model.pb").read_bytes()
    assert remade(copy) == 0
    assert "its answers are the same to the bit" in capsys.readouterr().out
    assert (copy / "saved_model.pb").read_bytes() != graph
    again = json.loads((copy / "metrics.json").read_text())
    assert again | {"formats": 0, "absent": 0} == (
        record | {"formats": 0, "absent": 0}
    )
    for file in ("model.keras", "variables/variables.index"):
        shipped = _loading.SHIPPED / copy.parent.name / "1" / file
        assert (copy / file).read_bytes() == shipped.read_bytes()
    _loading.check_sums(copy)


def test_other_data_make_nothing_anew(copy, monkeypatch, capsys):
    data = sources.load("mnist", RunOptions(dry_run=True))
    monkeypatch.setattr(remake_exports.sources, "load", lambda *_: data)
    graph = (copy / "saved_model.pb").read_bytes()
    assert remade(copy) == 1
    assert "stays as it was: it was trained on" in capsys.readouterr().err
    assert (copy / "saved_model.pb").read_bytes() == graph


def test_only_what_ships_is_made_anew(capsys):
    with pytest.raises(SystemExit) as end:
        remake_exports.main(["mnist_cnn", "no_such_export"])
    assert end.value.code == 2
    assert "no such export ships: no_such_export" in capsys.readouterr().err
