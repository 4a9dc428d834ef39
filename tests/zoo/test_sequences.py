"""Networks that read sequences of words."""

import keras
import numpy as np
import pytest

import zoo


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_order_of_codes_matters():
    keras.utils.set_random_seed(0)
    model = zoo.create_model("heart_failure", input_shape=(6,))
    codes = np.array([[0, 0, 1, 2, 3, 4]])
    there, back = plain(model(codes)), plain(model(codes[:, ::-1]))
    assert np.abs(there - back).max() > 1e-3


def test_an_unrolled_network_says_the_same():
    model = zoo.create_model("heart_failure")
    unrolled = zoo.create_model("heart_failure", unroll=True)
    unrolled.set_weights(model.get_weights())
    codes = np.random.default_rng(0).integers(0, 32, (5, 30))
    np.testing.assert_allclose(
        plain(unrolled(codes)), plain(model(codes)), atol=1e-5
    )


@pytest.mark.parametrize(
    "name", ["heart_failure", "sentiment", "entity_template"]
)
def test_no_vocabulary_is_refused(name):
    with pytest.raises(ValueError, match="`vocabulary_size` must be 1 or more"):
        zoo.create_model(name, vocabulary_size=0)


def test_a_template_adds_up_what_features_speak_for():
    """Their order does not matter, and none of them changes another."""
    model = zoo.create_model("entity_template", classifier_activation=None)
    features = np.array([[*range(1, 33)]])
    both = plain(model(features))
    np.testing.assert_allclose(plain(model(features[:, ::-1])), both, atol=1e-6)
    one, other, none = features.copy(), features.copy(), features.copy()
    one[:, 0] = none[:, 0] = 0
    other[:, 1] = none[:, 1] = 0
    changes = [plain(model(x)) - both for x in (one, other, none)]
    np.testing.assert_allclose(changes[0] + changes[1], changes[2], atol=1e-6)
