"""What a Boltzmann machine knows of images, and what its chains draw."""

import csv
import importlib

import numpy as np
import pytest
import tensorflow as tf
from helpers import kinds
from helpers.seeds import set_seed
from helpers.small_recipe import TWO

import zoo
from recipes.lab.flags import RunOptions
from recipes.lab.tasks import energy_based as tasks
from zoo import restricted_boltzmann


@pytest.fixture(scope="module")
def task_and_model():
    """The task, and a small machine that has learned nothing."""
    return kinds.machine()


def test_a_machine_that_has_learned_nothing_knows_nothing(task_and_model):
    task, model = task_and_model
    scores = task.score(model, task.data.test[:30], quiet=True)
    # A bit of each pixel is open, and all are gray.
    assert scores.metrics == {
        "test_pseudo_log_likelihood": pytest.approx(-784 * np.log(2), rel=1e-2),
        "test_mse": pytest.approx(0.25, rel=1e-2),
    }
    again = task.score(model, task.data.test[:30], quiet=True)
    assert again.metrics == scores.metrics


def test_batches_give_what_all_images_give(task_and_model):
    _, model = task_and_model
    machine = model.get_layer("machine")
    states = np.random.default_rng(0).integers(0, 2, (25, 784)) * 255
    found = tasks.pseudo_log_likelihoods(machine, states, quiet=True)
    expected = restricted_boltzmann.pseudo_log_likelihood(machine, states / 255)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def chains_of(machine, seed, count, steps):
    return [x.numpy() for x in tasks.run_chains(machine, seed, count, steps)]


def test_chains_depend_on_seed_and_count_alone(task_and_model):
    machine = task_and_model[1].get_layer("machine")
    _, states = chains_of(machine, 7, 5, 3)
    assert set(np.unique(states)) == {0, 1}
    tf.random.set_seed(1)
    np.testing.assert_array_equal(chains_of(machine, 7, 5, 3)[1], states)
    assert (chains_of(machine, 8, 5, 3)[1] != states).mean() > 0.3
    assert (chains_of(machine, 7, 5, 4)[1] != states).mean() > 0.3


def test_chains_come_to_where_the_machine_is_probable():
    set_seed(0)
    machine = restricted_boltzmann.RestrictedBoltzmann(3)
    machine.build((None, 4))
    random = np.random.default_rng(0)
    for weight in machine.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    all_states = np.indices((2,) * 4).reshape(4, -1).T.astype("float32")
    exact = np.exp(
        -machine.free_energy(all_states)
        - restricted_boltzmann.log_partition(machine)
    )
    _, states = chains_of(machine, 0, 20_000, 30)
    numbers = states.astype(int) @ [8, 4, 2, 1]
    found = np.bincount(numbers, minlength=16) / len(numbers)
    np.testing.assert_allclose(found, exact, atol=0.015)


@pytest.mark.thorough  # a sample takes a thousand steps
def test_each_signature_answers_as_the_model_does(task_and_model):
    task, model = task_and_model
    signatures = task.signatures(model)
    assert [*signatures] == [
        *("serving_default", "reconstruct", "encode", "sample")
    ]
    images = task.inputs.examples(task.data.test, 6)
    for signature in signatures.values():
        asked = map(tf.constant, signature.ask(images).values())
        answer, expected = signature.function(*asked), signature.expect(images)
        assert [*answer] == [*expected]
        for name in {"code", "picture"} & set(answer):
            np.testing.assert_allclose(answer[name], expected[name], atol=1e-5)


def test_a_model_without_a_machine_is_refused(task_and_model):
    task, _ = task_and_model
    with pytest.raises(ValueError, match="No such layer: machine"):
        task.check(zoo.create_model("vae", hidden_units=(8,)))


@pytest.mark.thorough
@pytest.mark.parametrize("chains", [0, 100], ids=["from data", "persistent"])
def test_two_devices_train_what_one_does(chains, tmp_path, no_export):
    """Their states, and their chains, are those of one device."""
    recipe = importlib.import_module("recipes.mnist_rbm")

    def losses(**options):
        folder = tmp_path / options.get("strategy", "none")
        options = RunOptions(dry_run=True, output_dir=folder, **options)
        # As many examples as chains: what belongs to which must be told.
        recipe.train(
            recipe.Config(
                *(20, 2, chains), epochs=2, batch_size=100, run=options
            )
        )
        [history] = folder.glob("runs/*/1/history.csv")
        with open(history, newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            [float(row[name]) for name in ("loss", "val_loss")] for row in rows
        ]

    # A state differs where chance is as good as equal to a probability.
    np.testing.assert_allclose(losses(**TWO), losses(), rtol=1e-3)
