"""A HydraNet's branches, and the static network to compare them with."""

import contextlib
import types

import numpy as np
import pytest
from helpers.builders import build

from recipes import fashion_mnist_hydranet
from recipes.lab.data import sources
from recipes.lab.data.splits import Split
from recipes.lab.export import costs
from recipes.lab.flags import RunOptions
from recipes.lab.tasks import scores


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        # None of four, though they are so near; rather one that is far.
        (5, [{0, 1}, {2, 3, 7}, {4, 5, 6}, {8}, {9}]),
        (2, [{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9}]),
    ],
)
def test_classes_that_are_confused_share_a_branch(
    branches, expected, monkeypatch
):
    places = np.array([0, 0.1, 0.2, 0.3, 5, 5.1, 5.2, 9, 20, 30])
    near = np.exp(-abs(places[:, np.newaxis] - places))
    answers = near / near.sum(axis=1, keepdims=True)
    monkeypatch.setattr(scores, "predict", lambda *arguments: answers)
    run = types.SimpleNamespace(
        data=types.SimpleNamespace(
            train=Split(places, np.arange(10, dtype="int32")), num_classes=10
        ),
        config=fashion_mnist_hydranet.Config(branches=branches),
    )
    groups = fashion_mnist_hydranet._groups_of_classes(run, model=None)
    found = [{*np.flatnonzero(groups == g).tolist()} for g in range(branches)]
    assert sorted(found, key=min) == expected


@pytest.mark.parametrize("chosen", [1, 2])
def test_the_static_network_grows_in_both_convolutions_to_the_cost(chosen):
    config = fashion_mnist_hydranet.Config(stem_filters=16, filters=(6, 10))
    run = types.SimpleNamespace(
        data=sources.load("fashion_mnist", RunOptions(dry_run=True)),
        config=config,
        scope=contextlib.nullcontext,
    )
    model = build("hydranet", chosen=chosen, branch_filters=(6, 10))
    static = fashion_mnist_hydranet._of_the_cost_of(run, model)
    first, second = (
        static.get_layer(f"branch_conv{i}").filters for i in (1, 2)
    )
    assert first == {1: 6, 2: 10}[chosen] and second > 10 / 6 * first
    more = costs.multiplications(static) - costs.multiplications(model)
    one_map = 4 * 4 * 9 * first + 64
    assert 0 <= more < one_map
