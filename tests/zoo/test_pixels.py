"""A model warns, once, of pixels on the wrong scale, and of nothing else."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import ROOT
from helpers.marks import only_thorough
from scipy import ndimage
from sklearn import datasets

import zoo
from zoo import transfer

DIVIDED = "mlp.* takes raw pixels, 0 to 255, .*Do not divide"
RAW = "encoder of autoencoder takes rescaled pixels, at most 1, and got 255"


@pytest.fixture
def model():
    model = zoo.create_model("mlp", hidden_units=(4,))
    model.compile(loss="sparse_categorical_crossentropy")
    return model


@pytest.fixture
def pixels(images):
    images[0, 0, 0] = 255
    return images


@pytest.fixture
def divided(pixels):
    return pixels / np.float32(255)


LABELS = np.arange(8)
CALLS = {
    "call": lambda model, x: model(x),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "evaluate": lambda model, x: model.evaluate(x, LABELS, verbose=0),
    "test_on_batch": lambda model, x: model.test_on_batch(x, LABELS),
    "fit": lambda model, x: model.fit(x, LABELS, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, LABELS),
    "by name": lambda model, x: model.predict(x=x, verbose=0),
    "tensor": lambda model, x: model.predict(tf.constant(x), verbose=0),
}


@pytest.mark.parametrize(
    "call", only_thorough([*CALLS], ["call", "predict", "fit"])
)
def test_pixels_that_were_divided_are_warned_of_once(call, model, divided):
    with pytest.warns(UserWarning, match=DIVIDED) as warned:
        CALLS[call](model, divided)
        CALLS[call](model, divided)
    assert len(warned) == 1
    assert "from 0 to 1." in str(warned[0].message)


@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 0.5), (0.1307, 0.3081)])
def test_standardized_pixels_are_warned_of(mean, deviation, model, divided):
    """As other libraries' tutorials have them."""
    standardized = (divided - mean) / deviation
    with pytest.warns(UserWarning, match=DIVIDED):
        model.predict(standardized, verbose=0)


def test_noise_may_take_raw_pixels_below_zero(model, pixels):
    model.predict(pixels - np.float32(20), verbose=0)


@pytest.mark.parametrize("name", ["call", "fit", "predict"])
def test_nothing_is_said_of_pixels_as_they_are(name, model, pixels):
    """Warnings are errors here."""
    floats = pixels.astype("float32")
    # Integers are never the result of a division.
    for x in (pixels, floats, 0 * floats, pixels // 255, floats[:0]):
        if len(x) or name == "call":
            CALLS[name](model, x)


def test_the_first_warning_is_not_spent_by_what_is_right(
    model, pixels, divided
):
    model.predict(pixels, verbose=0)
    with pytest.warns(UserWarning, match=DIVIDED):
        model.predict(divided, verbose=0)


DOORS = {
    "builder": lambda: zoo.mlp(),
    "create_model": lambda: zoo.create_model("mlp"),
    "load_model": lambda: zoo.load_model(
        ROOT / "saved_models" / "mnist_softmax_regression" / "1", verbose=False
    ),
    "features": lambda: zoo.feature_extractor(zoo.create_model("mlp")),
    "new head": lambda: zoo.replace_head(zoo.create_model("mlp"), 3),
    "transfer": lambda: zoo.create_model(
        "transfer_classifier", backbone=zoo.create_model("mlp")
    ),
    "application": lambda: zoo.feature_extractor(
        keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                transfer.ApplicationPreprocessing("MobileNetV2"),
            ]
        )
    ),
    "recurrent": lambda: zoo.create_model("simple_rnn"),
    "autoencoder": lambda: zoo.create_model("autoencoder"),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_every_door_keeps_watch(door, divided):
    with pytest.warns(UserWarning, match="Do not divide by 255"):
        door()(divided)


def other_models():
    model = zoo.create_model("mlp", rescale=(1.0, 0.0))
    yield model, (28, 28, 1)
    model = zoo.create_model("autoencoder")
    yield model.get_layer("encoder"), (28, 28, 1)
    yield model.get_layer("decoder"), (32,)
    yield zoo.classifier_head(zoo.create_model("cnn")), (128,)
    features = keras.Input((3,))
    table = keras.Model(features, keras.layers.Rescaling(1 / 255)(features))
    yield zoo.feature_extractor(table), (3,)


@pytest.mark.parametrize("number", range(5))
def test_nothing_is_said_where_no_raw_pixels_go_in(number):
    model, shape = list(other_models())[number]
    model.predict(np.full((2, *shape), 0.5, "float32"), verbose=0)


def test_data_sets_and_generators_are_not_read(model, divided):
    def batches():
        while True:
            yield divided, LABELS

    model.fit(batches(), steps_per_epoch=1, shuffle=False, verbose=0)
    data = tf.data.Dataset.from_tensors((divided, LABELS))
    model.evaluate(data, verbose=0)
    model.predict(data, verbose=0)


def test_the_watch_is_in_no_graph(model, divided):
    """Nor does it keep a graph from being made."""
    bare = keras.models.clone_model(model)

    def operations(model):
        graph = tf.function(model).get_concrete_function(tf.constant(divided))
        return [operation.type for operation in graph.graph.get_operations()]

    assert operations(model) == operations(bare)


def test_the_watch_is_in_no_copy(divided, tmp_path):
    model = zoo.create_model("mlp", hidden_units=(4,))
    model.save(tmp_path / "model.keras")
    copies = [
        keras.models.clone_model(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        keras.saving.load_model(tmp_path / "model.keras"),
        type(model).from_config(model.get_config()),
    ]
    for twin in copies:
        assert type(twin) is type(model)
        twin.set_weights(model.get_weights())
    with pytest.warns(UserWarning, match=DIVIDED):
        expected = model.predict(divided, verbose=0)
    for twin in copies:
        np.testing.assert_allclose(
            twin.predict(divided, verbose=0), expected, atol=1e-6
        )


# --- the halves of an autoencoder ----------------------------------------


@pytest.mark.parametrize("call", [CALLS["call"], CALLS["predict"]])
def test_an_encoder_warns_of_raw_pixels(call, pixels, divided):
    model = zoo.create_model("autoencoder")
    model(pixels)  # which shows the encoder what is right
    encoder = model.get_layer("encoder")
    call(encoder, divided)
    with pytest.warns(UserWarning, match=RAW) as warned:
        call(encoder, pixels)
        call(encoder, pixels)
    assert len(warned) == 1


def test_an_encoder_may_get_what_the_rescaling_gives(pixels):
    model = zoo.create_model("autoencoder", rescale=(1 / 51, -1.0))
    encoder = model.get_layer("encoder")
    encoder(pixels / np.float32(51) - 1)
    with pytest.warns(UserWarning, match="at most 4, and got 255"):
        encoder(pixels)


def digits():
    """Return digits as MNIST has them: 20x20 in the middle of 28x28, uint8."""
    small = datasets.load_digits().images[-300:] * (255 / 16)
    large = np.clip(ndimage.zoom(small, (1, 2.5, 2.5), order=1), 0, 255)
    images = np.pad(large, ((0, 0), (4, 4), (4, 4)))
    return images[..., np.newaxis].astype("uint8")


def test_the_calls_of_the_card_reconstruct_what_the_model_does():
    """Raw pixels into the extractor, codes into the decoder.

    The model has never seen these digits: its error is .013, with MNIST's .009.
    Raw pixels into the encoder make it .15.
    """
    images = digits()
    model = zoo.load_model(
        ROOT / "saved_models" / "mnist_autoencoder" / "1", verbose=False
    )
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")

    def error(codes):
        pictures = decoder.predict(codes, verbose=0)
        return np.mean((pictures - images / 255) ** 2)

    assert error(zoo.feature_extractor(model).predict(images, verbose=0)) < 0.02
    assert error(encoder.predict(images / 255, verbose=0)) < 0.02
    with pytest.warns(UserWarning, match=RAW):
        codes = encoder.predict(images, verbose=0)
    assert error(codes) > 0.1
