"""The other formats are there, are the model, and are measured."""

import dataclasses
import shutil

import numpy as np
import pytest
from helpers.tasks import classification

import zoo
from recipes.lab.export import exporting, formats, onnx_graph, verification
from zoo import _runtimes


def write(folder, model):
    task = classification()
    return formats.write(folder, task, model, task.signatures(model))


@pytest.fixture(scope="module")
def model():
    return zoo.create_model("mlp", hidden_units=(8,))


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    """A folder with the formats of a small model, and what is absent."""
    folder = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "LOST_ANSWERS", 1)
        absent = write(folder, model)
    return folder, absent


def test_every_format_is_written(written):
    folder, absent = written
    files = {file for file, _ in _runtimes.FORMATS.values()}
    assert {path.name for path in folder.iterdir()} == files
    assert [*absent] == [
        "signature `image_bytes` in `model.tflite`",
        "output `class_name` in `model.onnx`",
    ]


def test_weights_in_eight_bits_are_a_quarter(written, model):
    folder, _ = written
    whole, small = (
        (folder / _runtimes.FORMATS[format][0]).stat().st_size
        for format in ("litert", "litert-int8")
    )
    kernels = 784 * 8 * 3  # bytes that eight bits save in the largest one
    assert whole - small == pytest.approx(kernels, rel=0.3)


def test_eight_bits_are_left_out_if_they_cost_too_much(
    tmp_path, model, monkeypatch
):
    monkeypatch.setattr(formats, "LOST_ANSWERS", -1)
    absent = write(tmp_path, model)
    assert not (tmp_path / "model.int8.tflite").exists()
    reason = absent["`model.int8.tflite`"]
    assert "% instead of " in reason and "validation set" in reason


def test_without_a_validation_set_eight_bits_are_left_out(tmp_path, model):
    task = classification()
    data = dataclasses.replace(task.data, validation=task.data.validation[:0])
    task = dataclasses.replace(task, data=data)
    absent = formats.write(tmp_path, task, model, task.signatures(model))
    assert "no validation set" in absent["`model.int8.tflite`"]
    assert (tmp_path / "model.tflite").exists()


def test_a_layer_that_onnx_has_not_is_named(tmp_path, model, monkeypatch):
    monkeypatch.setattr(onnx_graph, "_WRITERS", {})
    absent = write(tmp_path, model)
    assert not (tmp_path / "model.onnx").exists()
    reason = absent["`model.onnx`"]
    assert reason.startswith("The layer `") and not reason.endswith(".")


def test_measured_is_what_is_there(written, model):
    folder, _ = written
    task = classification()
    signatures = task.signatures(model)
    shutil.copytree(folder, folder / "export")
    exporting._write_saved_model(folder / "export", signatures)
    measured = formats.measure(folder / "export", task, signatures)
    assert {*measured} == {"saved_model", *_runtimes.FORMATS}
    score = task.score(model, task.data.test, quiet=True).metrics
    for format, facts in measured.items():
        assert facts["microseconds"] > 1
        if format != "litert-int8":
            assert facts["test_accuracy"] == score["test_accuracy"]
            assert facts["largest_difference"] < 1e-5
    assert 1e-5 < measured["litert-int8"]["largest_difference"] < 0.2


@pytest.mark.parametrize("format", _runtimes.FORMATS)
def test_a_format_of_another_model_is_found(format, written, export, tmp_path):
    tampered = shutil.copytree(export, tmp_path / "1")
    folder, _ = written
    file, _ = _runtimes.FORMATS[format]
    shutil.copyfile(folder / file, tampered / file)
    model = zoo.load_model(export, verbose=False)
    task = classification()
    images = task.data.test.inputs[:64]
    known = exporting.exam(model, task.signatures(model), images)
    ask, expect = {}, {}
    for path, value in known.items():
        name, side, key = path.split("/")
        {"ask": ask, "expect": expect}[side].setdefault(name, {})[key] = value
    runtime = _runtimes.open_format(tampered, format)
    found = verification._ask(
        *(runtime, "serving_default", ask, expect, format)
    )
    if format == "litert-int8":  # the score alone tells
        assert found is None
    else:
        assert found.startswith("differs from the model: ")


def test_classes_are_compared_where_rounding_cannot_change_them():
    expected = {
        "probabilities": np.array([[0.5, 0.5 + 1e-5], [0.2, 0.8]]),
        "class_id": np.array([1, 1]),
    }
    assert [*verification.are_sure(expected)] == [False, True]
