"""A served model answers as the SavedModel, and refuses in words."""

import base64
import concurrent.futures
import gzip
import json
import re
import signal
import socket
import time

import numpy as np
import pytest
from helpers.commands import run_python
from helpers.served import serving
from helpers.tasks import sample

from zoo import _loading, _serve

DIGITS = "mnist_transfer@shipped"
pytest.importorskip("aiohttp")


@pytest.fixture(scope="module")
def served():
    with serving(DIGITS, "--max-batch", 100, "--max-body", 1) as server:
        yield server


@pytest.fixture(scope="module")
def images():
    return sample().test.inputs[:80]


@pytest.fixture(scope="module")
def expected(images):
    """What the SavedModel says of the images."""
    import tensorflow as tf

    export = tf.saved_model.load(str(_loading.find_export(DIGITS)))
    answer = export.signatures["serving_default"](image=tf.constant(images))
    return {name: value.numpy() for name, value in answer.items()}


def assert_same(found, expected, count):
    """Rows of a predict answer, and what the SavedModel says."""
    assert len(found) == count
    np.testing.assert_allclose(
        [row["probabilities"] for row in found],
        expected["probabilities"][:count],
        atol=1e-5,
    )
    names = [row["class_name"].encode() for row in found]
    assert names == [*expected["class_name"][:count]]
    ids = [row["class_id"] for row in found]
    assert ids == [*expected["class_id"][:count]]


def png(image):
    import tensorflow as tf

    return tf.io.encode_png(image).numpy()


# --- TensorFlow Serving's protocol --------------------------------------


def test_rows_and_columns_are_what_the_saved_model_says(
    served, images, expected
):
    rows = images.tolist()
    found = served.predict({"instances": rows})
    assert_same(found["predictions"], expected, 80)
    named = [{"image": row} for row in rows[:3]]
    found = served.predict({"instances": named})
    assert_same(found["predictions"], expected, 3)
    for inputs in (rows[:3], {"image": rows[:3]}):
        columns = served.predict({"inputs": inputs})["outputs"]
        assert {*columns} == {*expected}
        found = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
        assert_same(found, expected, 3)


def test_a_signature_of_one_output_needs_no_name(served, images, expected):
    body = {"signature_name": "probabilities"}
    rows = images[:2].tolist()
    found = served.predict(body | {"instances": rows})["predictions"]
    np.testing.assert_allclose(found, expected["probabilities"][:2], atol=1e-5)
    found = served.predict(body | {"inputs": rows})["outputs"]
    np.testing.assert_allclose(found, expected["probabilities"][:2], atol=1e-5)


def test_picture_files_are_read(served, images, expected):
    files = [
        {"b64": base64.b64encode(png(image)).decode()} for image in images[:3]
    ]
    body = {"signature_name": "image_bytes"}
    found = served.predict(body | {"instances": files})
    assert_same(found["predictions"], expected, 3)
    named = [{"image_bytes": file} for file in files]
    found = served.predict(body | {"instances": named})
    assert_same(found["predictions"], expected, 3)
    outputs = served.predict(body | {"inputs": files})["outputs"]
    assert outputs["class_id"] == [*expected["class_id"][:3]]


def test_status_and_metadata(served):
    for version in ("", "/versions/1"):
        path = f"/v1/models/{{model}}{version}"
        [state] = served.get(path)["model_version_status"]
        assert (state["version"], state["state"]) == ("1", "AVAILABLE")
        found = served.get(f"{path}/metadata")
        assert found["model_spec"]["name"] == served.model
        found = found["metadata"]["signature_def"]["signature_def"]
        inputs = found["serving_default"]["inputs"]["image"]
        assert inputs["dtype"] == "DT_UINT8"
        sizes = [size["size"] for size in inputs["tensor_shape"]["dim"]]
        assert sizes == ["-1", "28", "28", "1"]
        assert found["image_bytes"]["inputs"]["image_bytes"]["dtype"] == (
            "DT_STRING"
        )


# --- the Open Inference Protocol ----------------------------------------


def test_health_and_what_the_model_is(served):
    assert served.get("/healthz") == {"status": "ok"}
    assert served.get("/v2/health/live") == {"live": True}
    assert served.get("/v2/health/ready") == {"ready": True}
    assert served.get("/v2")["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/1"):
        found = served.get(path)
        assert found["name"] == served.model and found["versions"] == ["1"]
        [image] = found["inputs"]
        assert image == {
            "name": "image",
            "datatype": "UINT8",
            "shape": [-1, 28, 28, 1],
        }
        assert served.get(f"{path}/ready")["ready"] is True


def test_tensors_are_what_the_saved_model_says(served, images, expected):
    for data in (images[:3].tolist(), images[:3].ravel().tolist()):
        tensor = {"name": "image", "shape": [3, 28, 28, 1], "data": data}
        body = {"id": "x", "inputs": [tensor | {"datatype": "UINT8"}]}
        status, _, found = served.ask("POST", "/v2/models/{model}/infer", body)
        assert status == 200
        assert (found["id"], found["model_name"]) == ("x", served.model)
        for output in found["outputs"]:
            values = np.array(output["data"]).reshape(output["shape"])
            wanted = expected[output["name"]][:3]
            if output["datatype"] == "BYTES":
                wanted = wanted.astype(str)
                np.testing.assert_array_equal(values, wanted)
            else:
                np.testing.assert_allclose(values, wanted, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("binary", [True, False])
def test_a_public_client_of_the_protocol_is_answered(
    binary, served, images, expected
):
    client_of = pytest.importorskip("tritonclient.http")
    client = client_of.InferenceServerClient(served.address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(served.model, "1")
    assert client.get_model_metadata(served.model)["platform"] == "litert"
    tensor = client_of.InferInput("image", [80, 28, 28, 1], "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    outputs = [
        client_of.InferRequestedOutput(name, binary_data=binary)
        for name in expected
    ]
    found = client.infer(served.model, [tensor], outputs=outputs)
    for name, wanted in expected.items():
        if wanted.dtype == object and not binary:
            wanted = wanted.astype(str)
        values = found.as_numpy(name)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(values, wanted, atol=1e-5)
        else:
            np.testing.assert_array_equal(values, wanted)
    files = np.array([png(image) for image in images[:2]], object)
    tensor = client_of.InferInput("image_bytes", [2], "BYTES")
    tensor.set_data_from_numpy(files)
    parameters = {"signature_name": "image_bytes"}
    found = client.infer(served.model, [tensor], parameters=parameters)
    np.testing.assert_array_equal(
        found.as_numpy("class_id"), expected["class_id"][:2]
    )
    with pytest.raises(Exception, match="There is no model 'other' here"):
        client.infer("other", [tensor])


# --- what is refused ----------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (":predict", b"{", 400, "The body is not JSON"),
        (":predict", b"[" * 100_000, 400, "The body is not JSON"),
        (":predict", b"[]", 400, "must be a JSON object"),
        (":predict", {}, 400, "either `instances`"),
        (":predict", {"instances": []}, 400, "`instances` is empty"),
        (":predict", {"instances": [[1]]}, 400, r"shape \(n, 28, 28, 1\)"),
        (":predict", {"instances": [[1], 2]}, 400, "several lengths"),
        (":predict", {"instances": ["x"]}, 400, "numbers. Received: strings"),
        (":predict", {"instances": [{"x": 1}]}, 400, "must have: image"),
        (":predict", {"inputs": [10**40]}, 400, "number that is too large"),
        (
            ":predict",
            {"signature_name": "encode", "instances": [1]},
            400,
            "The signatures are .*Received: 'encode'",
        ),
        (
            ":predict",
            {"signature_name": "image_bytes", "instances": [{"b64": "!"}]},
            400,
            "image_bytes is not base64",
        ),
        (
            ":predict",
            {"signature_name": "image_bytes", "instances": [{"b64": "aaaa"}]},
            400,
            "Picture 0: the file is no picture",
        ),
        (
            ":predict",
            {"inputs": np.zeros((101, 28, 28, 1), int).tolist()},
            413,
            "At most 100 examples",
        ),
        (":predict", b"x" * (1 << 21), 413, "at most 1,048,576 bytes"),
        (":classify", {}, 404, "Only predict is served"),
        ("/versions/2:predict", {}, 404, "no version '2'.*there is '1'"),
    ],
)
def test_bad_requests_are_refused_in_words(path, body, status, words, served):
    path = f"/v1/models/{{model}}{path}"
    found = served.ask("POST", path, body)
    assert found[0] == status
    assert re.search(words, found[2]["error"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": {}}, "`inputs` must be a list of tensors"),
        ({"inputs": [{"name": ["image"]}]}, r"Received: \['image'\]"),
        (
            {"outputs": [{"name": ["class_id"]}]},
            r"outputs are .*\['class_id'\]",
        ),
        ({"outputs": "class_id"}, "`outputs` must be a list of names"),
    ],
)
def test_bad_inferences_are_refused_in_words(change, words, served, images):
    tensor = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8"}
    body = {"inputs": [tensor | {"data": images[:1].tolist()}]} | change
    status, _, found = served.ask("POST", "/v2/models/{model}/infer", body)
    assert status == 400
    assert re.search(words, found["error"])


def test_a_length_of_thousands_of_digits_is_refused(served):
    headers = {_serve.LENGTH: "9" * 5_000}
    path = "/v2/models/{model}/infer"
    status, _, found = served.ask("POST", path, {}, headers)
    assert status == 400 and "at most the 2 bytes" in found["error"]


def test_pixels_that_were_divided_are_refused(served, images):
    path, body = "/v1/models/{model}:predict", {"inputs": (images[:1] / 255)}
    body["inputs"] = body["inputs"].tolist()
    status, _, found = served.ask("POST", path, body)
    assert status == 400
    assert "image must be uint8. Received: float64" in found["error"]


def test_unknown_places_and_methods_are_refused(served):
    status, _, found = served.ask("GET", "/v1/models/other")
    assert (status, found["error"][:25]) == (404, "There is no model 'other'")
    status, _, found = served.ask("GET", "/nowhere")
    assert (status, found["error"]) == (404, "There is nothing at /nowhere.")
    status, headers, _ = served.ask("DELETE", "/v2")
    assert status == 405 and "GET" in headers["Allow"]


def test_a_body_that_unpacks_to_too_much_is_refused(served):
    body = gzip.compress(b" " * (1 << 24))
    headers = {"Content-Encoding": "gzip"}
    path = "/v1/models/{model}:predict"
    status, _, found = served.ask("POST", path, body, headers)
    assert status == 413 and "bytes" in found["error"]


# --- under load, and at the end -----------------------------------------


def test_many_at_once_get_their_own_answers(served, images, expected):
    def ask(number):
        part = slice(number % 60, number % 60 + 1 + number % 7)
        found = served.predict({"instances": images[part].tolist()})
        return part, [row["probabilities"] for row in found["predictions"]]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for part, found in pool.map(ask, range(64)):
            np.testing.assert_allclose(
                found, expected["probabilities"][part], atol=1e-5
            )


def sent(server, content):
    """Send bytes; return the connection."""
    host, _, port = server.address.partition(":")
    connection = socket.create_connection((host, int(port)), 60)
    connection.sendall(content)
    return connection


def begun(server, body):
    """Send all of a request but its last byte; return the connection."""
    head = f"POST /v1/models/{server.model}:predict HTTP/1.1\r\n"
    head += f"Host: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return sent(server, head.encode() + body[:-1])


def test_the_end_waits_for_what_is_in_flight(images):
    """One request more than the most is refused meanwhile."""
    body = json.dumps({"instances": images[:1].tolist()}).encode()
    with serving(DIGITS, "--max-requests", 1) as server:
        # No log is filled by those who speak another language, or hang up.
        status, _, found = server.ask(
            *("POST", "/v1/models/{model}:predict", b"no gzip"),
            {"Content-Encoding": "gzip"},
        )
        assert (status, found["error"][:23]) == (400, "The body cannot be read")
        with sent(server, b"no HTTP\r\n\r\n") as connection:
            assert connection.recv(12) == b"HTTP/1.0 400"
        begun(server, body).close()
        while server.ask("POST", "/v1/models/{model}:predict", body)[0] == 503:
            time.sleep(0.05)  # until that is noticed
        connection = begun(server, body)
        for _ in range(100):  # until the first is in hand
            status, headers, found = server.ask(
                "POST", "/v1/models/{model}:predict", body
            )
            if status == 503:
                break
            time.sleep(0.05)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "1 requests are in hand" in found["error"]
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.process.poll() is None
        connection.sendall(body[-1:])
        answer = b""
        with connection:
            while part := connection.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"predictions"' in answer
        assert server.process.wait(60) == 0
        assert server.process.stderr.read() == ""
        assert "finishing 1 requests" in server.process.stdout.read()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "form", "signature"),
    [
        ("diabetes_linear", "onnx", "serving_default"),
        ("diabetes_linear", "litert", "columns"),
        ("mnist_autoencoder", "litert-int8", "decode"),
        ("mnist_vae", "onnx", "decode"),
    ],
)
def test_other_kinds_of_models_are_served(name, form, signature):
    with serving(f"{name}@shipped", "--format", form) as server:
        path = "/v1/models/{model}/metadata"
        found = server.get(path)["metadata"]["signature_def"]["signature_def"]
        inputs = found[signature]["inputs"]
        rows = {
            key: np.zeros(
                (2, *(int(d["size"]) for d in value["tensor_shape"]["dim"][1:]))
            ).tolist()
            for key, value in inputs.items()
        }
        body = {"signature_name": signature, "inputs": rows}
        answer = server.predict(body)["outputs"]
        outputs = found[signature]["outputs"]
        columns = answer if len(outputs) > 1 else dict.fromkeys(outputs, answer)
        assert {name: len(column) for name, column in columns.items()} == (
            dict.fromkeys(outputs, 2)
        )
        assert server.end() == 0


# --- the command --------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["no_such_model"], "No export named 'no_such_model'"),
        ([DIGITS, "--port", "65536"], "between 0 and 65,535"),
        ([DIGITS, "--host", ""], "--host: must be an address. Received: ''"),
        ([DIGITS, "--max-batch", "0"], "between 1 and 1,000,000"),
        ([DIGITS, "--format", "tflite"], "invalid choice: 'tflite'"),
        ([], "the following arguments are required: model"),
    ],
)
def test_a_bad_command_is_refused(flags, words, capsys):
    try:
        code = _serve.main(flags)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_missing_library_is_named(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp.web", None)
    assert _serve.main([DIGITS]) == 2
    assert "pip install aiohttp" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(served, capsys):
    port = served.address.partition(":")[2]
    assert _serve.main([DIGITS, "--port", port]) == 1
    assert f"127.0.0.1:{port} cannot be served" in capsys.readouterr().err


@pytest.mark.thorough
def test_help_comes_at_once_and_names_both_protocols():
    done = run_python("-X", "importtime", "-m", "zoo", "serve", "--help")
    assert done.returncode == 0
    assert ":predict" in done.stdout and "/v2/models/NAME" in done.stdout
    lines = done.stderr.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines}
    assert not {"tensorflow", "keras", "aiohttp"} & names
