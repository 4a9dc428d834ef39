"""Networks of one stem and many branches, or one backbone and many heads."""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model
from zoo.convolutional import cnn_features


@keras.saving.register_keras_serializable(package="zoo")
class TopBranches(layers.Layer):
    """Choose the branches that a gate finds the most probable, by the example.

    From probabilities `(batch, branches)` it makes the numbers of the branches,
    int32 `(batch, chosen)`, the most probable first.

    Args:
        chosen: How many branches each example goes through.
    """

    def __init__(self, chosen, **kwargs):
        super().__init__(**kwargs)
        self.chosen = chosen

    def call(self, gate):
        return ops.top_k(gate, self.chosen)[1]

    def get_config(self):
        return {**super().get_config(), "chosen": self.chosen}


class _OfBranches(layers.Layer):
    """A layer with weights for each branch, of which an example needs a few.

    The weights of the chosen branches are gathered for each example, and used
    in one product of matrices. So what is computed is proportional to the
    number of chosen branches, in a batch of any size and in every format that
    has these two operations. A condition around each branch would be the same
    for all examples of a batch, and only TensorFlow has it.

    Training computes all branches instead, and forgets those that were not
    chosen: one large product takes less time than many small ones, and than the
    gradients of what was gathered.
    """

    def add_kernels(self, fan_in, units):
        """Make `kernels`, `(branches, fan_in, units)`."""
        self.kernels = self.add_weight(
            shape=(self.branches, fan_in, units),
            # As of He et al. 2015. Keras takes the branches for places of one
            # kernel, and would make the weights of many too small.
            initializer=keras.initializers.VarianceScaling(2 * self.branches),
            name="kernels",
        )

    def kernels_of(self, choice):
        """Return those of each example, `(batch, chosen, fan_in, units)`."""
        return ops.take(self.kernels, choice, axis=0)

    def kernels_side_by_side(self):
        """Return those of all, `(fan_in, branches * units)`."""
        kernels = ops.transpose(self.kernels, (1, 0, 2))
        return ops.reshape(kernels, (kernels.shape[0], -1))

    def only_chosen(self, found, choice):
        """Return `(batch, chosen, rows, units)` of what all branches gave.

        That is `(batch, n, rows, branches * units)`, where `n` is 1 if all were
        given the same.
        """
        shape = (-1, *found.shape[1:-1], self.branches, self.kernels.shape[-1])
        ones = ops.one_hot(choice, self.branches, dtype=found.dtype)
        found = ops.reshape(found, shape) * ones[:, :, None, :, None]
        return ops.sum(found, axis=3)


@keras.saving.register_keras_serializable(package="zoo")
class BranchConv2D(_OfBranches):
    """A convolution with kernels of its own in each branch.

    It takes maps and the numbers of the chosen branches. The maps are those of
    the stem, `(batch, height, width, channels)`, or what a layer like this one
    has made of them, `(batch, chosen, height, width, filters)`. It pads zeros
    as `Conv2D` does with `padding="same"`.

    Args:
        branches: How many branches there are.
        filters: Number of maps that each gives.
        kernel_size: Side of the kernels.
        strides: Step between the places that are computed.
    """

    def __init__(self, branches, filters, kernel_size=3, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.branches, self.filters = branches, filters
        self.kernel_size, self.strides = kernel_size, strides

    def build(self, maps_shape, choice_shape):
        fan_in = self.kernel_size**2 * maps_shape[-1]
        self.add_kernels(fan_in, self.filters)

    def call(self, maps, choice, training=False):
        *_, height, width, channels = maps.shape
        places = [-(-side // self.strides) for side in (height, width)]
        if training:
            size, rows = self.kernel_size, math.prod(places)
            found = ops.conv(
                ops.reshape(maps, (-1, height, width, channels)),
                ops.reshape(
                    self.kernels_side_by_side(), (size, size, channels, -1)
                ),
                strides=self.strides,
                padding="same",
                data_format="channels_last",
            )
            given = maps.shape[1] if len(maps.shape) == 5 else 1
            found = ops.reshape(found, (-1, given, rows, found.shape[-1]))
            found = self.only_chosen(found, choice)
        else:
            patches = self._patches(maps, places)
            if len(maps.shape) == 4:  # the same for all branches
                patches = patches[:, None]
            found = ops.matmul(patches, self.kernels_of(choice))
        return ops.reshape(found, (-1, choice.shape[-1], *places, self.filters))

    @property
    def multiplications(self):
        """How often it multiplies with a weight of a chosen branch."""
        _, chosen, height, width, filters = self.output.shape
        fan_in = self.kernels.shape[1]
        return chosen * height * width * fan_in * filters

    def _patches(self, maps, places):
        """Return what the kernel sees from each place, `(..., places, size)`.

        These are the maps, moved by each step within the kernel. `ops.image`
        multiplies by kernels of zeros and ones instead.
        """
        size, step = self.kernel_size, self.strides
        reached = [(count - 1) * step + 1 for count in places]
        around = [(0, 0)] * len(maps.shape)
        for axis, (side, end) in enumerate(
            zip(maps.shape[-3:-1], reached, strict=True), start=-3
        ):
            zeros = max(end - 1 + size - side, 0)
            around[axis] = (zeros // 2, zeros - zeros // 2)
        padded = ops.pad(maps, around)
        height, width = reached
        moved = [
            padded[..., i : i + height : step, j : j + width : step, :]
            for i in range(size)
            for j in range(size)
        ]
        patches = ops.concatenate(moved, axis=-1)
        return ops.reshape(
            patches,
            (-1, *maps.shape[1:-3], math.prod(places), patches.shape[-1]),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "branches": self.branches,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }


@keras.saving.register_keras_serializable(package="zoo")
class BranchDense(_OfBranches):
    """A dense layer with kernels of its own in each branch, upon means of maps.

    It takes the maps `(batch, chosen, height, width, filters)` and the numbers
    of the branches, and gives `(batch, chosen, units)`.

    Args:
        branches: How many branches there are.
        units: Number of features that each gives.
    """

    def __init__(self, branches, units, **kwargs):
        super().__init__(**kwargs)
        self.branches, self.units = branches, units

    def build(self, maps_shape, choice_shape):
        self.add_kernels(maps_shape[-1], self.units)

    def call(self, maps, choice, training=False):
        means = ops.mean(maps, axis=(2, 3))[:, :, None]
        if training:
            found = ops.matmul(means, self.kernels_side_by_side())
            found = self.only_chosen(found, choice)
        else:
            found = ops.matmul(means, self.kernels_of(choice))
        return found[:, :, 0]

    @property
    def multiplications(self):
        """How often it multiplies with a weight of a chosen branch."""
        _, chosen, _ = self.output.shape
        return chosen * math.prod(self.kernels.shape[1:])

    def get_config(self):
        return {
            **super().get_config(),
            "branches": self.branches,
            "units": self.units,
        }


@keras.saving.register_keras_serializable(package="zoo")
class BranchNormalization(layers.BatchNormalization):
    """A batch normalization for each branch, of what goes through it.

    It takes what branches have made, `(batch, chosen, ..., filters)`, and their
    numbers. Experts see different images, so one mean and one variance for all
    of them would be wrong for each. Training takes those of the examples that
    chose a branch, and a branch that none chose keeps what it had. Afterwards
    it is a product and a sum, which could be part of the kernels before.

    Args:
        branches: How many branches there are.
        momentum: Share of the moving averages that a step keeps.
        synchronized: See `keras.layers.BatchNormalization`.
    """

    def __init__(self, branches, momentum=0.99, synchronized=False, **kwargs):
        super().__init__(
            momentum=momentum, scale=False, synchronized=synchronized, **kwargs
        )
        self.branches = branches

    def build(self, maps_shape, choice_shape):
        # Keras' weights, of all branches' maps side by side.
        super().build((None, self.branches * maps_shape[-1]))
        self.input_spec = None

    def compute_output_shape(self, maps_shape, choice_shape):
        return maps_shape

    def call(self, maps, choice, training=False):
        x = ops.cast(maps, "float32")
        offset = ops.cast(self.beta, "float32")
        mean = ops.cast(self.moving_mean, "float32")
        variance = ops.cast(self.moving_variance, "float32")
        training = training and self.trainable
        if training:
            ones = ops.one_hot(choice, self.branches, dtype="float32")
            mean, variance = self._learn_statistics(x, ones, mean, variance)
        scale = ops.rsqrt(variance + self.epsilon)
        offset = offset - mean * scale

        def chosen(values):
            values = ops.reshape(values, (self.branches, -1))
            if training:  # a gradient for all, not for what was gathered
                values = ops.matmul(ones, values)
            else:
                values = ops.take(values, choice, axis=0)
            between = [1] * (len(maps.shape) - 3)
            return ops.reshape(
                values, (-1, choice.shape[1], *between, maps.shape[-1])
            )

        return ops.cast(x * chosen(scale) + chosen(offset), self.compute_dtype)

    def _learn_statistics(self, x, ones, mean, variance):
        """Return this batch's mean and variance, and let the averages move."""
        places = tuple(range(2, len(x.shape) - 1))
        sizes = self.branches, x.shape[-1]

        def of_branches(values):
            """Return `(batch * chosen, branches * filters)`, with zeros."""
            values = ops.mean(values, axis=places) if places else values
            values = ones[..., None] * values[:, :, None]
            return ops.reshape(values, (-1, math.prod(sizes)))

        shares = ops.repeat(
            ops.reshape(ones, (-1, self.branches)), sizes[1], axis=1
        )
        # Keras' own means over the batch, so over the replicas, too.
        means, _ = self._moments(
            ops.concatenate(
                [shares, of_branches(x), of_branches(ops.square(x))], axis=1
            ),
            None,
        )
        shares, first, second = ops.split(means, 3)
        seen = shares > 0
        shares = ops.where(seen, shares, 1.0)
        first, second = first / shares, second / shares
        found = first, ops.maximum(second - ops.square(first), 0.0)
        for moving, before, new in zip(
            (self.moving_mean, self.moving_variance),
            (mean, variance),
            found,
            strict=True,
        ):
            kept = ops.where(seen, self.momentum, 1.0)
            moving.assign(before * kept + new * (1 - kept))
        return found

    @property
    def multiplications(self):
        """None: its products can be part of the kernels before."""
        return 0

    def get_config(self):
        return {
            **layers.Layer.get_config(self),
            "branches": self.branches,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
        }


@keras.saving.register_keras_serializable(package="zoo")
class Combiner(layers.Layer):
    """Take the mean of what the chosen branches say.

    It takes features `(batch, chosen, units)`, the numbers of the branches, and
    the probabilities `(batch, branches)` that chose them. What a branch says is
    not scaled by its probability, which only passes on a gradient as if it did,
    so the gate learns which branches help.
    """

    def call(self, features, choice, gate, training=False):
        if training:
            shares = ops.take_along_axis(gate, choice, axis=1)
            ones = 1 + shares - ops.stop_gradient(shares)
            features = features * ones[..., None]
        return ops.mean(features, axis=1)


@register_model(
    task="classification",
    inputs="images",
    lecture="HydraNet: a stem, many branches, and a gate that chooses a few",
    reference="Mullapudi, Mark, Shazeer and Fatahalian 2018",
)
def hydranet(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    branches=5,
    chosen=2,
    stem_filters=16,
    branch_filters=(16, 32),
    hidden_units=64,
    dropout=0.0,
    synchronized=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="hydranet",
):
    """Build a HydraNet: each image goes through a few of many branches.

    | layer                 | output    | parameters |
    | --------------------- | --------- | ---------- |
    | rescaling             | 28×28×1   |            |
    | stem, 5×5, stride 2   | 14×14×16  | 400        |
    | pool, norm, relu      | 7×7×16    | 16         |
    | flatten               | 784       |            |
    | gate                  | 5         | 3,925      |
    | choice                | 2         |            |
    | branch_conv1, 3×3     | 2×7×7×16  | 11,520     |
    | norm1, relu1          | 2×7×7×16  | 80         |
    | branch_conv2, 3×3, /2 | 2×4×4×32  | 23,040     |
    | norm2, relu2          | 2×4×4×32  | 160        |
    | branch_dense          | 2×64      | 10,240     |
    | norm3, relu3          | 2×64      | 320        |
    | combiner              | 64        |            |
    | predictions           | 10        | 650        |
    | sum                   |           | 50,351     |

    All images share the stem. The gate looks at what it says and finds each
    branch more or less probable, the image goes through the most probable ones,
    and the combiner takes the mean of what they say. So the branches can become
    experts, and the network can have the parameters of many while an image
    costs as much as `chosen` of them: 82,960 multiplications for stem, gate and
    `predictions`, and 188,672 for each branch. The other branches are not
    computed, wherever the model runs.

    How many are chosen changes no weight: what was trained with one number
    can be asked with another. The normalizations shift and do not scale, and
    those of a branch take their statistics over what goes through it.

    With one branch there is nothing to choose. That is the static network to
    compare with, made of ordinary convolutions; `branch_filters=(32, 32)` costs
    it as much as two branches of the default.

    Args:
        branches: Number of branches.
        chosen: Number of branches that an image goes through.
        stem_filters: Number of maps of the stem.
        branch_filters: Number of maps of the two convolutions of a branch.
        hidden_units: Number of features that the combiner gives.
        dropout: Fraction of the features that training drops before
            `predictions`.
        synchronized: See `zoo.cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If more branches are to be chosen than there are, or none.

    Example:
    >>> model = zoo.create_model("hydranet", branches=8, chosen=3)
    >>> gate = zoo.feature_extractor(model, "choice")
    >>> gate.predict(images, verbose=0).shape
    (4, 3)

    Reference:
    - R. T. Mullapudi, W. R. Mark, N. Shazeer, K. Fatahalian, HydraNets:
      specialized dynamic architectures for efficient inference, 2018.
    """
    if not 1 <= chosen <= branches:
        raise ValueError(
            f"`chosen` must be between 1 and the {branches} branches. "
            f"Received: {chosen}"
        )

    settings = {"momentum": 0.8, "synchronized": synchronized}

    def normalized(x, number="", choice=None):
        name = f"norm{number}"
        if choice is None:
            x = layers.BatchNormalization(scale=False, name=name, **settings)(x)
        else:
            x = BranchNormalization(branches, name=name, **settings)(x, choice)
        return layers.ReLU(name=f"relu{number}")(x)

    scale, offset = rescale
    maps1, maps2 = branch_filters
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Conv2D(
        *(stem_filters, 5),
        strides=2,
        padding="same",
        use_bias=False,
        name="stem",
    )(x)
    x = stem = normalized(layers.MaxPooling2D(name="pool")(x))
    if branches == 1:
        for i, (maps, strides) in enumerate(((maps1, 1), (maps2, 2)), start=1):
            x = layers.Conv2D(
                *(maps, 3),
                strides=strides,
                padding="same",
                use_bias=False,
                name=f"branch_conv{i}",
            )(x)
            x = normalized(x, i)
        x = layers.GlobalAveragePooling2D(name="means")(x)
        x = layers.Dense(hidden_units, use_bias=False, name="branch_dense")(x)
        x = normalized(x, 3)
    else:
        gate = layers.Flatten(name="flatten")(stem)
        gate = layers.Dense(branches, activation="softmax", name="gate")(gate)
        choice = TopBranches(chosen, name="choice")(gate)
        x = BranchConv2D(branches, maps1, name="branch_conv1")(stem, choice)
        x = normalized(x, 1, choice)
        x = BranchConv2D(branches, maps2, strides=2, name="branch_conv2")(
            x, choice
        )
        x = normalized(x, 2, choice)
        x = BranchDense(branches, hidden_units, name="branch_dense")(x, choice)
        x = normalized(x, 3, choice)
        x = Combiner(name="combiner")(x, choice, gate)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)


@register_model(
    task="multi_task",
    inputs="images",
    lecture="Tesla's HydraNet: one backbone, many heads, one pass",
    reference="Caruana 1997 (multitask learning); Karpathy 2019",
)
def multi_task_cnn(
    input_shape=(28, 28, 1),
    *,
    heads=(("digit", 10), ("parity", 2), ("slant", (0.0, 10.0))),
    filters=(32, 64),
    hidden_units=128,
    synchronized=False,
    rescale=(1 / 255, 0.0),
    name="multi_task_cnn",
):
    """Build a network of one backbone, that of `cnn`, and a head for each task.

    | layer                      | output   | parameters |
    | -------------------------- | -------- | ---------- |
    | rescaling                  | 28×28×1  |            |
    | conv1, 5×5, stride 2       | 12×12×32 | 800        |
    | pool1, norm1, relu1        | 6×6×32   | 32         |
    | conv2, 3×3                 | 4×4×64   | 18,432     |
    | norm2, relu2               | 4×4×64   | 64         |
    | flatten                    | 1,024    |            |
    | hidden1, norm3, relu3      | 128      | 131,200    |
    | digit                      | 10       | 1,290      |
    | parity                     | 2        | 258        |
    | slant_standardized, slant  | 1        | 129        |
    | sum                        |          | 152,205    |

    All heads look at the same features, so ten answers cost hardly more than
    one. A head is one layer: of classes it gives the probabilities; of a number
    the number itself, in its own unit.

    Args:
        heads: Name of each task, and what it is about, as a dictionary or as
            pairs: a number of classes; or mean and standard deviation of the
            numbers to be predicted.
        filters: Number of maps of the two convolutions.
        hidden_units: Number of features that the heads share.
        synchronized: See `zoo.cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to a dictionary: of each head `(batch, classes)`, or
        `(batch, 1)` of one that predicts a number.

    Raises:
        ValueError: If there are no heads, or one has fewer than two classes.

    Example:
    >>> model = zoo.create_model("multi_task_cnn")
    >>> answers = model.predict(images, verbose=0)
    >>> answers["parity"].shape
    (4, 2)

    Reference:
    - R. Caruana, Multitask learning, 1997.
    - A. Karpathy, Multi-task learning in the wilderness, 2019.
    """
    heads = dict(heads)
    if not heads:
        raise ValueError("A model must have a head. Received: heads={}")
    image = keras.Input(input_shape, name="image")
    features = cnn_features(image, filters, hidden_units, synchronized, rescale)

    def head(name, about):
        if isinstance(about, int):
            if about < 2:
                raise ValueError(
                    f"The head {name!r} must have two classes or more. "
                    f"Received: {about}"
                )
            dense = layers.Dense(about, activation="softmax", name=name)
            return dense(features)
        mean, deviation = about
        x = layers.Dense(1, name=f"{name}_standardized")(features)
        return layers.Rescaling(deviation, mean, name=name)(x)

    outputs = {name: head(name, about) for name, about in heads.items()}
    return keras.Model(image, outputs, name=name)
