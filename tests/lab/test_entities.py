"""Made-up sentences: a word alone does not say what it names."""

import collections

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.naive_bayes import MultinomialNB

from recipes.lab.data.synthetic import entities
from recipes.lab.data.synthetic.entities import OUTSIDE, PERSON, PLACE


@pytest.fixture(scope="module")
def train():
    return entities.sentences("train")


def names_in(texts):
    for words, tags in texts:
        yield from ((w, t) for w, t in zip(words, tags, strict=True) if t)


def test_names_have_places_of_all_kinds(train):
    kinds = collections.defaultdict(collections.Counter)
    for name, tag in names_in(train):
        kinds[name][tag] += 1
    often = [counts for counts in kinds.values() if counts.total() >= 5]
    assert len(often) > 100
    # What is most frequent of a name is right about two in three at best.
    right = sum(max(counts.values()) for counts in often)
    assert right / sum(counts.total() for counts in often) < 0.67


def test_many_names_are_new_in_the_test_set(train):
    known = {name for name, _ in names_in(train)}
    test = [name for name, _ in names_in(entities.sentences("test"))]
    assert 0.03 < np.mean([name not in known for name in test]) < 0.5


def test_the_words_around_a_name_say_what_it_is(train):
    """The names are taken away; where any may be, all kinds are as frequent."""
    kinds = collections.defaultdict(set)
    for words, tags in train:
        bare = tuple(
            "NAME" if tag else w for w, tag in zip(words, tags, strict=True)
        )
        kinds[bare].add(tuple(tags))
    of_any = {
        tuple("NAME" if "{" in word else word for word in sentence.split())
        for sentence in entities.SENTENCES
        if entities.ANY in sentence
    }
    assert len(of_any) == 4
    for bare, found in kinds.items():
        assert len(found) == (3 ** bare.count("NAME") if bare in of_any else 1)


def test_what_does_not_name_is_not_tagged(train):
    for words, tags in train[:200]:
        for word, tag in zip(words, tags, strict=True):
            if word[0].islower() or word == ".":
                assert tag == OUTSIDE


def test_features_are_those_of_the_template():
    words = "The mayor of Barton opened it .".split()
    assert entities.features(words, 3, "word") == ["word=Barton"]
    found = entities.features(words, 3)
    assert found == [
        *("word=Barton", "previous=of", "next=opened"),
        *("begins=B", "begins=Ba", "begins=Bar"),
        *("ends=n", "ends=on", "ends=ton", "ends=rton"),
        *("shape=Xx", "shapes=x_Xx_x"),
        *("left=<start>", "left=The", "left=mayor", "left=of"),
        *("right=opened", "right=it", "right=.", "right=<end>"),
    ]
    assert len(found) <= entities.LENGTH
    assert entities.shape("DNA") == "X"


def test_what_is_loaded_are_the_features_that_are_known():
    data = entities.load("template", small=True)
    texts = entities.sentences("test", small=True)
    assert len(data.test) == sum(len(words) for words, _ in texts)
    words, tags = texts[0]
    assert data.test.targets[: len(words)].tolist() == tags
    text = data.inputs.write(data.test.inputs[:1])[0].split()
    known = {*data.inputs.vocabulary}
    assert text == [f for f in entities.features(words, 0) if f in known]
    assert PERSON in data.train.targets
    assert PLACE in data.train.targets


def test_the_template_beats_the_word_whatever_learns():
    right = {}
    for template in entities.TEMPLATES:
        data = entities.load(template)
        train, test = data.train[:9_000], data.test[:3_000]
        bayes = MultinomialNB().fit(count(data, train), train.targets)
        found = bayes.predict(count(data, test))
        names = test.targets > 0
        right[template] = np.mean(found[names] == test.targets[names])
    assert right["word"] < 0.6
    assert 0.8 < right["template"] < 1


def count(data, split):
    """Return how often each word has each feature, `(n, features)`."""
    rows = np.arange(len(split) + 1) * entities.LENGTH
    numbers = split.inputs.ravel()
    shape = len(split), 1 + len(data.inputs.vocabulary)
    return csr_matrix((np.ones(numbers.size), numbers, rows), shape)[:, 1:]
