"""Boltzmann machines whose states can all be gone through."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.seeds import set_seed

import zoo
from zoo import boltzmann


def states_of(units):
    return np.array([*itertools.product((0, 1), repeat=units)], "float32")


def machine_of(visible=7, hidden=5, **arguments):
    """A machine with random weights of some size."""
    set_seed(0)
    machine = boltzmann.RestrictedBoltzmann(hidden, **arguments)
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
    assert float(boltzmann.log_partition(machine)) == pytest.approx(
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
        boltzmann.pseudo_log_likelihood(machine, visible),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


def test_machine_of_many_units_has_no_sum_over_states():
    machine = machine_of(30, 21)
    with pytest.raises(ValueError, match="30 visible and 21 hidden"):
        boltzmann.log_partition(machine)


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
        loss += boltzmann.log_partition(machine)
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
    log_z = boltzmann.log_partition(machine)
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


# --- machines all of whose units are joined ---------------------------------


def full_machine(visible=5, hidden=3, **arguments):
    """A machine of few units, with random weights of some size."""
    set_seed(0)
    machine = boltzmann.Boltzmann(hidden, **arguments)
    machine.build((None, visible))
    random = np.random.default_rng(0)
    for weight in machine.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return machine


def joint_of(machine):
    """Return -E of all states of all units, pair by pair, and the states."""
    kernel, bias = (
        weight.numpy().astype("float64") for weight in machine.trainable_weights
    )
    states = states_of(len(bias)).astype("float64")
    exponents = states @ bias
    for i, j in itertools.combinations(range(len(bias)), 2):
        joined = (i < machine.visible) != (j < machine.visible)
        if joined or not machine.restricted:
            exponents += kernel[i, j] * states[:, i] * states[:, j]
    return exponents, states


@pytest.fixture(params=[False, True], ids=["full", "restricted"])
def small(request):
    return full_machine(restricted=request.param)


def test_energy_is_that_of_pairs(small):
    exponents, states = joint_of(small)
    np.testing.assert_allclose(
        small.energy(states.astype("float32")), -exponents, atol=1e-5
    )


def test_distribution_sums_over_the_hidden_units(small):
    exponents, _ = joint_of(small)
    expected = np.exp(exponents).reshape(2**5, 2**3).sum(axis=1)
    log_z = np.log(expected.sum())
    np.testing.assert_allclose(
        boltzmann.distribution(small), expected / expected.sum(), rtol=1e-5
    )
    found = float(boltzmann.log_partition(small))
    assert found == pytest.approx(log_z, rel=1e-6)


def test_a_pixel_is_as_probable_as_all_others_make_it(small):
    exponents, _ = joint_of(small)
    joint = np.exp(exponents).reshape((2,) * 5 + (8,)).sum(axis=5)
    visible = states_of(5)
    answers = keras.ops.convert_to_numpy(small(visible))
    for state, answer in zip(visible.astype(int), answers, strict=True):
        for unit in range(5):
            off, on = (
                joint[(*state[:unit], value, *state[unit + 1 :])]
                for value in (0, 1)
            )
            assert answer[unit] == pytest.approx(on / (on + off), rel=1e-4)


def test_exact_learning_goes_down_the_negative_log_likelihood():
    machine = full_machine(exact=True)
    visible = states_of(5)[[3, 7, 7, 20]]
    with tf.GradientTape() as tape:
        machine(visible, training=True)
        [loss] = machine.losses
    truth = boltzmann.distribution(machine)[[3, 7, 7, 20]]
    assert float(loss) == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    of_kernel = tape.gradient(loss, machine.kernel.value).numpy()
    # The rule of 1985: together in the model, less together with the data.
    exponents, states = joint_of(machine)
    joint = np.exp(exponents) / np.exp(exponents).sum()
    numbers = np.arange(2**8) // 2**3
    held = np.zeros_like(joint)
    for number in (3, 7, 7, 20):
        some = numbers == number
        held[some] += joint[some] / joint[some].sum() / 4
    expected = np.triu((states.T * (joint - held)) @ states, 1)
    np.testing.assert_allclose(of_kernel, expected, atol=1e-5)


def test_chance_leads_where_exact_sums_do():
    """Its gradient is theirs in the mean, and its loss is the exact one."""
    visible = np.repeat(states_of(5)[[3, 7, 7, 20]], 250, axis=0)
    gradients = {}
    for exact in (True, False):
        machine = full_machine(exact=exact, chains=1_000, sweeps=6)
        with tf.GradientTape() as tape:
            machine(visible, training=True)
            [loss] = machine.losses
        gradients[exact] = tape.gradient(
            loss, [weight.value for weight in machine.trainable_weights]
        )
        truth = boltzmann.distribution(machine)[[3, 7, 7, 20]]
        assert float(loss) == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    for one, other in zip(*gradients.values(), strict=True):
        # Of 1,000 chains the share with two units on is 0.016 off at most, in
        # the mean.
        np.testing.assert_allclose(one, other, atol=0.07)
        assert np.corrcoef(np.ravel(one), np.ravel(other))[0, 1] > 0.99
    assert {*np.unique(machine.states.numpy())} == {0, 1}


def test_a_machine_too_large_to_be_counted_learns_what_pixels_say_of_others():
    machine = full_machine(visible=30)
    assert not machine.can_be_counted
    visible = np.random.default_rng(1).integers(0, 2, (6, 30)).astype("float32")
    answers = keras.ops.convert_to_numpy(machine(visible))
    [loss] = machine.losses
    right = np.where(visible > 0, answers, 1 - answers)
    expected = -np.log(right).sum(axis=1).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="At most 20 units"):
        boltzmann.distribution(machine)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden_units": 0}, "`hidden_units` must be 1 or more"),
        ({"hidden_units": 13}, "at most 12, all of whose states"),
        ({"sweeps": 0}, "`sweeps` must be 1 or more"),
        ({"chains": 0}, "`chains` must be 1 or more"),
        ({"exact": True}, "at most 20 units. Received: 787"),
    ],
)
def test_what_no_full_machine_can_be_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        zoo.boltzmann_machine(**arguments)
