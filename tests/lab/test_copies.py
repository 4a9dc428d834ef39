"""Sequences to copy: what is shown, what is asked, and when."""

import numpy as np
import pytest

from recipes.lab.data import augmentation
from recipes.lab.data.synthetic import copies


def test_what_was_shown_is_asked_for_after_the_end():
    inputs = copies.sequences([3, 1, 5], 5, np.random.default_rng(0))
    assert inputs.shape == (3, 12, 10)
    targets = copies.targets_of(inputs).numpy()
    for sequence, target, length in zip(
        inputs, targets, (3, 1, 5), strict=True
    ):
        assert sequence[0].tolist() == [0] * 8 + [1, 0]
        assert sequence[length + 1].tolist() == [0] * 8 + [0, 1]
        assert not sequence[length + 2 :].any()
        shown = sequence[1 : length + 1, :8]
        asked = target[length + 2 : 2 * length + 2]
        np.testing.assert_array_equal(asked, shown)
        assert (target[: length + 2] == -1).all()
        assert (target[2 * length + 2 :] == -1).all()


@pytest.mark.parametrize("longest", [5, 40])
def test_all_lengths_are_there_equally_often(longest):
    data = copies.load(longest, small=True)
    assert data.inputs.steps == data.test.inputs.shape[1] == 2 * longest + 2
    for split in (data.train, data.validation, data.test):
        ends = split.inputs[..., 9].argmax(axis=1) - 1
        counts = np.bincount(ends, minlength=longest + 1)
        assert counts[1:].tolist() == [400 // longest] * longest
        assert not counts[0]
        bits = split.inputs[:, 1, :8]
        assert bits.mean() == pytest.approx(0.5, abs=0.05)
        np.testing.assert_array_equal(
            copies.targets_of(split.inputs), split.targets
        )


def test_splits_have_bits_of_their_own():
    data = copies.load(20, small=True)
    rows = []
    for split in (data.train, data.validation, data.test):
        # A single row of bits may well be the same.
        long = split.inputs[split.inputs[..., 9].argmax(axis=1) > 5]
        rows.append({row.tobytes() for row in long})
    assert len(set().union(*rows)) == sum(map(len, rows))


def test_bits_drawn_anew_leave_the_lengths_as_they_are():
    inputs = copies.sequences([3] * 200, 5, np.random.default_rng(0))
    draw = augmentation.Drawing((0, 0), 200, 0, 200)
    drawn = copies.random_bits(inputs, draw).numpy()
    np.testing.assert_array_equal(drawn[..., 8:], inputs[..., 8:])
    assert not drawn[:, [0, *range(4, 12)], :8].any()
    bits = drawn[:, 1:4, :8]
    assert {*np.unique(bits)} == {0, 1}
    assert (bits != inputs[:, 1:4, :8]).mean() == pytest.approx(0.5, abs=0.04)
    _, asked = copies.to_copy(drawn, None)
    np.testing.assert_array_equal(asked[:, 5:8], bits)
