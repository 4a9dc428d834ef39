"""The report is one page that needs nothing beside it, whatever is in it."""

import html.parser
import re

import numpy as np
import pytest

from recipes import _report

DIGITS = [str(i) for i in range(10)]


def write(folder, *, classes=10, wrong=3, epochs=3, names=None, **arguments):
    """Write a report of 40 images of noise, some of them mistaken."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % classes
    probabilities = np.full((40, classes), 0.1 / classes, "float32")
    answers = labels.copy()
    answers[:wrong] = (answers[:wrong] + 1) % classes
    probabilities[np.arange(40), answers] += 0.9
    curve = list(np.linspace(1, 0.1, epochs))
    options = dict(
        title="a title",
        facts={"Fact": "a fact"},
        history={"loss": curve, "val_loss": curve, "seconds": curve},
        images=random.integers(0, 256, (40, 28, 28, 1)).astype("uint8"),
        labels=labels,
        probabilities=probabilities,
        class_names=names or [f"class {i}" for i in range(classes)],
    )
    return _report.write_classifier_report(folder, **(options | arguments))


def test_page_stands_alone(tmp_path):
    page = write(tmp_path).read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "<script" not in page
    assert page.count("data:image/") >= 3
    assert all(alt for alt in re.findall(r'<img[^>]*alt="([^"]*)"', page))


def test_headline_counts_the_mistakes(tmp_path):
    page = write(tmp_path, wrong=3).read_text()
    assert "92.50%" in page
    assert "3 mistakes" in page


def test_tags_are_balanced(tmp_path):
    void = {"meta", "img", "br"}
    opened = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in void:
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Parser().feed(write(tmp_path).read_text())
    assert opened == []


def test_names_and_facts_are_escaped(tmp_path):
    names = ["<b>bold</b>", *DIGITS[1:]]
    page = write(tmp_path, names=names, facts={"<i>": "a & b"}).read_text()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert "a &amp; b" in page


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_any_number_of_classes(tmp_path, classes):
    assert write(tmp_path, classes=classes).exists()


def test_no_mistakes(tmp_path):
    page = write(tmp_path, wrong=0).read_text()
    assert "100.00%" in page
    assert not (tmp_path / "plots" / "mistakes.png").exists()


@pytest.mark.parametrize("epochs", [1, 30])
def test_any_number_of_epochs(tmp_path, epochs):
    write(tmp_path, epochs=epochs)
    assert (tmp_path / "plots" / "curves.png").stat().st_size > 5_000


def test_history_without_validation(tmp_path):
    write(tmp_path, history={"loss": [1.0, 0.5], "accuracy": [0.5, 0.7]})


def test_colour_images_and_filters(tmp_path):
    images = np.zeros((40, 32, 32, 3), "uint8")
    write(tmp_path, images=images, filters=np.random.rand(3, 3, 3, 8))
    assert (tmp_path / "plots" / "filters.png").exists()


def test_same_run_same_page(tmp_path):
    first = write(tmp_path / "a").read_bytes()
    assert write(tmp_path / "b").read_bytes() == first
