"""Restricted Boltzmann machines, and stacks of them.

Every visible unit of such a machine is joined to every hidden unit, and no two
units of the same kind to each other. So given the visible units the hidden ones
are independent, and the reverse. A deep belief network is a stack of such
machines: the hidden units of one are the visible units of the next.
"""

import math

import keras
from keras import layers, ops

from zoo._registry import register_model
from zoo.boltzmann import MOST_COUNTED, check_counts, states_of


@keras.saving.register_keras_serializable(package="zoo")
class RestrictedBoltzmann(layers.Layer):
    """A restricted Boltzmann machine, which teaches itself in training.

    A state of its units, visible `v` and hidden `h`, has the energy

        E(v, h) = -v·b - h·c - v·W·h

    and the probability exp(-E) / Z. The free energy of `v` has all states of
    the hidden units in it: F(v) = -v·b - sum(log(1 + exp(v·W + c))).

    It takes `v`, `(batch, visible)`, of values in [0, 1], and gives the
    probabilities that hidden units are on, `(batch, units)`; with
    `reconstructs` also those of the visible units, given these.

    In training it adds the contrastive divergence of a batch to the loss of the
    model: the mean free energy of `v`, less that of what the machine makes of
    it in a few steps. Where the machine's states come from has no gradient, so
    that of the loss is the learning rule of Hinton 2002. With persistent chains
    they come from where the machine's states were after the last batch. In
    inference mode nothing is drawn, and the divergence is that of the mean.

    Args:
        units: Number of hidden units.
        steps: How often the hidden and the visible units are drawn, in turns.
        chains: Number of persistent chains; 0 for chains that begin at `v`.
        contrastive: Whether it teaches itself. If not, it is a sigmoid layer
            that gradients from elsewhere train, and the biases of its visible
            units have none.
        draws: Whether it gives states instead of probabilities, in a training
            that does not move it.
        reconstructs: Whether it gives the visible units, too.
        kernel_initializer: Of the weights between the units; None for small
            normal ones, as Hinton 2012 has them.
        seed: Seed of the draws; `None` for one that Keras' seed decides.
    """

    def __init__(
        self,
        units,
        steps=1,
        chains=0,
        *,
        contrastive=True,
        draws=False,
        reconstructs=False,
        kernel_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.steps = steps
        self.chains = chains
        self.draws = draws
        self.reconstructs = reconstructs
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or keras.initializers.RandomNormal(stddev=0.01)
        )
        self._contrastive = contrastive
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def contrastive(self):
        """Whether the layer teaches itself, in a training that is to come."""
        return self._contrastive

    @contrastive.setter
    def contrastive(self, value):
        self._contrastive = value
        self._release_or_freeze_visible_bias()

    @property
    def trainable(self):
        """Whether training moves the weights."""
        return layers.Layer.trainable.fget(self)

    @trainable.setter
    def trainable(self, value):
        layers.Layer.trainable.fset(self, value)
        self._release_or_freeze_visible_bias()

    def _release_or_freeze_visible_bias(self):
        if hasattr(self, "visible_bias"):
            self.visible_bias.trainable = self.trainable and self._contrastive

    def build(self, input_shape):
        visible = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(visible, self.units),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.units,), initializer="zeros", name="bias"
        )
        self.visible_bias = self.add_weight(
            shape=(visible,), initializer="zeros", name="visible_bias"
        )
        # Not when it is made: TensorFlow would never watch it.
        self._release_or_freeze_visible_bias()
        if self.chains:
            # All replicas have the same chains and move them themselves. To
            # move them together they would wait for each other in the middle
            # of a call, and Keras would take the losses of one for those of
            # two.
            self.states = keras.Variable(
                keras.initializers.RandomUniform(0, 1),
                shape=(self.chains, visible),
                trainable=False,
                synchronization="on_read",
                aggregation="mean",
                name="states",
            )

    def call(self, visible, training=False):
        inputs = self.hidden_inputs(visible)
        hidden = ops.sigmoid(inputs)
        if self.contrastive and self.trainable:
            self.add_loss(self._divergence(visible, inputs, hidden, training))
        if self.draws and training and not self.trainable:
            hidden = self._drawn(hidden)
        if self.reconstructs:
            return hidden, self.visible_probabilities(hidden)
        return hidden

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        return (1 + self.reconstructs) * math.prod(self.kernel.shape)

    def hidden_inputs(self, visible):
        """Return the log-odds that hidden units are on, `(batch, units)`."""
        visible = ops.convert_to_tensor(visible, self.compute_dtype)
        return ops.matmul(visible, self.kernel) + self.bias

    def visible_inputs(self, hidden):
        """Return the log-odds of the visible units, `(batch, visible)`."""
        return ops.matmul(hidden, ops.transpose(self.kernel)) + (
            self.visible_bias
        )

    def hidden_probabilities(self, visible):
        """Return the probabilities that hidden units are on."""
        return ops.sigmoid(self.hidden_inputs(visible))

    def visible_probabilities(self, hidden):
        """Return the probabilities that visible units are on."""
        return ops.sigmoid(self.visible_inputs(hidden))

    def free_energy(self, visible):
        """Return the free energy of states of the visible units, `(batch,)`."""
        visible = ops.convert_to_tensor(visible, self.compute_dtype)
        return self._free_energy(visible, self.hidden_inputs(visible))

    def _free_energy(self, visible, inputs):
        return -ops.matmul(visible, self.visible_bias) - ops.sum(
            ops.softplus(inputs), axis=-1
        )

    def _divergence(self, visible, inputs, hidden, training):
        """Return what data and machine differ by, in free energy."""
        if not training:
            states = self.visible_probabilities(hidden)
        elif self.chains:
            before = self.hidden_probabilities(self.states)
            states = self._some_steps_on(before, self._drawn_for_all)
            self.states.assign(states)
        else:
            states = self._some_steps_on(hidden, self._drawn)
        return ops.mean(self._free_energy(visible, inputs)) - ops.mean(
            self.free_energy(ops.stop_gradient(states))
        )

    def _some_steps_on(self, hidden, drawn):
        """Return states of the visible units, after some steps of chains."""
        states = drawn(self.visible_probabilities(drawn(hidden)))
        for _ in range(self.steps - 1):
            hidden = self.hidden_probabilities(states)
            states = drawn(self.visible_probabilities(drawn(hidden)))
        return states

    def _drawn(self, probabilities):
        """Return units that are on, 1, with these probabilities, or off, 0."""
        chance = keras.random.uniform(
            ops.shape(probabilities),
            dtype=probabilities.dtype,
            seed=self.seed_generator,
        )
        return ops.cast(chance < probabilities, probabilities.dtype)

    def _drawn_for_all(self, probabilities):
        """Do the same for chains, which belong to no example.

        The first dimension is that of examples, in training on many devices.
        """
        return self._drawn(probabilities[None])[0]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "steps": self.steps,
            "chains": self.chains,
            "contrastive": self.contrastive,
            "draws": self.draws,
            "reconstructs": self.reconstructs,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }


def log_partition(machine):
    """Return the logarithm of Z: of the sum of exp(-E) over all states.

    Args:
        machine: A built `RestrictedBoltzmann` with few units of either kind.

    Raises:
        ValueError: If there are more than 20 units of both kinds, for which
            there are a million states and more.
    """
    visible, hidden = machine.kernel.shape
    fewer = min(visible, hidden)
    if fewer > MOST_COUNTED:
        raise ValueError(
            f"Z is a sum over the states of at most {MOST_COUNTED} units. "
            f"Received a machine of {visible} visible and {hidden} hidden ones."
        )
    states = states_of(fewer)
    if visible <= hidden:
        return ops.logsumexp(-machine.free_energy(states))
    # The free energy of the hidden units, which sums over the visible ones.
    inputs = machine.visible_inputs(states)
    return ops.logsumexp(
        ops.matmul(states, machine.bias) + ops.sum(ops.softplus(inputs), -1)
    )


def pseudo_log_likelihood(machine, visible):
    """Return what the machine knows of each visible unit from all others.

    That is the sum over units of log P(unit | others), in nats. It needs no Z,
    and, other than that of scikit-learn, it draws no unit to stand for all.

    Args:
        machine: A built `RestrictedBoltzmann`.
        visible: States of the visible units, `(batch, visible)`. Memory is
            taken for each unit of both kinds: `(batch, visible, units)`.

    Returns:
        Nats, `(batch,)`; 0 at most.
    """
    visible = ops.convert_to_tensor(visible, machine.compute_dtype)
    inputs = machine.hidden_inputs(visible)
    # What the other state of a unit changes, in its own term and in the rest.
    changes = 1 - 2 * visible
    flipped = inputs[:, None] + changes[..., None] * machine.kernel
    gained = changes * machine.visible_bias + ops.sum(
        ops.softplus(flipped) - ops.softplus(inputs)[:, None], axis=-1
    )
    return -ops.sum(ops.softplus(gained), axis=-1)


@register_model(
    task="generation",
    inputs="images",
    lecture="restricted Boltzmann machines: units on or off, by chance",
    reference="Smolensky 1986; Hinton 2002",
    chart=("RBM",),
)
def rbm(
    input_shape=(28, 28, 1),
    *,
    hidden_units=500,
    steps=1,
    chains=0,
    rescale=(1 / 255, 0.0),
    name="rbm",
):
    """Build a restricted Boltzmann machine whose visible units are pixels.

    | layer            | output  | parameters |
    | ---------------- | ------- | ---------- |
    | rescaling        | 28×28×1 |            |
    | flatten          | 784     |            |
    | machine, picture | 28×28×1 | 393,284    |
    | sum              |         | 393,284    |

    The layer `machine` adds its learning rule to the loss of the model (see
    `zoo.boltzmann.RestrictedBoltzmann`), so `compile` needs an optimizer, and
    no loss. It learns the distribution of images that are black and white, for
    its units are on or off.

    Args:
        input_shape: Height, width and channels of an image.
        hidden_units: Number of hidden units.
        steps: Of contrastive divergence: how often the hidden and the visible
            units are drawn, in turns.
        chains: Number of persistent chains, which go on from batch to batch;
            0 for chains that begin at each image.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to pictures of the same shape in [0, 1]: the probability of
        ink at each pixel, given the probabilities of the hidden units.

    Raises:
        ValueError: If there is no hidden unit or no step, or fewer chains than
            none.

    Example:
    >>> model = zoo.create_model("rbm", hidden_units=12)
    >>> pixels = np.reshape(images, (4, 784)) / 255
    >>> len(model.get_layer("machine").free_energy(pixels))
    4

    Reference:
    - P. Smolensky, Information processing in dynamical systems: foundations of
      harmony theory, 1986.
    - G. E. Hinton, Training products of experts by minimizing contrastive
      divergence, 2002.
    - T. Tieleman, Training restricted Boltzmann machines using approximations
      to the likelihood gradient, 2008: persistent chains.
    """
    check_counts(hidden_units=hidden_units, steps=steps)
    if chains < 0:
        raise ValueError(f"`chains` must be 0 or more. Received: {chains}")

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    machine = RestrictedBoltzmann(
        *(hidden_units, steps, chains),
        reconstructs=True,
        dtype="float32",
        name="machine",
    )
    _, pixels = machine(x)
    picture = layers.Reshape(input_shape, name="picture")(pixels)
    return keras.Model(image, picture, name=name)


@register_model(
    task="classification",
    inputs="images",
    lecture="deep belief networks: one machine learns upon another",
    reference="Hinton, Osindero and Teh 2006; Bengio et al. 2007",
    chart=("DBN",),
)
def dbn(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    hidden_units=(500, 500, 2000),
    steps=1,
    draws=False,
    classifier_activation="softmax",
    rescale=(1 / 255, 0.0),
    name="dbn",
):
    """Build a deep belief network with a classifier upon it.

    | layer       | output  | parameters |
    | ----------- | ------- | ---------- |
    | rescaling   | 28×28×1 |            |
    | flatten     | 784     |            |
    | machine1    | 500     | 392,500    |
    | machine2    | 500     | 250,500    |
    | machine3    | 2000    | 1,002,000  |
    | predictions | 10      | 20,010     |
    | sum         |         | 1,665,010  |

    As it comes it is a perceptron of sigmoid layers, and back-propagation
    trains it. What is trained before is the layers, one after another: each a
    restricted Boltzmann machine of what those below make of the images. Set
    `contrastive` of its layer, train `zoo.feature_extractor(model, "machine1")`
    and freeze it, before the next one's turn; see `recipes/mnist_dbn.py`.

    Args:
        hidden_units: Number of hidden units of each machine.
        steps: Of contrastive divergence, while a machine is trained.
        draws: Whether the machines below hand on states of their units while
            one above them is trained, instead of probabilities.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no machine, no unit in one, or no step.

    Example:
    >>> model = zoo.create_model("dbn", hidden_units=(12, 12))
    >>> features = zoo.feature_extractor(model, "machine2")
    >>> features.predict(images, verbose=0).shape
    (4, 12)

    Reference:
    - G. E. Hinton, S. Osindero, Y.-W. Teh, A fast learning algorithm for deep
      belief nets, 2006.
    - Y. Bengio, P. Lamblin, D. Popovici, H. Larochelle, Greedy layer-wise
      training of deep networks, 2007.
    """
    check_counts(hidden_units=min(hidden_units, default=0), steps=steps)

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden_units, start=1):
        x = RestrictedBoltzmann(
            *(units, steps),
            contrastive=False,
            draws=draws,
            kernel_initializer="glorot_uniform",
            dtype="float32",
            name=f"machine{i}",
        )(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(image, outputs, name=name)
