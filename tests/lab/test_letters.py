"""Text as numbers of letters, and what an export makes of text."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.inputs.letters import Letters

INPUTS = Letters(tuple("abc ."), 6, "texts", "A text", "Ab")
TEXTS = ["abc", "  Ab C\n", "a..b..", ".", "ABCABC"]


def same(tokens, seed=None, temperature=None):
    """An answer that shows what the signature made of its argument."""
    answer = {"tokens": tokens}
    if seed is not None:
        answer["seed"], answer["temperature"] = seed, temperature
    return answer


@pytest.fixture(scope="module")
def signatures():
    return {
        **INPUTS.endpoints(same, same),
        "sample": INPUTS.drawn(same, same),
    }


def test_letters_are_numbered_and_zeros_come_first():
    rows = INPUTS.read(TEXTS[:2])
    assert rows.tolist() == [[0, 0, 0, 1, 2, 3], [0, 0, 1, 2, 4, 3]]
    assert rows.dtype == np.int32
    assert INPUTS.write(rows) == ["abc", "ab c"]


@pytest.mark.parametrize("name", ["serving_default", "text"])
def test_the_export_reads_text_as_python_does(signatures, name):
    found = signatures[name].function(tf.constant(TEXTS))["tokens"]
    np.testing.assert_array_equal(found, INPUTS.read(TEXTS))
    assert found.dtype == tf.int32


def test_what_is_drawn_gets_a_seed_and_a_temperature(signatures):
    sample = signatures["sample"]
    found = sample.function(
        *(tf.constant(TEXTS), tf.constant(3, tf.int64), tf.constant(0.5))
    )
    np.testing.assert_array_equal(found["tokens"], INPUTS.read(TEXTS))
    assert (found["seed"].numpy(), found["temperature"].numpy()) == (3, 0.5)
    rows = INPUTS.read(TEXTS)
    asked, expected = sample.ask(rows), sample.expect(rows)
    assert asked["text"].tolist() == INPUTS.write(rows)
    assert asked["seed"] == expected["seed"]


@pytest.mark.parametrize("name", ["serving_default", "sample"])
@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["ab", ""], "a text is empty"),
        ([" \t\n"], "a text is empty"),
        (["abcabca"], "a text may have 6 characters"),
        (["ab", "abd"], r"not known; there are: \S*'abc \."),
        (["é"], "not known"),
        ([b"\xff"], "not known"),
        ([], "the batch is empty"),
    ],
)
def test_what_python_refuses_the_export_refuses(signatures, name, texts, said):
    asked = [tf.constant(texts, tf.string)]
    if name == "sample":
        asked += [tf.constant(3, tf.int64), tf.constant(0.5)]
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        signatures[name].function(*asked)


@pytest.mark.parametrize(
    ("row", "said"),
    [([0] * 6, "all 0"), ([0, 0, 0, 0, 0, 6], "0 to 5"), ([-1] * 6, "0 to 5")],
)
def test_numbers_that_stand_for_no_text_are_refused(signatures, row, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        signatures["tokens"].function(tf.constant([row]))


def test_the_card_names_the_letters():
    assert "`abc .`" in INPUTS.card()
    assert "1 to 6 of the characters" in INPUTS.card()
    assert INPUTS.assets() == {"vocabulary.txt": "a\nb\nc\n \n.\n"}
    assert '{"instances": ["Ab"]}' in INPUTS.use("x")
