"""Autoencoders: their halves, their noise, and the arguments they refuse."""

import keras
import numpy as np
import pytest
from helpers.builders import assert_same_weights, with_other_names

import zoo
from zoo import _archive

AUTOENCODERS = zoo.list_models(task="reconstruction")
each_autoencoder = pytest.mark.parametrize("name", AUTOENCODERS)


def layer_names(model):
    return [layer.name for layer in model.layers]


@each_autoencoder
def test_the_halves_make_up_the_model(name, images):
    model = zoo.create_model(name)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    codes = encoder(images / np.float32(255))
    assert codes.shape == (8, 32)
    np.testing.assert_allclose(decoder(codes), model(images), atol=1e-6)
    np.testing.assert_allclose(
        codes, zoo.feature_extractor(model)(images), atol=1e-5
    )


@each_autoencoder
def test_latent_dim_is_the_length_of_the_code(name):
    model = zoo.create_model(name, latent_dim=5)
    assert model.get_layer("encoder").output_shape == (None, 5)
    assert model.get_layer("decoder").input_shape == (None, 5)


@each_autoencoder
def test_pictures_have_the_shape_of_the_images_and_lie_in_0_1(name):
    model = zoo.create_model(name, input_shape=(16, 24, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3))
    pictures = keras.ops.convert_to_numpy(model(images.astype("uint8")))
    assert pictures.shape == images.shape
    assert pictures.dtype == "float32"
    assert (pictures >= 0).all() and (pictures <= 1).all()


@each_autoencoder
def test_noise_comes_after_the_rescaling_and_is_clipped(name, images):
    model = zoo.create_model(name, noise=0.5)
    assert layer_names(model)[1:4] == ["rescaling", "noise", "clipping"]
    noisy = keras.Model(model.input, model.get_layer("clipping").output)
    pixels = images / np.float32(255)
    # Nothing is added but in training.
    np.testing.assert_allclose(noisy(images, training=False), pixels)
    one, other = (np.array(noisy(images, training=True)) for _ in range(2))
    assert one.min() == 0 and one.max() == 1
    assert np.any(one != other)
    inside = (one > 0) & (one < 1)
    # What was not clipped has lost its tails, so it deviates by less than 0.5.
    assert 0.2 < np.std((one - pixels)[inside]) < 0.5


@each_autoencoder
def test_without_noise_there_is_no_layer_for_it(name):
    assert layer_names(zoo.create_model(name)) == [
        *("image", "rescaling", "encoder", "decoder")
    ]


@each_autoencoder
@pytest.mark.parametrize(
    "arguments",
    [
        {"latent_dim": 0},
        {"sparsity": -0.1},
        {"noise": -0.1},
        {"noise": float("nan")},
    ],
    ids=str,
)
def test_refused_with_the_argument_and_its_value(name, arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=f"`{argument}` must.*{value}"):
        zoo.create_model(name, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"filters": ()}, {"filters": (8, 8, 8)}, {"input_shape": (28, 30, 1)}],
    ids=str,
)
def test_convolutions_must_be_able_to_halve_the_picture(arguments):
    with pytest.raises(ValueError, match="divisible"):
        zoo.create_model("convolutional_autoencoder", **arguments)


def test_deep_autoencoder_without_hidden_layers_is_the_shallow_one(images):
    shallow = zoo.create_model("autoencoder")
    deep = zoo.create_model("deep_autoencoder", hidden_units=())
    deep.set_weights(shallow.get_weights())
    np.testing.assert_array_equal(deep(images), shallow(images))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("deep_autoencoder", {"decode1": "hidden1", "decode2": "hidden2"}),
        ("convolutional_autoencoder", {"up1": "conv1"}),
    ],
)
def test_files_with_the_names_of_older_layers_load(
    name, names, images, tmp_path
):
    """Layers of the decoder were once called like those of the encoder."""
    older = with_other_names(zoo.create_model(name), names)
    older.save(tmp_path / "model.keras")
    older.save_weights(tmp_path / "model.weights.h5")
    loaded, today = (
        _archive.load(tmp_path / "model.keras"),
        zoo.create_model(name),
    )
    today.load_weights(tmp_path / "model.weights.h5")
    for model in (loaded, today):
        assert_same_weights(model.get_weights(), older.get_weights())
        np.testing.assert_array_equal(model(images), older(images))
