"""Sites of a genome as numbers, and what an export makes of letters."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.data.splits import Split
from recipes.lab.inputs.sites import Sites

INPUTS = Sites(length=5, cells=2, neighbors=4, about="Of a test.")
TEXTS = ["ACGTN", "ggcca"]
NUMBERS = [[0, 1, 2, 3, 4], [2, 2, 1, 1, 0]]
CPG = np.arange(32, dtype="float32").reshape(2, 2, 4, 2) % 2


def same(sites):
    """An answer that shows what the signature made of its arguments."""
    return dict(sites)


@pytest.fixture(scope="module")
def signatures():
    return INPUTS.endpoints(same, same)


def test_letters_become_numbers_and_letters_again():
    assert INPUTS.read(TEXTS).tolist() == NUMBERS
    assert INPUTS.write(np.array(NUMBERS)) == ["ACGTN", "GGCCA"]
    for text in ("ACGT", "ACGTU"):
        with pytest.raises(ValueError, match=text):
            INPUTS.read([text])


@pytest.mark.parametrize("name", ["serving_default", "text"])
def test_the_export_reads_letters_as_python_does(signatures, name):
    found = signatures[name].function(tf.constant(TEXTS), tf.constant(CPG))
    np.testing.assert_array_equal(found["dna"], NUMBERS)
    np.testing.assert_array_equal(found["cpg"], CPG)
    assert found["dna"].dtype == tf.int32


def test_it_is_asked_with_both_inputs_of_examples(signatures):
    split = Split({"dna": np.array(NUMBERS), "cpg": CPG}, np.zeros(2))
    sites = INPUTS.examples(split, 1)
    assert {k: v.shape for k, v in sites.items()} == {
        "dna": (1, 5),
        "cpg": (1, 2, 4, 2),
    }
    asked = signatures["text"].ask(sites)
    assert asked["text"].tolist() == ["ACGTN"]
    assert asked["cpg"] is signatures["bases"].ask(sites)["cpg"]
    assert {a.name: a.shape for a in INPUTS.arguments} == INPUTS.shape


@pytest.mark.parametrize(
    ("name", "dna", "said"),
    [
        ("text", ["ACGT"], "must have 5 letters"),
        ("text", ["ACGTU"], "no letters but A, C, G, T, N"),
        ("bases", [[0, 1, 2, 3, 5]], "from 0 to 4"),
        ("bases", [[0, 1, 2, 3, -1]], "from 0 to 4"),
    ],
)
def test_what_is_no_dna_is_refused(signatures, name, dna, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        signatures[name].function(tf.constant(dna), tf.constant(CPG[:1]))


def test_a_missing_number_is_refused(signatures):
    cpg = np.where(np.arange(32).reshape(CPG.shape) == 3, np.nan, CPG)
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        signatures["text"].function(
            tf.constant(TEXTS), tf.constant(cpg, "float32")
        )


def test_a_page_shows_the_letters_and_the_neighbors(tmp_path):
    inputs = Sites(length=23, cells=1, neighbors=8, about="")
    dna = np.zeros((1, 23), int)
    dna[0, 11:13] = [1, 2]
    cpg = np.zeros((1, 1, 8, 2))
    cpg[0, 0, [3, 7], 0] = 1
    html = inputs.gallery(
        tmp_path / "x.png", {"dna": dna, "cpg": cpg}, ["first"], ""
    )
    assert f"{'a' * 10}CG{'a' * 10}" in html
    assert "○○○●·○○○●" in html
