"""Pictures of folds, of all mistakes, and of what accuracy costs."""

import numpy as np
import pytest
from helpers.pictures import size_of

from recipes.lab.report import evaluation

OURS, THEIRS = (0.9, 0.95, 0.925), (0.9, 0.95, 0.9)


@pytest.mark.parametrize(
    ("others", "said"),
    [(OURS, "finds the same."), (THEIRS, "finds something else on 1 of them.")],
)
def test_folds_are_drawn_and_listed_with_mean_and_spread(
    others, said, tmp_path
):
    heading, caption, html = evaluation.folds_section(
        tmp_path, OURS, others, "another's score"
    )
    assert heading == "Accuracy of each fold"
    assert f"another's score (the rings) {said}" in caption
    assert size_of(tmp_path / "folds.png")
    assert html.count("<tr>") == 1 + 3 + 1
    assert "92.50 ± 2.50 %" in html
    assert "another&#x27;s score" in html


def test_every_mistake_is_shown_in_the_order_of_the_folds(tmp_path):
    images = np.zeros((6, 8, 8, 1), "uint8")
    labels, answers = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 2, 1, 0, 1, 1])
    folds = np.array([1, 2, 1, 1, 2, 3])
    _, caption, html = evaluation.all_mistakes_section(
        tmp_path, images, labels, answers, list("abc"), folds
    )
    assert "3 images that were classified wrongly" in html
    assert "fold by fold" in caption
    assert size_of(tmp_path / "all_mistakes.png")
    _, caption, html = evaluation.all_mistakes_section(
        tmp_path, images, labels, labels, list("abc"), folds
    )
    assert (caption, html) == ("There are none.", "")


def test_costs_are_drawn_with_the_name_of_each_method(tmp_path):
    points = {"ours": {"cnn": (3.0, 92.0)}, "others": {"$svc": (900.0, 89.7)}}
    heading, caption, html = evaluation.costs_section(
        tmp_path,
        "costs",
        heading="Costs",
        caption="How to read it",
        y_label="accuracy in %",
        panels={"seconds": points, "milliseconds": points},
        html="<table></table>",
    )
    assert (heading, caption) == ("Costs", "How to read it")
    assert size_of(tmp_path / "costs.png")
    assert "$svc 89.7 at 900" in html
    assert html.endswith("<table></table>")
