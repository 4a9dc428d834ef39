"""Generators: noise in, pictures out.

Both models learn to turn codes from a standard normal distribution into
pictures in [0, 1], and differ in what teaches them. A variational autoencoder
learns to reconstruct images from codes that its encoder draws; what draws
pictures is `model.get_layer("decoder")`. In a generative adversarial network a
discriminator learns to tell pictures from images; what draws pictures is
`model.get_layer("generator")`.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model
from zoo.autoencoders import halved_sides

SLOPE = 0.2  # of the discriminator's ReLU below zero, as in the paper


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


@keras.saving.register_keras_serializable(package="zoo")
class Choice(layers.Layer):
    """Let the largest of a code's first numbers choose, and pass the others on.

    A normal distribution has no gaps, and a network maps what is connected to
    what is connected: between the codes of two digits there are some of none.
    A choice is a gap.

    It takes codes `(batch, latent_dim)` and gives as many numbers: for the
    first ones zeros and, in the place of the largest, the root of their count,
    so that they are as large in the mean square as they were.

    Args:
        count: How many of the first numbers choose.
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, codes):
        # Keras' argmax on TensorFlow looks at the bits of zeros: LiteRT cannot.
        _, largest = ops.top_k(codes[:, : self.count], 1)
        choice = ops.one_hot(largest[:, 0], self.count, dtype=codes.dtype)
        rest = codes[:, self.count :]
        return ops.concatenate([self.count**0.5 * choice, rest], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "count": self.count}


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
    _check(latent_dim)
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


@register_model(
    task="generation",
    inputs="noise",
    lecture="generative adversarial networks, with convolutions",
    reference="Radford, Metz and Chintala 2016",
)
def dcgan(
    image_shape=(28, 28, 1),
    *,
    filters=(32, 16),
    kernel_size=4,
    choices=10,
    mapping_units=(256, 256, 128),
    hidden_units=256,
    latent_dim=64,
    name="dcgan",
):
    """Build a generator and a discriminator, one behind the other.

    The generator doubles the picture with each transposed convolution, the
    discriminator halves it. The sub-model `generator` draws pictures in [0, 1]
    from codes; the sub-model `discriminator` takes such pictures, drawn or
    real, and gives the log-odds that they are real.

    | layer         | output  | parameters |
    | ------------- | ------- | ---------- |
    | generator     | 28×28×1 | 325,217    |
    | discriminator | 1       | 410,705    |
    | sum           |         | 735,922    |

    Args:
        image_shape: Height, width and channels of a picture; both sides are
            multiples of 2 to the power of the number of `filters`.
        filters: Number of maps that enter each transposed convolution of the
            generator; the convolutions of the discriminator have them in
            reverse.
        kernel_size: Side of the kernels.
        choices: How many of a code's first numbers choose, by which of them is
            the largest (see `Choice`), and say nothing else; 0 for none.
        mapping_units: Width of each dense layer that a code goes through
            before there are maps.
        hidden_units: Width of the discriminator's dense layer.
        latent_dim: Length of the code.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from codes `(batch, latent_dim)` to the
        log-odds, `(batch, 1)`, that what the generator draws is real.

    Raises:
        ValueError: If the sides cannot be halved so often, the code has no
            length, or there are more choices than numbers in it.

    Example:
    >>> model = zoo.create_model("dcgan")
    >>> codes = np.random.default_rng(0).normal(size=(5, 64))
    >>> model.get_layer("generator").predict(codes, verbose=0).shape
    (5, 28, 28, 1)

    Reference:
    - A. Radford, L. Metz, S. Chintala, Unsupervised representation learning
      with deep convolutional generative adversarial networks, 2016.
    - T. Karras, S. Laine, T. Aila, A style-based generator architecture for
      generative adversarial networks, 2019: the layers of the mapping.

    Departures from the paper:
    - Two convolutions each way are enough for 28 rows, but see a part of the
      picture only, so there are dense layers in both networks.
    - A part of the code is a choice, so fewer pictures are of no class.
    - Pictures lie in [0, 1], as all of this package do.
    """
    _check(latent_dim)
    sides = halved_sides(filters, image_shape=image_shape)
    *_, channels = image_shape

    if not 0 <= choices <= latent_dim:
        raise ValueError(
            f"`choices` must be between 0 and the `latent_dim` of {latent_dim}."
            f" Received: {choices}"
        )

    code = keras.Input((latent_dim,), name="code")
    small = (*sides, filters[0])
    # Batch normalisation has an offset of its own, hence no bias before it.
    x = Choice(choices, name="choice")(code) if choices else code
    for i, units in enumerate(mapping_units, start=1):
        x = layers.Dense(units, use_bias=False, name=f"mapping{i}")(x)
        x = _normalized(x, f"mapping{i}")
    x = layers.Dense(math.prod(small), use_bias=False, name="maps")(x)
    x = layers.Reshape(small, name="grid")(x)
    x = _normalized(x, "maps")
    for i, maps in enumerate(filters[1:], start=1):
        x = layers.Conv2DTranspose(
            maps, kernel_size, 2, "same", use_bias=False, name=f"up{i}"
        )(x)
        x = _normalized(x, f"up{i}")
    picture = layers.Conv2DTranspose(
        channels,
        kernel_size,
        strides=2,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="picture",
    )(x)
    generator = keras.Model(code, picture, name="generator")

    picture = keras.Input(image_shape, name="picture")
    x = layers.Rescaling(2.0, -1.0, name="centering")(picture)
    first, *others = reversed(filters)
    x = layers.Conv2D(first, kernel_size, 2, "same", name="down1")(x)
    x = layers.LeakyReLU(SLOPE, name="down1_relu")(x)
    for i, maps in enumerate(others, start=2):
        x = layers.Conv2D(
            maps, kernel_size, 2, "same", use_bias=False, name=f"down{i}"
        )(x)
        x = _normalized(x, f"down{i}", SLOPE)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(hidden_units, use_bias=False, name="hidden")(x)
    x = _normalized(x, "hidden", SLOPE)
    log_odds = layers.Dense(1, dtype="float32", name="predictions")(x)
    discriminator = keras.Model(picture, log_odds, name="discriminator")

    code = keras.Input((latent_dim,), name="code")
    return keras.Model(code, discriminator(generator(code)), name=name)


def _normalized(x, name, slope=0.0):
    """Normalise over the batch, then a ReLU, of this slope below zero."""
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.LeakyReLU(slope, name=f"{name}_relu")(x)


def _check(latent_dim):
    if latent_dim < 1:
        raise ValueError(
            f"`latent_dim` must be 1 or more. Received: {latent_dim}"
        )
