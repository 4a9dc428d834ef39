"""Arrays of one's own: what their names and values may be."""

import gzip

import numpy as np
import pytest

from recipes.lab.data import arrays
from recipes.lab.errors import DataError

COUNT = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 5, 3), "uint8")
LABELS = np.arange(COUNT) % 3


def npz(folder, **content):
    np.savez(folder / "data.npz", **content)
    return arrays.read_own_npz(folder / "data.npz")


NAMES = {
    "Keras": (["x_train", "y_train"], ["x_test", "y_test"], None),
    "MedMNIST": (
        ["train_images", "train_labels"],
        ["test_images", "test_labels"],
        ["val_images", "val_labels"],
    ),
    "short": (["Xtrain", "ytrain"], ["Xtest", "ytest"], ["Xval", "yval"]),
}


@pytest.mark.parametrize("source", NAMES)
def test_the_names_that_others_give_are_known(source, tmp_path):
    pairs = dict(
        zip(["train", "test", "validation"], NAMES[source], strict=True)
    )
    pairs = {part: pair for part, pair in pairs.items() if pair}
    content = {}
    for images, labels in pairs.values():
        content |= {images: IMAGES, labels: LABELS}
    found = npz(tmp_path, **content)
    assert found.images.keys() == found.labels.keys() == pairs.keys()
    assert found.class_names == ("0", "1", "2")


@pytest.mark.parametrize("pair", [("x", "y"), ("images", "labels"), ("X", "y")])
def test_one_pair_is_the_whole(pair, tmp_path):
    images, labels = pair
    found = npz(tmp_path, **{images: IMAGES, labels: LABELS})
    np.testing.assert_array_equal(found.images[None], IMAGES)
    np.testing.assert_array_equal(found.labels[None], LABELS)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS[:, None], "012"),
        (np.eye(3)[LABELS], "012"),
        (LABELS.astype("float32"), "012"),
        (10 * LABELS - 10, ("-10", "0", "10")),
        (np.array(list("cab"))[LABELS], "abc"),
        (np.array([b"b", b"a", b"c"])[LABELS], "abc"),
        (LABELS > 1, "01"),
    ],
)
def test_labels_may_be_numbers_names_or_ones_in_columns(
    labels, names, tmp_path
):
    found = npz(tmp_path, x=IMAGES, y=labels)
    assert found.class_names == tuple(names)
    numbers = found.labels[None]
    assert numbers.dtype == "int32" and len({*numbers.tolist()}) == len(names)
    if labels.dtype.kind == "U":
        np.testing.assert_array_equal(np.array(list(names))[numbers], labels)


def test_classes_may_be_named(tmp_path):
    names = np.array(["cat", "dog", "eel"])
    found = npz(tmp_path, x=IMAGES, y=LABELS, class_names=names)
    assert found.class_names == ("cat", "dog", "eel")
    with pytest.raises(DataError, match="be from 0 to 1. Received: 0 to 2"):
        npz(tmp_path, x=IMAGES, y=LABELS, class_names=names[:2])
    with pytest.raises(DataError, match="from 0 to 2. Received: -1 to 1"):
        npz(tmp_path, x=IMAGES, y=LABELS - 1, class_names=names)
    found = npz(tmp_path, x=IMAGES, y=LABELS, class_names=names.astype("S"))
    assert found.class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["cat", "dog", "cat"], "'cat' in .* is that of another, too"),
        (["cat", "a\nb", "dog"], r"'a\\nb' in .* is no plain text"),
        (["cat", "", "dog"], "'' in .* is no plain text"),
    ],
)
def test_names_that_a_model_cannot_answer_with_are_refused(
    names, reason, tmp_path
):
    with pytest.raises(DataError, match=reason):
        npz(tmp_path, x=IMAGES, y=LABELS, class_names=names)


@pytest.mark.parametrize(
    "images",
    [
        IMAGES / 255,
        (IMAGES / 255).astype("float32"),
        IMAGES.astype("float64"),
        IMAGES.astype("int64"),
    ],
)
def test_floats_and_wide_integers_are_taken_for_what_they_are(images):
    np.testing.assert_array_equal(arrays.as_pixels(images, "x"), IMAGES)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_grey_images_need_no_channel_and_zeros_and_ones_are_ink(dtype):
    ink = IMAGES[..., 0] > 127
    pixels = arrays.as_pixels(ink.astype(dtype), "x")
    assert pixels.shape == (COUNT, 6, 5, 1)
    np.testing.assert_array_equal(pixels[..., 0], 255 * ink.astype("uint8"))


NAN = np.where(
    np.arange(COUNT)[:, None, None] == 3, np.nan, IMAGES[..., 0] / 255
)
BAD = {
    "keys": (
        {"pixels": IMAGES, "y": LABELS},
        "x and y alone.*Received: pixels",
    ),
    "no labels": (
        {"x_train": IMAGES, "x_test": IMAGES},
        "must have the arrays",
    ),
    "length": ({"x": IMAGES, "y": LABELS[:-1]}, r"each of the 12 im.*\(11,\)"),
    "one label": ({"x": IMAGES, "y": 1}, r"each of the 12 im.* shape \(\)"),
    "NaN": ({"x": NAN, "y": LABELS}, "x in .* no finite numbers"),
    "range": ({"x": IMAGES / 100.0 - 1, "y": LABELS}, r"Received: -1 to 1\.5"),
    "flat": (
        {"x": IMAGES.reshape(COUNT, -1), "y": LABELS},
        r"shape \(12, 90\)",
    ),
    "channels first": (
        {"x": np.moveaxis(IMAGES, -1, 1), "y": LABELS},
        r"np.moveaxis\(x, 1, -1\)",
    ),
    "RGBA": (
        {"x": IMAGES[..., [0, 1, 2, 2]], "y": LABELS},
        "fourth channel out",
    ),
    "text": ({"x": IMAGES.astype(str), "y": LABELS}, "must be numbers"),
    "objects": ({"x": IMAGES, "y": LABELS.astype(object)}, "Python objects"),
    "fractions": ({"x": IMAGES, "y": LABELS + 0.5}, "fractions or NaN"),
    "several": ({"x": IMAGES, "y": np.ones((12, 3), int)}, "not a single one"),
    "one class": ({"x": IMAGES, "y": 0 * LABELS}, "of one class, 0, and"),
    "shapes": (
        {
            **{"x_train": IMAGES, "y_train": LABELS},
            **{"x_test": IMAGES[:, 1:], "y_test": LABELS},
        },
        r"one shape. Received: train \(6, 5, 3\), test \(5, 5, 3\)",
    ),
    "unknown class": (
        {
            **{"x_train": IMAGES, "y_train": LABELS},
            **{"x_test": IMAGES, "y_test": LABELS + 1},
        },
        "classes without training images: 3",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_data_set_is_refused_in_words(case, tmp_path):
    content, reason = BAD[case]
    with pytest.raises(DataError, match=reason):
        npz(tmp_path, **content)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4 cut short"])
def test_a_damaged_archive_is_refused(content, tmp_path):
    (tmp_path / "data.npz").write_bytes(content)
    reason = "is damaged, or is no .npz file: it is not what numpy.savez"
    with pytest.raises(DataError, match=reason):
        arrays.read_own_npz(tmp_path / "data.npz")


# --- IDX ----------------------------------------------------------------


def idx(path, array):
    head = bytes([0, 0, 8, array.ndim])
    head += b"".join(size.to_bytes(4) for size in array.shape)
    content = head + array.astype("uint8").tobytes()
    path.write_bytes(
        gzip.compress(content) if path.suffix == ".gz" else content
    )


def write_pair(folder, start="", end="ubyte"):
    idx(folder / f"{start}images-idx3-{end}", IMAGES[..., 0])
    idx(folder / f"{start}labels-idx1-{end}", LABELS + 1)


@pytest.mark.parametrize("end", ["ubyte", "ubyte.gz"])
def test_a_pair_of_files_is_found_by_either_way(end, tmp_path):
    write_pair(tmp_path, "my-", end)
    for path in (tmp_path, tmp_path / f"my-images-idx3-{end}"):
        pairs = arrays.idx_pairs(path)
        assert [*pairs] == [None]
        found = arrays.read_own_idx(path, pairs)
        np.testing.assert_array_equal(found.images[None], IMAGES[..., :1])
        assert found.class_names == ("1", "2", "3")


@pytest.mark.parametrize("named", [False, True])
def test_training_images_bring_their_test_images(named, tmp_path):
    for part in ("emnist-letters-train-", "emnist-letters-test-"):
        write_pair(tmp_path, part)
    file = tmp_path / "emnist-letters-train-images-idx3-ubyte"
    pairs = arrays.idx_pairs(file if named else tmp_path)
    assert {*pairs} == {"train", "test"}
    assert pairs["train"][0] == file


def test_images_without_labels_are_refused(tmp_path):
    write_pair(tmp_path)
    (tmp_path / "labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="neither labels-idx1-ubyte nor labels"):
        arrays.idx_pairs(tmp_path)


def test_a_folder_of_other_files_has_no_pairs(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "notes.txt").touch()
    assert arrays.idx_pairs(tmp_path) == {}
