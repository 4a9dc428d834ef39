"""Deblurring: a network that draws what an instrument has blurred.

The pictures of a telescope are as sharp as its point-spread function lets them
be, and lie under noise. What both have taken away cannot be computed back; but
who has seen many galaxies knows how they look, and can say what was there.
"""

import keras
from keras import layers

from zoo._registry import register_model
from zoo.autoencoders import halved_sides


@register_model(
    task="generation",
    inputs="images",
    lecture="generative adversarial networks: galaxies behind a blur",
    reference="Schawinski et al. 2017",
)
def deblurring_gan(
    input_shape=(28, 28, 1),
    *,
    filters=(32, 64),
    kernel_size=4,
    activation="relu",
    critic_filters=(32, 64),
    rescale=(1 / 255, 0.0),
    name="deblurring_gan",
):
    """Build a generator of sharp pictures, and a discriminator of pairs.

    The generator is a U-Net: convolutions halve the picture, transposed ones
    double it, and each of these gets to see the maps of its size from the way
    down. The discriminator sees a blurred picture and a sharp one, and gives
    for each of their patches the log-odds that the sharp one is real. So it is
    not enough to draw something sharp: it must be what was blurred.

    | layer         | output  | parameters |
    | ------------- | ------- | ---------- |
    | rescaling     | 28×28×1 |            |
    | generator     | 28×28×1 | 119,658    |
    | discriminator | 7×7×1   | 34,465     |
    | sum           |         | 154,123    |

    Args:
        filters: Number of maps after each convolution that halves the picture;
            both sides are multiples of 2 to the power of their number. On the
            way back there are half as many.
        kernel_size: Side of the kernels that halve and double.
        activation: Activation of the generator's convolutions.
        critic_filters: Number of maps after each convolution of the
            discriminator, which halve the picture, too.

    Returns:
        An uncompiled `keras.Model` from blurred pictures, raw pixels
        `(batch, *input_shape)`, to the log-odds that what the generator draws
        of them is real, for each patch. The sub-model `generator` comes after
        the rescaling: alone, it takes pixels in [0, 1]. It gives pictures in
        [0, 1].

    Raises:
        ValueError: If the sides cannot be halved so often.

    Example:
    >>> model = zoo.create_model("deblurring_gan")
    >>> generator = zoo.feature_extractor(model, "generator")
    >>> generator.predict(images, verbose=0).shape
    (4, 28, 28, 1)

    Reference:
    - K. Schawinski, C. Zhang, H. Zhang, L. Fowler, G. K. Santhanam, Generative
      adversarial networks recover features in astrophysical images of galaxies
      beyond the deconvolution limit, 2017.
    - P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, Image-to-image translation with
      conditional adversarial networks, 2017.

    Departures from the paper:
    - Two convolutions each way are enough for 28 rows.
    - Nothing is normalized, and nothing is drawn at random.
    """
    for maps in (filters, critic_filters):
        halved_sides(maps, input_shape=input_shape)
    *_, channels = input_shape

    pixels = keras.Input(input_shape, name="pixels")
    x, on_the_way = pixels, []
    for i, maps in enumerate(filters, start=1):
        on_the_way.append(x)
        x = layers.Conv2D(
            maps, kernel_size, 2, "same", activation=activation, name=f"down{i}"
        )(x)
    x = layers.Conv2D(
        filters[-1], 3, padding="same", activation=activation, name="middle"
    )(x)
    for i in range(len(filters), 0, -1):
        x = layers.Conv2DTranspose(
            *(filters[i - 1] // 2, kernel_size, 2, "same"),
            activation=activation,
            name=f"up{i}",
        )(x)
        x = layers.Concatenate(name=f"skip{i}")([x, on_the_way[i - 1]])
    picture = layers.Conv2D(
        channels,
        kernel_size=3,
        padding="same",
        activation="sigmoid",
        dtype="float32",
        name="picture",
    )(x)
    generator = keras.Model(pixels, picture, name="generator")

    pixels = keras.Input(input_shape, name="pixels")
    picture = keras.Input(input_shape, name="picture")
    x = layers.Concatenate(name="pair")([pixels, picture])
    for i, maps in enumerate(critic_filters, start=1):
        x = layers.Conv2D(
            *(maps, kernel_size, 2, "same"),
            activation="leaky_relu",
            name=f"critic{i}",
        )(x)
    log_odds = layers.Conv2D(
        1, 3, padding="same", dtype="float32", name="log_odds"
    )(x)
    discriminator = keras.Model(
        [pixels, picture], log_odds, name="discriminator"
    )

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    return keras.Model(image, discriminator([x, generator(x)]), name=name)
