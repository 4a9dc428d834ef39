"""Multi-column networks: widths, votes, and columns put together."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.builders import build, outputs

import zoo
from zoo import multicolumn


def test_the_whole_averages_its_columns(pixels):
    widths = (12, None)
    columns = [build("mcdnn", widths=(width,)) for width in widths]
    whole = build("mcdnn", widths=widths)
    multicolumn.set_columns(whole, columns)
    expected = np.mean([outputs(column, pixels) for column in columns], axis=0)
    np.testing.assert_allclose(outputs(whole, pixels), expected, atol=1e-6)


def test_columns_that_see_digits_upright_are_some_of_them():
    with pytest.raises(ValueError, match="some of the widths .* Received: 11"):
        build("mcdnn", deslanted=(10, 11))


def test_columns_have_the_widths_that_are_asked_for():
    columns = [build("mcdnn", widths=(width,)) for width in (14, 10)]
    with pytest.raises(ValueError, match="of width 10. Received: one of width"):
        multicolumn.set_columns(build("mcdnn", widths=(10, 14)), columns)
    limited = build("mcdnn", widths=(14,), max_stretch=2)
    with pytest.raises(ValueError, match="max_stretch=2. Received: column 1"):
        multicolumn.set_columns(limited, columns[:1])
    upright = build("mcdnn", widths=(14,), deslanted=(14,))
    with pytest.raises(ValueError, match="digits upright. Received: one that"):
        multicolumn.set_columns(upright, columns[:1])


def test_as_many_columns_as_there_are(pixels):
    column = build("mcdnn", widths=(12,))
    with pytest.raises(ValueError, match="has 7 columns. Received: 2"):
        multicolumn.set_columns(build("mcdnn"), [column, column])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"widths": ()}, "there must be one"),
        ({"widths": (0,)}, "from 1 to 29 pixels"),
        ({"widths": (30,)}, "from 1 to 29 pixels"),
        ({"max_stretch": 0.5}, "must be 1 or more, or None"),
        ({"input_shape": (15, 28, 1)}, "at least 16×16"),
        ({"classifier_activation": "sigmoid"}, "must be 'softmax'"),
    ],
)
def test_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        zoo.create_model("mcdnn", **arguments)


def test_a_column_that_is_certain_and_wrong_learns():
    """Keras' loss needs the logits where a probability has become 0."""
    layer = multicolumn.AveragedPredictions(2, 1)
    features = np.array([[100.0]], "float32")
    layer(features)
    layer.set_weights([np.array([[[1.0, -1.0]]]), np.zeros((1, 2))])
    with tf.GradientTape() as tape:
        loss = keras.losses.categorical_crossentropy(
            np.array([[0.0, 1.0]]), layer(features)
        )
    slope = tape.gradient(loss, layer.kernel.value)
    np.testing.assert_allclose(slope[0, 0], [100, -100], rtol=1e-5)


@pytest.fixture(scope="module")
def members():
    """Two small classifiers that have learned nothing, but not the same."""
    sizes = {"input_shape": (8, 8, 1), "num_classes": 3}
    return [
        zoo.create_model(name, **sizes)
        for name in ("softmax_regression", "mlp")
    ]


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), "uint8")


def test_a_committee_averages_probabilities(members, tmp_path):
    whole = multicolumn.committee(members)
    votes = [outputs(member, IMAGES) for member in members]
    found = outputs(whole, IMAGES)
    np.testing.assert_allclose(found, np.mean(votes, axis=0), atol=1e-6)
    assert zoo.count_multiplications(whole) == 2 * 2 * 3 + sum(
        map(zoo.count_multiplications, members)
    )
    whole.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, IMAGES), found)


def test_a_member_may_be_sharper_and_have_a_larger_share(members):
    whole = multicolumn.committee(members)
    average = whole.get_layer("average")
    average.set_weights([np.array([2.0, 1.0]), np.array([0.75, 0.25])])
    first, second = (outputs(member, IMAGES) for member in members)
    sharper = first**2 / np.sum(first**2, axis=1, keepdims=True)
    expected = 0.75 * sharper + 0.25 * second
    np.testing.assert_allclose(outputs(whole, IMAGES), expected, atol=1e-6)


def test_a_committee_of_strangers_is_refused(members):
    with pytest.raises(ValueError, match="one member or more"):
        multicolumn.committee([])
    other = zoo.create_model("mlp", input_shape=(9, 8, 1), num_classes=3)
    with pytest.raises(ValueError, match="one input_shape.*'mlp'"):
        multicolumn.committee([members[0], other])
    with pytest.raises(ValueError, match="3 members cannot have equal shares"):
        multicolumn.AveragedProbabilities(3)(np.zeros((1, 10)))
