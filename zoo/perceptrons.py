"""Multi-layer perceptrons: fully connected layers, and ways around them."""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="images",
    lecture="feed-forward networks, back-propagation, dropout",
    reference="Rumelhart, Hinton and Williams 1986",
    chart=("DFF",),
)
def mlp(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(512, 512),
    activation="relu",
    dropout=0.2,
    batch_norm=False,
    noise=0.0,
    kernel_initializer="glorot_uniform",
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="mlp",
):
    """Build a multi-layer perceptron with dropout after each hidden layer.

    The defaults are the network of the lecture: 784-512-512-10.

    | layer                | output  | parameters |
    | -------------------- | ------- | ---------- |
    | rescaling, flatten   | 784     |            |
    | hidden1, dropout1    | 512     | 401,920    |
    | hidden2, dropout2    | 512     | 262,656    |
    | predictions          | 10      | 5,130      |
    | sum                  |         | 669,706    |

    Args:
        hidden_units: Width of each hidden layer; `()` leaves none.
        activation: Activation of the hidden layers.
        dropout: Fraction of each hidden layer that training drops.
        batch_norm: Whether to normalize each hidden layer before its
            activation, over the batch.
        noise: Standard deviation of the Gaussian noise that training adds to
            the rescaled pixels, and to what enters each hidden activation.
        kernel_initializer: Of the weights of the hidden layers.
        synchronized: As for `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> model = zoo.create_model("mlp", hidden_units=(128, 64), dropout=0.0)

    Reference:
    - D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations
      by back-propagating errors, 1986.
    - N. Srivastava et al., Dropout: a simple way to prevent neural networks
      from overfitting, 2014.
    - S. Ioffe, C. Szegedy, Batch normalization: accelerating deep network
      training by reducing internal covariate shift, 2015.
    - A. Rasmus, H. Valpola, M. Honkala, M. Berglund, T. Raiko,
      Semi-supervised learning with ladder networks, 2015: the noise.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    if noise:
        x = layers.GaussianNoise(noise, name="noise")(x)
    for i, units in enumerate(hidden_units, start=1):
        alone = not (batch_norm or noise)  # nothing before the activation
        x = layers.Dense(
            units,
            activation=activation if alone else None,
            use_bias=not batch_norm,
            kernel_initializer=kernel_initializer,
            name=f"hidden{i}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(
                momentum=0.9, synchronized=synchronized, name=f"norm{i}"
            )(x)
        if noise:
            x = layers.GaussianNoise(noise, name=f"noise{i}")(x)
        if not alone:
            x = layers.Activation(activation, name=f"activation{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture='feed-forward networks with "jump" connections',
    reference="Rumelhart, Hinton and Williams 1986; Ripley 1996",
)
def jump_mlp(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(512,),
    activation="relu",
    dropout=0.2,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="jump_mlp",
):
    """Build a perceptron whose outputs see its inputs and its hidden layer.

    | layer                | output  | parameters |
    | -------------------- | ------- | ---------- |
    | rescaling, flatten   | 784     |            |
    | hidden1, dropout1    | 512     | 401,920    |
    | jump                 | 1,296   |            |
    | predictions          | 10      | 12,970     |
    | sum                  |         | 414,890    |

    Its outputs are g(w x + W v + b), of the pixels x and of the last hidden
    layer's values v. So the linear part of the answer needs no hidden units:
    where the weights W are zero, this is `softmax_regression`.

    Args:
        hidden_units: Width of each hidden layer; the jump goes past all.
        activation: Activation of the hidden layers.
        dropout: Fraction of each hidden layer that training drops; it drops no
            pixels.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no hidden layer.

    Example:
    >>> model = zoo.create_model("jump_mlp", hidden_units=(128, 64))

    Reference:
    - D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations
      by back-propagating errors, 1986.
    - B. D. Ripley, Pattern recognition and neural networks, 1996: skip-layer
      connections, as in R's `nnet`.
    """
    if not hidden_units:
        raise ValueError(
            "`hidden_units` needs one width or more: a jump goes past hidden "
            f"layers. Received: {hidden_units!r}"
        )
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = pixels = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation=activation, name=f"hidden{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    x = layers.Concatenate(name="jump")([pixels, x])
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="residue connections, layer normalization",
    reference="He, Zhang, Ren and Sun 2016; Ba, Kiros and Hinton 2016",
    chart=("DRN",),
)
def residual_mlp(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    units=128,
    blocks=4,
    activation="relu",
    layer_norm=False,
    residual=True,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="residual_mlp",
):
    """Build a perceptron of residual blocks, Res(z) = z + s(T(s(T(z)))).

    | layer                        | output  | parameters |
    | ---------------------------- | ------- | ---------- |
    | rescaling, flatten           | 784     |            |
    | projection                   | 128     | 100,480    |
    | block1_*                     | 128     | 33,024     |
    | block2_*                     | 128     | 33,024     |
    | block3_*                     | 128     | 33,024     |
    | block4_*                     | 128     | 33,024     |
    | predictions                  | 10      | 1,290      |
    | sum                          |         | 233,866    |

    Each T is a dense layer of its own. A block of n units has 2 n (n + 1)
    parameters, and 2 n more for its layer normalization. With weights of zero
    it hands on what it gets: so gradients reach the first layers of a deep
    network, which otherwise shrink with each layer.

    Args:
        units: Width of all blocks.
        blocks: Number of blocks of two hidden layers each; 25 make a network of
            fifty, which does not learn without its residual connections.
        activation: Activation s of the hidden layers.
        layer_norm: Whether to normalize what enters the hidden layers of each
            block, z + s(T(s(T(LN(z))))), and what enters `predictions`.
        residual: Whether to add z. Without it this is the plain network of the
            same layers and weights.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Example:
    >>> deep = zoo.create_model("residual_mlp", blocks=25, layer_norm=True)
    >>> plain = zoo.create_model("residual_mlp", blocks=25, residual=False)

    Reference:
    - K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image
      recognition, 2016.
    - J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, 2016.
    """
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, name="projection")(x)
    for i in range(1, blocks + 1):
        z = x
        if layer_norm:
            x = layers.LayerNormalization(name=f"block{i}_norm")(x)
        for j in (1, 2):
            x = layers.Dense(
                units, activation=activation, name=f"block{i}_hidden{j}"
            )(x)
        if residual:
            x = layers.Add(name=f"block{i}_add")([z, x])
    if layer_norm:
        x = layers.LayerNormalization(name="norm")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
