"""Networks that read genomes."""

import keras
import numpy as np
import pytest
from helpers.builders import build, count, examples

import zoo
from zoo.genomics import BASES

SMALL = {"dna_length": 31, "cells": 3, "neighbors": 4, "filters": (4, 4)}


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_modules_have_the_papers_sizes():
    cpg = build("deepcpg", modules=("cpg",))
    assert count(cpg.trainable_weights) == 548_865
    # The number of cells is the number of steps, and changes no weights.
    other = build("deepcpg", modules=("cpg",), cells=3)
    assert count(other.trainable_weights) == 548_865
    assert build("deepcpg").get_layer("joint1").units == 512


def test_each_module_takes_what_it_reads():
    for modules in (("dna",), ("cpg",), ("dna", "cpg")):
        model = build("deepcpg", modules=modules, **SMALL)
        assert {*model.input} == {*modules}


def test_a_letter_is_a_one_among_zeros_and_an_unknown_one_is_none():
    model = build("deepcpg", **SMALL)
    letters = np.arange(31)[np.newaxis] % (len(BASES) + 1)
    rows = plain(model.get_layer("bases")(letters))[0]
    np.testing.assert_array_equal(rows[:4], np.eye(4))
    assert not rows[4].any()
    assert not model.get_layer("bases").trainable_weights


def test_a_step_is_what_is_known_of_one_cell():
    model = build("deepcpg", modules=("cpg",), max_distance=100, **SMALL)
    steps = keras.Model(model.input, model.get_layer("in_a_row").output)
    cpg = np.random.default_rng(0).integers(0, 100, (1, 3, 4, 2))
    found = plain(steps({"cpg": cpg.astype("float32")}))
    expected = (cpg * [1, 0.01]).reshape(1, 3, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_unrolled_network_says_the_same():
    model, x = build("deepcpg"), examples("deepcpg", 2)
    unrolled = zoo.create_model("deepcpg", unroll=True)
    unrolled.set_weights(model.get_weights())
    np.testing.assert_allclose(plain(unrolled(x)), plain(model(x)), atol=1e-5)


@pytest.mark.parametrize("modules", [(), ("dna", "rna")])
def test_no_module_and_an_unknown_one_are_refused(modules):
    with pytest.raises(ValueError, match="`modules` must be one or both"):
        zoo.create_model("deepcpg", modules=modules)
