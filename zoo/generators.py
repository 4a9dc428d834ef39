"""Variational autoencoders: their codes are drawn, so what decodes them draws.

The encoder answers with a distribution of codes and learns to keep it near a
standard normal one. What draws pictures in [0, 1], of codes from that, is
`model.get_layer("decoder")`. The other generators are in `zoo/gans.py`.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model


@keras.saving.register_keras_serializable(package="zoo")
class Sampling(layers.Layer):
    """Draw codes from normal distributions, in training.

    The mean over the batch of the distributions' Kullback-Leibler divergences
    from a standard normal one, in nats, is added to the loss of the model. In
    inference mode the code is the mean, so a model answers the same each time.

    Call it with the means and the logarithms of the variances, both
    `(batch, latent_dim)`. It gives codes `(batch, latent_dim)`.

    Args:
        kl_weight: What the divergence is multiplied by.
        seed: Seed of the draws; `None` for one that Keras' seed decides.
    """

    def __init__(self, kl_weight=1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.kl_weight = kl_weight
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Set this to draw in inference mode, too: to validate the bound, which
        # is of codes that are drawn. It is not saved.
        self.draws_always = False

    def call(self, inputs, training=False):
        mean, log_variance = inputs
        divergence = kl_divergence(mean, log_variance)
        self.add_loss(self.kl_weight * ops.mean(divergence))
        if not (training or self.draws_always):
            return mean
        noise = keras.random.normal(
            ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator
        )
        return mean + ops.exp(0.5 * log_variance) * noise

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "kl_weight": self.kl_weight}


@keras.saving.register_keras_serializable(package="zoo")
class ImportanceSampling(layers.Layer):
    """Draw several codes from each normal distribution, in training.

    It takes means and logarithms of variances as `Sampling` does. It gives the
    codes, `(batch * samples, latent_dim)`, those of an image one after another,
    and `(batch, samples)` numbers that say how much likelier each is under a
    standard normal distribution than under the one that it was drawn from, as
    logarithms. In inference mode the only code of an image is the mean.

    Args:
        samples: How many codes an image gets.
        seed: Seed of the draws; `None` for one that Keras' seed decides.
    """

    def __init__(self, samples, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.samples = samples
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.draws_always = False  # as in `Sampling`

    def call(self, inputs, training=False):
        mean, log_variance = inputs
        if not (training or self.draws_always):
            return mean, ops.zeros_like(mean[:, :1])
        mean = ops.repeat(mean, self.samples, axis=0)
        log_variance = ops.repeat(log_variance, self.samples, axis=0)
        noise = keras.random.normal(
            ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator
        )
        codes = mean + ops.exp(0.5 * log_variance) * noise
        ratios = ops.square(noise) + log_variance - ops.square(codes)
        ratios = 0.5 * ops.sum(ratios, axis=-1)
        return codes, ops.reshape(ratios, (-1, self.samples))

    def compute_output_shape(self, input_shape):
        batch, latent_dim = input_shape[0]
        return (batch, latent_dim), (batch, 1)

    def get_config(self):
        return {**super().get_config(), "samples": self.samples}


@keras.saving.register_keras_serializable(package="zoo")
class ImportanceWeighting(layers.Layer):
    """Add to the loss how unlikely images are, by what several codes draw.

    That is the negative of the bound of Burda et al. 2016 on the log-likelihood
    of an image, in nats, in the mean over the batch. A code counts as much as
    the image is likely, given the code, times its ratio (`ImportanceSampling`).

    It takes the images as probabilities of ink, the pictures of all codes, and
    the logarithms of the ratios. It gives the pictures of the first codes. With
    one code an image, as in inference mode, there is no loss.

    Args:
        kl_weight: What the logarithms of the ratios are multiplied by.
    """

    def __init__(self, kl_weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.kl_weight = kl_weight

    def call(self, inputs):
        pixels, pictures, log_ratios = inputs
        samples = log_ratios.shape[1]
        if samples == 1:
            return pictures
        pixels = ops.repeat(pixels, samples, axis=0)
        nats = ops.binary_crossentropy(pixels, pictures)
        nats = ops.sum(nats, axis=tuple(range(1, len(nats.shape))))
        log_weights = self.kl_weight * log_ratios - ops.reshape(
            nats, (-1, samples)
        )
        bound = ops.logsumexp(log_weights, axis=1) - math.log(samples)
        self.add_loss(-ops.mean(bound))
        return pictures[::samples]

    def compute_output_shape(self, input_shape):
        return input_shape[1]

    def get_config(self):
        return {**super().get_config(), "kl_weight": self.kl_weight}


def kl_divergence(mean, log_variance):
    """Return how far normal distributions are from a standard one.

    Args:
        mean: Means, `(batch, latent_dim)`.
        log_variance: Logarithms of the variances, of the same shape.

    Returns:
        Kullback-Leibler divergences in nats, `(batch,)`.
    """
    excess = ops.square(mean) + ops.exp(log_variance) - 1 - log_variance
    return 0.5 * ops.sum(excess, axis=-1)


@register_model(
    task="generation",
    inputs="images",
    lecture="generative models: autoencoders with a distribution of codes",
    reference="Kingma and Welling 2014",
    chart=("VAE",),
)
def vae(
    input_shape=(28, 28, 1),
    *,
    hidden_units=(200, 200),
    latent_dim=50,
    activation="gelu",
    kl_weight=1.0,
    importance_samples=1,
    rescale=(1 / 255, 0.0),
    name="vae",
):
    """Build a variational autoencoder of dense layers.

    The default widths are those of Burda et al. 2016: 784-200-200-50 and back.

    The encoder answers with a normal distribution of codes: its mean and the
    logarithm of its variance. Training draws a code from it and adds how far
    it is from a standard normal one to the loss (see `Sampling`), so with the
    binary cross-entropy, summed over the pixels, the loss is the negative
    evidence lower bound. In inference mode the code is the mean.

    With several `importance_samples` it is an importance-weighted autoencoder:
    training draws so many codes for each image, and the loss is a tighter bound
    (see `ImportanceWeighting`). All of that is in the model, which is therefore
    compiled without a loss.

    | layer             | output  | parameters |
    | ----------------- | ------- | ---------- |
    | rescaling         | 28×28×1 |            |
    | encoder, sampling | 50      | 217,300    |
    | decoder           | 28×28×1 | 207,984    |
    | sum               |         | 425,284    |

    Args:
        input_shape: Height, width and channels of an image.
        hidden_units: Width of each hidden layer of the encoder; the decoder has
            them in reverse.
        latent_dim: Length of the code.
        activation: Activation of the hidden layers.
        kl_weight: What the divergence is multiplied by in the loss; the loss
            is a bound on the likelihood with 1 only.
        importance_samples: How many codes training draws for each image.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to pictures of the same shape in [0, 1]: the probability of
        ink at each pixel.

    Raises:
        ValueError: If the code has no length, the weight is negative, or there
            are no samples.

    Example:
    >>> model = zoo.create_model("vae", latent_dim=2)
    >>> codes = np.random.default_rng(0).normal(size=(5, 2))
    >>> model.get_layer("decoder").predict(codes, verbose=0).shape
    (5, 28, 28, 1)

    Reference:
    - D. P. Kingma, M. Welling, Auto-encoding variational Bayes, 2014.
    - Y. Burda, R. Grosse, R. Salakhutdinov, Importance weighted autoencoders,
      2016.
    """
    if latent_dim < 1:
        raise ValueError(
            f"`latent_dim` must be 1 or more. Received: {latent_dim}"
        )
    if not 0 <= kl_weight < math.inf:
        raise ValueError(
            f"`kl_weight` must be 0 or more. Received: {kl_weight}"
        )
    if importance_samples < 1:
        raise ValueError(
            "`importance_samples` must be 1 or more. "
            f"Received: {importance_samples}"
        )

    pixels = keras.Input(input_shape, name="pixels")
    x = layers.Flatten(name="flatten")(pixels)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"encode{i}")(x)
    mean = layers.Dense(latent_dim, name="mean")(x)
    log_variance = layers.Dense(latent_dim, name="log_variance")(x)
    encoder = keras.Model(pixels, [mean, log_variance], name="encoder")

    code = keras.Input((latent_dim,), name="code")
    x = code
    for i, units in enumerate(reversed(hidden_units), start=1):
        x = layers.Dense(units, activation=activation, name=f"decode{i}")(x)
    x = layers.Dense(math.prod(input_shape), name="logits")(x)
    x = layers.Reshape(input_shape, name="grid")(x)
    picture = layers.Activation("sigmoid", dtype="float32", name="picture")(x)
    decoder = keras.Model(code, picture, name="decoder")

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    if importance_samples == 1:
        sampling = Sampling(kl_weight, dtype="float32", name="sampling")
        return keras.Model(image, decoder(sampling(encoder(x))), name=name)
    sampling = ImportanceSampling(
        importance_samples, dtype="float32", name="sampling"
    )
    code, log_ratio = sampling(encoder(x))
    weighting = ImportanceWeighting(
        kl_weight, dtype="float32", name="weighting"
    )
    picture = weighting([x, decoder(code), log_ratio])
    return keras.Model(image, picture, name=name)
