"""Sequence logos: how high their letters are."""

import numpy as np
import pytest

from recipes.lab.report import logos

SHARES = np.array(
    [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0.25] * 4, [0, 0, 0.25, 0.75]]
)


def test_heights_are_what_is_said_in_bits():
    found = logos.heights(SHARES)
    entropy = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    np.testing.assert_allclose(found.sum(axis=1), [2, 1, 0, 2 - entropy])
    assert found[3, 3] == pytest.approx(0.75 * (2 - entropy))
    assert logos.in_words(SHARES) == "ACNT"


def test_a_section_has_a_logo_for_each_title(tmp_path):
    pictures = {"one": SHARES, "another": SHARES[::-1]}
    heading, caption, html = logos.logos_section(
        *(tmp_path / "plots", "motifs"),
        heading="Motifs",
        caption="Read them.",
        logos=pictures,
    )
    assert (tmp_path / "plots" / "motifs.png").exists()
    assert "one: ACNT; another: TNCA" in html
    assert "bits" in caption
