"""Prepared data: an MNIST of numbered images, and ways to damage it."""

import numpy as np
import tensorflow as tf

from helpers.commands import run_recipe
from recipes.lab.data import sources
from recipes.lab.flags import RunOptions

TRAIN, TEST = 5_010, 20
ARRAYS = ("train", "validation", "test")


def write_tfds(folder, form):
    """Write the MNIST of numbered images in one of TFDS' file formats."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version="3.0.1",
        features=features,
        split_datasets={
            "train": numbered_images(range(TRAIN)),
            "test": numbered_images(range(TRAIN, TRAIN + TEST)),
        },
        data_dir=folder,
        file_format=form,
    )


def numbered_images(numbers):
    """Images that bear their number in their first two pixels."""
    numbers = np.array(numbers)
    images = np.zeros((len(numbers), 28, 28, 1), "uint8")
    images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers // 256, numbers % 256
    return tf.data.Dataset.from_tensor_slices(
        {"image": images, "label": numbers % 10}
    )


def numbers_of(split):
    pixels = split.inputs[:, 0, :2, 0].astype(int)
    return pixels @ [256, 1]


def load(folder, name="mnist", **options):
    return sources.load(
        name, RunOptions(data_dir=folder, offline=True, **options)
    )


def records(folder, split="train"):
    return next(folder.glob(f"mnist/3.0.1/*-{split}.tfrecord-*"))


def cut_short(path):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 7)


def cut_between_records(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def is_refused(capsys, *flags):
    """Run the main job; return what it says when it has no data."""
    assert run_recipe("mnist_cnn", "--offline", *flags) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
    return said


def cache_file(folder):
    (path,) = (folder.parent / "cache").rglob("*.npz")
    return path


def same(one, two):
    return all(
        np.array_equal(getattr(one, part).inputs, getattr(two, part).inputs)
        and np.array_equal(
            getattr(one, part).targets, getattr(two, part).targets
        )
        for part in ARRAYS
    )
