"""Networks for physics: what a law of physics leaves as it is."""

import keras
import numpy as np

import zoo


def test_a_phase_has_no_place_and_no_size():
    """Lattices of one kind of spin have the features of larger ones."""
    small = zoo.create_model("ising_phases", input_shape=(12, 12, 1))
    large = zoo.create_model("ising_phases", input_shape=(24, 24, 1))
    large.set_weights(small.get_weights())
    some, more = (
        zoo.feature_extractor(model)(np.full((1, *model.input_shape[1:]), 255))
        for model in (small, large)
    )
    some, more = (keras.ops.convert_to_numpy(x) for x in (some, more))
    assert some.any()
    np.testing.assert_allclose(some, more, rtol=1e-4, atol=1e-6)
