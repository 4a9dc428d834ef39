"""Scores of autoencoders so small that the right answers are known."""

import keras
import numpy as np
import pytest
from helpers.models import model_of, split_of
from sklearn.decomposition import PCA

from recipes.lab import tasks
from recipes.lab.data.splits import Data, Split
from recipes.lab.tasks import reconstruction


def score_autoencoder(model, split, inputs=None):
    scores = tasks.Reconstruction(None).score(model, split, inputs)
    return scores.metrics, scores.outputs


def perfect(**options):
    """An autoencoder that forgets nothing."""
    return model_of(keras.layers.Rescaling(1 / 255, **options))


def constant(value):
    """An autoencoder that remembers nothing."""
    return model_of(keras.layers.Rescaling(0.0, value))


# --- autoencoders -------------------------------------------------------


def test_a_perfect_reconstruction_has_no_error(noise):
    metrics, pictures = score_autoencoder(perfect(), noise)
    assert metrics["test_mse"] == pytest.approx(0, abs=1e-12)
    assert metrics["test_excess_cross_entropy"] == pytest.approx(0, abs=1e-7)
    assert metrics["test_psnr"] == pytest.approx(100)  # and not infinite
    assert pictures.dtype == np.float32
    np.testing.assert_allclose(pictures, noise.inputs / 255, rtol=1e-6)


def test_the_entropy_of_the_images_is_the_floor_of_the_cross_entropy():
    # Black and white leave no doubt; 51 is 0.2.
    split = split_of([0, 255, 51, 51])
    metrics, _ = score_autoencoder(constant(0.5), split)
    entropy_of_a_fifth = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    assert metrics["test_excess_cross_entropy"] == pytest.approx(
        np.log(2) - entropy_of_a_fifth / 2, abs=1e-5
    )
    squares = (0.5**2, 0.5**2, 0.3**2, 0.3**2)
    assert metrics["test_mse"] == pytest.approx(np.mean(squares))


@pytest.mark.parametrize("value", [0.1, 0.19, 0.21, 0.9])
def test_any_other_picture_is_above_the_floor(value):
    split = split_of([51] * 4)
    metrics, _ = score_autoencoder(constant(value), split)
    assert metrics["test_excess_cross_entropy"] > 1e-4


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_a_sure_mistake_has_a_finite_cross_entropy(wrong):
    split = split_of([255 - 255 * wrong] * 4)
    metrics, _ = score_autoencoder(constant(wrong), split)
    assert metrics["test_mse"] == 1
    assert 15 < metrics["test_excess_cross_entropy"] < 17  # -log(1e-7)


def test_pictures_are_clipped_before_they_are_scored():
    exaggerating = model_of(keras.layers.Rescaling(2 / 255, -0.5))
    split = split_of([0, 255, 0, 255])
    metrics, pictures = score_autoencoder(exaggerating, split)
    np.testing.assert_array_equal(pictures.ravel(), [0, 1, 0, 1])
    assert metrics["test_mse"] == 0


def test_pictures_are_float32_whatever_the_model_computes_in():
    split = split_of([0, 255, 0, 255])
    _, pictures = score_autoencoder(perfect(dtype="bfloat16"), split)
    assert pictures.dtype == np.float32
    np.testing.assert_array_equal(pictures.ravel(), [0, 1, 0, 1])


def test_what_the_model_sees_is_not_what_it_is_judged_by():
    split = split_of([255] * 4)
    seen = np.full((1, 2, 2, 1), 127.5, "float32")
    metrics, pictures = score_autoencoder(perfect(), split, seen)
    assert (pictures == 0.5).all()
    assert metrics["test_mse"] == 0.25


def test_psnr_is_the_mean_over_images_of_decibels():
    truth = np.zeros((2, 2, 2, 1), "float32")
    pictures = truth + np.reshape([0.1, 0.01], (2, 1, 1, 1))
    assert tasks.psnr(pictures[:1], truth[:1]) == pytest.approx(20)
    assert tasks.psnr(pictures[1:], truth[1:]) == pytest.approx(40)
    assert tasks.psnr(pictures, truth) == pytest.approx(30)
    np.testing.assert_allclose(
        reconstruction.squared_errors(pictures, truth), [0.01, 0.0001]
    )


# --- noise --------------------------------------------------------------

GREY = np.full((50, 28, 28, 1), 127, "uint8")


def test_noise_has_the_deviation_that_was_asked_for():
    noisy = tasks.add_noise(GREY, 0.1, seed=0)
    assert noisy.dtype == np.float32
    assert noisy.shape == GREY.shape
    assert noisy.mean() == pytest.approx(127, abs=0.5)
    assert noisy.std() == pytest.approx(25.5, rel=0.02)


def test_noise_is_a_function_of_its_seed():
    noisy = tasks.add_noise(GREY, 0.1, seed=3)
    np.testing.assert_array_equal(noisy, tasks.add_noise(GREY, 0.1, seed=3))
    assert not np.array_equal(noisy, tasks.add_noise(GREY, 0.1, seed=4))


def test_noise_stays_within_the_range_of_pixels():
    noisy = tasks.add_noise(GREY, 2.0, seed=0)
    assert (noisy.min(), noisy.max()) == (0, 255)


def test_no_noise_leaves_the_pixels_as_they_are(noise):
    noisy = tasks.add_noise(noise.inputs, 0.0, seed=0)
    np.testing.assert_array_equal(noisy, noise.inputs)


# --- principal component analysis ---------------------------------------


def data_of(train_images, pixels=12):
    """A data set of correlated noise of `pixels` by one."""
    random = np.random.default_rng(0)
    mixing = random.standard_normal((pixels, pixels))

    def split(count):
        images = 127 + 30 * random.standard_normal((count, pixels)) @ mixing
        images = np.clip(images, 0, 255).astype("uint8")
        return Split(images.reshape(count, pixels, 1, 1), np.zeros(count))

    train, test = split(train_images), split(10)
    return Data(
        *("noise", train, split(0), test, None, None, ()),
        *("nowhere", "0" * 64),
    )


def flat(split):
    return split.inputs.reshape(len(split), -1).astype("float64") / 255


def error_by_hand(data, length):
    pca = PCA(length, svd_solver="full").fit(flat(data.train))
    truth = flat(data.test)
    pictures = pca.inverse_transform(pca.transform(truth))
    return np.mean((np.clip(pictures, 0, 1) - truth) ** 2)


def test_pca_is_fitted_to_the_training_images_and_judged_on_the_others():
    data = data_of(train_images=200)
    errors = tasks.score_pca(data, [5, 1, 11])
    assert list(errors) == [5, 1, 11]
    for length, error in errors.items():
        assert error == pytest.approx(error_by_hand(data, length), rel=1e-3)


def test_pca_of_more_components_than_pixels_keeps_everything():
    data = data_of(train_images=200)
    errors = tasks.score_pca(data, [4, 12, 13, 1_000])
    assert errors[4] == pytest.approx(error_by_hand(data, 4), rel=1e-3)
    for length in (12, 13, 1_000):
        assert errors[length] == pytest.approx(0, abs=1e-10)


def test_pca_of_more_components_than_images_has_as_many_as_images():
    data = data_of(train_images=5)
    errors = tasks.score_pca(data, [4, 5, 100])
    assert errors[4] == pytest.approx(error_by_hand(data, 4), rel=1e-3)
    assert errors[100] == errors[5]


def test_pca_of_large_pictures_takes_no_matrix_of_their_pixels(monkeypatch):
    """Then it is an approximation, which is near where a few axes matter."""
    data = data_of(train_images=200)
    exact = tasks.score_pca(data, [4])[4]
    monkeypatch.setattr(reconstruction, "MOST_PIXELS", 11)
    assert tasks.score_pca(data, [4])[4] == pytest.approx(exact, rel=0.02)
