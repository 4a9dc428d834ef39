"""The next letter: how a chain is scored, what it draws, how it is served."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.kinds import letter_chain

import zoo
from zoo import chains


@pytest.fixture(scope="module")
def task_and_model():
    return letter_chain()


def test_a_chain_is_scored_on_each_letter_and_each_end(task_and_model):
    task, model = task_and_model
    few = task.data.test[:3]
    metrics = task.score(model, few, quiet=True).metrics
    matrix, bits, letters = chains.transitions_of(model), 0, 0
    for row in few.inputs:
        text = [0, *row[row > 0], 0]
        for before, after in zip(text, text[1:], strict=False):
            bits -= np.log2(matrix[before, after])
            letters += 1
    expected = pytest.approx(bits / letters, rel=1e-5)
    assert metrics["test_bits_per_letter"] == expected


def test_what_all_letters_alike_take(task_and_model):
    task, _ = task_and_model
    model = zoo.markov_chain()
    chains.set_transitions(model, np.full((39, 39), 1 / 39))
    metrics = task.score(model, task.data.test, quiet=True).metrics
    assert metrics["test_bits_per_letter"] == pytest.approx(np.log2(39))
    assert metrics["entropy_rate"] == pytest.approx(np.log2(39))


def test_the_entropy_rate_is_that_of_what_it_draws(task_and_model):
    task, model = task_and_model
    matrix = chains.transitions_of(model)
    walked = chains.walk(matrix, 2_000, 50, np.random.default_rng(0))
    bits = -np.log2(matrix[walked[:, :-1], walked[:, 1:]]).mean()
    found = task.score(model, task.data.test, quiet=True).metrics
    assert found["entropy_rate"] == pytest.approx(bits, rel=0.01)


def test_drawn_texts_have_the_transitions_of_the_chain(task_and_model):
    task, model = task_and_model
    texts = task.draw(model, 3, 1_500)
    letters = "".join(task.inputs.vocabulary)
    matrix, counts = chains.transitions_of(model), np.zeros((39, 39))
    for text in texts:
        numbers = [0, *(1 + letters.index(letter) for letter in text)]
        if len(text) < 54:  # it has come to its end
            numbers.append(0)
        np.add.at(counts, (numbers[:-1], numbers[1:]), 1)
    seen = counts.sum(axis=1)
    assert seen.min() > 200
    found = counts / seen[:, np.newaxis]
    deviations = np.sqrt(matrix * (1 - matrix) / seen[:, np.newaxis])
    off = (found - matrix) / (deviations + 1e-9)
    assert off.std() == pytest.approx(1, abs=0.1)


def test_draws_depend_on_seed_and_count_alone(task_and_model):
    task, model = task_and_model
    texts = task.draw(model, 3, 6)
    tf.random.set_seed(1)
    assert task.draw(model, 3, 4) == texts[:4]
    assert task.draw(model, 4, 6) != texts


def test_each_signature_answers_as_the_model_does(task_and_model):
    task, model = task_and_model
    signatures = task.signatures(model)
    assert [*signatures] == ["serving_default", "text", "tokens", "sample"]
    rows = task.inputs.examples(task.data.test, 6)
    for signature in signatures.values():
        asked = map(tf.constant, signature.ask(rows).values())
        answer, expected = signature.function(*asked), signature.expect(rows)
        assert [*answer] == [*expected]
        for name, value in answer.items():
            if name == "probabilities":
                np.testing.assert_allclose(value, expected[name], atol=1e-6)
            else:
                words = [text.decode() for text in value.numpy()]
                assert words == expected[name].tolist()


def test_a_model_of_other_letters_is_refused(task_and_model):
    task, model = task_and_model
    task.check(model)
    with pytest.raises(ValueError, match=r"from \(None, 54\) to \(None, 39\)"):
        task.check(zoo.markov_chain(alphabet="abc"))
