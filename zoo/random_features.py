"""Random features: hidden layers that nobody trains, and one that is computed.

What comes before the last layer is drawn once and stays as it is. So the last
layer's weights are the solution of linear equations; see
`recipes/lab/training/closed_form.py`.
"""

import keras
from keras import layers, ops

from zoo._registry import register_model


@keras.saving.register_keras_serializable(package="zoo")
class SquareRootPooling2D(layers.Layer):
    """Root of the mean square in each window: how much there is, of any sign.

    Args:
        pool_size: Side of a window.
        strides: From one window to the next.
    """

    EPSILON = 1e-6  # the root's slope at zero would be infinite

    def __init__(self, pool_size, strides, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.strides = strides

    def call(self, x):
        means = ops.average_pool(
            *(ops.square(x), self.pool_size, self.strides),
            data_format="channels_last",
        )
        return ops.sqrt(means + self.EPSILON)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
        }


@register_model(
    task="classification",
    inputs="images",
    lecture="extreme learning machines: a hidden layer drawn at random",
    reference="Huang, Zhu and Siew 2006; Huang, Bai, Kasun and Vong 2015",
    chart=("ELM",),
)
def elm(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    filters=64,
    kernel_size=5,
    pool_size=6,
    pool_strides=3,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="elm",
):
    """Build an extreme learning machine whose random units see a small field.

    The random filters are weights of the model that no training moves. They
    slide over the image, and each window of what they answer counts by its root
    mean square, whatever the sign: that is the only nonlinearity.

    | layer          | output   | parameters |
    | -------------- | -------- | ---------- |
    | rescaling      | 28×28×1  |            |
    | random_filters | 24×24×64 | (fixed)    |
    | pooling        | 7×7×64   |            |
    | flatten        | 3136     |            |
    | predictions    | 10       | 31,370     |
    | sum            |          | 31,370     |

    What ridge regression computes are scores: each estimates the probability of
    its class, and nothing holds it between zero and one, nor their sum at one.
    So `predictions` is a softmax of the scores times one number, the same for
    all classes, that is chosen on images which the regression has not seen. It
    is a factor of the layer's kernel and bias, and does not change which class
    is the most probable.

    Args:
        input_shape: Height, width and channels of an image.
        num_classes: Number of classes.
        filters: Number of random filters.
        kernel_size: Side of the filters: of the field that a unit sees.
        pool_size: Side of the windows that are pooled.
        pool_strides: From one window to the next.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If nothing is left of the images to be pooled.

    Example:
    >>> model = zoo.create_model("elm", filters=16)
    >>> [weight.path for weight in model.non_trainable_weights]
    ['random_filters/kernel']

    Reference:
    - G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, Extreme learning machine: theory and
      applications, 2006.
    - G.-B. Huang, Z. Bai, L. L. C. Kasun, C. M. Vong, Local receptive fields
      based extreme learning machine, 2015.
    - C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On calibration of modern
      neural networks, 2017.
    """
    smallest = kernel_size + pool_size - 1
    if min(input_shape[:2]) < smallest:
        raise ValueError(
            f"With `kernel_size={kernel_size}` and `pool_size={pool_size}` "
            f"images must have {smallest}×{smallest} pixels or more. "
            f"Received: {input_shape}"
        )
    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Conv2D(
        filters,
        kernel_size,
        use_bias=False,
        kernel_initializer="orthogonal",
        trainable=False,
        name="random_filters",
    )(x)
    x = SquareRootPooling2D(pool_size, pool_strides, name="pooling")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
