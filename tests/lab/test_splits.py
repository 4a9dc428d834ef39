"""Parts of the data: some classes, some images, more than once."""

import dataclasses

import numpy as np
import pytest
from helpers.datasets import ARRAYS

from recipes.lab.data import splits
from recipes.lab.data.batches import training_batches, validation_batches
from recipes.lab.errors import UsageError

SPLIT = splits.Split(
    np.arange(50, dtype="uint8").reshape(50, 1, 1, 1),
    np.arange(50, dtype="int32"),
)


def test_targets_of_several_tasks_stay_with_their_inputs():
    numbers = np.arange(50)
    split = dataclasses.replace(
        SPLIT, targets={"number": numbers, "half": numbers / 2}
    )
    parts = [split[7:9] + split[[3]], *split.in_batches(20)]
    (batches,) = training_batches(split, 8, seed=0)
    (watched,), _ = validation_batches(split)
    for one in (*parts, *batches.take(3), *watched.take(1)):
        inputs, targets = (
            one if isinstance(one, tuple) else (*(one.inputs, one.targets),)
        )
        found = np.asarray(inputs).ravel()
        np.testing.assert_array_equal(targets["number"], found)
        np.testing.assert_array_equal(targets["half"], found / 2)
    assert parts[0].targets["number"].tolist() == [7, 8, 3]


def test_several_inputs_stay_together():
    numbers = np.arange(50)
    split = dataclasses.replace(
        SPLIT, inputs={"number": numbers, "half": numbers / 2}
    )
    assert len(split) == 50
    parts = [split[7:9] + split[[3]], *split.in_batches(20)]
    (batches,) = training_batches(split, 8, seed=0)
    (watched,), _ = validation_batches(split)
    for one in (*parts, *batches.take(3), *watched.take(1)):
        inputs, targets = (
            one if isinstance(one, tuple) else (*(one.inputs, one.targets),)
        )
        np.testing.assert_array_equal(inputs["number"], targets)
        np.testing.assert_array_equal(inputs["half"], np.asarray(targets) / 2)
    assert parts[0].inputs["number"].tolist() == [7, 8, 3]


@pytest.mark.parametrize("names", ["56789", "40", "7"])
def test_some_classes_are_numbered_anew_in_the_order_asked_for(names, digits):
    some = digits.of_classes(names)
    assert some.class_names == tuple(names)
    old_numbers = np.array([int(name) for name in names])
    for part in ARRAYS:
        whole, kept = getattr(digits, part), getattr(some, part)
        chosen = np.isin(whole.targets, old_numbers)
        assert 0 < len(kept) == chosen.sum()
        np.testing.assert_array_equal(kept.inputs, whole.inputs[chosen])
        np.testing.assert_array_equal(
            old_numbers[kept.targets], whole.targets[chosen]
        )
        assert kept.targets.dtype == np.int32
    assert some.checksum == digits.checksum


def test_halves_of_the_classes_make_up_the_whole(digits):
    halves = [digits.of_classes(names) for names in ("01234", "56789")]
    for part in ARRAYS:
        sizes = [len(getattr(half, part)) for half in halves]
        assert sum(sizes) == len(getattr(digits, part))
    assert f"{len(halves[0].train):,} train" in halves[0].describe()


def test_an_unknown_class_is_an_error(digits):
    with pytest.raises(ValueError, match="not in tuple"):
        digits.of_classes(["0", "ten"])


def test_so_many_of_each_class_are_drawn_at_random(digits):
    train = digits.train
    few = train.of_each_class(7, seed=0)
    assert np.bincount(few.targets).tolist() == [7] * 10
    rows = {
        (i.tobytes(), n)
        for i, n in zip(train.inputs, train.targets, strict=True)
    }
    drawn = [
        (i.tobytes(), n) for i, n in zip(few.inputs, few.targets, strict=True)
    ]
    assert len({*drawn} & rows) == 70  # all different, with their labels

    same, other = (train.of_each_class(7, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(few.inputs, same.inputs)
    assert not np.array_equal(few.inputs, other.inputs)


def test_more_draws_of_a_seed_contain_the_fewer(digits):
    few, more = (digits.train.of_each_class(count, 0) for count in (3, 9))
    for label in range(10):
        np.testing.assert_array_equal(
            few[few.targets == label].inputs,
            more[more.targets == label].inputs[:3],
        )


def test_of_a_class_with_fewer_images_all_are_taken():
    split = splits.Split(SPLIT.inputs, (SPLIT.targets >= 46).astype("int32"))
    drawn = split.of_each_class(10, seed=0)
    assert np.bincount(drawn.targets).tolist() == [10, 4]
    rare = drawn.inputs[drawn.targets == 1].ravel()
    assert sorted(rare) == [46, 47, 48, 49]


def test_what_is_to_be_reconstructed_stays_bytes_until_it_is_in_a_batch():
    split = SPLIT.to_reconstruct()
    assert split.inputs is SPLIT.inputs
    inputs, targets = split.prepare(split.inputs[:8], split.targets[:8])
    assert inputs is not targets and targets.dtype == "float32"
    np.testing.assert_allclose(targets, SPLIT.inputs[:8] / 255, rtol=1e-6)
    assert SPLIT.prepare is None


def test_what_is_to_be_drawn_is_a_label_first():
    split = SPLIT.to_draw(50)
    labels, pictures = split.prepare(split.inputs[:8], split.targets[:8])
    np.testing.assert_array_equal(labels, np.eye(50)[:8])
    np.testing.assert_allclose(pictures, SPLIT.inputs[:8] / 255, rtol=1e-6)


PARTS = {
    "slice": (slice(3, 20, 2), range(3, 20, 2)),
    "mask": (SPLIT.targets % 9 == 0, range(0, 50, 9)),
    "indices": (np.array([7, 7, 2]), [7, 7, 2]),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_split_is_what_numpy_would_take(part):
    chosen, expected = PARTS[part]
    some = SPLIT[chosen]
    assert some.inputs.ravel().tolist() == list(expected)
    assert some.targets.tolist() == list(expected)
    assert some.inputs.shape == (len(some), 1, 1, 1)


def test_a_split_may_be_shown_more_than_once_in_an_epoch():
    few = dataclasses.replace(SPLIT, passes=4)
    assert len(few) == 50
    assert splits.steps_per_epoch(few, 32) == 6
    assert splits.steps_per_epoch(few, 200) == 1
    with pytest.raises(UsageError, match="at most the 200 training examples"):
        splits.steps_per_epoch(few, 201)
    for part in (few[:8], few.one_hot(50), few.to_reconstruct()):
        assert part.passes == 4
    [batches] = training_batches(few, 40, seed=0)
    epochs = [
        np.bincount(
            np.concatenate(
                [labels for _, labels in batches.skip(start).take(5)]
            )
        )
        for start in (0, 5)
    ]
    assert [epoch.tolist() for epoch in epochs] == [[4] * 50] * 2


def test_splits_add_up():
    both = SPLIT[:3] + SPLIT[40:]
    assert both.targets.tolist() == [0, 1, 2, *range(40, 50)]
    assert both.inputs.ravel().tolist() == both.targets.tolist()


@pytest.mark.parametrize(
    "split",
    [
        SPLIT.to_reconstruct()[:8],
        SPLIT[:3].to_reconstruct() + SPLIT[3:8].to_reconstruct(),
    ],
    ids=["part", "sum"],
)
def test_parts_and_sums_are_still_to_be_reconstructed(split):
    _, targets = split.prepare(split.inputs, split.targets)
    np.testing.assert_allclose(np.ravel(targets), np.arange(8) / 255, rtol=1e-6)
