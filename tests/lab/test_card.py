"""The card says what Hugging Face asks, and what it shows runs."""

import base64
import io
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers.exports import front_matter, read_yaml
from helpers.pictures import png_file
from helpers.serving import asked, definitions

import zoo
from recipes.lab.inputs import image_files


@pytest.fixture
def card(export):
    return (export / "README.md").read_text()


def code_block(card, language):
    return code_blocks(card, language)[0]


def code_blocks(card, language):
    return re.findall(rf"```{language}\n(.*?)```", card, re.DOTALL)


def code_of(card, runtime, language="python"):
    [block] = [b for b in code_blocks(card, language) if runtime in b]
    return block


def test_card_says_what_hugging_face_asks(card, export):
    metadata = read_yaml(front_matter(card))
    assert metadata["license"] == "apache-2.0"
    assert metadata["library_name"] == "keras"
    assert metadata["pipeline_tag"] == "image-classification"
    (model,) = metadata["model-index"]
    assert model["name"] == "mnist_cnn-sample"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"].keys() == {"type", "name", "split"}
    (metric,) = result["metrics"]
    metrics = json.loads((export / "metrics.json").read_text())["metrics"]
    assert metric["type"] == "accuracy"
    assert float(metric["value"]) == round(metrics["test_accuracy"], 4)


@pytest.fixture
def autoencoder_card(autoencoder_export):
    return (autoencoder_export / "README.md").read_text()


def test_card_of_an_autoencoder_says_the_same(
    autoencoder_card, autoencoder_export
):
    metadata = read_yaml(front_matter(autoencoder_card))
    assert metadata["pipeline_tag"] == "image-feature-extraction"
    (model,) = metadata["model-index"]
    assert model["name"] == "mnist_autoencoder-sample"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-feature-extraction"
    (metric,) = result["metrics"]
    record = json.loads((autoencoder_export / "metrics.json").read_text())
    assert metric["type"] == "mse"
    expected = record["metrics"]["test_mse"]
    assert float(metric["value"]) == pytest.approx(expected, rel=1e-3)


def test_card_says_how_pixels_are_meant(card):
    assert "white on black" in card
    assert "`zoo.prepare_digit(picture)`" in card
    assert "Do not divide by 255" in card
    assert f"{image_files.LARGEST_SIDE:,} pixels" in card


def test_python_of_the_card_runs(card, dry_run, scored, monkeypatch, capsys):
    monkeypatch.chdir(dry_run)
    names = {"images": scored[:3]}
    exec(code_block(card, "python"), names)
    assert names["answer"]["class_name"].shape == (3,)
    assert "dtype=string" in capsys.readouterr().out


def test_python_of_an_autoencoder_card_runs(
    autoencoder_card, autoencoder_dry_run, scored, monkeypatch, capsys
):
    monkeypatch.chdir(autoencoder_dry_run)
    names = {"images": scored[:3]}
    exec(code_block(autoencoder_card, "python"), names)
    assert names["code"].shape == (3, 32)
    assert names["answer"]["pixels"].shape == (3, 28, 28, 1)
    assert "dtype=float32" in capsys.readouterr().out


def test_curl_of_the_card_sends_what_serving_reads(
    card, ask, scored, tmp_path, monkeypatch
):
    """The name of a signature and instances, bytes as `{"b64": ...}`."""
    (tmp_path / "image.png").write_bytes(png_file(scored[0]))
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$@" > arguments\ncat > body\n')
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    subprocess.run(
        ["sh", "-euc", code_block(card, "sh")], cwd=tmp_path, check=True
    )
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[-1].endswith("/v1/models/mnist_cnn-sample:predict")
    assert arguments[-3:-1] == ["-d", "@-"]
    body = json.loads((tmp_path / "body").read_text())
    assert body.keys() == {"signature_name", "instances"}
    (instance,) = body["instances"]
    assert instance.keys() == {"b64"}
    answer = ask(body["signature_name"], [base64.b64decode(instance["b64"])])
    np.testing.assert_array_equal(
        answer["probabilities"],
        ask("serving_default", scored[:1])["probabilities"],
    )


# --- the other runtimes -------------------------------------------------


@pytest.fixture(params=["export", "autoencoder_export"])
def asking(request, scored, monkeypatch):
    """An export, its card, three inputs, and what comes out of them."""
    export = request.getfixturevalue(request.param)
    monkeypatch.chdir(export.parent.parent.parent)
    model = zoo.load_model(export, verbose=False)
    images = scored[:3]
    card = (export / "README.md").read_text()
    return export, card, images, model(images, training=False).numpy()


def run(code, images, capsys):
    """Run code of a card; return the numbers that it prints."""
    exec(code, {"images": images})
    return capsys.readouterr().out


def assert_shown(found, expected):
    """What is printed are the first numbers of what the model answers."""
    numbers = re.findall(r"-?\d+\.\d*(?:e-?\d+)?", found)
    expected = expected.ravel()[: len(numbers)]
    np.testing.assert_allclose([*map(float, numbers)], expected, atol=1e-4)


@pytest.mark.parametrize(
    "runtime",
    [
        "ai_edge_litert",
        "onnxruntime",
        pytest.param("openvino", marks=pytest.mark.thorough),
    ],
)
def test_python_for_other_runtimes_runs(runtime, asking, capsys):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    _, card, images, expected = asking
    with np.printoptions(threshold=100_000):
        found = run(code_of(card, runtime), images, capsys)
    assert_shown(found, expected)
    assert found.count(".") >= expected.size


def test_python_for_serving_asks_what_a_server_reads(
    asking, monkeypatch, capsys
):
    export, card, images, expected = asking
    served = tf.saved_model.load(str(export)).signatures

    def urlopen(url, body):
        assert url.endswith(f"/v1/models/{export.parent.name}:predict")
        name, tensors = asked(body, definitions(export))
        answer = {k: v.numpy() for k, v in served[name](**tensors).items()}
        rows = [
            {
                key: [row.decode()] if isinstance(row, bytes) else row.tolist()
                for key, row in zip(answer, rows, strict=True)
            }
            for rows in zip(*answer.values(), strict=True)
        ]
        return io.BytesIO(json.dumps({"predictions": rows}).encode())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    row = eval(run(code_of(card, "urllib"), images, capsys))
    [value] = [row[k] for k in ("probabilities", "reconstruction") if k in row]
    np.testing.assert_allclose(value, expected[0], atol=1e-5)


@pytest.mark.thorough
@pytest.mark.skipif(
    "ONNXRUNTIME_WEB" not in os.environ,
    reason="ONNXRUNTIME_WEB names no folder in which npm has installed it",
)
def test_javascript_of_the_card_runs(asking, tmp_path):
    """In Node.js, with the WebAssembly that a browser gets."""
    export, card, images, expected = asking
    modules = Path(os.environ["ONNXRUNTIME_WEB"]) / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "model.onnx").write_bytes((export / "model.onnx").read_bytes())
    values = json.dumps(images[0].ravel().tolist())
    code = code_of(card, "onnxruntime-web", "js")
    shown = code.replace("console.log(", "console.log(Array.from(", 1)
    shown = shown.replace(".data);", ".data).join(' '));")
    assert shown != code
    (tmp_path / "card.mjs").write_text(
        f"const values = new Uint8Array({values});\n{shown}"
    )
    found = subprocess.run(
        ["node", "card.mjs"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    numbers = [float(number) for number in found.stdout.split()]
    np.testing.assert_allclose(numbers, expected[0].ravel(), atol=1e-4)


def test_card_says_of_each_format_how_good_it_is(asking):
    export, card, _, _ = asking
    record = json.loads((export / "metrics.json").read_text())
    assert {*record["formats"]} >= {"saved_model", "litert", "onnx"}
    for facts in record["formats"].values():
        [row] = re.findall(rf"^.*\| `{facts['file']}` \|.*$", card, re.M)
        assert f"{facts['bytes'] / 1000:,.0f} kB" in row
        assert f"{facts['microseconds']:,.0f} µs" in row
        files = [export / facts["file"]]
        if facts["file"] == "saved_model.pb":
            files += (export / "variables").iterdir()
        assert facts["bytes"] == sum(file.stat().st_size for file in files)
    for absent, reason in record["absent"].items():
        assert f"- No {absent}: {reason}." in card
