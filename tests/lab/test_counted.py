"""Pictures that can all be counted: what a machine is worth, and draws."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.kinds import counted_machine

import zoo
from recipes.lab.tasks import counted
from zoo import boltzmann


@pytest.fixture(scope="module")
def task_and_model():
    return counted_machine()


def scatter(machine, seed=0):
    """Give a machine weights of some size."""
    random = np.random.default_rng(seed)
    for weight in machine.trainable_weights:
        weight.assign(random.normal(size=weight.shape))


def test_a_machine_without_weights_finds_all_pictures_alike(task_and_model):
    task, _ = task_and_model
    model = zoo.boltzmann_machine((3, 3, 1), chains=4)
    machine = model.get_layer("machine")
    for weight in machine.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    metrics = task.score(model, task.data.test, quiet=True).metrics
    entropy = 12 / 16 * np.log(16) + 4 / 16 * np.log(8)
    assert metrics["test_log_likelihood"] == pytest.approx(-9 * np.log(2))
    expected = 9 * np.log(2) - entropy
    assert metrics["test_divergence"] == pytest.approx(expected, rel=1e-5)
    # Two pixels of a row are on together in 3/8 of the pictures, not in 1/4.
    assert metrics["marginals_error"] == pytest.approx(3 / 8 - 1 / 4)


def test_the_share_of_a_picture_is_at_its_number(task_and_model):
    task, _ = task_and_model
    shares = task.distribution_of(task.data.test)
    states = boltzmann.states_of(9)
    assert shares[0] == shares[-1] == 2 / 16
    for number in np.flatnonzero(shares):
        picture = states[number].reshape(3, 3)
        assert (picture == picture[0]).all() or (
            picture == picture[:, :1]
        ).all()


def test_what_is_drawn_is_as_often_there_as_it_is_probable(task_and_model):
    task, model = task_and_model
    machine = model.get_layer("machine")
    scatter(machine)
    exact = boltzmann.distribution(machine)
    sample = task.signatures(model)["sample"].function
    pictures = sample(tf.constant(5, tf.int64), tf.constant(10_000, tf.int64))
    states = pictures["picture"].numpy().reshape(-1, 9)
    numbers = states.astype(int) @ (2 ** np.arange(9)[::-1])
    found = np.bincount(numbers, minlength=512) / len(numbers)
    assert np.abs(found - exact).sum() / 2 < 0.08
    few = sample(tf.constant(5, tf.int64), tf.constant(3, tf.int64))
    np.testing.assert_array_equal(few["picture"], pictures["picture"][:3])


def test_gibbs_chains_come_to_the_exact_marginals(task_and_model):
    _, model = task_and_model
    machine = model.get_layer("machine")
    scatter(machine)
    states = counted.gibbs_states(machine, 4_000, 50, seed=0)
    exact = boltzmann.distribution(machine) @ boltzmann.states_of(9)
    np.testing.assert_allclose(states[:, :9].mean(axis=0), exact, atol=0.03)


def test_each_signature_answers_as_the_model_does(task_and_model):
    task, model = task_and_model
    signatures = task.signatures(model)
    assert [*signatures] == ["serving_default", "complete", "sample"]
    images = task.inputs.examples(task.data.test, 6)
    for signature in signatures.values():
        asked = map(tf.constant, signature.ask(images).values())
        answer, expected = signature.function(*asked), signature.expect(images)
        assert [*answer] == [*expected]
        np.testing.assert_allclose(
            answer["picture"], expected["picture"], atol=1e-5
        )


def test_another_machine_is_refused(task_and_model):
    task, model = task_and_model
    task.check(model)
    with pytest.raises(
        ValueError, match="must be a Boltzmann. Received: Restr"
    ):
        task.check(zoo.rbm((3, 3, 1), hidden_units=3))
    with pytest.raises(ValueError, match="20 units or fewer. Received: 28"):
        task.check(zoo.boltzmann_machine((5, 5, 1)))
