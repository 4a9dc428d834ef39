"""What clients of a served model send, and what they get.

Two protocols: the predict requests of TensorFlow Serving's REST API, and
version 2 of the Open Inference Protocol, with its extension for binary tensors.
Both are read here to arrays and written from arrays; HTTP is elsewhere.
"""

import base64
import binascii
import json
import math
import struct
from dataclasses import dataclass, field

import numpy as np

DEFAULT = "serving_default"
FILES = "image_bytes"  # the signature that takes picture files, and its input
BINARY = "binary_tensor_data"  # the extension
# What the two protocols call the types.
_OF_TENSORFLOW = {
    np.dtype("uint8"): "DT_UINT8",
    np.dtype("int64"): "DT_INT64",
    np.dtype("float32"): "DT_FLOAT",
    np.dtype(object): "DT_STRING",
}
_OF_INFERENCE = {
    np.dtype("uint8"): "UINT8",
    np.dtype("int64"): "INT64",
    np.dtype("float32"): "FP32",
    np.dtype(object): "BYTES",
}


class Refused(Exception):
    """A request that gets an error in words instead of an answer.

    Attributes:
        status: The HTTP status that says whose fault it is.
    """

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        signature: Which signature of the model.
        values: What it gets: argument name to an array, or to a list of bytes.
        form: `"instances"` or `"inputs"` of TensorFlow Serving; `"v2"`.
        id: What an Open Inference client calls the request, or None.
        outputs: The outputs that it wants, and whether each is to be binary;
            None for all of them, in JSON.
    """

    signature: str
    values: dict
    form: str
    id: str | None = None
    outputs: dict[str, bool] | None = field(default=None)


def _load(content: bytes) -> dict:
    try:
        request = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(f"The body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused("The body must be a JSON object.")
    return request


def _arguments_of(signature, signatures: dict) -> dict:
    if not isinstance(signature, str) or signature not in signatures:
        raise Refused(
            f"The signatures are {', '.join(signatures)}. "
            f"Received: {signature!r}"
        )
    return signatures[signature].arguments


def _array(name: str, values) -> np.ndarray:
    """Return JSON's numbers as integers or floats, whichever they are.

    As objects they take no more memory than JSON has, whatever is among them.
    """
    array = np.asarray(values, dtype=object)
    kinds = set(map(type, array.ravel().tolist()))
    try:
        if kinds <= {int}:
            return array.astype(np.int64)
        if kinds <= {int, float}:
            return array.astype(np.float64)
    except OverflowError as error:
        raise Refused(f"{name} has a number that is too large.") from error
    if list in kinds:
        raise Refused(f"{name} has lists of several lengths at one depth.")
    words = {dict: "objects", str: "strings", bool: "booleans"}
    found = sorted(words.get(kind, "nulls") for kind in kinds - {int, float})
    raise Refused(f"{name} must be numbers. Received: {', '.join(found)}")


def _is_text(argument) -> bool:
    return argument.dtype == object


# --- TensorFlow Serving ---------------------------------------------------


def read_predict(content: bytes, signatures: dict) -> Request:
    """Read the body of `POST /v1/models/NAME:predict`.

    Args:
        content: The body.
        signatures: The model's, each with its `arguments`.

    Raises:
        Refused: If it is no such request.
    """
    request = _load(content)
    signature = request.get("signature_name") or DEFAULT
    arguments = _arguments_of(signature, signatures)
    forms = [form for form in ("instances", "inputs") if form in request]
    if len(forms) != 1:
        raise Refused(
            "The body must have either `instances`, a list of examples, or "
            f"`inputs`, the examples of each argument. Received: "
            f"{', '.join(request) or 'nothing'}"
        )
    [form] = forms
    named = _columns(form, request[form], arguments)
    values = {
        name: [_bytes(name, value) for value in _list(name, named[name])]
        if _is_text(argument)
        else _array(name, named[name])
        for name, argument in arguments.items()
    }
    return Request(signature, values, form)


def _columns(form: str, values, arguments: dict) -> dict:
    """Return the values of each argument, by its name."""
    wanted = ", ".join(arguments)
    if form == "instances":
        rows = _list(form, values)
        if not rows:
            raise Refused("`instances` is empty; send one example or more.")
        if isinstance(rows[0], dict) and not _is_encoded(rows[0]):
            for row in rows:
                if not isinstance(row, dict) or row.keys() != arguments.keys():
                    got = ", ".join(row) if isinstance(row, dict) else "others"
                    raise Refused(
                        f"Each of the instances must have: {wanted}. "
                        f"Received: {got or 'nothing'}"
                    )
            return {name: [row[name] for row in rows] for name in arguments}
    elif isinstance(values, dict) and not _is_encoded(values):
        if values.keys() != arguments.keys():
            raise Refused(
                f"`inputs` must have: {wanted}. "
                f"Received: {', '.join(values) or 'nothing'}"
            )
        return values
    if len(arguments) > 1:
        raise Refused(f"Give the arguments by their names: {wanted}.")
    return dict.fromkeys(arguments, values)


def _list(name: str, values, of: str = "examples") -> list:
    if not isinstance(values, list):
        raise Refused(f"`{name}` must be a list of {of}.")
    return values


def _is_encoded(value) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _bytes(name: str, value) -> bytes:
    if not _is_encoded(value):
        raise Refused(
            f'{name} must be files in base64, each as {{"b64": "..."}}.'
        )
    return _decoded(name, value["b64"])


def _decoded(name: str, text) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise Refused(f"{name} is not base64: {error}") from error


def write_predict(request: Request, answer: dict) -> bytes:
    """Return the body that answers a predict request.

    In the form that it came: a row for each instance, or a column for each
    output. A single output has no name.
    """
    columns = {name: array.tolist() for name, array in answer.items()}
    if request.form == "inputs":
        found = columns if len(columns) > 1 else next(iter(columns.values()))
        return _dump({"outputs": found})
    if len(columns) == 1:
        return _dump({"predictions": next(iter(columns.values()))})
    rows = zip(*columns.values(), strict=True)
    return _dump(
        {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}
    )


def describe_signatures(name: str, version: str, signatures: dict) -> dict:
    """Return what `GET /v1/models/NAME/metadata` answers."""

    def tensors(arguments):
        return {
            key: {
                "dtype": _OF_TENSORFLOW[dtype],
                "tensor_shape": {
                    "dim": [
                        {"size": str(-1 if size is None else size), "name": ""}
                        for size in shape
                    ],
                    "unknown_rank": False,
                },
                "name": key,
            }
            for key, (shape, dtype) in arguments.items()
        }

    definitions = {
        key: {
            "inputs": tensors(signature.arguments),
            "outputs": tensors(signature.outputs),
            "method_name": "tensorflow/serving/predict",
        }
        for key, signature in signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }


# --- the Open Inference Protocol ------------------------------------------


def read_infer(content: bytes, length, signatures: dict) -> Request:
    """Read the body of `POST /v2/models/NAME/infer`.

    Args:
        content: The body: JSON, and binary tensors behind it.
        length: Number of bytes that the JSON takes, as the client says in a
            header; None for all.
        signatures: The model's, each with its `arguments`. The parameter
            `signature_name` chooses one.

    Raises:
        Refused: If it is no such request.
    """
    if length is not None:
        # Python reads no number of thousands of digits.
        is_number = length.isdecimal() and len(length) < 20
        if not (is_number and int(length) <= len(content)):
            raise Refused(
                "Inference-Header-Content-Length must be at most the "
                f"{len(content)} bytes of the body. Received: {length!r}"
            )
        content, binary = content[: int(length)], content[int(length) :]
    else:
        binary = b""
    request = _load(content)
    parameters = _parameters(request)
    signature = parameters.get("signature_name") or DEFAULT
    arguments = _arguments_of(signature, signatures)
    tensors = _list("inputs", request.get("inputs"), "tensors")
    values, rest = {}, memoryview(binary)
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if name not in [*arguments] or name in values:
            raise Refused(
                f"`inputs` must have each once: {', '.join(arguments)}. "
                f"Received: {name!r}"
            )
        values[name], rest = _tensor(tensor, arguments[name], rest)
    if values.keys() != arguments.keys():
        raise Refused(
            f"`inputs` must have: {', '.join(arguments)}. "
            f"Received: {', '.join(values) or 'nothing'}"
        )
    if len(rest):
        raise Refused(f"{len(rest)} bytes at the end are of no tensor.")
    return Request(
        *(signature, values, "v2", request.get("id")),
        _wanted(request, parameters, signatures[signature].outputs),
    )


def _parameters(part: dict) -> dict:
    parameters = part.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Refused("`parameters` must be a JSON object.")
    return parameters


def _tensor(tensor: dict, argument, rest: memoryview):
    """Return the value of a tensor, and the bytes that are not its own."""
    name, shape = tensor["name"], tensor.get("shape")
    wanted = _OF_INFERENCE[argument.dtype]
    if tensor.get("datatype") != wanted:
        raise Refused(
            f"The datatype of {name} must be {wanted}. "
            f"Received: {tensor.get('datatype')!r}"
        )
    if not isinstance(shape, list) or not all(
        type(size) is int and size >= 0 for size in shape
    ):
        raise Refused(f"The shape of {name} must be a list of whole numbers.")
    count = math.prod(shape)
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if _is_text(argument):
            data = _list(f"data of {name}", tensor.get("data"), "files")
            found = [_decoded(name, value) for value in data]
        else:
            data = _list(f"data of {name}", tensor.get("data"), "numbers")
            found = _array(name, data).ravel()
    else:
        if type(size) is not int or not 0 <= size <= len(rest):
            raise Refused(
                f"{name} has {size!r} bytes by its `binary_data_size`, and "
                f"{len(rest)} have come. Is the header "
                "Inference-Header-Content-Length there?"
            )
        binary, rest = rest[:size], rest[size:]
        if _is_text(argument):
            found = _split(name, binary)
        else:
            dtype = argument.dtype.newbyteorder("<")
            if size % dtype.itemsize:
                raise Refused(f"{name} ends within a number.")
            found = np.frombuffer(binary, dtype)
    if len(found) != count:
        raise Refused(
            f"{name} has {len(found)} elements, and its shape {shape} means "
            f"{count}."
        )
    if _is_text(argument):
        if len(shape) != 1:
            raise Refused(f"The shape of {name} must be [n]. Received: {shape}")
        return found, rest
    return found.reshape(shape), rest


def _split(name: str, binary: memoryview) -> list[bytes]:
    """Return strings that each have their length, four bytes, before them."""
    found, place = [], 0
    while place < len(binary):
        start = place + 4
        if start > len(binary):
            raise Refused(f"{name} ends within a length.")
        place = start + struct.unpack_from("<I", binary, place)[0]
        if place > len(binary):
            raise Refused(f"{name} ends within a string.")
        found.append(bytes(binary[start:place]))
    return found


def _wanted(request: dict, parameters: dict, outputs: dict):
    """Return which outputs are wanted, and whether each is to be binary."""
    binary = parameters.get("binary_data_output") is True
    if not request.get("outputs"):
        return dict.fromkeys(outputs, binary) if binary else None
    wanted = {}
    for output in _list("outputs", request["outputs"], "names of tensors"):
        name = output.get("name") if isinstance(output, dict) else None
        if name not in [*outputs]:
            raise Refused(
                f"The outputs are {', '.join(outputs)}. Received: {name!r}"
            )
        wanted[name] = _parameters(output).get("binary_data", binary) is True
    return wanted


def write_infer(
    request: Request, answer: dict, name: str, version: str
) -> tuple[bytes, int | None]:
    """Return the body that answers, and how much of it is JSON if not all."""
    wanted = request.outputs or dict.fromkeys(answer, False)
    tensors, parts = [], []
    for key, is_binary in wanted.items():
        array = answer[key]
        has_text = array.dtype.kind == "U"
        dtype = np.dtype(object) if has_text else array.dtype
        tensor = {
            "name": key,
            "datatype": _OF_INFERENCE[dtype],
            "shape": [*array.shape],
        }
        if is_binary:
            part = _joined(array) if has_text else array.tobytes()
            tensor["parameters"] = {"binary_data_size": len(part)}
            parts.append(part)
        else:
            tensor["data"] = array.ravel().tolist()
        tensors.append(tensor)
    found = {"model_name": name, "model_version": version, "outputs": tensors}
    if request.id is not None:
        found["id"] = request.id
    header = _dump(found)
    return b"".join([header, *parts]), len(header) if parts else None


def _joined(texts: np.ndarray) -> bytes:
    parts = []
    for text in texts.ravel().tolist():
        content = text.encode()
        parts += [struct.pack("<I", len(content)), content]
    return b"".join(parts)


def describe_model(name: str, version: str, platform: str, signature) -> dict:
    """Return what `GET /v2/models/NAME` answers, of the default signature."""

    def tensors(arguments):
        return [
            {
                "name": key,
                "datatype": _OF_INFERENCE[dtype],
                "shape": [-1 if size is None else size for size in shape],
            }
            for key, (shape, dtype) in arguments.items()
        ]

    return {
        "name": name,
        "versions": [version],
        "platform": platform,
        "inputs": tensors(signature.arguments),
        "outputs": tensors(signature.outputs),
    }


def _dump(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
