"""A HydraNet's branches get groups of classes that are alike."""

import types

import numpy as np
import pytest
from helpers.builders import build

from recipes import fashion_mnist_hydranet
from recipes.lab import tasks
from recipes.lab.data.splits import Split


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        # None of four, though they are so near; rather one that is far.
        (5, [{0, 1}, {2, 3, 7}, {4, 5, 6}, {8}, {9}]),
        (2, [{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9}]),
    ],
)
def test_classes_that_are_alike_share_a_branch(branches, expected, monkeypatch):
    places = np.array([0, 0.1, 0.2, 0.3, 5, 5.1, 5.2, 9, 20, 30])
    labels = np.repeat(np.arange(10, dtype="int32"), 2)
    seen = Split(places[labels][:, np.newaxis], labels)
    monkeypatch.setattr(tasks, "features_of", lambda *arguments: seen)
    run = types.SimpleNamespace(
        data=types.SimpleNamespace(train=None, num_classes=10),
        config=fashion_mnist_hydranet.Config(branches=branches),
    )
    model = build("hydranet", branches=1, chosen=1)
    groups = fashion_mnist_hydranet._groups_of_classes(run, model)
    found = [{*np.flatnonzero(groups == g).tolist()} for g in range(branches)]
    assert sorted(found, key=min) == expected
