"""Boltzmann machines: units that are on or off, by chance.

Each unit may be joined to all others. What such a machine believes of all
states can be summed over as long as it is small. Of a restricted machine it can
be computed for many units: see `restricted_boltzmann.py`.
"""

import itertools
import math

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model

MOST_COUNTED = 20  # units whose states can be gone through one by one
MOST_HIDDEN = 12  # units whose states are summed over for each image


@keras.saving.register_keras_serializable(package="zoo")
class Boltzmann(layers.Layer):
    """A Boltzmann machine, all of whose units are joined to each other.

    A state `s` of its units, the visible ones first and then the hidden ones,
    has the energy

        E(s) = -s·b - s·W·s / 2,  W symmetrical, with zeros on its diagonal

    and the probability exp(-E) / Z. There are so few hidden units that sums
    over all of their states can be computed.

    It takes visible units `v`, `(batch, visible)`, of values in [0, 1], and
    gives the probability that each is on, given all the other visible ones:
    exactly, with every state of the hidden units in it.

    In training it teaches itself. The gradient of the log-likelihood says how
    often two units are on together while the data clamp the visible ones, less
    how often they are if nothing is clamped. Both are what chains of states
    show, in which one unit after another decides by chance (Gibbs sampling),
    or, if the layer is `exact`, what the sums over all states are. The loss is
    the negative log-likelihood of a batch, in nats; of a machine with too many
    units for that it is the negative pseudo-log-likelihood.

    Args:
        units: Number of hidden units.
        sweeps: How often each unit decides, between two steps of training.
        chains: Number of persistent chains that run free.
        exact: Whether it learns from sums over all states instead.
        restricted: Whether units of the same kind are not joined.
        seed: Seed of the draws; `None` for one that Keras' seed decides.
    """

    def __init__(
        self,
        units,
        sweeps=1,
        chains=100,
        *,
        exact=False,
        restricted=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.sweeps = sweeps
        self.chains = chains
        self.exact = exact
        self.restricted = restricted
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        self.visible = input_shape[-1]
        every = self.visible + self.units
        # Those above the diagonal count, for W is symmetrical.
        self.kernel = self.add_weight(
            shape=(every, every),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(every,), initializer="zeros", name="bias"
        )
        if not self.exact:
            # See RestrictedBoltzmann: all replicas have the same chains.
            self.states = keras.Variable(
                keras.initializers.RandomUniform(0, 1),
                shape=(self.chains, every),
                trainable=False,
                synchronization="on_read",
                aggregation="mean",
                name="states",
            )

    @property
    def can_be_counted(self):
        """Whether the states of all units can be gone through one by one."""
        return self.visible + self.units <= MOST_COUNTED

    def weights_between(self):
        """Return W, `(visible + units, visible + units)`."""
        upper = ops.triu(self.kernel, 1)
        if self.restricted:
            are_hidden = np.arange(self.visible + self.units) >= self.visible
            joined = are_hidden[:, None] != are_hidden
            upper = upper * ops.cast(joined, upper.dtype)
        return upper + ops.transpose(upper)

    def call(self, visible, training=False):
        visible = ops.convert_to_tensor(visible, self.compute_dtype)
        log_odds = self.log_odds(visible)
        if self.trainable:
            loss = self._mean_loss(visible, log_odds)
            if training and not self.exact:
                # The value of the one, and the gradient of the other.
                divergence = self._divergence(visible)
                loss = divergence + ops.stop_gradient(loss - divergence)
            self.add_loss(loss)
        return ops.sigmoid(log_odds)

    @property
    def multiplications(self):
        """How often it multiplies with a weight."""
        visible, hidden, states = self.visible, self.units, 2**self.units
        return visible * (2 * visible + hidden) + states * hidden * (
            visible + hidden
        )

    def log_odds(self, visible):
        """Return the log-odds of each visible unit, given the other ones."""
        weights, hidden = self.weights_between(), self._hidden_states()
        of_visible = weights[: self.visible]
        inputs = self.bias[: self.visible] + ops.matmul(
            visible, of_visible[:, : self.visible]
        )
        from_hidden = ops.matmul(
            hidden, ops.transpose(of_visible[:, self.visible :])
        )
        # Of each unit, with each state of the hidden ones.
        inputs = inputs[:, None] + from_hidden
        exponents = self._exponents(visible, weights, hidden)[..., None]
        without = exponents - visible[:, None] * inputs
        return ops.logsumexp(without + inputs, axis=1) - ops.logsumexp(
            without, axis=1
        )

    def free_energy(self, visible):
        """Return the free energy of states of the visible units, `(batch,)`."""
        visible = ops.convert_to_tensor(visible, self.compute_dtype)
        exponents = self._exponents(
            visible, self.weights_between(), self._hidden_states()
        )
        return -ops.logsumexp(exponents, axis=1)

    def _hidden_states(self):
        return ops.convert_to_tensor(states_of(self.units), self.compute_dtype)

    def _exponents(self, visible, weights, hidden):
        """Return -E of visible states with each of the hidden ones."""
        split = self.visible
        alone = ops.matmul(visible, self.bias[:split]) + 0.5 * ops.sum(
            visible * ops.matmul(visible, weights[:split, :split]), axis=1
        )
        of_hidden = ops.matmul(hidden, self.bias[split:]) + 0.5 * ops.sum(
            hidden * ops.matmul(hidden, weights[split:, split:]), axis=1
        )
        between = ops.matmul(
            ops.matmul(visible, weights[:split, split:]), ops.transpose(hidden)
        )
        return alone[:, None] + of_hidden + between

    def _mean_loss(self, visible, log_odds):
        if self.can_be_counted:
            log_probabilities = -self.free_energy(visible)
            return log_partition(self) - ops.mean(log_probabilities)
        wrong = ops.softplus((1 - 2 * visible) * log_odds)
        return ops.mean(ops.sum(wrong, axis=-1))

    def energy(self, states):
        """Return the energy of states of all units, `(batch,)`."""
        products = ops.matmul(states, self.weights_between())
        return -ops.matmul(states, self.bias) - 0.5 * ops.sum(
            states * products, axis=-1
        )

    def _divergence(self, visible):
        """Return the mean energy that data hold, less that of free chains."""
        count = ops.shape(visible)[0]
        # The first dimension is that of examples, in training on many devices.
        coins = self._chances(count, self.units)
        held = ops.concatenate(
            [visible, ops.cast(coins < 0.5, visible.dtype)], axis=1
        )
        held = self._swept(
            held, self._chances(count, self.sweeps * self.units), self.visible
        )
        every = self.visible + self.units
        chances = keras.random.uniform(
            (1, self.chains, self.sweeps * every), seed=self.seed_generator
        )[0]
        free = self._swept(self.states, chances, 0)
        self.states.assign(free)
        return ops.mean(self.energy(ops.stop_gradient(held))) - ops.mean(
            self.energy(ops.stop_gradient(free))
        )

    def _chances(self, count, number):
        return keras.random.uniform((count, number), seed=self.seed_generator)

    def _swept(self, states, chances, first):
        """Let units decide, one after the other, from a first one to the last.

        Args:
            states: `(n, units)`.
            chances: A number in [0, 1] for each decision, `(n, decisions)`.
            first: Number of the first unit; those before it are held.
        """
        weights = ops.stop_gradient(self.weights_between())
        bias = ops.stop_gradient(ops.convert_to_tensor(self.bias))
        every = self.visible + self.units
        numbers = ops.arange(every)

        def decide(step, states):
            unit = first + step % (every - first)
            column = ops.take(weights, unit, axis=1)[:, None]
            inputs = ops.matmul(states, column) + ops.take(bias, unit)
            chance = ops.take(chances, step, axis=1)[:, None]
            drawn = ops.cast(chance < ops.sigmoid(inputs), states.dtype)
            return ops.where(numbers == unit, drawn, states)

        states = ops.convert_to_tensor(states)
        return ops.fori_loop(0, chances.shape[1], decide, states)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "sweeps": self.sweeps,
            "chains": self.chains,
            "exact": self.exact,
            "restricted": self.restricted,
        }


def states_of(units: int) -> np.ndarray:
    """Return all states of so many units, float32 `(2 ** units, units)`.

    The number of a state, written in binary digits, is the state.

    Raises:
        ValueError: If there are more than 20 units.
    """
    if units > MOST_COUNTED:
        raise ValueError(
            f"At most {MOST_COUNTED} units have states that can be counted. "
            f"Received: {units}"
        )
    return np.array([*itertools.product((0, 1), repeat=units)], "float32")


def distribution(machine) -> np.ndarray:
    """Return the probability of each state of the visible units, float64.

    Args:
        machine: A built `Boltzmann`, with few visible units; see `states_of`,
            which has the states in their order.
    """
    energies = machine.free_energy(states_of(machine.visible))
    logarithms = -ops.convert_to_numpy(energies).astype("float64")
    powers = np.exp(logarithms - logarithms.max())
    return powers / powers.sum()


def log_partition(machine):
    """Return the logarithm of Z: of the sum of exp(-E) over all states.

    Args:
        machine: A built `Boltzmann`.

    Raises:
        ValueError: If there are more than 20 visible units.
    """
    return ops.logsumexp(-machine.free_energy(states_of(machine.visible)))


@register_model(
    task="generation",
    inputs="images",
    lecture="Boltzmann machines: all units joined, and chance decides",
    reference="Ackley, Hinton and Sejnowski 1985",
    chart=("BM",),
)
def boltzmann_machine(
    input_shape=(28, 28, 1),
    *,
    hidden_units=3,
    sweeps=1,
    chains=100,
    exact=False,
    restricted=False,
    rescale=(1 / 255, 0.0),
    name="boltzmann_machine",
):
    """Build a Boltzmann machine whose visible units are pixels.

    All of its units are joined to each other, other than in `rbm`.

    | layer            | output  | parameters |
    | ---------------- | ------- | ---------- |
    | rescaling        | 28×28×1 |            |
    | flatten          | 784     |            |
    | machine, picture | 28×28×1 | 620,156    |
    | sum              |         | 620,156    |

    The layer `machine` adds its learning rule to the loss of the model (see
    `zoo.boltzmann.Boltzmann`), so `compile` needs an optimizer, and no loss. Of
    its square of weights those above the diagonal count. Where there are 20
    units or fewer in all, the loss is the exact negative log-likelihood, and
    `zoo.boltzmann.distribution` has the probability of each image.

    Args:
        input_shape: Height, width and channels of an image.
        hidden_units: Number of hidden units, at most 12.
        sweeps: How often each unit decides by chance, between two steps of
            training.
        chains: Number of chains of states that run free, and go on from batch
            to batch.
        exact: Whether training sums over all states instead of drawing any.
        restricted: Whether units of the same kind are not joined: then it is
            a restricted machine.
        rescale: Scale and offset that the first layer applies to raw pixels.
        name: Name of the model.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to pictures of the same shape in [0, 1]: the probability of
        ink at each pixel, given all the others.

    Raises:
        ValueError: If there is no hidden unit, no sweep or no chain, more than
            12 hidden units, or if `exact` is asked of more than 20 units in
            all.

    Example:
    >>> model = zoo.create_model("boltzmann_machine", input_shape=(3, 3, 1))
    >>> machine = model.get_layer("machine")
    >>> zoo.boltzmann.distribution(machine).shape
    (512,)

    Reference:
    - D. H. Ackley, G. E. Hinton, T. J. Sejnowski, A learning algorithm for
      Boltzmann machines, 1985.
    - T. Tieleman, Training restricted Boltzmann machines using approximations
      to the likelihood gradient, 2008: chains that go on.

    Departures from the paper:
    - Chains stay at one temperature, where the paper cools them down from a
      high one before each step, and they go on from step to step.
    """
    check_counts(hidden_units=hidden_units, sweeps=sweeps, chains=chains)
    if hidden_units > MOST_HIDDEN:
        raise ValueError(
            f"`hidden_units` must be at most {MOST_HIDDEN}, all of whose "
            f"states are summed over. Received: {hidden_units}"
        )
    every = math.prod(input_shape) + hidden_units
    if exact and every > MOST_COUNTED:
        raise ValueError(
            f"`exact` sums over the states of at most {MOST_COUNTED} units. "
            f"Received: {every}"
        )

    image = keras.Input(input_shape, name="image")
    scale, offset = rescale
    x = layers.Rescaling(scale, offset, name="rescaling")(image)
    x = layers.Flatten(name="flatten")(x)
    x = Boltzmann(
        *(hidden_units, sweeps, chains),
        exact=exact,
        restricted=restricted,
        dtype="float32",
        name="machine",
    )(x)
    picture = layers.Reshape(input_shape, name="picture")(x)
    return keras.Model(image, picture, name=name)


def check_counts(**counts):
    """Refuse counts below 1, by the names of the arguments."""
    for argument, count in counts.items():
        if count < 1:
            raise ValueError(
                f"`{argument}` must be 1 or more. Received: {count}"
            )
