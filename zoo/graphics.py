"""Graphics, learned: from what is in a picture to the picture, and back.

`deconvolution` draws from a label, and from what else is known of a picture.
`dcign` is a variational autoencoder whose code has a number for each of a few
factors of the scene, such as how a digit is turned. It learns which by views
that differ in one factor alone.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model
from zoo.autoencoders import halved_sides
from zoo.generators import Sampling
from zoo.neurons import Standardization


@register_model(
    task="generation",
    inputs="tables",
    lecture="the chart of networks: deconvolutional networks",
    reference="Dosovitskiy, Springenberg and Brox 2015",
    chart=("DN",),
)
def deconvolution(
    input_shape=(14,),
    *,
    image_shape=(28, 28, 1),
    hidden_units=(128,),
    filters=(32, 16),
    kernel_size=4,
    activation="gelu",
    name="deconvolution",
):
    """Build a network that draws what a row of numbers says.

    The row has a 1 in the place of the label and 0 in those of the others, and
    maybe further numbers in raw units: 10 and 4 by default. It is a
    convolutional network that runs backwards: dense layers, and transposed
    convolutions, each of which doubles the picture.

    | layer           | output  | parameters |
    | --------------- | ------- | ---------- |
    | standardization | 14      |            |
    | hidden1         | 128     | 1,920      |
    | maps            | 1,568   | 202,272    |
    | up1             | 14×14×16 | 8,208     |
    | picture         | 28×28×1 | 257        |
    | sum             |         | 212,657    |

    Args:
        input_shape: How many numbers a row has.
        image_shape: Height, width and channels of a picture; both sides are
            multiples of 2 to the power of the number of `filters`.
        hidden_units: Width of each hidden layer.
        filters: Number of maps that enter each transposed convolution.
        kernel_size: Side of the kernels.
        activation: Activation of the hidden layers.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from rows `(batch, *input_shape)` to
        pictures in [0, 1]. Its layer `standardization` takes the statistics of
        rows by `adapt`.

    Raises:
        ValueError: If the sides cannot be halved so often.

    Example:
    >>> model = zoo.create_model("deconvolution", input_shape=(10,))
    >>> model.predict(np.eye(10), verbose=0).shape
    (10, 28, 28, 1)

    Reference:
    - A. Dosovitskiy, J. T. Springenberg, T. Brox, Learning to generate chairs
      with convolutional neural networks, 2015.
    - M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, Deconvolutional
      networks, 2010.
    """
    *_, channels = image_shape
    small = (*halved_sides(filters, image_shape=image_shape), filters[0])

    row = keras.Input(input_shape, name="features")
    x = Standardization(dtype="float32", name="standardization")(row)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden{i}")(x)
    x = layers.Dense(math.prod(small), activation=activation, name="maps")(x)
    x = layers.Reshape(small, name="grid")(x)
    for i, maps in enumerate(filters[1:], start=1):
        x = layers.Conv2DTranspose(
            maps, kernel_size, 2, "same", activation=activation, name=f"up{i}"
        )(x)
    picture = layers.Conv2DTranspose(
        channels,
        kernel_size,
        strides=2,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="picture",
    )(x)
    return keras.Model(row, picture, name=name)


@keras.saving.register_keras_serializable(package="zoo")
class ClampedCodes(layers.Layer):
    """Let one number of a code explain what changes from view to view.

    In training a batch is made of groups: `views` pictures of one scene that
    differ in its first factor, then as many that differ in the second, and so
    on through the factors, for one scene after another. In a group of factor i
    each picture has its own number i; all other numbers become their mean over
    the group, so that nothing else can explain the difference. How far they
    were from it is added to the loss. In inference mode nothing is clamped.

    Call it with the means and the logarithms of the variances of codes, both
    `(batch, latent_dim)`; it gives both again.

    Args:
        factors: Number of factors.
        views: Number of pictures of a group.
        invariance: What the squared distance from the mean is multiplied by.
    """

    def __init__(self, factors, views, invariance=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors
        self.views = views
        self.invariance = invariance

    def call(self, inputs, training=False):
        mean, log_variance = inputs
        if not training:
            return mean, log_variance
        clamped, distance = self._clamp(mean)
        self.add_loss(self.invariance * distance)
        return clamped, self._clamp(log_variance)[0]

    def _clamp(self, codes):
        """Return codes with means in them, and how far those are."""
        latent_dim = codes.shape[-1]
        own = ops.eye(self.factors, latent_dim, dtype=codes.dtype)
        own = ops.reshape(own, (1, self.factors, 1, latent_dim))
        groups = (-1, self.factors, self.views, latent_dim)
        groups = ops.reshape(codes, groups)
        apart = (1 - own) * (groups - ops.mean(groups, axis=2, keepdims=True))
        distance = ops.mean(ops.sum(ops.square(apart), axis=-1))
        return ops.reshape(groups - apart, (-1, latent_dim)), distance

    def compute_output_shape(self, input_shape):
        return tuple(map(tuple, input_shape))

    def get_config(self):
        return {
            **super().get_config(),
            "factors": self.factors,
            "views": self.views,
            "invariance": self.invariance,
        }


@register_model(
    task="generation",
    inputs="images",
    lecture="the chart of networks: deep convolutional inverse graphics",
    reference="Kulkarni, Whitney, Kohli and Tenenbaum 2015",
    chart=("DCIGN",),
)
def dcign(
    input_shape=(28, 28, 1),
    *,
    filters=(8, 16),
    kernel_size=5,
    hidden_units=128,
    latent_dim=24,
    factors=4,
    views=4,
    activation="gelu",
    kl_weight=1.0,
    invariance=1.0,
    rescale=(1 / 255, 0.0),
    name="dcign",
):
    """Build a deep convolutional inverse graphics network.

    It is a variational autoencoder of convolutions. The first numbers of its
    code are graphics codes, one for each factor of the scene: what a program
    that draws pictures would be given. In training a batch has groups of views
    that differ in one factor alone, and the code is clamped (see
    `ClampedCodes`), so a batch is a multiple of `factors` times `views`.

    | layer                       | output  | parameters |
    | --------------------------- | ------- | ---------- |
    | rescaling                   | 28×28×1 |            |
    | encoder, clamping, sampling | 24      | 110,096    |
    | decoder                     | 28×28×1 | 107,745    |
    | sum                         |         | 217,841    |

    Args:
        input_shape: Height, width and channels of an image; both sides are
            multiples of 2 to the power of the number of convolutions.
        filters: Number of maps of each convolution of the encoder, which halves
            the picture; the decoder has them in reverse.
        kernel_size: Side of the kernels.
        hidden_units: Width of the dense layer behind the convolutions, and of
            the one before those of the decoder.
        latent_dim: Length of the code.
        factors: How many of its first numbers are graphics codes.
        views: How many pictures in a group differ in one factor.
        activation: Activation of the hidden layers.
        kl_weight: What the divergence of the codes is multiplied by in the
            loss, see `Sampling`.
        invariance: What the distance of clamped numbers from their mean is
            multiplied by in the loss.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to pictures of the same shape in [0, 1]: the probability of
        ink at each pixel.

    Raises:
        ValueError: If the sides cannot be halved so often, the code is not
            longer than there are factors, there is none of them, or a group has
            fewer than two views.

    Example:
    >>> model = zoo.create_model("dcign")
    >>> codes = zoo.feature_extractor(model).predict(images, verbose=0)
    >>> codes[:, 0] += 1  # the first factor, and nothing else
    >>> pictures = model.get_layer("decoder").predict(codes, verbose=0)

    Reference:
    - T. D. Kulkarni, W. Whitney, P. Kohli, J. B. Tenenbaum, Deep convolutional
      inverse graphics network, 2015.

    Departures from the paper:
    - A batch has a group for every factor, not one in all.
    - The paper replaces the gradient of a clamped number by its distance from
      the mean. Here that is a part of the loss, and the gradient of the picture
      goes through the mean.
    """
    sides = halved_sides(filters, input_shape=input_shape)
    if not 1 <= factors < latent_dim:
        raise ValueError(
            f"`factors` must be 1 or more, and fewer than the `latent_dim` of "
            f"{latent_dim}. Received: {factors}"
        )
    if views < 2:
        raise ValueError(f"`views` must be 2 or more. Received: {views}")

    *_, channels = input_shape
    small = (*sides, filters[-1])

    pixels = keras.Input(input_shape, name="pixels")
    x = pixels
    for i, maps in enumerate(filters, start=1):
        x = layers.Conv2D(
            maps, kernel_size, 2, "same", activation=activation, name=f"conv{i}"
        )(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(hidden_units, activation=activation, name="hidden")(x)
    mean = layers.Dense(latent_dim, name="mean")(x)
    log_variance = layers.Dense(latent_dim, name="log_variance")(x)
    encoder = keras.Model(pixels, [mean, log_variance], name="encoder")

    code = keras.Input((latent_dim,), name="code")
    x = layers.Dense(hidden_units, activation=activation, name="dense")(code)
    x = layers.Dense(math.prod(small), activation=activation, name="maps")(x)
    x = layers.Reshape(small, name="small_grid")(x)
    for i, maps in enumerate(reversed(filters[:-1]), start=1):
        x = layers.Conv2DTranspose(
            maps, kernel_size, 2, "same", activation=activation, name=f"up{i}"
        )(x)
    x = layers.Conv2DTranspose(
        channels, kernel_size, 2, "same", name=f"up{len(filters)}"
    )(x)
    x = layers.Flatten(name="logits")(x)
    x = layers.Reshape(input_shape, name="grid")(x)
    picture = layers.Activation("sigmoid", dtype="float32", name="picture")(x)
    decoder = keras.Model(code, picture, name="decoder")

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    clamping = ClampedCodes(
        factors, views, invariance, dtype="float32", name="clamping"
    )
    sampling = Sampling(kl_weight, dtype="float32", name="sampling")
    code = sampling(clamping(encoder(x)))
    return keras.Model(image, decoder(code), name=name)
