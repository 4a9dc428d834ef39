"""Every classifier of images gives probabilities, and learns."""

import keras
import numpy as np
import pytest
from helpers.builders import (
    build,
    noise,
    one_of_each_kind,
    outputs,
    with_weights_of,
)
from helpers.seeds import set_seed

import zoo

IMAGE_CLASSIFIERS = zoo.list_models(task="classification", inputs="images")

each_image_classifier = pytest.mark.parametrize("name", IMAGE_CLASSIFIERS)
each_kind = pytest.mark.parametrize("name", one_of_each_kind(IMAGE_CLASSIFIERS))


@each_image_classifier
def test_outputs_are_probabilities(name, pixels):
    probabilities = outputs(build(name), pixels)
    assert probabilities.shape == (4, 10)
    assert probabilities.dtype == "float32"
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@each_kind
def test_different_images_give_different_outputs(name, pixels):
    # Logits: fresh weights can drive a softmax to 0 and 1, the same for all.
    logits = outputs(build(name, classifier_activation=None), pixels)
    assert (np.ptp(logits, axis=0) > 0).all()


@each_kind
def test_no_classes_at_all_are_refused(name):
    with pytest.raises(ValueError, match="0"):
        zoo.create_model(name, num_classes=0)


@each_kind
def test_images_may_be_larger_and_in_color_and_of_other_classes(name):
    model = build(name, num_classes=5, input_shape=(32, 32, 3))
    assert model.input_shape == (None, 32, 32, 3)
    assert outputs(model, noise(2, 32, 32, 3)).shape == (2, 5)


@each_kind
def test_without_classifier_activation_the_outputs_are_logits(name, pixels):
    model = build(name)
    bare = with_weights_of(model, build(name, classifier_activation=None))
    logits = outputs(bare, pixels)
    assert not np.allclose(logits.sum(axis=1), 1)
    np.testing.assert_allclose(
        outputs(model, pixels), keras.ops.softmax(logits), atol=1e-6
    )


@each_image_classifier
def test_last_layer_is_predictions(name):
    model = build(name)
    assert model.layers[-1].name == "predictions"
    assert model.layers[-1].output is model.output


@pytest.mark.parametrize(
    "name",
    [
        # These train like simple_rnn, mlp and cnn, for longer.
        pytest.param(name, marks=pytest.mark.thorough)
        if name
        in (
            *("gru", "lstm", "lecture_cnn", "deep_cnn", "conv1d"),
            *("jump_mlp", "residual_mlp", "mcdnn", "hydranet", "dbn"),
            *("elm", "lenet5", "softmax_regression", "face_pose"),
            *("radial_basis", "svm", "kohonen", "hopfield"),
            *("echo_state", "liquid_state"),
        )
        else pytest.param(name, marks=pytest.mark.slow)
        if name in ("alexnet", "vgg", "googlenet", "resnet")
        else name
        for name in IMAGE_CLASSIFIERS
        # To the first a bright stripe is the same wherever it is; no image is
        # near the centers that the next two have before there are images; and
        # the last hardly hears its inputs at first.
        if name not in ("ising_phases", "radial_basis", "kohonen", "irnn")
    ],
)
def test_training_lowers_the_loss_on_a_few_images(name):
    set_seed(0)
    # A head alone on random features learns too slowly to be seen, and so do
    # three sigmoid layers that nothing has trained before.
    quicker = {
        "transfer_classifier": {"mode": "full"},
        "face_pose": {"hidden_units": 20},
        "dbn": {"hidden_units": (100,)},
    }.get(name, {})
    model = zoo.create_model(name, classifier_activation=None, **quicker)
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # ten steps do not pay for tracing a graph
    )
    # Each class is a bright stripe of its own, so there is much to learn.
    labels = np.arange(64) % 10
    images = noise(64, 28, 28, 1) // 4
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] = 255
    losses = [float(model.train_on_batch(images, labels)) for _ in range(10)]
    assert losses[-1] < 0.8 * losses[0]
