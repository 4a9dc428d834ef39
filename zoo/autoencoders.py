"""Autoencoders: an encoder squeezes an image into a code, a decoder undoes it.

What goes in is raw pixels, 0 to 255; what comes out is a picture in [0, 1].
`zoo.feature_extractor(model)` returns the codes of raw pixels, and
`model.get_layer("decoder")` the pictures of codes. The sub-model `encoder`
comes after the rescaling: alone, it takes pixels in [0, 1].

No layer of the decoder is called like one of the encoder that has weights: on
PyTorch, Keras knows a weight by the name of its layer, whatever sub-model that
is in, so of two layers of one name `parameters()` and `state_dict()` have one.
"""

import math

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="reconstruction",
    inputs="images",
    lecture="autoencoders: 784 pixels to 32 numbers and back",
    reference="Baldi and Hornik 1989",
    chart=("AE", "SAE"),
)
def autoencoder(
    input_shape=(28, 28, 1),
    *,
    latent_dim=32,
    code_activation="linear",
    output_activation="sigmoid",
    sparsity=0.0,
    noise=0.0,
    rescale=(1 / 255, 0.0),
    name="autoencoder",
):
    """Build an autoencoder of one layer each way.

    The defaults are the network of the lecture: 784-32-784.

    | layer     | output  | parameters |
    | --------- | ------- | ---------- |
    | rescaling | 28×28×1 |            |
    | encoder   | 32      | 25,120     |
    | decoder   | 28×28×1 | 25,872     |
    | sum       |         | 50,992     |

    With both activations `"linear"` and the squared error as its loss it finds
    what principal component analysis finds: the same subspace, the same error.

    Args:
        latent_dim: Length of the code.
        code_activation: Activation of the code.
        output_activation: Activation of the pixels; all but `"sigmoid"` may
            leave [0, 1].
        sparsity: Weight of an L1 penalty on the code: of its absolute values,
            summed over the code and averaged over the batch.
        noise: Standard deviation of the Gaussian noise that training adds to
            the rescaled pixels, which are clipped to [0, 1] again.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to their reconstructions of the same shape, in [0, 1].

    Raises:
        ValueError: If the code has no length, or a weight or a standard
            deviation is negative.

    Example:
    >>> model = zoo.create_model("autoencoder", latent_dim=16)
    >>> codes = zoo.feature_extractor(model).predict(images, verbose=0)
    >>> codes.shape
    (4, 16)

    Reference:
    - P. Baldi, K. Hornik, Neural networks and principal component analysis:
      learning from examples without local minima, 1989.
    - P. Vincent et al., Extracting and composing robust features with
      denoising autoencoders, 2008.
    """
    return deep_autoencoder(
        input_shape,
        hidden_units=(),
        latent_dim=latent_dim,
        code_activation=code_activation,
        output_activation=output_activation,
        sparsity=sparsity,
        noise=noise,
        rescale=rescale,
        name=name,
    )


@register_model(
    task="reconstruction",
    inputs="images",
    lecture="deep autoencoders: several layers each way",
    reference="Hinton and Salakhutdinov 2006",
    chart=("AE", "DAE"),
)
def deep_autoencoder(
    input_shape=(28, 28, 1),
    *,
    hidden_units=(128, 64),
    latent_dim=32,
    activation="gelu",
    code_activation="linear",
    output_activation="sigmoid",
    sparsity=0.0,
    noise=0.0,
    rescale=(1 / 255, 0.0),
    name="deep_autoencoder",
):
    """Build an autoencoder of several layers each way, one mirroring the other.

    The default widths are those of the lecture: 784-128-64-32-64-128-784.

    | layer     | output  | parameters |
    | --------- | ------- | ---------- |
    | rescaling | 28×28×1 |            |
    | encoder   | 32      | 110,816    |
    | decoder   | 28×28×1 | 111,568    |
    | sum       |         | 222,384    |

    Args:
        hidden_units: Width of each hidden layer of the encoder; the decoder has
            them in reverse.
        latent_dim: Length of the code.
        activation: Activation of the hidden layers.
        code_activation: Activation of the code.
        output_activation: Activation of the pixels; all but `"sigmoid"` may
            leave [0, 1].
        sparsity: Weight of an L1 penalty on the code: of its absolute values,
            summed over the code and averaged over the batch.
        noise: Standard deviation of the Gaussian noise that training adds to
            the rescaled pixels, which are clipped to [0, 1] again.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to their reconstructions of the same shape, in [0, 1].

    Raises:
        ValueError: If the code has no length, or a weight or a standard
            deviation is negative.

    Example:
    >>> model = zoo.create_model("deep_autoencoder", latent_dim=2)

    Reference:
    - G. E. Hinton, R. R. Salakhutdinov, Reducing the dimensionality of data
      with neural networks, 2006.
    """
    _check(latent_dim, sparsity, noise)

    image = keras.Input(input_shape, name="pixels")
    x = layers.Flatten(name="flatten")(image)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden{i}")(x)
    code = _code(latent_dim, code_activation, sparsity)(x)
    encoder = keras.Model(image, code, name="encoder")

    code = keras.Input((latent_dim,), name="code")
    x = code
    for i, units in enumerate(reversed(hidden_units), start=1):
        x = layers.Dense(units, activation=activation, name=f"decode{i}")(x)
    x = layers.Dense(
        math.prod(input_shape), activation=output_activation, name="pixels"
    )(x)
    picture = layers.Reshape(input_shape, name="picture")(x)
    decoder = keras.Model(code, picture, name="decoder")

    return _join(encoder, decoder, noise, rescale, name)


@register_model(
    task="reconstruction",
    inputs="images",
    lecture="autoencoders, with the convolutions of the course",
    reference="Masci, Meier, Ciresan and Schmidhuber 2011",
    chart=("AE",),
)
def convolutional_autoencoder(
    input_shape=(28, 28, 1),
    *,
    filters=(8, 16),
    kernel_size=5,
    latent_dim=32,
    activation="gelu",
    code_activation="linear",
    output_activation="sigmoid",
    sparsity=0.0,
    noise=0.0,
    rescale=(1 / 255, 0.0),
    name="convolutional_autoencoder",
):
    """Build an autoencoder of convolutions, each of which halves the picture.

    The decoder doubles it again with transposed convolutions.

    | layer     | output  | parameters |
    | --------- | ------- | ---------- |
    | rescaling | 28×28×1 |            |
    | encoder   | 32      | 28,544     |
    | decoder   | 28×28×1 | 29,281     |
    | sum       |         | 57,825     |

    Args:
        input_shape: Height, width and channels of an image; both sides are
            multiples of 2 to the power of the number of convolutions.
        filters: Number of maps of each convolution of the encoder; the decoder
            has them in reverse.
        kernel_size: Side of the kernels.
        latent_dim: Length of the code.
        activation: Activation of the convolutions.
        code_activation: Activation of the code.
        output_activation: Activation of the pixels; all but `"sigmoid"` may
            leave [0, 1].
        sparsity: Weight of an L1 penalty on the code: of its absolute values,
            summed over the code and averaged over the batch.
        noise: Standard deviation of the Gaussian noise that training adds to
            the rescaled pixels, which are clipped to [0, 1] again.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to their reconstructions of the same shape, in [0, 1].

    Raises:
        ValueError: If the sides cannot be halved so often, the code has no
            length, or a weight or a standard deviation is negative.

    Example:
    >>> model = zoo.create_model("convolutional_autoencoder", filters=(16, 32))

    Reference:
    - J. Masci, U. Meier, D. Ciresan, J. Schmidhuber, Stacked convolutional
      auto-encoders for hierarchical feature extraction, 2011.
    """
    _check(latent_dim, sparsity, noise)
    sides = halved_sides(filters, input_shape=input_shape)
    *_, channels = input_shape

    image = keras.Input(input_shape, name="pixels")
    x = image
    for i, maps in enumerate(filters, start=1):
        x = layers.Conv2D(
            maps, kernel_size, 2, "same", activation=activation, name=f"conv{i}"
        )(x)
    x = layers.Flatten(name="flatten")(x)
    code = _code(latent_dim, code_activation, sparsity)(x)
    encoder = keras.Model(image, code, name="encoder")

    code = keras.Input((latent_dim,), name="code")
    small = (*sides, filters[-1])
    x = layers.Dense(math.prod(small), activation=activation, name="hidden")(
        code
    )
    x = layers.Reshape(small, name="maps")(x)
    for i, maps in enumerate(reversed(filters[:-1]), start=1):
        x = layers.Conv2DTranspose(
            maps, kernel_size, 2, "same", activation=activation, name=f"up{i}"
        )(x)
    picture = layers.Conv2DTranspose(
        channels,
        kernel_size,
        strides=2,
        padding="same",
        activation=output_activation,
        name="picture",
    )(x)
    decoder = keras.Model(code, picture, name="decoder")

    return _join(encoder, decoder, noise, rescale, name)


def halved_sides(filters, **argument):
    """Return the sides of a picture that each of some convolutions halves.

    Args:
        filters: The maps of each convolution.
        **argument: Name of a builder's argument, and the shape that it has.

    Raises:
        ValueError: If the sides cannot be halved so often.
    """
    [(name, shape)] = argument.items()
    height, width, _ = shape
    shrinking = 2 ** len(filters)
    if not filters or height % shrinking or width % shrinking:
        raise ValueError(
            "`filters` needs one value or more, each of which halves the "
            f"picture: `{name}` {shape} must be divisible by {shrinking}. "
            f"Received: filters={filters}"
        )
    return height // shrinking, width // shrinking


def _check(latent_dim, sparsity, noise):
    if latent_dim < 1:
        raise ValueError(
            f"`latent_dim` must be 1 or more. Received: {latent_dim}"
        )
    for argument, value in {"sparsity": sparsity, "noise": noise}.items():
        if not 0 <= value < math.inf:
            raise ValueError(
                f"`{argument}` must be 0 or more. Received: {value}"
            )


def _code(latent_dim, activation, sparsity):
    """Return the layer of the code."""
    penalty = keras.regularizers.L1(sparsity) if sparsity else None
    return layers.Dense(
        latent_dim,
        activation=activation,
        activity_regularizer=penalty,
        dtype="float32" if penalty else None,  # a sum of many small numbers
        name="code",
    )


def _join(encoder, decoder, noise, rescale, name):
    """Return the model from raw pixels through both halves."""
    image = keras.Input(encoder.input_shape[1:], name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    if noise:
        x = layers.GaussianNoise(noise, name="noise")(x)
        x = layers.ReLU(max_value=1.0, name="clipping")(x)
    return keras.Model(image, decoder(encoder(x)), name=name)
