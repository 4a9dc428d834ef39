"""Sampling, the bounds of likelihoods, and the two halves of a vae."""

import keras
import numpy as np
import pytest

import zoo
from zoo import generators


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def distributions():
    """Means and logarithms of variances of 10,000 codes of two numbers."""
    mean = np.tile(np.float32([1.0, -2.0]), (10_000, 1))
    log_variance = np.tile(np.float32([-2.0, 0.5]), (10_000, 1))
    return mean, log_variance


def test_training_draws_from_the_distribution(distributions):
    mean, log_variance = distributions
    codes = plain(generators.Sampling(seed=0)(distributions, training=True))
    assert len(np.unique(codes)) > 19_000  # a number for each
    deviation = np.exp(0.5 * log_variance[0])
    np.testing.assert_allclose(codes.mean(0), mean[0], atol=0.04)
    np.testing.assert_allclose(codes.std(0), deviation, rtol=0.03)


def test_inference_takes_the_mean_unless_it_is_told_to_draw(distributions):
    mean, log_variance = distributions
    sampling = generators.Sampling(seed=0)
    np.testing.assert_array_equal(plain(sampling([mean, log_variance])), mean)
    sampling.draws_always = True
    assert not np.array_equal(plain(sampling([mean, log_variance])), mean)


def test_the_seed_of_the_draws_is_a_variable_of_the_model():
    model = zoo.create_model("vae")
    assert "seed_generator_state" in [v.name for v in model.variables]


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_divergence_is_in_the_loss(distributions, weight):
    sampling = generators.Sampling(kl_weight=weight)
    sampling(distributions)
    [loss] = sampling.losses
    divergence = plain(generators.kl_divergence(*distributions))
    assert divergence.shape == (10_000,)
    assert plain(loss) == pytest.approx(weight * divergence.mean(), rel=1e-5)


def test_features_of_a_vae_are_the_means_of_its_codes(images):
    model = zoo.create_model("vae")
    codes = zoo.feature_extractor(model)(images)
    mean = zoo.feature_extractor(model, "encoder/mean")(images)
    np.testing.assert_array_equal(plain(codes), plain(mean))
    pictures = model.get_layer("decoder")(codes)
    np.testing.assert_allclose(plain(pictures), plain(model(images)), atol=1e-6)


@pytest.fixture(scope="module")
def weighted():
    """A small autoencoder that draws four codes for each image."""
    return small_vae(importance_samples=4)


def small_vae(**arguments):
    return zoo.create_model(
        "vae",
        input_shape=(4, 5, 1),
        hidden_units=(8,),
        latent_dim=3,
        **arguments,
    )


INK = 255 * np.random.default_rng(0).integers(0, 2, (6, 4, 5, 1)).astype(
    "uint8"
)


def test_in_inference_mode_several_codes_are_the_mean(weighted):
    single = small_vae()
    single.set_weights(weighted.get_weights())
    np.testing.assert_array_equal(plain(weighted(INK)), plain(single(INK)))
    assert weighted.losses == []
    codes = zoo.feature_extractor(weighted)(INK)
    mean, _ = weighted.get_layer("encoder")(INK / np.float32(255))
    np.testing.assert_allclose(plain(codes), plain(mean), atol=1e-6)


def test_each_image_gets_its_own_codes_one_after_another(distributions):
    mean, log_variance = (values[:500].copy() for values in distributions)
    mean[1::2] += 10
    sampling = generators.ImportanceSampling(4, seed=0)
    codes, ratios = map(plain, sampling([mean, log_variance], training=True))
    assert codes.shape == (2_000, 2) and ratios.shape == (500, 4)
    near = np.repeat(mean, 4, axis=0)
    deviations = np.repeat(np.exp(0.5 * log_variance), 4, axis=0)
    noise = (codes - near) / deviations
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    # log p(z) - log q(z), by the densities
    prior = -0.5 * np.sum(codes**2, axis=1)
    posterior = -0.5 * np.sum(noise**2, axis=1) - np.log(deviations).sum(axis=1)
    expected = (prior - posterior).reshape(500, 4)
    np.testing.assert_allclose(ratios, expected, atol=1e-3)


def test_the_loss_is_the_bound_of_all_codes(weighted):
    pixels = INK / np.float32(255)
    random = np.random.default_rng(1)
    pictures = random.uniform(0.1, 0.9, (24, 4, 5, 1)).astype("float32")
    ratios = random.normal(size=(6, 4)).astype("float32")
    weighting = generators.ImportanceWeighting()
    first = weighting([pixels, pictures, ratios])
    np.testing.assert_array_equal(plain(first), pictures[::4])
    chances = np.where(np.repeat(pixels, 4, axis=0), pictures, 1 - pictures)
    likelihoods = chances.reshape(6, 4, -1).prod(axis=2)
    bound = np.log(np.mean(likelihoods * np.exp(ratios), axis=1))
    [loss] = weighting.losses
    assert plain(loss) == pytest.approx(-bound.mean(), rel=1e-5)


def test_the_bound_rises_with_the_codes(weighted):
    """ELBO <= bound of 5 <= bound of 50, of the same weights."""

    def loss_of(samples, draws=20):
        model = small_vae(importance_samples=samples)
        model.set_weights(weighted.get_weights())
        many = np.repeat(INK, draws * 50 // samples, axis=0)
        pictures = plain(model(many, training=True))
        [loss] = model.losses
        if samples > 1:
            return float(plain(loss))
        ink = many > 0
        nats = -np.log(np.where(ink, pictures, 1 - pictures))
        return float(plain(loss)) + nats.sum(axis=(1, 2, 3)).mean()

    # In units of what is left to chance the differences are large.
    assert loss_of(50) < loss_of(5) - 0.05 < loss_of(1) - 0.1


def test_a_vae_warns_of_divided_pixels(images):
    with pytest.warns(UserWarning, match="raw pixels"):
        zoo.create_model("vae")(images / np.float32(255))


def test_pictures_are_probabilities_even_in_half_precision(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = keras.Model.from_config(zoo.create_model("vae").get_config())
    finally:
        keras.config.set_dtype_policy("float32")
    picture = half(images)
    assert keras.backend.standardize_dtype(picture.dtype) == "float32"


@pytest.mark.parametrize(
    "arguments",
    [{"latent_dim": 0}, {"kl_weight": -1.0}, {"importance_samples": 0}],
    ids=str,
)
def test_the_argument_that_is_refused_is_named(arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=argument) as refusal:
        zoo.create_model("vae", **arguments)
    assert str(value) in str(refusal.value)


def test_pictures_may_be_larger_and_in_color():
    model = zoo.create_model("vae", input_shape=(5, 7, 3))
    assert model.output_shape == (None, 5, 7, 3)
