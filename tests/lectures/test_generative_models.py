"""What lectures say of models that draw: variational and adversarial ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from recipes.lab.tasks.variational import likelihood_bounds
from recipes.lab.training.adversarial import Adversarial, cross_entropy
from recipes.lab.training.schedules import one_cycle
from zoo.generators import kl_divergence


def test_the_divergence_of_codes_has_a_closed_form():
    """KL(N(m, s) || N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2, in each unit."""
    random = np.random.default_rng(0)
    mean = np.float32([[0.3, -1.2, 0.0]])
    log_variance = np.float32([[-1.0, 0.4, 0.0]])
    noise = random.standard_normal((400_000, 3))
    codes = mean + np.exp(0.5 * log_variance) * noise
    # log q(z) - log p(z), of codes from q
    ratios = 0.5 * np.sum(codes**2 - noise**2 - log_variance, axis=1)
    error = 4 * ratios.std() / np.sqrt(len(ratios))
    [closed] = keras.ops.convert_to_numpy(kl_divergence(mean, log_variance))
    assert ratios.mean() == pytest.approx(closed, abs=error)


@pytest.fixture(scope="module")
def small_decoder():
    """A decoder from one number to six pixels, and ink for it."""
    set_seed(3)
    model = zoo.create_model(
        "vae", input_shape=(2, 3, 1), hidden_units=(8,), latent_dim=1
    )
    decoder = model.get_layer("decoder")
    decoder.set_weights([3 * weight for weight in decoder.get_weights()])
    ink = np.random.default_rng(0).integers(0, 2, (5, 2, 3, 1)) * 255
    return decoder, ink.astype("uint8")


def exact_log_likelihoods(decoder, ink):
    """Integrate p(x | z) p(z) over z with as many steps as it takes."""
    z, step = np.linspace(-9, 9, 20_001, retstep=True)
    pictures = decoder.predict(z[:, None], verbose=0, batch_size=20_001)
    pictures = pictures.reshape(len(z), -1).astype("float64")
    prior = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    pixels = (ink > 0).reshape(len(ink), -1)
    of_pixels = [np.where(x, pictures, 1 - pictures).prod(1) for x in pixels]
    return np.log([np.sum(p * prior) * step for p in of_pixels])


def test_bounds_rise_with_the_codes_to_the_likelihood(small_decoder):
    """ELBO <= IWAE(10) <= IWAE(100) <= ... <= log p(x)."""
    decoder, ink = small_decoder
    mean = np.full((5, 1), 0.2, "float32")
    log_variance = np.full((5, 1), -0.5, "float32")
    bounds = likelihood_bounds(decoder, ink, mean, log_variance, 20_000)
    assert [*bounds] == [1, 10, 100, 1_000, 10_000, 20_000]
    means = [bound.mean() for bound in bounds.values()]
    assert means[0] < means[1] - 0.01
    # What is left of the gap falls as 1 / k.
    assert np.all(np.diff(means[:4]) > 0)
    exact = exact_log_likelihoods(decoder, ink)
    assert np.all(bounds[1] < exact)
    np.testing.assert_allclose(bounds[20_000], exact, atol=0.03)


def test_where_the_two_distributions_are_one_nobody_can_tell_them_apart():
    """The best discriminator is D = p / (p + q), and 1/2 where p = q.

    Of two normal distributions the log-odds are a polynomial of degree 2, so a
    linear model of x and its square can be the best of all.
    """
    x = np.linspace(-8, 9, 1_701)[:, None]
    features = np.hstack([x, x**2]).astype("float32")

    def density(mean, deviation):
        density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / deviation
        return density / density.sum()

    def best_discriminator(p, q):
        """Minimise the discriminator's loss over all x at once."""
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1, "linear")]
        )
        model.set_weights([np.float32([[0.5], [-0.2]]), np.float32([0.3])])
        optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.1, 800)
        )
        optimizer.build(model.trainable_variables)
        weights = [v.value for v in model.trainable_variables]

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                log_odds = model(features)
                loss = tf.reduce_sum(
                    p * cross_entropy(1.0, log_odds)
                    + q * cross_entropy(0.0, log_odds)
                )
            gradients = tape.gradient(loss, weights)
            optimizer.apply(gradients, model.trainable_variables)
            return loss

        for _ in range(800):
            loss = step()
        return 1 / (1 + np.exp(-model(features).numpy())), float(loss)

    p, q = density(1.0, 0.8).astype("float32"), density(0.0, 1.5)
    q = q.astype("float32")
    near = np.abs(x) < 3
    found, loss = best_discriminator(p, q)
    np.testing.assert_allclose(found[near], (p / (p + q))[near], atol=0.01)
    assert loss < 2 * np.log(2) - 0.1

    found, loss = best_discriminator(p, p)
    np.testing.assert_allclose(found[near], 0.5, atol=0.01)
    assert loss == pytest.approx(2 * np.log(2), abs=1e-4)  # -V(D*, G) = log 4


@pytest.mark.thorough
def test_a_game_ends_where_nobody_can_tell_drawn_from_real():
    """The generator of one number finds its distribution, and D is 1/2."""
    mean, deviation, steps = 2.0, 0.5, 1_500
    set_seed(1)
    code, number = keras.Input((1,)), keras.Input((1,))
    square = keras.layers.Multiply()([number, number])
    features = keras.layers.Concatenate()([number, square])
    odds = keras.layers.Dense(1, kernel_initializer="zeros")
    game = Adversarial(
        keras.Model(code, keras.layers.Dense(1)(code)),
        keras.Model(number, odds(features)),
    )
    rate = one_cycle(0.05, steps, warmup=0.05)
    # Without momentum: it would carry both past the point and around it.
    average = {"use_ema": True, "ema_momentum": 0.99}
    game.compile(
        keras.optimizers.Adam(rate, 0.0, 0.99, **average),
        keras.optimizers.Adam(rate, 0.0, 0.99),
    )
    real = tf.random.stateless_normal((steps, 256, 1), (1, 1))
    real = mean + deviation * real

    @tf.function
    def play():
        for step in tf.range(steps):
            game.train_step((real[step], real[step]))

    play()
    game.generator_optimizer.finalize_variable_values(
        game.generator.trainable_variables
    )
    slope, offset = (w.item() for w in game.generator.get_weights())
    assert offset == pytest.approx(mean, abs=0.05)
    assert abs(slope) == pytest.approx(deviation, abs=0.05)
    x = np.linspace(0.5, 3.5, 7, dtype="float32")[:, np.newaxis]
    log_odds = game.discriminator(x)
    np.testing.assert_allclose(tf.sigmoid(log_odds), 0.5, atol=0.02)
    costs = cross_entropy(1.0, log_odds) + cross_entropy(0.0, log_odds)
    np.testing.assert_allclose(costs, 2 * np.log(2), atol=1e-3)
