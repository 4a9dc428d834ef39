"""`python -m recipes gallery`: trained models on one page."""

import json
import re
import shutil

import pytest
from helpers.exports import with_new_sums

from recipes.__main__ import main
from recipes.lab import results
from zoo import _loading


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_model_has_its_number_its_picture_and_its_formats(here, capsys):
    assert main(["gallery", "iris_perceptron", "diabetes_linear"]) == 0
    page = here / "runs" / "gallery.html"
    assert page.as_uri() in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', text)  # it stands alone
    regression, flowers = sorted(
        text.split("<article>")[1:], key=lambda part: "iris_perceptron" in part
    )
    assert "Rosenblatt's perceptron on iris" in flowers.replace("&#x27;", "'")
    assert '<p class="number">100.00 %</p>' in flowers
    assert "The weights of the first layer" in flowers
    assert "sepal_length" in flowers  # who cannot see the picture hears it
    row = results.of_plain_commands()["diabetes_linear"]
    assert f"over {row['seeds']} seeds" in regression
    assert results.describe_values(row) in regression
    for part, name in (
        (flowers, "iris_perceptron"),
        (regression, "diabetes_linear"),
    ):
        assert f'zoo.load_model("{name}:1")' in part
        assert part.count("<img ") == 1
        assert "Card</summary><pre># " + name in part
        record = json.loads(
            (_loading.find_export(name) / "metrics.json").read_bytes()
        )
        for facts in record["formats"].values():
            assert f"{facts['microseconds']:,.0f} µs" in part


def test_models_of_ones_own_are_shown_without_a_published_row(
    here, said_dry_run
):
    [export] = said_dry_run[0].glob("saved_models/*/1")
    assert main(["gallery", str(export), "--output", "mine.html"]) == 0
    text = (here / "mine.html").read_text(encoding="utf-8")
    assert text.count("<article>") == text.count("<img ") == 1
    assert "The worst mistakes" in text
    # Of 24 pictures six are seen, in a frame of the same shape.
    size = r'width="(\d+)" height="(\d+)" alt="24 misclassified'
    [shape] = re.findall(size, text)
    assert 'class="some" style="aspect-ratio: {} / {}"'.format(*shape) in text


def test_what_is_no_export_is_refused(here, capsys):
    assert main(["gallery", "mnist_cn"]) == 2
    assert "mnist_cn" in capsys.readouterr().err
    assert not (here / "runs" / "gallery.html").exists()


def test_a_model_of_other_data_is_refused_and_not_called_damaged(here, capsys):
    copy = here / "saved_models" / "iris_perceptron" / "1"
    shutil.copytree(_loading.find_export("iris_perceptron@shipped"), copy)
    record = json.loads((copy / "metrics.json").read_text())
    (copy / "metrics.json").write_text(json.dumps(record | {"dataset": "own"}))
    with_new_sums(copy)
    assert main(["gallery", str(copy)]) == 2
    said = capsys.readouterr().err
    assert "iris_perceptron/1, which was trained on own" in said
    assert "damaged" not in said and "--dataset" not in said


def test_a_damaged_export_is_refused(here, capsys):
    copy = here / "saved_models" / "iris_perceptron" / "1"
    shutil.copytree(_loading.find_export("iris_perceptron@shipped"), copy)
    (copy / "metrics.json").write_text("{}")
    assert main(["gallery", "iris_perceptron"]) == 1
    assert "error: " in capsys.readouterr().err
    assert not (here / "runs" / "gallery.html").exists()
