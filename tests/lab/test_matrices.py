"""Matrices and shares, as pictures with words for them."""

import numpy as np
import pytest
from PIL import Image

from recipes.lab.report import matrices


@pytest.mark.parametrize("diverging", [False, True])
def test_a_matrix_has_a_cell_for_each_number(diverging, tmp_path):
    matrix = np.zeros((3, 4))
    matrix[0, 1], matrix[2, 3] = 0.75, -0.5 if diverging else 0.5
    html = matrices.matrix_html(
        *(tmp_path / "matrix.png", matrix),
        row="a letter",
        column="the next",
        rows="abc",
        columns="<xyz",
        diverging=diverging,
    )
    assert "Matrix of a letter by the next" in html
    assert "0.75 at a, x" in html
    assert f"{matrix[2, 3]:.2g} at c, z" in html
    with Image.open(tmp_path / "matrix.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    reddest, bluest = (pixels[:, 0] - pixels[:, 2]), pixels[:, 2] - pixels[:, 0]
    assert bluest.max() > 60
    assert (reddest.max() > 60) == diverging


def test_a_matrix_without_names_counts_from_one(tmp_path):
    html = matrices.matrix_html(
        tmp_path / "matrix.png", [[0, 2.0]], row="place", column="step"
    )
    assert "2 at 1, 2" in html


def test_shares_are_told(tmp_path):
    html = matrices.shares_html(
        tmp_path / "shares.png",
        ["a", "b"],
        {"chain": [0.25, 0.75], "texts": [0.3, 0.7]},
        "share, in %",
    )
    assert "b: 75.0% chain, 70.0% texts; a: 25.0% chain, 30.0% texts" in html
    with Image.open(tmp_path / "shares.png") as picture:
        assert picture.width > picture.height


def test_matrices_of_the_same_columns_are_stacked(tmp_path):
    places = np.eye(4)[[0, 2, 1]].T
    html = matrices.stacked_html(
        tmp_path / "stacked.png",
        {"writes": places, "reads": places[::-1]},
        column="step",
    )
    assert "step by step. writes: 1 3 2; reads: 4 2 3." in html
    with Image.open(tmp_path / "stacked.png") as picture:
        assert picture.width > picture.height
