"""Cues of bitmaps: as many pixels are turned over as should be."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import memories
from zoo.lenet import digit_codes


def test_what_is_stored_are_the_bitmaps_of_lenet():
    data = memories.load(small=True)
    assert data.train.inputs.shape == (10, 12, 7, 1)
    assert data.train.targets.tolist() == [*range(10)]
    codes = np.where(data.train.inputs.reshape(10, 84) > 127, 1, -1)
    np.testing.assert_array_equal(codes, digit_codes())


def test_a_cue_has_a_share_of_its_pixels_turned_over():
    data = memories.load()
    for split in (data.validation, data.test):
        assert {*np.unique(split.inputs)} == {0, 255}
        wrong = split.inputs != data.train.inputs[split.targets]
        assert wrong.mean() == pytest.approx(memories.TURNED, abs=0.01)
        # Of each pixel, and not of some.
        of_a_pixel = wrong.mean(axis=0)
        assert of_a_pixel.min() > 0.7 * memories.TURNED
        assert np.bincount(split.targets).tolist() == [len(split) / 10] * 10
