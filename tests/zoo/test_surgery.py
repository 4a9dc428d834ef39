"""Features are what enters the head, and a new head leaves the rest."""

import doctest

import keras
import numpy as np
import pytest
from helpers.builders import (
    assert_same_weights,
    classifier,
    examples,
    outputs,
    small_cnn,
    train,
    with_other_names,
)
from helpers.marks import only_thorough

import zoo

# --- features, and the head alone ---------------------------------------


def test_head_on_cached_features_trains_as_the_whole_model_does(images):
    whole, apart = classifier(), classifier()
    apart.set_weights(whole.get_weights())
    body = zoo.feature_extractor(apart)
    head = zoo.classifier_head(apart)
    features = body.predict(images, verbose=0)
    optimizers = [keras.optimizers.Adam(0.01) for _ in range(2)]
    slowly = train(whole, images, steps=5, optimizer=optimizers[0])
    quickly = train(head, features, steps=5, optimizer=optimizers[1])
    for together, alone in zip(slowly, quickly, strict=True):
        for left, right in zip(together[-2:], alone, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    # The head is the classifier's own.
    assert_same_weights(apart.get_weights()[-2:], head.get_weights())
    np.testing.assert_allclose(
        outputs(apart, images), outputs(whole, images), rtol=1e-4
    )


@pytest.mark.parametrize(
    "name",
    only_thorough(
        zoo.list_models(task="classification", inputs="images"),
        ("softmax_regression", "lenet5", "cnn", "gru", "transfer_classifier"),
    ),
)
def test_features_and_head_make_up_the_model(name, images):
    model = zoo.create_model(name)
    features = outputs(zoo.feature_extractor(model), images)
    assert features.ndim == 2
    np.testing.assert_allclose(
        outputs(zoo.classifier_head(model), features),
        outputs(model, images),
        atol=1e-6,
    )


def test_features_are_what_enters_predictions(images):
    model = small_cnn()
    layer = model.get_layer("predictions")
    entering = keras.Model(model.input, layer.input)
    np.testing.assert_array_equal(
        outputs(zoo.feature_extractor(model), images), outputs(entering, images)
    )
    transferred = classifier(model).get_layer("backbone")
    np.testing.assert_array_equal(
        outputs(transferred, images), outputs(entering, images)
    )


def test_features_of_lenet_are_those_of_f6(images):
    # The distances to the digits' bitmaps belong to its output layer.
    model = zoo.create_model("lenet5")
    f6 = keras.Model(model.input, model.get_layer("f6").output)
    np.testing.assert_array_equal(
        outputs(zoo.feature_extractor(model), images), outputs(f6, images)
    )


def test_features_of_an_autoencoder_are_its_codes(images):
    model = zoo.create_model("deep_autoencoder")
    codes = outputs(model.get_layer("encoder"), images / np.float32(255))
    for taken in (
        zoo.feature_extractor(model),
        zoo.feature_extractor(model, "encoder"),
        zoo.feature_extractor(model, "encoder/code"),
        classifier(model).get_layer("backbone"),
    ):
        np.testing.assert_allclose(outputs(taken, images), codes, atol=1e-5)


def test_without_predictions_and_encoder_the_last_layer_gives_the_features():
    image = keras.Input((28, 28, 1))
    maps = keras.layers.Conv2D(2, 5, 5, name="maps")(image)
    model = keras.Model(image, maps)
    assert zoo.feature_extractor(model).output_shape == (None, 5, 5, 2)
    assert classifier(model).get_layer("backbone").output_shape == (None, 50)


def test_several_layers_at_once_come_by_their_names(images, tmp_path):
    model = classifier()
    names = ["backbone/conv1", "backbone", "backbone/hidden1", "predictions"]
    extractor = zoo.feature_extractor(model, names)
    found = extractor(images)
    assert {name: found[name].shape[1:] for name in names} == {
        "backbone/conv1": (12, 12, 4),
        "backbone": (16,),
        "backbone/hidden1": (16,),
        "predictions": (3,),
    }
    np.testing.assert_array_equal(found["predictions"], model(images))
    extractor.save(tmp_path / "extractor.keras")
    loaded = keras.saving.load_model(tmp_path / "extractor.keras")(images)
    for name in names:
        np.testing.assert_array_equal(loaded[name], found[name])


def test_extractor_shares_the_weights_of_the_model(images):
    model = small_cnn()
    extractor = zoo.feature_extractor(model, "relu3")
    before = outputs(extractor, images)
    train(model, images)
    assert not np.allclose(outputs(extractor, images), before)


# --- new heads ----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    only_thorough(
        zoo.list_models(task="classification", inputs="images"),
        ("softmax_regression", "lenet5", "cnn", "gru", "transfer_classifier"),
    ),
)
def test_new_head_leaves_the_body_as_it_is(name, images):
    model = zoo.create_model(name)
    new = zoo.replace_head(model, 4, name="new")
    assert new.name == "new"
    assert new.output_shape == (None, 4)
    assert new.layers[-1].name == "predictions"
    assert new.layers[-1].output is new.output
    assert not new.compiled
    np.testing.assert_array_equal(
        outputs(zoo.feature_extractor(new), images),
        outputs(zoo.feature_extractor(model), images),
    )
    np.testing.assert_allclose(outputs(new, images).sum(axis=1), 1, atol=1e-5)


def test_new_head_may_give_logits_and_keeps_the_name(images):
    new = zoo.replace_head(small_cnn(), 4, classifier_activation=None)
    assert new.name == "cnn"
    assert not np.allclose(outputs(new, images).sum(axis=1), 1)


def test_new_head_on_a_frozen_backbone_leaves_it_frozen(images):
    new = zoo.replace_head(classifier(), 3)
    assert len(new.trainable_weights) == 2
    np.testing.assert_array_equal(
        outputs(new, images, training=True), outputs(new, images)
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda donor: classifier(donor, mode="full"),
        lambda donor: zoo.replace_head(donor, 3),
    ],
    ids=["transfer_classifier", "replace_head"],
)
def test_donor_is_left_untouched(make, images):
    donor = small_cnn()
    # A loss that cannot be copied: nothing must try.
    donor.compile("sgd", loss=lambda y, p: keras.ops.sum(p, axis=-1))
    donor.get_layer("conv1").trainable = False
    weights, config = donor.get_weights(), donor.get_config()
    answers = outputs(donor, images)
    train(make(donor), images)
    assert_same_weights(donor.get_weights(), weights)
    assert donor.get_config() == config
    assert donor.compiled
    np.testing.assert_array_equal(outputs(donor, images), answers)


def test_layers_of_the_new_models_belong_to_them(images):
    # So that student code with layer.output works on them, too.
    new = zoo.replace_head(small_cnn(), 3)
    maps = keras.Model(new.input, new.get_layer("conv1").output)
    assert outputs(maps, images).shape == (8, 12, 12, 4)
    body = classifier().get_layer("backbone")
    maps = keras.Model(body.input, body.get_layer("conv1").output)
    assert outputs(maps, images).shape == (8, 12, 12, 4)


# --- without preprocessing ----------------------------------------------


def rescaled(name, inputs):
    """Return what the first layers of a model make of its inputs."""
    if name == "lenet5":
        inputs = np.pad(inputs, ((0, 0), (2, 2), (2, 2), (0, 0)))
        return inputs * np.float32(1.275 / 255) - np.float32(0.1)
    if zoo.model_info(name).inputs == "tables":
        return (inputs - 2) / np.float32(3)
    return inputs * np.float32(1 / 255)


@pytest.mark.parametrize(
    "name",
    only_thorough(
        [
            name
            for name in zoo.list_models()
            if name != "mcculloch_pitts"
            and zoo.model_info(name).inputs in ("images", "tables")
        ],
        ("logistic_neuron", "lenet5", "transfer_classifier", "autoencoder"),
    ),
)
def test_without_preprocessing_rescaled_inputs_give_the_same(name):
    """Warnings are errors here, so nobody is told not to divide by 255."""
    model, inputs = zoo.create_model(name), examples(name)
    if zoo.model_info(name).inputs == "tables":
        for statistic, number in zip(
            model.layers[1].weights, (2, 3), strict=True
        ):
            statistic.assign(np.full(statistic.shape, number))
    body = zoo.without_preprocessing(model)
    np.testing.assert_allclose(
        outputs(body, rescaled(name, inputs)), outputs(model, inputs), atol=1e-6
    )
    # Other tools read layers alone, one call of each.
    assert body.operations == body.layers
    assert not any(isinstance(layer, keras.Model) for layer in body.layers)
    names = {layer.name for layer in body.layers}
    assert not names & {"rescaling", "standardization"}


def test_without_preprocessing_the_weights_are_copied(images, tmp_path):
    model = classifier(mode="full")
    body = zoo.without_preprocessing(model)
    before = outputs(model, images)
    train(body, images / np.float32(255))
    np.testing.assert_array_equal(outputs(model, images), before)
    body.save(tmp_path / "body.keras")
    loaded = keras.saving.load_model(tmp_path / "body.keras")
    np.testing.assert_array_equal(
        outputs(loaded, images), outputs(body, images)
    )


def test_without_preprocessing_what_was_frozen_stays_frozen():
    body = zoo.without_preprocessing(classifier())
    assert len(body.trainable_weights) == 2


def test_without_preprocessing_several_layers_that_rescale_are_left_out():
    first = keras.layers.Rescaling(1 / 255)
    second = keras.layers.Normalization(mean=0.5, variance=4.0)
    dense = keras.layers.Dense(3)
    inner = keras.Sequential([keras.Input((5,)), second, dense])
    model = keras.Sequential([keras.Input((5,)), first, inner])
    x = np.random.default_rng(0).uniform(0, 255, (2, 5)).astype("float32")
    body = zoo.without_preprocessing(model)
    assert [layer.name for layer in body.layers] == ["preprocessed", dense.name]
    np.testing.assert_allclose(
        outputs(body, (x / 255 - 0.5) / 2), outputs(model, x), rtol=1e-5
    )


def test_without_preprocessing_layers_of_one_name_are_told_apart(images):
    names = {"decode1": "hidden1", "decode2": "hidden2"}
    model = with_other_names(zoo.create_model("deep_autoencoder"), names)
    body = zoo.without_preprocessing(model)
    assert [layer.name for layer in body.layers[2:-2]] == [
        *("encoder_hidden1", "encoder_hidden2", "code"),
        *("decoder_hidden1", "decoder_hidden2"),
    ]
    np.testing.assert_allclose(
        outputs(body, images / np.float32(255)),
        outputs(model, images),
        atol=1e-6,
    )


def past_the_rescaling():
    image = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(image)
    return keras.Model(image, keras.layers.Add()([x, image]), name="both")


def of_two_inputs():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    return keras.Model(inputs, keras.layers.Add()(inputs), name="two")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zoo.create_model("dcgan"), "'dcgan' rescales nothing before"),
        (lambda: zoo.create_model("mcculloch_pitts"), "no preprocessing to"),
        (
            lambda: zoo.classifier_head(small_cnn()),
            "'cnn_head' rescales nothing",
        ),
        (past_the_rescaling, "inputs of 'both' also go past .* 'rescaling'"),
        (of_two_inputs, "one input .*'two', which has 2"),
        (keras.Model, "Only a functional model"),
    ],
)
def test_what_cannot_do_without_preprocessing_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        zoo.without_preprocessing(make())


# --- refusals -----------------------------------------------------------


def test_layers_that_do_not_exist_are_not_extracted():
    with pytest.raises(ValueError, match="'conv3'. Did you mean conv"):
        zoo.feature_extractor(small_cnn(), "conv3")
    with pytest.raises(ValueError, match="Did you mean.* backbone/conv1"):
        zoo.feature_extractor(classifier(), ["predictions", "backbone/conv"])


def test_what_is_no_classifier_has_no_head():
    model = zoo.create_model("autoencoder")
    with pytest.raises(ValueError, match="predictions.*'decoder'"):
        zoo.classifier_head(model)
    with pytest.raises(ValueError, match="predictions.*'decoder'"):
        zoo.replace_head(model, 3)
    with pytest.raises(ValueError, match="one class"):
        zoo.replace_head(small_cnn(), 1)


@pytest.mark.parametrize(
    "function",
    [
        zoo.feature_extractor,
        zoo.classifier_head,
        zoo.replace_head,
        zoo.without_preprocessing,
    ],
)
def test_docstring_example_runs(function, images):
    finder = doctest.DocTestFinder(recurse=False)
    known = {"zoo": zoo, "images": images}
    [example] = finder.find(function, function.__name__, globs=known)
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(example, out=report.append).failed == 0, "".join(report)
