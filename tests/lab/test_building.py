"""Networks fit the images and the classes of the data, or say why not."""

import dataclasses

import numpy as np
import pytest

import zoo
from recipes.lab.data.synthetic import written
from recipes.lab.errors import UsageError
from recipes.lab.inputs.images import Images
from recipes.lab.training import create_model


@pytest.fixture
def data(digits):
    """Data of three classes, with images of some shape."""

    def make(*shape):
        inputs = Images(shape, "RGB")
        names = ("a", "b", "c")
        return dataclasses.replace(digits, inputs=inputs, class_names=names)

    return make


def test_shape_and_classes_are_those_of_the_data(data):
    model = create_model(data(20, 24, 3), "cnn", filters=(4, 8))
    assert model.input_shape == (None, 20, 24, 3)
    assert model.output_shape == (None, 3)
    assert model.get_layer("conv1").filters == 4


def test_a_network_without_classes_gets_none(data):
    model = create_model(data(20, 24, 3), "autoencoder", latent_dim=4)
    assert model.output_shape == (None, 20, 24, 3)


def test_of_the_recipes_own_data_it_is_what_the_zoo_builds(digits):
    one, other = create_model(digits, "cnn"), zoo.create_model("cnn")
    assert one.get_config() == other.get_config()


@pytest.mark.parametrize(("name", "side"), [("cnn", 15), ("lenet5", 12)])
def test_images_that_are_too_small_are_refused_with_the_least_size(
    name, side, data
):
    with pytest.raises(
        UsageError, match=f"{name} takes images of at least {side}x{side} pix"
    ):
        create_model(data(8, 8, 3), name)
    model = create_model(data(side, side, 3), name)
    assert np.isfinite(model(np.zeros((1, side, side, 3)))).all()


def test_other_reasons_are_given_as_they_are(data):
    many = dataclasses.replace(
        data(28, 28, 1), class_names=tuple(map(str, range(11)))
    )
    with pytest.raises(UsageError, match="bitmaps for one to ten digits"):
        create_model(many, "lenet5")


def test_letters_are_those_of_the_data():
    model = create_model(written.load(small=True), "seq2seq", hidden_units=4)
    assert model.input_shape == (None, written.LONGEST)
    decoder = model.get_layer("decoder")
    assert decoder.alphabet == written.WRITTEN
    assert model.get_layer("embedding").alphabet == written.READ
    assert decoder.length == 10
