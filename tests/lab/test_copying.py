"""Bits that are given back: which count, and how they are scored."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.kinds import copier

import zoo
from recipes.lab.tasks import copying


@pytest.fixture(scope="module")
def task_and_model():
    return copier()


def test_only_bits_that_are_asked_for_count(task_and_model):
    task, _ = task_and_model
    test = task.data.test[:50]
    probabilities = np.where(test.targets > 0.5, 0.9, 0.1)
    asked = test.targets >= 0
    probabilities[~asked] = np.random.default_rng(0).uniform(
        size=(~asked).sum()
    )
    metrics = task.score_answers(probabilities, test).metrics
    assert metrics == {"test_bit_error": 0, "test_whole_sequences": 1}
    # A bit of one sequence is wrong.
    step, bit = np.argwhere(asked[3])[0]
    probabilities[3, step, bit] = 1 - probabilities[3, step, bit]
    metrics = task.score_answers(probabilities, test).metrics
    assert metrics == {
        "test_bit_error": 1 / asked.sum(),
        "test_whole_sequences": 49 / 50,
    }


def test_the_loss_is_the_mean_of_what_is_asked_for(task_and_model):
    task, model = task_and_model
    test = task.data.test[:20]
    found = keras.ops.convert_to_numpy(model(test.inputs))
    loss = copying.asked_cross_entropy(
        keras.ops.convert_to_tensor(test.targets),
        keras.ops.convert_to_tensor(found),
    )
    for target, answer, nats in zip(test.targets, found, loss, strict=True):
        asked = target >= 0
        right = np.where(target == 1, answer, 1 - answer)[asked]
        assert float(nats) == pytest.approx(-np.log(right).mean(), rel=1e-4)


def test_who_has_learned_nothing_is_wrong_half_of_the_time(task_and_model):
    task, model = task_and_model
    metrics = task.score(model, task.data.test, quiet=True).metrics
    assert metrics["test_bit_error"] == pytest.approx(0.5, abs=0.05)


def test_the_signature_answers_as_the_model_does(task_and_model):
    task, model = task_and_model
    [signature] = task.signatures(model).values()
    rows = task.inputs.examples(task.data.test, 6)
    asked = map(tf.constant, signature.ask(rows).values())
    answer, expected = signature.function(*asked), signature.expect(rows)
    np.testing.assert_allclose(
        answer["probabilities"], expected["probabilities"], atol=1e-6
    )


def test_the_picture_says_where_the_heads_are(task_and_model, tmp_path):
    task, model = task_and_model
    heading, caption, html = copying.addresses_section(
        tmp_path, "heads", model, task.data.test[:1], heading="Heads"
    )
    assert heading == "Heads"
    assert "writes to: " in html and "reads from: " in html
    assert (tmp_path / "heads.png").exists()


def test_a_machine_of_other_bits_is_refused(task_and_model):
    task, model = task_and_model
    task.check(model)
    other = zoo.neural_turing_machine((12, 10), output_units=7, locations=8)
    with pytest.raises(ValueError, match=r"shape \(None, 12, 8\). Received"):
        task.check(other)
