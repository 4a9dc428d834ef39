"""The first networks that saw: of the sizes that were published."""

import pytest

import zoo

RETINA = {"input_shape": (30, 32, 1)}


def test_a_face_network_has_the_weights_of_the_book():
    pose = zoo.create_model("face_pose", num_classes=4, **RETINA)
    assert pose.count_params() == 2_899
    identity = zoo.create_model(
        "face_pose", num_classes=20, hidden_units=20, **RETINA
    )
    assert identity.count_params() == 960 * 20 + 20 + 20 * 20 + 20


@pytest.mark.parametrize(("hidden_units", "count"), [(4, 3_994), (5, 4_985)])
def test_alvinn_has_the_weights_of_the_van(hidden_units, count):
    model = zoo.create_model("alvinn", hidden_units=hidden_units, **RETINA)
    assert model.count_params() == count


def test_one_direction_is_none():
    with pytest.raises(ValueError, match="`steering_units` must be 2 or more"):
        zoo.create_model("alvinn", steering_units=1)
