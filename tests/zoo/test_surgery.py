"""Features are what enters the head, and a new head leaves the rest."""

import doctest

import keras
import numpy as np
import pytest
from helpers.builders import (
    assert_same_weights,
    classifier,
    outputs,
    small_cnn,
    train,
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
    [zoo.feature_extractor, zoo.classifier_head, zoo.replace_head],
)
def test_docstring_example_runs(function, images):
    finder = doctest.DocTestFinder(recurse=False)
    known = {"zoo": zoo, "images": images}
    [example] = finder.find(function, function.__name__, globs=known)
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(example, out=report.append).failed == 0, "".join(report)
