"""Generative adversarial networks: one draws, the other tells it from images.

Each model here has two sub-models that learn from each other. The `generator`
draws pictures in [0, 1] from codes of a standard normal distribution; the
`discriminator` takes such pictures, drawn or real, and gives the log-odds that
they are real. The model itself is the one behind the other.
`recipes/lab/training/adversarial.py` trains the two in turns.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model
from zoo.autoencoders import halved_sides

SLOPE = 0.2  # of the discriminator's ReLU below zero


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
        choice = _chosen(codes, self.count)
        rest = codes[:, self.count :]
        return ops.concatenate([self.count**0.5 * choice, rest], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable(package="zoo")
class Label(layers.Layer):
    """Give the label that a code's first numbers say, a one among zeros.

    It takes codes `(batch, latent_dim)` and gives `(batch, count)`: a one in
    the place of the largest of the first numbers.

    Args:
        count: How many numbers there are of the label.
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, codes):
        return _chosen(codes, self.count)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.count

    def get_config(self):
        return {**super().get_config(), "count": self.count}


def _chosen(codes, count):
    """Return a one in the place of the largest of a code's first numbers."""
    # Keras' argmax on TensorFlow looks at the bits of zeros: LiteRT cannot.
    _, largest = ops.top_k(codes[:, :count], 1)
    return ops.one_hot(largest[:, 0], count, dtype=codes.dtype)


@register_model(
    task="generation",
    inputs="noise",
    lecture="generative adversarial networks",
    reference="Goodfellow et al. 2014",
    chart=("GAN",),
)
def gan(
    image_shape=(28, 28, 1),
    *,
    hidden_units=(256, 512),
    latent_dim=64,
    name="gan",
):
    """Build a generator and a discriminator of dense layers.

    The sub-model `generator` draws pictures in [0, 1] from codes; the sub-model
    `discriminator` takes such pictures, drawn or real, and gives the log-odds
    that they are real.

    | layer         | output  | parameters |
    | ------------- | ------- | ---------- |
    | generator     | 28×28×1 | 551,184    |
    | discriminator | 1       | 533,505    |
    | sum           |         | 1,084,689  |

    Args:
        image_shape: Height, width and channels of a picture.
        hidden_units: Width of each hidden layer of the generator; the
            discriminator has them in reverse.
        latent_dim: Length of the code.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from codes `(batch, latent_dim)` to the
        log-odds, `(batch, 1)`, that what the generator draws is real.

    Raises:
        ValueError: If the code has no length.

    Example:
    >>> model = zoo.create_model("gan")
    >>> codes = np.random.default_rng(0).normal(size=(5, 64))
    >>> model.get_layer("generator").predict(codes, verbose=0).shape
    (5, 28, 28, 1)

    Reference:
    - I. Goodfellow et al., Generative adversarial nets, 2014.

    Departures from the paper:
    - The generator normalizes over the batch, which came later and helps.
    - The discriminator has leaky rectifiers, not the maximum of several units,
      and no dropout: it is meant to be trained with a penalty on its slope
      (Mescheder et al. 2018).
    """
    _check(latent_dim)
    code = keras.Input((latent_dim,), name="code")
    x = code
    # Batch normalization has an offset of its own, hence no bias before it.
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, use_bias=False, name=f"mapping{i}")(x)
        x = _normalized(x, f"mapping{i}")
    x = layers.Dense(math.prod(image_shape), name="logits")(x)
    x = layers.Reshape(image_shape, name="grid")(x)
    picture = layers.Activation("sigmoid", dtype="float32", name="picture")(x)
    generator = keras.Model(code, picture, name="generator")

    picture = keras.Input(image_shape, name="picture")
    x = layers.Rescaling(2.0, -1.0, name="centering")(picture)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(reversed(hidden_units), start=1):
        x = layers.Dense(units, name=f"hidden{i}")(x)
        x = layers.LeakyReLU(SLOPE, name=f"hidden{i}_relu")(x)
    log_odds = layers.Dense(1, dtype="float32", name="predictions")(x)
    discriminator = keras.Model(picture, log_odds, name="discriminator")

    code = keras.Input((latent_dim,), name="code")
    return keras.Model(code, discriminator(generator(code)), name=name)


@register_model(
    task="generation",
    inputs="noise",
    lecture="generative adversarial networks, with convolutions",
    reference="Radford, Metz and Chintala 2016",
    chart=("GAN",),
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
    if not 0 <= choices <= latent_dim:
        raise ValueError(
            f"`choices` must be between 0 and the `latent_dim` of {latent_dim}."
            f" Received: {choices}"
        )

    generator = _generator(
        latent_dim, choices, mapping_units, image_shape, filters, kernel_size
    )
    discriminator = _discriminator(
        image_shape, filters, kernel_size, hidden_units
    )
    code = keras.Input((latent_dim,), name="code")
    return keras.Model(code, discriminator(generator(code)), name=name)


@register_model(
    task="generation",
    inputs="noise",
    lecture="generative adversarial networks that are told what to draw",
    reference="Mirza and Osindero 2014; Miyato and Koyama 2018",
    chart=("GAN",),
)
def conditional_gan(
    image_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=(32, 16),
    kernel_size=4,
    mapping_units=(256, 256, 128),
    hidden_units=256,
    latent_dim=64,
    name="conditional_gan",
):
    """Build a generator and a discriminator that both know the label.

    They are those of `dcgan`, but for the label. A code begins with a number
    for each class, and the largest of them is the label; `latent_dim` others
    follow, for the style. The discriminator looks at a picture and its label,
    so a good picture of another class is no good answer. To the log-odds of any
    picture it adds those of one class, which the label chooses: that is the
    projection of Miyato and Koyama.

    | layer         | output  | parameters |
    | ------------- | ------- | ---------- |
    | generator     | 28×28×1 | 327,777    |
    | label         | 10      |            |
    | discriminator | 1       | 412,977    |
    | sum           |         | 740,754    |

    Args:
        image_shape: Height, width and channels of a picture; both sides are
            multiples of 2 to the power of the number of `filters`.
        num_classes: Number of classes, and of a code's first numbers.
        filters: Number of maps that enter each transposed convolution of the
            generator; the convolutions of the discriminator have them in
            reverse.
        kernel_size: Side of the kernels.
        mapping_units: Width of each dense layer that a code goes through
            before there are maps.
        hidden_units: Width of the discriminator's dense layer.
        latent_dim: Length of the code behind the label.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from codes `(batch, num_classes +
        latent_dim)` to the log-odds, `(batch, 1)`, that what the generator
        draws is real. Its sub-model `discriminator` takes a list of pictures
        and labels, these as a one among zeros, `(batch, num_classes)`.

    Raises:
        ValueError: If the sides cannot be halved so often, the code has no
            length, or there are fewer than two classes.

    Example:
    >>> model = zoo.create_model("conditional_gan")
    >>> codes = np.random.default_rng(0).normal(size=(10, 74))
    >>> codes[:, :10] = np.eye(10)  # one of each digit
    >>> model.get_layer("generator").predict(codes, verbose=0).shape
    (10, 28, 28, 1)

    Reference:
    - M. Mirza, S. Osindero, Conditional generative adversarial nets, 2014.
    - T. Miyato, M. Koyama, cGANs with projection discriminator, 2018.

    Departures from the paper:
    - The discriminator normalizes neither its weights nor over the batch: it
      is meant to be trained with a penalty on its slope, too.
    """
    _check(latent_dim)
    if num_classes < 2:
        raise ValueError(
            f"`num_classes` must be 2 or more. Received: {num_classes}"
        )
    length = num_classes + latent_dim
    generator = _generator(
        length, num_classes, mapping_units, image_shape, filters, kernel_size
    )
    discriminator = _discriminator(
        image_shape, filters, kernel_size, hidden_units, num_classes
    )
    code = keras.Input((length,), name="code")
    label = Label(num_classes, name="label")(code)
    log_odds = discriminator([generator(code), label])
    return keras.Model(code, log_odds, name=name)


def _generator(
    length, choices, mapping_units, image_shape, filters, kernel_size
):
    """Return a network that doubles a picture by transposed convolutions."""
    sides = halved_sides(filters, image_shape=image_shape)
    small = (*sides, filters[0])

    code = keras.Input((length,), name="code")
    # Batch normalization has an offset of its own, hence no bias before it.
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
        image_shape[-1],
        kernel_size,
        strides=2,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="picture",
    )(x)
    return keras.Model(code, picture, name="generator")


def _discriminator(image_shape, filters, kernel_size, hidden_units, classes=0):
    """Return a network that halves a picture, and may know its label.

    If it does it normalizes nothing, so that its slope can be penalized.
    """
    normalizes = not classes

    def activated(x, name):
        if normalizes:
            return _normalized(x, name, SLOPE)
        return layers.LeakyReLU(SLOPE, name=f"{name}_relu")(x)

    picture = keras.Input(image_shape, name="picture")
    x = layers.Rescaling(2.0, -1.0, name="centering")(picture)
    first, *others = reversed(filters)
    x = layers.Conv2D(first, kernel_size, 2, "same", name="down1")(x)
    x = layers.LeakyReLU(SLOPE, name="down1_relu")(x)
    for i, maps in enumerate(others, start=2):
        down = layers.Conv2D(
            *(maps, kernel_size, 2, "same"),
            use_bias=not normalizes,
            name=f"down{i}",
        )
        x = activated(down(x), f"down{i}")
    x = layers.Flatten(name="flatten")(x)
    hidden = layers.Dense(hidden_units, use_bias=not normalizes, name="hidden")
    x = activated(hidden(x), "hidden")
    if not classes:
        log_odds = layers.Dense(1, dtype="float32", name="predictions")(x)
        return keras.Model(picture, log_odds, name="discriminator")

    label = keras.Input((classes,), name="label")
    of_all = layers.Dense(1, dtype="float32", name="of_all")(x)
    of_each = layers.Dense(
        classes, use_bias=False, dtype="float32", name="of_each"
    )(x)
    of_label = layers.Dot(1, dtype="float32", name="of_label")([of_each, label])
    log_odds = layers.Add(dtype="float32", name="predictions")(
        [of_all, of_label]
    )
    return keras.Model([picture, label], log_odds, name="discriminator")


def _normalized(x, name, slope=0.0):
    """Normalize over the batch, then a ReLU, of this slope below zero."""
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.LeakyReLU(slope, name=f"{name}_relu")(x)


def _check(latent_dim):
    if latent_dim < 1:
        raise ValueError(
            f"`latent_dim` must be 1 or more. Received: {latent_dim}"
        )
