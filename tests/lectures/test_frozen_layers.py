"""Lectures: transfer learning."""

import numpy as np
from helpers.facts import Facts
from helpers.seeds import set_seed

import zoo

fact = Facts()


def changed_by_training(mode, thaw=()):
    """Return the layers of a backbone that training in a mode changes."""
    set_seed(0)
    donor = zoo.create_model("cnn", num_classes=5)
    model = zoo.create_model(
        "transfer_classifier", backbone=donor, mode=mode, thaw=thaw
    )
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (32, 28, 28, 1)).astype("uint8")
    model.fit(images, np.arange(32) % 10, verbose=0)
    return {
        layer.name
        for layer in model.get_layer("backbone").layers
        for before, after in zip(
            donor.get_layer(layer.name).get_weights(),
            layer.get_weights(),
            strict=True,
        )
        if not np.array_equal(before, after)
    }


BODY = {"conv1", "norm1", "conv2", "norm2", "hidden1", "norm3"}


@fact("A48", 0, "Only retrain the last layer; the others extract features")
def frozen_layers_stay_as_they_are():
    assert changed_by_training("frozen") == set()


@fact("A48", 0, "Train some layers while freeze others")
def thawed_layers_change_and_no_others():
    changed = changed_by_training("partial", thaw=("hidden1", "norm3"))
    assert changed == {"hidden1", "norm3"}


@fact("A48", 0, "As the initial values and retrain the whole network")
def all_layers_change_from_the_weights_given():
    assert changed_by_training("full") == BODY


test_lecture = fact.test()
