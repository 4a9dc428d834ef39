"""Batches: order, augmentation, shares for replicas, all without end."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python

from recipes.lab.data import augmentation, batches, decoding, splits
from recipes.lab.data.batches import training_batches, validation_batches
from recipes.lab.errors import UsageError
from recipes.lab.files import SCHEMA

SPLIT = splits.Split(
    np.arange(50, dtype="uint8").reshape(50, 1, 1, 1),
    np.arange(50, dtype="int32"),
)


def epochs_of(batch_size=50, epochs=3, split=SPLIT, **options):
    """The labels of all epochs, `(epochs, steps, batch_size)`."""
    options = {"seed": 0} | options
    (batches,) = training_batches(split, batch_size, **options)
    steps = len(split) // batch_size
    left = (epochs - options.get("initial_epoch", 0)) * steps
    labels = [labels.numpy() for _, labels in batches.take(left)]
    return np.reshape(labels, (-1, steps, batch_size))


def test_every_epoch_is_another_permutation():
    epochs = epochs_of()[:, 0]
    for epoch in epochs:
        assert sorted(epoch) == list(range(50))
    assert len({tuple(epoch) for epoch in [*epochs, range(50)]}) == 4


def test_images_stay_with_their_labels():
    (batches,) = training_batches(SPLIT, 8, seed=0)
    for images, labels in batches.take(12):
        np.testing.assert_array_equal(images.numpy().ravel(), labels)


def test_the_order_is_a_function_of_seed_and_epoch():
    np.testing.assert_array_equal(epochs_of(), epochs_of())
    np.testing.assert_array_equal(epochs_of(epochs=5)[:3], epochs_of())
    tf.random.set_seed(9)  # nor of any other seed
    np.testing.assert_array_equal(epochs_of(), epochs_of(seed=0))
    assert not np.array_equal(epochs_of(), epochs_of(seed=1))
    assert epochs_of(seed=2**31 - 1).shape == (3, 1, 50)


@pytest.mark.parametrize("initial_epoch", [1, 2])
def test_starting_late_gives_the_same_batches(initial_epoch):
    late = epochs_of(8, initial_epoch=initial_epoch)
    np.testing.assert_array_equal(late, epochs_of(8)[initial_epoch:])


def test_the_remainder_is_dropped_another_one_each_epoch():
    epochs = epochs_of(20)
    assert epochs.shape == (3, 2, 20)
    left_over = [frozenset(range(50)) - set(e.ravel()) for e in epochs]
    assert all(len(rest) == 10 for rest in left_over)
    assert len(set(left_over)) == 3


def test_the_batches_say_that_they_have_no_end():
    (batches,) = training_batches(SPLIT, 8, seed=0)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UsageError, match="at most the 50 training examples"):
        epochs_of(51)


def test_augmentation_draws_anew_for_every_batch_and_the_same_on_a_resume():
    def draws(count, **options):
        (batches,) = training_batches(
            SPLIT, 10, augment=lambda _, draw: draw(1), **options
        )
        return [tuple(draws.numpy()) for draws, _ in batches.take(count)]

    three_epochs = draws(15, seed=4)
    assert len(set(three_epochs)) == 15
    assert draws(10, seed=4, initial_epoch=1) == three_epochs[5:]
    assert not set(draws(15, seed=5)) & set(three_epochs)


def test_augmentation_sees_whole_batches_of_raw_images():
    def augment(images, draw):
        assert images.dtype == tf.uint8
        assert images.shape[1:] == (1, 1, 1)
        return images + 100

    (batches,) = training_batches(SPLIT, 25, seed=0, augment=augment)
    for images, labels in batches.take(2):
        np.testing.assert_array_equal(images.numpy().ravel(), labels + 100)


def test_a_split_to_reconstruct_yields_its_pixels_as_what_to_say():
    (batches,) = training_batches(SPLIT.to_reconstruct(), 8, seed=0)
    for images, pixels in batches.take(6):
        assert images.dtype == tf.uint8
        assert pixels.dtype == tf.float32
        np.testing.assert_allclose(pixels, images.numpy() / 255, rtol=1e-6)


def test_what_to_reconstruct_is_the_augmented_image():
    def augment(images, draw):
        return images + 100

    seen = []
    (batches,) = training_batches(
        SPLIT.to_reconstruct(), 25, seed=0, augment=augment
    )
    for images, pixels in batches.take(2):
        np.testing.assert_allclose(pixels, images.numpy() / 255, rtol=1e-6)
        seen.extend(images.numpy().ravel())
    assert sorted(seen) == list(range(100, 150))


# --- shares -------------------------------------------------------------


def in_one(shares, count, **options):
    """The first batches of several shares, put together again."""
    parts = zip(*(share.take(count) for share in shares), strict=True)
    return [
        [np.concatenate(arrays) for arrays in zip(*pair, strict=True)]
        for pair in parts
    ]


@pytest.mark.parametrize(
    "shares", [2, pytest.param(4, marks=pytest.mark.thorough)]
)
def test_the_shares_of_all_replicas_make_up_the_batches_of_one(shares):
    noise = np.random.default_rng(0).integers(0, 256, (64, 9, 9, 1), "uint8")
    split = splits.Split(noise, np.arange(64, dtype="int32"))

    def augment(images, draw):
        images = augmentation.random_flip(images, draw)
        return augmentation.random_shift(images, draw, 2)

    def batches(**options):
        return in_one(
            training_batches(split, 16, seed=3, augment=augment, **options),
            9,
        )

    for ours, whole in zip(batches(shares=shares), batches(), strict=True):
        for array, expected in zip(ours, whole, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    "replicas",
    [1, 3, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 8))],
)
@pytest.mark.parametrize("images", [8, 2_345])
@pytest.mark.parametrize("shared", [True, False])
def test_each_validation_sees_each_image_once_and_in_order(
    replicas, images, shared
):
    split = splits.Split(
        np.zeros((images, 1, 1, 1), "uint8"), np.arange(images, dtype="int32")
    )
    shares, steps = validation_batches(
        split, replicas=replicas, shares=replicas if shared else 1
    )
    batches = in_one(shares, 2 * steps)
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(labels, np.tile(np.arange(images), 2))
    for share in shares:
        assert share.cardinality() == tf.data.INFINITE_CARDINALITY
        assert all(len(labels) for _, labels in share.take(steps))


def test_a_validation_of_what_to_reconstruct_compares_pixels():
    (batches,), _ = validation_batches(SPLIT.to_reconstruct())
    ((images, pixels),) = batches.take(1)
    assert images.dtype == tf.uint8
    np.testing.assert_allclose(pixels, SPLIT.inputs / 255, rtol=1e-6)


def test_mapped_images_are_drawn_as_those_in_memory_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 1), "uint8")
    split = splits.Split(images, np.arange(50, dtype="int32"))
    path = tmp_path / "pixels"
    path.write_bytes(bytes(4_096) + images.tobytes())
    mapped = np.memmap(path, "uint8", "c", 4_096, images.shape).view(np.ndarray)
    assert batches._can_be_shared(mapped)
    assert not batches._can_be_shared(images)
    both = [
        training_batches(splits.Split(array, split.targets), 20, seed=1)[0]
        for array in (images, mapped)
    ]
    for one, other in zip(*(b.take(6) for b in both), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    [watched], steps = validation_batches(splits.Split(mapped, split.targets))
    [(pixels, _)] = watched.take(steps)
    np.testing.assert_array_equal(pixels, images)


ROWS = 1_700_000  # of 12 KB, 21 GB
ASK_FOR_BATCHES = """
import sys
from pathlib import Path

import zoo
import numpy as np
from recipes.lab.data import decoding
from recipes.lab.data.batches import training_batches
from recipes.lab.data.splits import Split


def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("RssAnon")]
    return int(line.split()[1]) // 1_000


with open(sys.argv[1], "rb") as file:
    decoded = decoding.read(file)
train = Split(decoded.pixels["train"], decoded.labels["train"])
assert train.inputs.nbytes > 20e9
[found] = training_batches(train, 256, seed=0)
found = iter(found)
next(found)
before = anonymous()
for _ in range(40):
    images, labels = next(found)
assert images.shape == (256, 64, 64, 3)
print(anonymous() - before)
"""


@pytest.mark.thorough
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/status").exists(), reason="it asks Linux"
)
def test_images_of_twenty_gigabytes_take_no_memory(tmp_path):
    """They are all zero and take no disk either: the file is sparse."""
    shape, counts = (64, 64, 3), [ROWS, 1, 1]
    head = {"schema": SCHEMA, "shape": shape, "counts": counts}
    *_, end = decoding._places(counts, shape)
    with open(tmp_path / "pixels", "wb") as file:
        text = json.dumps(head | {"checksum": "", "leaked": 0})
        file.write(text.encode().ljust(decoding.BLOCK))
        file.seek(end)
        file.write(bytes(4 * sum(counts)))
    done = run_python("-c", ASK_FOR_BATCHES, tmp_path / "pixels")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 100  # MB


def test_memory_is_shared_where_it_is_aligned():
    array = splits.for_tensorflow(np.arange(1_000, dtype="uint8"))
    for part, shared in (
        (array[:100], True),
        (array[64:], True),
        (array[1:], False),
    ):
        tensor = batches._to_tensor(part)
        np.testing.assert_array_equal(tensor, part)
        part[-1] += 1
        assert (tensor[-1].numpy() == part[-1]) == shared
        part[-1] -= 1
