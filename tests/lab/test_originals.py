"""Data sets as plain files are read wherever they are, or refused."""

import dataclasses
import gzip

import numpy as np
import pytest
from helpers.datasets import (
    ARRAYS,
    TEST,
    TRAIN,
    cut_short,
    flip_a_bit,
    load,
    numbers_of,
)
from helpers.marks import only_thorough

from recipes.lab.data import sources
from recipes.lab.errors import DataError

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


@pytest.mark.parametrize("place", only_thorough([*PLACES], [*PLACES][:2]))
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
