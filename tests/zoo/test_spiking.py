"""Spiking pools: how neurons are joined, when they fire, what tells apart."""

import keras
import numpy as np
import pytest
from helpers.seeds import set_seed
from helpers.tasks import sample

import zoo
from zoo.spiking import FewInputs, LiquidPool, NearNeurons

RANDOM = np.random.default_rng(0)


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def pool(**options):
    set_seed(0)
    return LiquidPool((4, 5, 3), **options)


def test_a_neuron_alone_fires_when_it_has_heard_enough():
    layer = LiquidPool((1, 1, 1), windows=1, repeats=1, fan_in=1)
    layer.build((None, 6, 1))
    layer.set_weights([np.full((1, 1), 0.5), np.zeros((1, 1))])
    spikes = np.stack(layer.spikes(np.ones((1, 6, 1), "float32")), axis=1)
    # 0.5, 0.97, 1.41 and again from 0.
    assert spikes.ravel().tolist() == [0, 0, 1, 0, 0, 1]
    half = np.full((1, 6, 1), 0.5, "float32")  # 0.25, 0.48, 0.70, 0.91, 1.10
    assert np.ravel(layer.spikes(half)).tolist() == [0, 0, 0, 0, 1, 0]


def test_a_spike_arrives_one_step_later_and_its_current_lasts():
    layer = LiquidPool((2, 1, 1), windows=1, repeats=1, fan_in=1)
    layer.build((None, 6, 1))
    once = np.zeros((1, 6, 1), "float32")
    once[0, 1] = 1
    for weight, expected in {
        1.25: [2],
        0.5: [5],  # 0.5, 0.47 + 0.34, 0.76 + 0.24, 0.93 + 0.16
        -1.25: [],
    }.items():
        joints = np.array([[0.0, weight], [0.0, 0.0]])
        layer.set_weights([np.array([[2.0, 0.0]]), joints])
        first, second = np.stack(layer.spikes(once))[:, 0].T
        assert first.tolist() == [0, 1, 0, 0, 0, 0]
        assert np.flatnonzero(second)[:1].tolist() == expected


def test_counts_are_of_windows_of_time():
    layer = pool(windows=3, repeats=2)
    x = RANDOM.random((2, 7, 9)).astype("float32")
    counts = plain(layer(x)).reshape(2, 3, 60)
    spikes = np.stack(layer.spikes(x), axis=1)
    assert spikes.shape == (2, 14, 60)
    assert {*np.unique(spikes)} == {0, 1}
    for i, (start, end) in enumerate([(0, 5), (5, 9), (9, 14)]):
        expected = spikes[:, start:end].sum(axis=1)
        np.testing.assert_array_equal(counts[:, i], expected)


def test_near_neurons_are_joined_more_often():
    drawn = NearNeurons((6, 6, 6), 0.25, seed=0)
    weights = plain(drawn((216, 216)))
    joined, apart = weights != 0, drawn.squared_distances()
    assert not np.diag(joined).any()
    shares = [joined[apart == squared].mean() for squared in (1, 4, 9, 16)]
    # Of 0.3, 0.2, 0.4 and 0.1, by what neurons are; then it falls with D².
    mean = 0.64 * 0.3 + 0.16 * 0.2 + 0.16 * 0.4 + 0.04 * 0.1
    for share, squared in zip(shares, (1, 4, 9, 16), strict=True):
        assert share == pytest.approx(mean * np.exp(-squared / 4), abs=0.02)


def test_one_neuron_in_five_inhibits():
    weights = plain(NearNeurons((6, 6, 6), 0.25, seed=0)((216, 216)))
    assert ((weights <= 0).all(axis=1)).sum() == 43
    assert ((weights >= 0).all(axis=1)).sum() == 216 - 43
    sizes = np.abs(weights[weights != 0])
    assert 0.12 < sizes.min() < sizes.max() < 0.38
    assert sizes.mean() == pytest.approx(0.25, rel=0.05)


def test_a_neuron_hears_of_a_few_inputs():
    weights = plain(FewInputs(4, 0.5, seed=0)((28, 300)))
    assert (np.count_nonzero(weights, axis=0) <= 4).all()
    assert np.count_nonzero(weights) > 0.95 * 4 * 300
    assert -0.25 <= weights.min() < -0.2
    assert 0.45 < weights.max() <= 0.5


def test_all_numbers_are_exact_whatever_the_order():
    """In float64, and with sums in another order, the same neurons fire."""
    layer = pool(windows=2, repeats=2)
    x = RANDOM.random((3, 20, 9)).astype("float32")
    layer.build(x.shape)
    spikes = np.stack(layer.spikes(x), axis=1)
    assert 0.02 < spikes.mean() < 0.6
    kernel, joints = (w.astype("float64")[::-1] for w in layer.get_weights())
    levels = np.floor(16 * x.astype("float64") + 0.5)[..., ::-1] / 16
    voltage = current = sent = np.zeros((3, 60))
    fired = np.zeros((3, 60))
    for step in range(40):
        sent = fired[:, ::-1] @ joints
        current = np.floor(1024 * 11 / 16 * current) / 1024 + sent
        voltage = np.floor(1024 * 15 / 16 * voltage * (1 - fired)) / 1024
        voltage = voltage + levels[:, step // 2] @ kernel + current
        fired = (voltage > 1).astype("float64")
        np.testing.assert_array_equal(spikes[:, step], fired)


def test_the_farther_inputs_are_apart_the_farther_are_the_states():
    """The separation property, and the same input leaves the same state."""
    set_seed(0)
    model = zoo.create_model("liquid_state", grid=(4, 5, 5))
    counts = zoo.feature_extractor(model)
    images = sample().test.inputs[:60].astype("float32")
    one, other = images[:30], images[30:]
    state, means = plain(counts(one)), []
    for share in (0.0, 0.1, 0.3, 1.0):
        mixed = (1 - share) * one + share * other
        apart = plain(counts(mixed)) - state
        means.append(np.linalg.norm(apart, axis=1).mean())
    assert means[0] == 0
    assert 0 < 1.3 * means[1] < means[2] < means[3] / 1.3


def test_only_the_last_layer_is_for_a_gradient():
    model = zoo.create_model("liquid_state", grid=(3, 3, 3))
    assert [weight.path for weight in model.trainable_weights] == [
        "predictions/kernel",
        "predictions/bias",
    ]


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_it_fires_alike_whatever_the_precision_of_the_rest(precision):
    images = sample().test.inputs[:64]
    model = zoo.create_model("liquid_state", grid=(5, 3, 3))
    keras.config.set_dtype_policy(precision)
    try:
        other = zoo.create_model("liquid_state", grid=(5, 3, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    other.set_weights(model.get_weights())
    counts = [
        plain(zoo.feature_extractor(x, ["down", "right"])(images)["down"])
        for x in (model, other)
    ]
    np.testing.assert_array_equal(*counts)


def test_who_inhibits_says_nothing_of_who_is_joined():
    joined = inhibiting = 0
    for seed in range(40):
        kernel = plain(NearNeurons((15, 3, 3), 1.0, seed)((135, 135)))
        inhibits = (kernel < 0).any(axis=1)
        joined += (kernel[0] != 0).sum()
        inhibiting += (inhibits & (kernel[0] != 0)).sum()
    assert joined > 50
    assert inhibiting / joined < 0.4  # 0.9 of the same numbers


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"windows": 29}, "`windows` must be from 1 to the 28"),
        ({"voltage_decay": 0.9}, "`voltage_decay` must be a multiple of 1/16"),
        ({"current_decay": 17 / 16}, "`current_decay` must be a multiple of 1"),
        ({"strength": 0.005}, "`strength` must be 0, or 1/64 or more"),
    ],
)
def test_what_a_pool_cannot_be_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        zoo.create_model("liquid_state", grid=(2, 2, 2), **arguments)
