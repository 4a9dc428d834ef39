"""Text as numbers of words, and what an export makes of text."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.inputs.tokens import Tokens

INPUTS = Tokens(("one", "two", "three"), 4, "texts", "Numbers")


def same(tokens):
    """An answer that shows what the signature made of its argument."""
    return {"tokens": tokens}


@pytest.fixture(scope="module")
def signatures():
    return INPUTS.endpoints(same, same)


def test_short_texts_have_zeros_first_and_of_long_ones_the_last_words_count():
    rows = INPUTS.read(["two", "one two three one two", ""])
    assert rows.tolist() == [[0, 0, 0, 2], [2, 3, 1, 2], [0, 0, 0, 0]]
    assert INPUTS.write(rows) == ["two", "two three one two", ""]
    with pytest.raises(ValueError, match="Unknown word: four"):
        INPUTS.read(["one four"])


@pytest.mark.parametrize("name", ["serving_default", "text"])
def test_the_export_reads_text_as_python_does(signatures, name):
    texts = ["two", "one two three one two", "  three   one ", "one"]
    found = signatures[name].function(tf.constant(texts))["tokens"]
    np.testing.assert_array_equal(found, INPUTS.read(texts))
    assert found.dtype == tf.int32


def test_it_is_asked_with_the_texts_of_examples(signatures):
    rows = INPUTS.read(["two", "one two three"])
    asked = signatures["text"].ask(rows)["text"]
    assert asked.tolist() == ["two", "one two three"]
    assert signatures["tokens"].ask(rows)["tokens"] is rows


def test_words_and_numbers_that_nobody_knows_are_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="vocabulary"):
        signatures["text"].function(tf.constant(["one", "two four"]))
    for number in (-1, 4):
        with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 3"):
            signatures["tokens"].function(tf.constant([[0, 0, 1, number]]))


def test_the_vocabulary_goes_with_the_export():
    assert INPUTS.assets() == {"vocabulary.txt": "one\ntwo\nthree\n"}


def test_a_page_shows_texts(tmp_path):
    rows = INPUTS.read(["one two", "three"])
    html = INPUTS.gallery(tmp_path / "x.png", rows, ["first", "second"], "")
    assert "one two" in html
    assert "second" in html
