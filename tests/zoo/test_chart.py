"""The chart of 2016: 27 networks, 13 kinds of cells, and the models."""

import pytest

import zoo
from zoo import Cell
from zoo.__main__ import main
from zoo._sources import read_chart

NETWORKS = zoo.list_models(chart="2016")
BY_NAME = {network.short: network for network in NETWORKS}


def test_the_chart_has_27_networks_of_13_kinds_of_cells():
    assert len(NETWORKS) == len(BY_NAME) == 27
    assert len({network.name for network in NETWORKS}) == 27
    used = {cell for network in NETWORKS for cell in network.cells}
    assert used == {*Cell}
    assert len(used) == 13


@pytest.mark.parametrize(
    ("short", "cells", "model"),
    [
        ("P", {Cell.INPUT, Cell.OUTPUT}, "perceptron"),
        ("LSTM", {Cell.INPUT, Cell.MEMORY, Cell.OUTPUT}, "lstm"),
        ("GRU", {Cell.INPUT, Cell.DIFFERENT_MEMORY, Cell.OUTPUT}, "gru"),
        ("HN", {Cell.BACKFED_INPUT}, "hopfield"),
        ("MC", {Cell.PROBABILISTIC_HIDDEN}, "markov_chain"),
        (
            "BM",
            {Cell.BACKFED_INPUT, Cell.PROBABILISTIC_HIDDEN},
            "boltzmann_machine",
        ),
        (
            "DAE",
            {Cell.NOISY_INPUT, Cell.HIDDEN, Cell.MATCH_INPUT_OUTPUT},
            "deep_autoencoder",
        ),
    ],
)
def test_a_network_has_its_cells_and_its_models(short, cells, model):
    assert {*BY_NAME[short].cells} == cells
    assert model in BY_NAME[short].models
    assert short in zoo.model_info(model).chart


def test_models_come_in_teaching_order_and_can_be_chosen():
    order = zoo.list_models()
    for network in NETWORKS:
        assert [*network.models] == sorted(network.models, key=order.index)
    chosen = zoo.list_models("*cnn*", inputs="images", chart="2016")
    assert [network.short for network in chosen] == [*BY_NAME]
    models = {network.short: network.models for network in chosen}
    assert models.pop("DCN") == ("lecture_cnn", "cnn", "deep_cnn")
    assert not any(models.values())


def test_what_is_on_no_chart_is_refused():
    with pytest.raises(ValueError, match=r"`chart` must be one of \('2016',\)"):
        zoo.list_models(chart="2019")
    with pytest.raises(ValueError, match="`chart` must be one of .*'P'"):
        zoo.register_model(
            task="classification",
            inputs="images",
            lecture="",
            reference="",
            chart=("XYZ",),
        )


def test_the_chart_is_read_from_the_sources_as_it_is_registered(capsys):
    assert read_chart() == {
        network.short: [*network.models]
        for network in NETWORKS
        if network.models
    }
    assert main(["--chart"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert heads == [*BY_NAME]
    assert "       cells: input, memory, output" in lines
