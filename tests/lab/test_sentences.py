"""Simulated reviews: what they say is in the order of their words."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from recipes.lab.data.synthetic import sentences


@pytest.fixture(scope="module")
def data():
    return sentences.load()


def is_praise(text):
    """Read a sentence by the rules, from its words."""
    clauses = text.removeprefix("although ").replace(" although ", "|")
    clauses = clauses.replace(" but ", "|")
    if text.startswith("although"):
        first, _, second = clauses.partition(" the ")
        clauses = f"{first}|{second}"
    first, _, second = clauses.partition("|")
    counts = first if " although " in text or not second else second
    words = {*counts.split()}
    praises = bool(words & {*sentences.PRAISE})
    assert praises != bool(words & {*sentences.BLAME})
    return praises != bool(words & {*sentences.NEGATIONS})


def test_all_but_a_few_mean_what_they_say(data):
    split = data.train + data.test
    texts = data.inputs.write(split.inputs)
    said = np.array([is_praise(text) for text in texts])
    share = np.mean(said != split.targets)
    assert share == pytest.approx(sentences.ODD, abs=0.003)


def test_sentences_say_what_the_rules_say():
    random = np.random.default_rng(1)
    for _ in range(2_000):
        text, praises = sentences.draw_sentence(random)
        assert is_praise(text) == praises


def test_a_turn_of_the_order_turns_the_meaning():
    good, bad = "the film was good", "the book was not good"
    assert is_praise(f"{bad} but {good}")
    assert not is_praise(f"{good} but {bad}")
    assert is_praise(f"although {bad} {good}")
    assert not is_praise(f"{bad} although {good}")


def test_no_sentence_is_there_twice(data):
    rows = [
        bytes(row)
        for split in (data.train, data.validation, data.test)
        for row in split.inputs
    ]
    assert len({*rows}) == len(rows) == sum(sentences.SIZES.values())


def test_counts_of_words_tell_little(data):
    found = sentences.counts(data.train.inputs)
    assert found.sum() == np.count_nonzero(data.train.inputs)
    assert 0.49 < data.train.targets.mean() < 0.51
    regression = LogisticRegression(max_iter=1_000)
    regression.fit(found[:5_000], data.train.targets[:5_000])
    counts = sentences.counts(data.test.inputs)
    assert 0.55 < regression.score(counts, data.test.targets) < 0.65


def test_all_words_are_there_in_sentences_of_all_lengths(data):
    tokens = data.train.inputs
    lengths = np.count_nonzero(tokens, axis=1)
    assert (lengths.min(), lengths.max()) == (4, sentences.LONGEST)
    assert {*np.unique(tokens)} == {*range(len(sentences.WORDS) + 1)}
