"""The ink of an image, the bound of a model, and the units that it uses."""

import csv
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.small_recipe import TWO
from helpers.tasks import sample

import zoo
from recipes.lab.data import augmentation
from recipes.lab.flags import RunOptions
from recipes.lab.tasks import VariationalGeneration, binarized
from recipes.lab.tasks import variational as tasks


@pytest.fixture
def greys():
    """Four images, each of one brightness."""
    brightness = np.uint8([0, 51, 204, 255])
    return np.tile(brightness[:, None, None, None], (1, 100, 100, 1))


def ink_of_augmentation(images):
    draw = augmentation.Drawing(tf.constant([3, 4]), len(images), 0, 4)
    return augmentation.random_ink(tf.constant(images), draw).numpy()


@pytest.mark.parametrize(
    "ink_of",
    [ink_of_augmentation, lambda images: binarized(images, 5)],
    ids=["in training", "in validation and test"],
)
def test_a_pixel_is_ink_as_often_as_its_brightness_says(greys, ink_of):
    ink = ink_of(greys)
    assert ink.dtype == "uint8"
    assert set(np.unique(ink)) == {0, 255}
    share = (ink == 255).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(share, [0, 0.2, 0.8, 1], atol=0.02)
    assert (share[0], share[3]) == (0, 1)
    np.testing.assert_array_equal(ink_of(greys), ink)


def test_the_seed_decides_the_ink(greys):
    assert (binarized(greys, 0) != binarized(greys, 1)).mean() > 0.1


@pytest.fixture(scope="module")
def model():
    """A small model that has learned nothing."""
    return zoo.create_model("vae", hidden_units=(8,), latent_dim=3)


@pytest.fixture(scope="module")
def task():
    """The task, with few codes."""
    return VariationalGeneration(sample(), importance_samples=20)


def test_scores_are_bounds_and_the_same_each_time(task, model, capsys):
    scores = task.score(model, task.data.test[:30])
    metrics = scores.metrics
    assert 0 < metrics["test_kl"] < metrics["test_nll"]
    assert metrics["test_nll"] < metrics["test_negative_elbo"]
    # A model that has learned nothing leaves a bit open about each pixel.
    assert metrics["test_nll"] == pytest.approx(784 * np.log(2), rel=0.1)
    assert [*scores.bounds] == [1, 10, 20]
    again = task.score(model, task.data.test[:30])
    assert again.metrics == metrics


@pytest.mark.thorough
def test_the_bound_is_what_training_minimises(task, model):
    """The mean of the loss over many draws, of the same ink."""
    ink = binarized(task.data.test.inputs[:8], tasks.SEED)
    sampling = model.get_layer("sampling")
    sampling.draws_always = True
    losses = []
    for _ in range(300):
        pictures = model(ink).numpy()
        truth = ink / 255
        nats = truth * np.log(pictures) + (1 - truth) * np.log1p(-pictures)
        [kl] = model.losses
        losses.append(-nats.sum(axis=(1, 2, 3)).mean() + float(kl))
    sampling.draws_always = False
    many = VariationalGeneration(task.data, 2_000)
    metrics = many.score(model, task.data.test[:8]).metrics
    error = 5 * np.std(losses) / np.sqrt(300)
    assert metrics["test_negative_elbo"] == (
        pytest.approx(np.mean(losses), abs=error)
    )


def test_a_model_without_distributions_is_refused(task):
    with pytest.raises(ValueError, match="mean"):
        task.check(zoo.create_model("deep_autoencoder"))


def test_a_traversal_moves_one_unit_at_a_time():
    codes = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    moved = tasks.traversal(codes, [2, 0], steps=5).reshape(2, 5, 4)
    np.testing.assert_array_equal(moved[0, :, 2], np.linspace(-3, 3, 5))
    still = np.delete(moved[0], 2, axis=1)
    mean = np.delete(codes.mean(axis=0), 2)
    np.testing.assert_allclose(still, np.tile(mean, (5, 1)), rtol=1e-6)


def test_each_signature_answers_as_the_model_does(task, model):
    signatures = task.signatures(model)
    outputs = {
        "serving_default": ["picture", "pixels"],
        "reconstruct": ["picture", "pixels"],
        "encode": ["code", "log_variance"],
        "decode": ["picture", "pixels"],
        "sample": ["picture", "pixels"],
    }
    assert [*signatures] == [*outputs]
    images = task.inputs.examples(task.data.test, 6)
    for name, signature in signatures.items():
        asked = map(tf.constant, signature.ask(images).values())
        answer, expected = signature.function(*asked), signature.expect(images)
        assert [*answer] == [*expected] == outputs[name]
        first = outputs[name][0]
        np.testing.assert_allclose(answer[first], expected[first], atol=1e-5)


def test_the_plane_has_as_many_codes_on_each_side():
    x, y = tasks.plane(20).T
    assert len(x) == 400
    assert x.mean() == pytest.approx(0, abs=1e-6)
    # The first row is at the top, the middle of the highest twentieth.
    assert y[0] == pytest.approx(1.96, abs=1e-3)
    assert np.sum(np.abs(x) < 0.6745) == 200  # the middle half


@pytest.mark.thorough
def test_two_devices_train_what_one_does(tmp_path, no_export):
    """Their codes, their ink and their bound are those of one device."""
    recipe = importlib.import_module("recipes.mnist_vae")

    def losses(**options):
        folder = tmp_path / options.get("strategy", "none")
        options = RunOptions(dry_run=True, output_dir=folder, **options)
        config = recipe.Config(
            epochs=2, batch_size=100, importance_samples=1, run=options
        )
        recipe.train(config)
        [history] = folder.glob("runs/*/1/history.csv")
        with open(history, newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            [float(row[name]) for name in ("loss", "val_loss")] for row in rows
        ]

    np.testing.assert_allclose(losses(**TWO), losses(), rtol=1e-4)


@pytest.mark.parametrize("name", ["mnist_vae", "mnist_iwae", "mnist_dcign"])
def test_a_loss_counts_the_nats_of_every_channel(name):
    recipe = importlib.import_module(f"recipes.{name}")
    pixels, pictures = np.random.default_rng(0).random((2, 4, 5, 5, 3))
    nats = -pixels * np.log(pictures) - (1 - pixels) * np.log(1 - pictures)
    found = recipe.nats_of_ink(pixels, pictures)
    np.testing.assert_allclose(found, nats.sum(axis=(1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("name", ["mnist_vae", "mnist_iwae", "mnist_dcign"])
def test_the_gradient_of_an_outlier_is_soon_forgotten(
    name, monkeypatch, tmp_path
):
    """Adam would divide by it for a thousand steps, and stand still."""

    class Trained(Exception):
        """The model that was to be trained."""

    def fit(run, model, *args, **options):
        raise Trained(model)

    recipe = importlib.import_module(f"recipes.{name}")
    monkeypatch.setattr("recipes.lab.training.fit", fit)
    options = RunOptions(dry_run=True, output_dir=tmp_path)
    with pytest.raises(Trained) as caught:
        recipe.train(recipe.Config(run=options))
    optimizer = caught.value.args[0].optimizer

    def moved(*gradients):
        """Return how far these gradients move a weight."""
        weight = keras.Variable(np.zeros(100))
        steady = {**optimizer.get_config(), "learning_rate": 0.01}
        steps = optimizer.from_config(steady)
        for gradient in gradients:
            steps.apply([tf.fill([100], gradient)], [weight])
        return np.abs(weight).max()

    usual = [10.0] * 50  # with a norm of 100, as in these trainings
    assert moved(*usual, 1e7, *usual) > 0.9 * moved(*usual, *usual)
