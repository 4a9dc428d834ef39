"""The names of classes, letter by letter."""

import dataclasses

import numpy as np
from helpers.tasks import sample

from recipes.lab.data import captions


def test_digits_are_spelled_out():
    data = captions.spelled(sample())
    for split, labeled in (
        (data.train, sample().train),
        (data.test, sample().test),
    ):
        texts = np.array(data.writing.write(split.targets))
        expected = np.array(captions.DIGITS)[labeled.targets]
        assert texts.tolist() == expected.tolist()
        assert split.inputs is labeled.inputs
    assert data.writing.alphabet == "efghinorstuvwxz"
    assert data.writing.length == 5


def test_other_classes_are_called_as_they_are():
    names = ("Ankle boot", "7", *"abcdefgh")
    data = captions.spelled(dataclasses.replace(sample(), class_names=names))
    targets = data.train.targets[sample().train.targets == 0]
    assert {*data.writing.write(targets)} == {"Ankle boot"}
    targets = data.train.targets[sample().train.targets == 1]
    assert {*data.writing.write(targets)} == {"seven"}
