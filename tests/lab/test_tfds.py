"""Data that TFDS has prepared: which version, which format, what is damaged."""

import os
import pathlib
import shutil
import sys

import numpy as np
import pytest
from helpers.datasets import (
    ARRAYS,
    TEST,
    TRAIN,
    cache_file,
    cut_between_records,
    cut_short,
    flip_a_bit,
    is_refused,
    load,
    numbers_of,
    records,
    same,
    write_tfds,
)

from recipes.lab.data import tfds
from recipes.lab.errors import DataError

REAL = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
).expanduser()


# --- splits and versions ------------------------------------------------


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
    prepared, monkeypatch
):
    info = prepared / "mnist" / "3.0.1" / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))

    def fail(builder, split):
        raise ImportError("No module named 'array_record'")

    monkeypatch.setitem(tfds._READERS, "array_record", fail)
    with pytest.raises(DataError, match="format array_record is missing") as e:
        load(prepared)
    assert "damaged" not in str(e.value)


def test_formats_that_cannot_be_read_are_named(prepared):
    info = prepared / "mnist" / "3.0.1" / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"riegeli"'))
    with pytest.raises(DataError, match="in the file format riegeli") as error:
        load(prepared)
    said = str(error.value)
    assert "recipes read tfrecord and array_record" in said
    assert "damaged" not in said and "elete" not in said


# --- damaged ------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "split"),
    [
        (cut_short, "train"),
        pytest.param(cut_between_records, "test", marks=pytest.mark.thorough),
        pytest.param(flip_a_bit, "train", marks=pytest.mark.thorough),
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
