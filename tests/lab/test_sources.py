"""Where the data come from, what they are, and what happens if they are not."""

import contextlib
import dataclasses
import functools
import gzip
import http.server
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import ROOT, ordinary_rights, run_recipe

import zoo
from recipes.lab.data import sources, splits, tfds
from recipes.lab.data.batches import training_batches
from recipes.lab.errors import DataError, UsageError
from recipes.lab.flags import RunOptions

TRAIN, TEST = 5_010, 20
ARRAYS = ("train", "validation", "test")
REAL = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
).expanduser()


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


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A TFDS data directory with an MNIST of numbered images."""
    folder = tmp_path_factory.mktemp("tfds")
    write_tfds(folder, "tfrecord")
    return folder


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


@pytest.fixture
def prepared(written, tmp_path, monkeypatch):
    """A copy of that directory, to be damaged, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(written, tmp_path / "tfds")
    return tmp_path / "tfds"


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """No prepared data anywhere, and no proxy between us and 127.0.0.1."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    # urllib keeps the proxies that it found the first time.
    monkeypatch.setattr(urllib.request, "_opener", None)


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


# --- splits -------------------------------------------------------------


def test_splits_are_in_the_order_of_tfds_with_the_last_5000_to_validate(
    prepared,
):
    import tensorflow_datasets as tfds

    data = load(prepared)
    builder = tfds.builder_from_directory(prepared / "mnist" / "3.0.1")
    for name, parts in [("train", ARRAYS[:2]), ("test", ARRAYS[2:])]:
        whole = builder.as_dataset(split=name, batch_size=-1)
        found = [getattr(data, part) for part in parts]
        np.testing.assert_array_equal(
            np.concatenate([part.inputs for part in found]), whole["image"]
        )
        np.testing.assert_array_equal(
            np.concatenate([part.targets for part in found]), whole["label"]
        )
    assert len(data.validation) == 5_000
    everything = [numbers_of(getattr(data, part)) for part in ARRAYS]
    assert set(np.concatenate(everything)) == set(range(TRAIN + TEST))
    assert sum(map(len, everything)) == TRAIN + TEST  # so they are disjoint


def test_arrays_are_raw_pixels_whole_labels_and_say_where_they_are_from(
    prepared, capsys
):
    data = load(prepared)
    for part in ARRAYS:
        split = getattr(data, part)
        assert split.inputs.dtype == np.uint8
        assert split.inputs.shape == (len(split), 28, 28, 1)
        assert split.targets.dtype == np.int32
        np.testing.assert_array_equal(split.targets, numbers_of(split) % 10)
    assert not data.is_sample
    said = capsys.readouterr().out
    assert f"reading {prepared / 'mnist' / '3.0.1'}" in said
    assert (
        "mnist from TFDS mnist/3.0.1: 10 train, 5,000 validation, 20 test"
        in said
    )
    assert data.checksum[:12] in said


@pytest.mark.skipif(
    not (REAL / "mnist" / "3.0.1" / "dataset_info.json").exists(),
    reason="the real MNIST is not here",
)
@pytest.mark.thorough
def test_the_real_mnist_has_its_sizes():
    data = load(REAL)
    sizes = [len(getattr(data, part)) for part in ARRAYS]
    assert sizes == [55_000, 5_000, 10_000]
    assert np.bincount(data.test.targets).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_the_newest_version_3_counts_and_unfinished_ones_do_not(prepared):
    mnist = prepared / "mnist"
    for name in ("3.0.1.incompleteABC", "2.9.9", "4.0.0", "3.0.0", "notes"):
        shutil.copytree(mnist / "3.0.1", mnist / name)
    assert load(prepared).source.endswith("3.0.1")
    os.rename(mnist / "3.0.1", mnist / "3.0.10")
    shutil.copytree(mnist / "3.0.10", mnist / "3.0.9")
    assert load(prepared).source.endswith("3.0.10")


def test_the_directory_may_come_from_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    data = load(None)
    assert (data.source, len(data.test)) == ("TFDS mnist/3.0.1", TEST)


@pytest.mark.parametrize("part", ["mnist", "mnist/3.0.1"])
def test_the_folder_of_a_data_set_or_of_its_version_will_do(
    part, prepared, monkeypatch
):
    fashion = prepared / "fashion_mnist" / "3.0.1"
    shutil.copytree(prepared / "mnist" / "3.0.1", fashion)
    for record in fashion.glob("mnist-*"):
        record.rename(fashion / f"fashion_{record.name}")
    info = fashion / "dataset_info.json"
    info.write_text(info.read_text().replace('"mnist"', '"fashion_mnist"'))
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / part))
    for folder in (prepared / part, None):
        data = load(folder)
        assert (data.source, len(data.test)) == ("TFDS mnist/3.0.1", TEST)
        # Beside it there is another data set, which is found as well.
        other = load(folder, "fashion_mnist")
        assert other.source == "TFDS fashion_mnist/3.0.1"


def test_a_version_that_was_copied_alone_knows_what_it_is(prepared, tmp_path):
    shutil.copytree(prepared / "mnist" / "3.0.1", tmp_path / "usb" / "3.0.1")
    assert load(tmp_path / "usb" / "3.0.1").source == "TFDS mnist/3.0.1"
    with pytest.raises(DataError, match="fashion_mnist is not in --data-dir"):
        load(tmp_path / "usb" / "3.0.1", "fashion_mnist")


# --- other file formats -------------------------------------------------


@pytest.fixture(scope="module")
def array_record_written(tmp_path_factory):
    """A TFDS data directory in the format array_record."""
    pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp("array_record")
    write_tfds(folder, "array_record")
    return folder


@pytest.fixture
def array_record(array_record_written, tmp_path, monkeypatch):
    """A copy of that directory, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(array_record_written, tmp_path / "tfds")
    return tmp_path / "tfds"


@pytest.mark.thorough
def test_array_records_are_read_and_cached(array_record, monkeypatch):
    data = load(array_record)
    everything = np.concatenate([numbers_of(getattr(data, p)) for p in ARRAYS])
    assert sorted(everything) == list(range(TRAIN + TEST))
    labels = np.concatenate([getattr(data, p).targets for p in ARRAYS])
    np.testing.assert_array_equal(labels, everything % 10)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert same(data, load(array_record))
    [record] = array_record.glob("mnist/3.0.1/*-test.array_record-*")
    flip_a_bit(record)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(array_record.parent / "cache"))
    with pytest.raises(DataError, match="may be damaged"):
        load(array_record)


def test_array_records_without_their_package_are_not_called_damaged(
    array_record, monkeypatch
):
    def fail(builder, split):
        raise ImportError("No module named 'array_record'")

    monkeypatch.setitem(tfds._READERS, "array_record", fail)
    with pytest.raises(DataError, match="format array_record is missing") as e:
        load(array_record)
    assert "damaged" not in str(e.value)


def test_formats_that_cannot_be_read_are_named(prepared):
    info = prepared / "mnist" / "3.0.1" / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"riegeli"'))
    with pytest.raises(DataError, match="in the file format riegeli") as error:
        load(prepared)
    said = str(error.value)
    assert "recipes read tfrecord and array_record" in said
    assert "damaged" not in said and "elete" not in said


# --- plain files --------------------------------------------------------

COUNTS = (3, 2, 2, 2, 2, 2, 2, 2, 2, 1)  # test images of each class


@pytest.fixture
def originals(monkeypatch):
    """The arrays of a small MNIST of numbered images, as Keras names them."""
    for name, counts in (("mnist", COUNTS), ("fashion_mnist", (2,) * 10)):
        source = dataclasses.replace(
            sources.SOURCES[name], train_size=TRAIN, test_counts=counts
        )
        monkeypatch.setitem(sources.SOURCES, name, source)
    numbers = np.arange(TRAIN + TEST)
    images = np.zeros((len(numbers), 28, 28), "uint8")
    images[:, 0, 0], images[:, 0, 1] = numbers // 256, numbers % 256
    return {
        "x_train": images[:TRAIN],
        "y_train": (numbers[:TRAIN] % 10).astype("uint8"),
        "x_test": images[TRAIN:],
        "y_test": np.repeat(range(10), COUNTS).astype("uint8"),
    }


IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def idx(array):
    """The bytes of an IDX file."""
    axes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + axes + array.tobytes()


def write_idx(folder, arrays, *, packed=True, dots=False):
    folder.mkdir(parents=True, exist_ok=True)
    for key, name in IDX_NAMES.items():
        name = name.replace("-idx", ".idx") if dots else name
        content = idx(arrays[key])
        if packed:
            name, content = f"{name}.gz", gzip.compress(content)
        (folder / name).write_bytes(content)
    return folder


PLACES = {
    "npz itself": lambda f, a: (
        np.savez(f / "mnist.npz", **a) or f / "mnist.npz"
    ),
    "npz": lambda f, a: np.savez_compressed(f / "mnist.npz", **a) or f,
    "packed": write_idx,
    "plain": lambda f, a: write_idx(f, a, packed=False),
    "dots": lambda f, a: write_idx(f, a, packed=False, dots=True),
    "by name": lambda f, a: write_idx(f / "mnist", a) and f,
    "torchvision": lambda f, a: write_idx(f / "MNIST/raw", a) and f,
    "inside torchvision": lambda f, a: write_idx(f / "MNIST/raw", a).parent,
}


@pytest.mark.parametrize("place", PLACES)
def test_plain_files_are_read(place, originals, tmp_path, capsys, monkeypatch):
    folder = PLACES[place](tmp_path, originals)
    data = load(folder)
    numbers = np.concatenate([numbers_of(getattr(data, p)) for p in ARRAYS])
    assert numbers.tolist() == list(range(TRAIN + TEST))
    for split, size in zip(ARRAYS, (TRAIN - 5_000, 5_000, TEST), strict=True):
        part = getattr(data, split)
        assert part.inputs.shape == (size, 28, 28, 1)
        assert part.inputs.dtype == np.uint8
        assert part.targets.dtype == np.int32
    np.testing.assert_array_equal(data.test.targets, originals["y_test"])
    said = capsys.readouterr().out
    assert f"reading {tmp_path}" in said
    assert "mnist from Keras' npz" in said or "mnist from IDX files" in said
    # Whatever they are packed in, it is the content that is summed.
    (tmp_path / "other").mkdir()
    other = load(write_idx(tmp_path / "other", originals))
    assert data.checksum == other.checksum
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    assert load(None).checksum == data.checksum


def with_arrays(**arrays):
    """Write an npz anew, with some arrays changed."""

    def change(path):
        with np.load(path) as file:
            content = dict(file)
        np.savez(path, **(content | arrays))

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "is damaged, or is not Keras' file"),
        (flip_a_bit, "is damaged, or is not Keras' file"),
        (lambda p: np.savez(p, x_train=np.zeros(3)), "is damaged, or is not"),
        (with_arrays(y_test=np.array([{}] * TEST)), "allow_pickle=False"),
        (with_arrays(x_test=np.zeros((TEST, 28, 28))), "float64"),
        (with_arrays(x_test=np.zeros((TEST, 8, 8), "uint8")), r"\(20, 8, 8\)"),
        (with_arrays(y_test=np.zeros(TEST - 1, "uint8")), r"\(19,\)"),
        (with_arrays(y_test=np.zeros(TEST)), "must be 20 whole numbers"),
        (with_arrays(y_test=np.full(TEST, 10)), "Received: 10 to 10"),
        (with_arrays(y_test=np.full(TEST, -1)), "Received: -1 to -1"),
        (with_arrays(y_test=np.zeros(TEST, int)), "does not hold mnist"),
    ],
)
def test_an_npz_that_is_damaged_or_something_else(
    damage, words, originals, tmp_path
):
    path = tmp_path / "mnist.npz"
    np.savez(path, **originals)
    damage(path)
    with pytest.raises(DataError, match=words):
        load(path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0\0\x0b\x03" + bytes(99)),
        lambda path: path.write_bytes(b"\0\0\x08\xff" + bytes(99)),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
    ],
    ids=["cut", "empty", "other type", "many axes", "longer"],
)
def test_idx_files_that_are_damaged(packed, damage, originals, tmp_path):
    write_idx(tmp_path, originals, packed=packed)
    damage(next(tmp_path.glob("t10k-images*")))
    with pytest.raises(
        DataError, match="images-idx3-ubyte.* is damaged, or is"
    ):
        load(tmp_path)


def test_idx_files_that_are_not_all_there(originals, tmp_path):
    write_idx(tmp_path, originals)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="lacks these: test labels"):
        load(tmp_path)


def test_files_of_another_data_set_are_refused(originals, tmp_path):
    """Their names are the same."""
    write_idx(tmp_path, originals)
    with pytest.raises(DataError, match="does not hold fashion_mnist: of each"):
        load(tmp_path, "fashion_mnist")


def test_what_keras_has_downloaded_is_used_where_nothing_else_is(
    originals, nothing, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    fashion = dict(originals, y_test=np.arange(TEST, dtype="uint8") % 10)
    write_idx(folder / "fashion-mnist", fashion)
    np.savez(folder / "mnist.npz", **originals)
    assert load(None).source == "Keras' npz"
    assert load(None, "fashion_mnist").source == "IDX files"
    with pytest.raises(DataError):  # who names a directory means it
        load(tmp_path)
    capsys.readouterr()
    cut_short(folder / "mnist.npz")
    assert load(None).is_sample
    assert f"not used: {folder / 'mnist.npz'} is damaged" in (
        capsys.readouterr().err
    )


# --- the embedded digits ------------------------------------------------


def test_without_data_or_network_digits_stand_in_loudly(
    nothing, tmp_path, capsys
):
    data = load(None)
    sizes = [len(getattr(data, part)) for part in ARRAYS]
    assert sizes == [1_297, 200, 300]
    assert data.is_sample
    assert data.name == "digits"
    assert data.train.inputs.shape[1:] == (28, 28, 1)
    assert data.train.inputs.dtype == np.uint8
    assert data.train.inputs.max() == 255
    assert set(data.train.targets) == set(range(10))
    said = capsys.readouterr()
    assert "1,797 digits instead" in said.err
    assert "No number of this run is a result of mnist" in said.err
    assert "scripts/prepare_data.py mnist" in said.err
    assert f"There is none in TFDS_DATA_DIR={tmp_path / 'nowhere'}" in said.err
    assert "nowhere, which does not exist" in said.err
    assert (
        "scikit-learn's embedded digits: 1,297 train (each 10 times an epoch), "
        "200 validation, 300 test" in said.out
    )


def test_the_digits_are_the_same_every_time(nothing):
    first, second = load(None), load(None, seed=7)
    assert first.checksum == second.checksum
    np.testing.assert_array_equal(first.test.inputs, second.test.inputs)


def test_the_digits_are_drawn_as_mnist_draws_its_own(digits):
    images = np.concatenate([getattr(digits, part).inputs for part in ARRAYS])
    for image in images[..., 0] / 255:
        boxes = [np.flatnonzero(image.max(axis)) for axis in (0, 1)]
        assert max(np.ptp(box) + 1 for box in boxes) <= 20
        assert max(np.ptp(box) + 1 for box in boxes) >= 17
        center = np.average(
            np.indices(image.shape), (1, 2), weights=[image] * 2
        )
        # By whole pixels, and the box stays in the image.
        assert np.abs(center - 13.5).max() < 0.51
        assert image.max() == 1 and 0 < image.mean() < 0.3


# Of the 300 test images. When each pixel was only made larger, these were 27,
# 6, 49 and 42 %.
SHIPPED = {
    "mnist_cnn": 0.94,
    "mnist_softmax_regression": 0.66,
    "mnist_lenet5": 0.90,
    "mnist_lstm": 0.92,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_recognize_the_digits(name, digits):
    model = zoo.load_model(ROOT / "saved_models" / name / "1", verbose=False)
    answers = model.predict(digits.test.inputs, verbose=0).argmax(axis=1)
    assert np.mean(answers == digits.test.targets) >= SHIPPED[name]


@pytest.mark.parametrize("name", sources.SOURCES)
def test_a_dry_run_uses_the_digits_even_where_data_are(name, prepared, capsys):
    data = load(prepared, name, dry_run=True)
    assert data.is_sample and len(data.train) == 1_297
    assert data.train.passes == 1  # it is to be quick
    assert "***" not in capsys.readouterr().err  # it was asked for


# --- a data directory that is not right ---------------------------------


def is_refused(capsys, *flags):
    """Run the main job; return what it says when it has no data."""
    assert run_recipe("mnist_cnn", "--offline", *flags) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
    return said


def test_a_directory_that_does_not_exist(tmp_path, capsys):
    said = is_refused(capsys, "--data-dir", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in said
    assert "scripts/prepare_data.py mnist" in said


def test_a_directory_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    said = is_refused(capsys, "--data-dir", tmp_path / "file")
    assert f"{tmp_path / 'file'} is a file" in said


def test_an_empty_directory(tmp_path, capsys):
    said = is_refused(capsys, "--data-dir", tmp_path)
    assert f"mnist is not in --data-dir {tmp_path} and cannot" in said
    assert "--offline forbids it" in said


def test_only_the_digits_have_a_stand_in(nothing):
    with pytest.raises(
        DataError, match="fashion_mnist is not in TFDS_DATA_DIR="
    ):
        load(None, "fashion_mnist")


@pytest.mark.parametrize("part", [".", "mnist", "mnist/3.0.1", "records"])
def test_a_directory_that_cannot_be_read(part, prepared):
    load(prepared)  # all imports are done, and the arrays are in the cache
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # pytest's own folders are closed to others
        folder = pathlib.Path(folder) / "tfds"
        shutil.copytree(prepared, folder)
        locked = records(folder) if part == "records" else folder / part
        mode = locked.stat().st_mode
        locked.chmod(0)
        try:
            with (
                ordinary_rights(),
                pytest.raises(DataError, match="cannot be read: Permission"),
            ):
                load(folder)
        finally:
            locked.chmod(mode)


def test_the_same_in_words_and_exit_code_where_rights_cannot_be_dropped(
    prepared, monkeypatch, capsys
):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)
    said = is_refused(capsys, "--data-dir", prepared)
    assert f"The data directory {prepared} cannot be read" in said


@pytest.mark.parametrize(
    ("damage", "split"),
    [
        (cut_short, "train"),
        (cut_between_records, "test"),
        (flip_a_bit, "train"),
        (flip_a_bit, "test"),
    ],
)
def test_damaged_records_are_refused_and_never_cached(
    damage, split, prepared, capsys
):
    load(prepared)
    good = cache_file(prepared)
    damage(records(prepared, split))
    said = is_refused(capsys, "--data-dir", prepared)
    assert f"The prepared data in {prepared / 'mnist' / '3.0.1'}" in said
    assert "may be damaged: " in said
    assert "Move that folder away and prepare it again" in said
    assert cache_file(prepared) == good


@pytest.mark.parametrize("content", ["", "{", '{"splits": 3}', "{}"])
def test_damaged_descriptions_are_refused(content, prepared):
    (prepared / "mnist" / "3.0.1" / "dataset_info.json").write_text(content)
    with pytest.raises(DataError, match="may be damaged"):
        load(prepared)


def test_missing_records_are_refused(prepared):
    records(prepared).unlink()
    with pytest.raises(DataError, match="may be damaged"):
        load(prepared)


def test_an_unknown_data_set_is_met_with_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean .*fashion_mnist"):
        load(None, "fashion-mnist")
    with pytest.raises(UsageError, match="There are: mnist, fashion_mnist"):
        load(None, "imagenet")


# --- the cache ----------------------------------------------------------


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


def test_the_second_time_tfds_is_not_even_imported(prepared, monkeypatch):
    first = load(prepared)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert same(first, load(prepared))
    cache_file(prepared).unlink()
    with pytest.raises(ImportError, match="tensorflow_datasets"):
        load(prepared)  # it would have been noticed


def flip_a_bit_of_the_header(path):
    """Have 4,010 labels instead of 5,010; of those the sum is not checked."""
    content = bytearray(path.read_bytes())
    content[content.index(b"(5010,)") + 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        cut_between_records,
        flip_a_bit,
        flip_a_bit_of_the_header,
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)),
        lambda path: np.savez(path, train_images=np.zeros(3)),
    ],
    ids=["cut", "empty", "flipped", "header", "garbage", "other arrays"],
)
@pytest.mark.thorough
def test_a_damaged_cache_file_is_rebuilt(damage, prepared, monkeypatch):
    first = load(prepared)
    good = cache_file(prepared).read_bytes()
    damage(cache_file(prepared))
    assert same(first, load(prepared))
    assert cache_file(prepared).read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(
    prepared, monkeypatch, capsys
):
    (prepared.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(prepared.parent / "file"))
    assert len(load(prepared).test) == TEST
    assert "not cached: " in capsys.readouterr().err


# --- the network --------------------------------------------------------


def point_to(monkeypatch, name, url):
    source = dataclasses.replace(sources.SOURCES[name], download_url=url)
    monkeypatch.setitem(sources.SOURCES, name, source)


def load_online(name, **options):
    """Load, and see that it did not take TFDS' minutes of trying."""
    started = time.perf_counter()
    try:
        return sources.load(name, RunOptions(**options))
    finally:
        assert time.perf_counter() - started < 60


@pytest.fixture
def refusing():
    """The URL of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}/file"


@pytest.fixture
def silent():
    """The URL of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


@pytest.fixture
def server():
    """An HTTP server that answers with `status`, and its list of requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.status, server.requests = 200, []
        server.url = f"http://127.0.0.1:{server.server_port}/file"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_no_network_ends_in_the_sample_for_digits(
    nothing, refusing, monkeypatch
):
    point_to(monkeypatch, "mnist", refusing)
    assert load_online("mnist").is_sample


def test_no_network_ends_in_exit_code_3_for_others(
    nothing, silent, monkeypatch
):
    point_to(monkeypatch, "fashion_mnist", silent)
    soon = functools.partial(sources._answers, seconds=0.5)
    monkeypatch.setattr(sources, "_answers", soon)
    with pytest.raises(DataError, match=f"{silent} does not answer") as error:
        load_online("fashion_mnist")
    assert error.value.exit_code == 3
    assert "scripts/prepare_data.py fashion_mnist" in str(error.value)


def test_who_names_a_directory_gets_no_sample(
    nothing, refusing, monkeypatch, tmp_path
):
    point_to(monkeypatch, "mnist", refusing)
    with pytest.raises(DataError, match="does not answer"):
        load_online("mnist", data_dir=tmp_path)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_http_error_is_no_offer(status, nothing, server, monkeypatch):
    server.status = status
    point_to(monkeypatch, "mnist", server.url)
    assert load_online("mnist").is_sample
    assert server.requests == ["/file"]


def test_proxies_are_honoured(nothing, server, monkeypatch):
    server.status = 403
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/file"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError):
        load_online("fashion_mnist")
    assert server.requests == [sources.SOURCES["fashion_mnist"].download_url]


def test_a_download_that_fails_says_how_else(nothing, server, monkeypatch):
    import tensorflow_datasets as tfds

    def fail(name, data_dir):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(tfds, "builder", fail)
    point_to(monkeypatch, "mnist", server.url)
    with pytest.raises(DataError, match="reset by peer\nTo get mnist: run"):
        load_online("mnist")


def test_a_download_goes_beside_what_is_there(
    prepared, nothing, server, monkeypatch
):
    asked = []

    def download(name, folder):
        asked.append((name, folder))
        raise DataError("enough")

    monkeypatch.setattr(tfds, "download", download)
    point_to(monkeypatch, "fashion_mnist", server.url)
    for folder in (prepared / "mnist", prepared):
        monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
        with pytest.raises(DataError, match="enough"):
            load_online("fashion_mnist")
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(prepared))
    with pytest.raises(DataError, match="enough"):
        load_online("fashion_mnist")
    folders = [folder for _, folder in asked]
    assert folders == [prepared, prepared, None]


@pytest.mark.parametrize("name", sources.SOURCES)
def test_offline_never_opens_a_socket(name, nothing, monkeypatch):
    opened = []

    def note(*arguments, **options):
        opened.append(arguments)
        raise OSError("no network in this test")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, note)
    with contextlib.suppress(DataError):
        load(None, name)
    assert not opened
    with contextlib.suppress(DataError):
        load_online(name)
    assert opened  # without --offline this test sees it


# --- parts of the data --------------------------------------------------

SPLIT = splits.Split(
    np.arange(50, dtype="uint8").reshape(50, 1, 1, 1),
    np.arange(50, dtype="int32"),
)


@pytest.fixture(scope="module")
def digits():
    return sources.load("mnist", RunOptions(dry_run=True))


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
    with pytest.raises(UsageError, match="at most the 50 training images"):
        splits.steps_per_epoch(few, 51)
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
