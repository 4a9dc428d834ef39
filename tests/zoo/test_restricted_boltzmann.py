"""Restricted machines whose states can all be gone through."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from zoo import restricted_boltzmann
from zoo.boltzmann import states_of


def machine_of(visible=7, hidden=5, **arguments):
    """A machine with random weights of some size."""
    set_seed(0)
    machine = restricted_boltzmann.RestrictedBoltzmann(hidden, **arguments)
    machine.build((None, visible))
    random = np.random.default_rng(0)
    for weight in machine.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return machine


def log_weights_of(machine):
    """Return -E of all states, `(states of visible, states of hidden)`."""
    kernel, bias, visible_bias = (
        weight.numpy().astype("float64") for weight in machine.trainable_weights
    )
    v, h = (states_of(size) for size in kernel.shape)
    return (v @ visible_bias)[:, None] + h @ bias + v @ kernel @ h.T


@pytest.fixture(params=[(7, 5), (4, 9)], ids=["fewer hidden", "fewer visible"])
def machine(request):
    return machine_of(*request.param)


def test_free_energy_sums_over_the_hidden_units(machine):
    visible = states_of(machine.kernel.shape[0])
    expected = -np.log(np.exp(log_weights_of(machine)).sum(axis=1))
    np.testing.assert_allclose(
        machine.free_energy(visible), expected, rtol=1e-5, atol=1e-5
    )


def test_partition_sums_over_all_states(machine):
    expected = np.log(np.exp(log_weights_of(machine)).sum())
    assert float(restricted_boltzmann.log_partition(machine)) == pytest.approx(
        expected, rel=1e-6
    )


def test_units_are_on_as_often_as_the_states_that_have_them_on(machine):
    weights = np.exp(log_weights_of(machine))
    v, h = (states_of(size) for size in machine.kernel.shape)
    np.testing.assert_allclose(
        machine.hidden_probabilities(v),
        weights @ h / weights.sum(axis=1, keepdims=True),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        machine.visible_probabilities(h),
        weights.T @ v / weights.sum(axis=0)[:, None],
        rtol=1e-4,
    )


def test_pseudo_likelihood_asks_for_each_unit_given_all_others(machine):
    visible = states_of(machine.kernel.shape[0])
    probabilities = np.exp(log_weights_of(machine)).sum(axis=1)
    number = {tuple(v): i for i, v in enumerate(visible)}
    expected = np.zeros(len(visible))
    for v, own in zip(visible, probabilities, strict=True):
        for unit in range(len(v)):
            other = v.copy()
            other[unit] = 1 - v[unit]
            both = own + probabilities[number[tuple(other)]]
            expected[number[tuple(v)]] += np.log(own / both)
    np.testing.assert_allclose(
        restricted_boltzmann.pseudo_log_likelihood(machine, visible),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


def test_machine_of_many_units_has_no_sum_over_states():
    machine = machine_of(30, 21)
    with pytest.raises(ValueError, match="30 visible and 21 hidden"):
        restricted_boltzmann.log_partition(machine)


def gradient_of_loss(machine, batch):
    """Return the gradient of what the machine adds to a loss."""
    weights = [weight.value for weight in machine.trainable_weights]
    with tf.GradientTape() as tape:
        machine(batch, training=True)
        [loss] = machine.losses
    return [g.numpy() for g in tape.gradient(loss, weights)]


def exact_gradient(machine, batch):
    """Return that of the mean -log P of a batch, by all states."""
    weights = [weight.value for weight in machine.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(machine.free_energy(batch))
        loss += restricted_boltzmann.log_partition(machine)
    return [g.numpy() for g in tape.gradient(loss, weights)]


def test_many_steps_give_the_gradient_of_the_likelihood():
    machine = machine_of(6, 4, steps=30)
    # So many that what chance adds is small.
    batch = np.repeat(states_of(6)[[3, 20, 44, 63]], 10_000, axis=0)
    found = gradient_of_loss(machine, batch)
    exact = exact_gradient(machine, batch)
    for left, right in zip(found, exact, strict=True):
        np.testing.assert_allclose(left, right, atol=0.02)
        assert np.abs(right).max() > 0.2


def test_the_more_steps_the_nearer_to_the_gradient_of_the_likelihood():
    batch = np.repeat(states_of(6)[[3, 20, 44, 63]], 10_000, axis=0)
    exact = exact_gradient(machine_of(6, 4), batch)

    def distance(steps):
        found = gradient_of_loss(machine_of(6, 4, steps=steps), batch)
        pairs = zip(found, exact, strict=True)
        return sum(np.sum((f - e) ** 2) for f, e in pairs)

    assert distance(3) < distance(1) / 3


def test_persistent_chains_go_on_from_batch_to_batch():
    machine = machine_of(6, 4, chains=5_000)
    batch = states_of(6)[[3, 20, 44, 63]]
    for _ in range(40):  # they forget where they began
        machine(batch, training=True)
    assert set(np.unique(machine.states)) == {0, 1}
    np.testing.assert_allclose(
        gradient_of_loss(machine, batch)[0],
        exact_gradient(machine, batch)[0],
        atol=0.05,
    )
    probabilities = np.exp(log_weights_of(machine)).sum(axis=1)
    np.testing.assert_allclose(
        np.mean(machine.states, axis=0),
        probabilities @ states_of(6) / probabilities.sum(),
        atol=0.03,
    )


def test_inference_draws_nothing():
    model = zoo.rbm((4, 4, 1), hidden_units=6)
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1))
    first, loss = model(images), float(model.losses[0])
    np.testing.assert_array_equal(model(images), first)
    assert float(model.losses[0]) == loss


@pytest.mark.thorough
def test_fit_teaches_a_machine_without_a_loss():
    set_seed(0)
    model = zoo.rbm((2, 2, 1), hidden_units=6, steps=5)
    machine = model.get_layer("machine")
    # Rows are of one color: 4 of 16 images are all that there is.
    images = 255 * states_of(2)[:, :, None].repeat(2, axis=2)[..., None]
    states = images.reshape(4, 4) / 255
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(np.tile(images, (50, 1, 1, 1)), epochs=60, verbose=0)
    log_z = restricted_boltzmann.log_partition(machine)
    log_likelihood = -machine.free_energy(states) - log_z
    # At best log(1/4) of each, without any training log(1/16).
    assert np.mean(log_likelihood) > -1.6
    assert np.sum(np.exp(log_likelihood)) > 0.8


def test_layer_that_does_not_teach_itself_is_a_sigmoid_layer():
    model = zoo.dbn((2, 2, 1), 3, hidden_units=(5,))
    machine = model.get_layer("machine1")
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 1))
    model(images, training=True)
    assert not model.losses
    assert len(machine.trainable_weights) == 2
    machine.contrastive = True
    model(images, training=True)
    assert len(model.losses) == 1
    assert len(machine.trainable_weights) == 3
    assert all(np.any(g) for g in gradient_of_loss(machine, states_of(4)))
    machine.trainable = False  # it has learned, and the next one's turn comes
    model(images, training=True)
    assert not model.losses
    machine.contrastive = False
    machine.trainable = True  # and at the end all do, from the labels
    assert not machine.visible_bias.trainable
    assert len(machine.trainable_weights) == 2


def test_machines_below_hand_on_probabilities_or_states():
    images = np.full((200, 2, 2, 1), 255, "uint8")
    for draws in (False, True):
        model = zoo.dbn((2, 2, 1), hidden_units=(5,), draws=draws)
        below = zoo.feature_extractor(model, "machine1")
        probabilities = below(images).numpy()
        assert 0 < probabilities.min() and probabilities.max() < 1
        given = below(images, training=True).numpy()
        np.testing.assert_array_equal(given, probabilities)
        below.trainable = False  # what is above it is trained
        given = below(images, training=True).numpy()
        if draws:
            assert set(np.unique(given)) == {0, 1}
            means = given.mean(axis=0)
            np.testing.assert_allclose(means, probabilities[0], atol=0.12)
        else:
            np.testing.assert_array_equal(given, probabilities)


def test_back_propagation_reaches_all_machines_of_those_that_draw():
    model = zoo.dbn((2, 2, 1), hidden_units=(5, 3), draws=True)
    images = np.arange(16).reshape(4, 2, 2, 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, training=True)[:, 0])
    weights = [weight.value for weight in model.trainable_weights]
    assert len(weights) == 6
    assert all(tf.norm(slope) > 0 for slope in tape.gradient(loss, weights))


@pytest.mark.parametrize(
    "builder, arguments, complaint",
    [
        (zoo.rbm, {"hidden_units": 0}, "`hidden_units` must be 1 or more"),
        (zoo.rbm, {"steps": 0}, "`steps` must be 1 or more"),
        (zoo.rbm, {"chains": -1}, "`chains` must be 0 or more"),
        (zoo.dbn, {"hidden_units": ()}, "`hidden_units` must be 1 or more"),
        (zoo.dbn, {"hidden_units": (9, 0)}, "`hidden_units` must be 1 or more"),
    ],
)
def test_a_machine_of_nothing_is_refused(builder, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        builder(**arguments)
