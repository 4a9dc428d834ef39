"""Lectures: HydraNets, of many branches and of many heads."""

import pytest
from helpers.builders import build, count, noise, outputs
from helpers.facts import Facts

import zoo
from recipes.lab.export import costs

fact = Facts()


@fact(
    *("A69", 0, "dynamically selecting only a small number of components"),
    marks=pytest.mark.thorough,
)
def a_branch_costs_the_same_however_many_there_are():
    costs_of = {
        (branches, chosen): costs.multiplications(
            build("hydranet", branches=branches, chosen=chosen)
        )
        - 784 * branches  # the gate's
        for branches in (5, 20)
        for chosen in (1, 3)
    }
    assert costs_of[5, 1] == costs_of[20, 1] < costs_of[5, 3]
    assert costs_of[5, 3] == costs_of[20, 3]


@fact("A69", 0, "a gate chooses which branches to run on an input")
def images_go_through_different_branches():
    model = build("hydranet", branches=3, chosen=1)
    gate = zoo.feature_extractor(model, "choice")
    assert len({*outputs(gate, noise(200, 28, 28, 1)).ravel()}) > 1


@fact(
    *("A70", 0, "about 50 tasks must be done on-device, simultaneously"),
    marks=pytest.mark.thorough,
)
def fifty_heads_cost_hardly_more_than_one():
    one, fifty = (
        build(
            "multi_task_cnn", heads=tuple((f"task{i}", 2) for i in range(heads))
        )
        for heads in (1, 50)
    )
    extra = count(fifty.weights) - count(one.weights)
    assert extra == 49 * 2 * (128 + 1)
    assert costs.multiplications(fifty) < 1.03 * costs.multiplications(one)


test_lecture = fact.test()
