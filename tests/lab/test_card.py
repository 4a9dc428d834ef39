"""The card says what Hugging Face asks, and what it shows runs."""

import base64
import json
import os
import re
import subprocess

import numpy as np
import pytest
from helpers.exports import front_matter, read_yaml
from helpers.pictures import png_file

from recipes.lab.inputs import image_files


@pytest.fixture
def card(export):
    return (export / "README.md").read_text()


def code_block(card, language):
    return re.search(rf"```{language}\n(.*?)```", card, re.DOTALL).group(1)


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
