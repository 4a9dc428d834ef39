"""Requests of both protocols are read to the letter, or refused in words."""

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from zoo import _protocols
from zoo._protocols import Refused
from zoo._runtimes import Argument

ROWS = {"x": Argument((None, 2), np.dtype("float32"))}
SIGNATURES = {
    "serving_default": SimpleNamespace(
        arguments=ROWS,
        outputs={
            "y": Argument((None,), np.dtype("float32")),
            "name": Argument((None,), np.dtype(object)),
        },
    ),
    "columns": SimpleNamespace(
        arguments={
            "a": Argument((None,), np.dtype("float32")),
            "b": Argument((None,), np.dtype("float32")),
        },
        outputs={"y": Argument((None,), np.dtype("float32"))},
    ),
    "image_bytes": SimpleNamespace(
        arguments={"image_bytes": Argument((None,), np.dtype(object))},
        outputs={"y": Argument((None,), np.dtype("float32"))},
    ),
}
ANSWER = {"y": np.array([0.5, 2], "float32"), "name": np.array(["a", "bä"])}
X = {"name": "x", "datatype": "FP32", "shape": [2, 2]}


def predict(body):
    return _protocols.read_predict(json.dumps(body).encode(), SIGNATURES)


def infer(body, binary=b"", length=None):
    content = json.dumps(body).encode()
    if binary and length is None:
        length = str(len(content))
    return _protocols.read_infer(content + binary, length, SIGNATURES)


# --- TensorFlow Serving -------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"a": 1, "b": 3.5}, {"a": 2, "b": 4}]},
        {"inputs": {"a": [1, 2], "b": [3.5, 4]}},
    ],
)
def test_named_arguments_are_read(body):
    found = predict(body | {"signature_name": "columns"})
    assert found.values["a"].tolist() == [1, 2]
    assert found.values["a"].dtype == np.int64
    assert found.values["b"].tolist() == [3.5, 4]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "have either"),
        ({"instances": 1}, "`instances` must be a list"),
        ({"instances": [[True, 1]]}, "Received: booleans"),
        ({"instances": [[None, "1"]]}, "Received: nulls, strings"),
        ({"instances": [{"b64": "aaaa"}]}, "Received: objects"),
        ({"instances": [[1, 2], [1]]}, "several lengths"),
        ({"signature_name": 3, "instances": [1]}, "Received: 3"),
        ({"signature_name": "columns", "instances": [1]}, "by their names"),
        ({"signature_name": "columns", "inputs": {"a": 1}}, "Received: a"),
        (
            {"signature_name": "columns", "instances": [{"a": 1, "b": 1}, 2]},
            "Received: others",
        ),
        ({"signature_name": "image_bytes", "instances": ["a"]}, "as {"),
        (
            {"signature_name": "image_bytes", "inputs": {"b64": "aaaa"}},
            "must be a list",
        ),
        (
            {"signature_name": "image_bytes", "instances": [{"b64": 1}]},
            "is not base64",
        ),
    ],
)
def test_what_is_no_predict_request_is_refused(body, words):
    with pytest.raises(Refused, match=words):
        predict(body)


def test_strings_of_any_length_take_no_more_memory_than_they_have():
    """As an array of text each would take as much as the longest."""
    rows = [["x" * 1_000_000, *[""] * 100_000]]
    with pytest.raises(Refused, match="Received: strings"):
        predict({"instances": rows})


def test_an_answer_has_the_form_of_its_question():
    request = predict({"instances": [[1, 2], [3, 4]]})
    found = json.loads(_protocols.write_predict(request, ANSWER))
    rows = [{"y": 0.5, "name": "a"}, {"y": 2.0, "name": "bä"}]
    assert found == {"predictions": rows}
    request = predict({"inputs": [[1, 2], [3, 4]]})
    found = json.loads(_protocols.write_predict(request, ANSWER))
    assert found == {"outputs": {"y": [0.5, 2.0], "name": ["a", "bä"]}}
    found = json.loads(_protocols.write_predict(request, {"y": ANSWER["y"]}))
    assert found == {"outputs": [0.5, 2.0]}


# --- the Open Inference Protocol ----------------------------------------


def test_binary_tensors_are_read():
    binary = np.arange(4, dtype="<f4").tobytes()
    size = {"parameters": {"binary_data_size": 16}}
    found = infer({"inputs": [X | size]}, binary)
    np.testing.assert_array_equal(found.values["x"], [[0, 1], [2, 3]])
    texts = [b"", b"\xff\x00png"]
    binary = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    size = {"parameters": {"binary_data_size": len(binary)}}
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    body = {
        "inputs": [tensor | size],
        "parameters": {"signature_name": "image_bytes"},
    }
    assert infer(body, binary).values["image_bytes"] == texts


BINARY = {"parameters": {"binary_data_size": 16}}


@pytest.mark.parametrize(
    ("body", "binary", "words"),
    [
        ({}, b"", "`inputs` must be a list"),
        ({"inputs": []}, b"", "must have: x. Received: nothing"),
        ({"inputs": [3]}, b"", "Received: None"),
        ({"inputs": [X | {"data": [1] * 4}] * 2}, b"", "each once"),
        ({"inputs": [X | {"data": [1] * 3}]}, b"", "has 3 elements"),
        ({"inputs": [X | {"data": 1}]}, b"", "`data of x` must be"),
        ({"inputs": [X | {"datatype": "FP64"}]}, b"", "must be FP32"),
        ({"inputs": [X | {"shape": [-1, 2]}]}, b"", "whole numbers"),
        ({"inputs": [X | {"shape": None}]}, b"", "whole numbers"),
        ({"inputs": [X | BINARY]}, b"", "has 16 bytes by its"),
        ({"inputs": [X | BINARY]}, b"a" * 20, "4 bytes at the end"),
        ({"inputs": [X | BINARY | {"shape": [3, 2]}]}, b"a" * 16, "means 6"),
        (
            {"inputs": [X | {"parameters": {"binary_data_size": 15}}]},
            b"a" * 15,
            "ends within a number",
        ),
        ({"inputs": [X | {"parameters": 1}]}, b"", "`parameters` must be"),
        (
            {"inputs": [X | {"data": [1] * 4}], "outputs": [{"name": "z"}]},
            b"",
            "The outputs are y, name. Received: 'z'",
        ),
    ],
)
def test_what_is_no_infer_request_is_refused(body, binary, words):
    with pytest.raises(Refused, match=words):
        infer(body, binary)


@pytest.mark.parametrize("length", ["-1", "x", "99999", ""])
def test_a_length_that_cannot_be_is_refused(length):
    with pytest.raises(Refused, match="must be at most the"):
        infer({}, length=length)


@pytest.mark.parametrize(
    ("binary", "words"),
    [(b"abc", "within a length"), (b"\x09\0\0\0abc", "within a string")],
)
def test_strings_that_end_early_are_refused(binary, words):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}
    body = {
        "inputs": [tensor | {"parameters": {"binary_data_size": len(binary)}}],
        "parameters": {"signature_name": "image_bytes"},
    }
    with pytest.raises(Refused, match=words):
        infer(body, binary)


def test_outputs_are_those_that_are_wanted():
    outputs = [{"name": "name"}, {"name": "y"}]
    outputs[0]["parameters"] = {"binary_data": True}
    body = {"inputs": [X | {"data": [1] * 4}], "outputs": outputs, "id": "7"}
    content, length = _protocols.write_infer(infer(body), ANSWER, "m", "1")
    found = json.loads(content[:length])
    assert (found["id"], found["model_version"]) == ("7", "1")
    text, numbers = found["outputs"]
    assert text["parameters"] == {"binary_data_size": 12}
    assert content[length:] == b"\x01\0\0\0a\x03\0\0\0b\xc3\xa4"
    assert numbers["data"] == [0.5, 2.0] and numbers["datatype"] == "FP32"
    body = {"inputs": [X | {"data": [1] * 4}]}
    content, length = _protocols.write_infer(infer(body), ANSWER, "m", "1")
    assert length is None
    found = json.loads(content)
    assert [output["name"] for output in found["outputs"]] == ["y", "name"]
    body["parameters"] = {"binary_data_output": True}
    _, length = _protocols.write_infer(infer(body), ANSWER, "m", "1")
    assert length
