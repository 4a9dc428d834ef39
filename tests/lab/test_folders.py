"""Which pictures are in a folder, and what is no folder of class folders."""

import os

import pytest

from recipes.lab.data import folders
from recipes.lab.errors import DataError


@pytest.fixture
def tree(tmp_path):
    """A function that makes empty files of these names; returns the folder."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def test_classes_are_the_folders_in_it_and_pictures_lie_at_any_depth(tree):
    found = folders.scan(
        tree("cat/2.png", "cat/old/1.JPG", "dog/deep/down/3.jpeg", "dog/1.png")
    )
    assert found.class_names == ("cat", "dog")
    assert found.files == [
        "cat/2.png", "cat/old/1.JPG", "dog/1.png", "dog/deep/down/3.jpeg",
    ]  # fmt: skip
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.parts is None and not found.passed_over


def test_what_is_split_already_stays_so(tree):
    found = folders.scan(
        tree(
            *("Train/cat/1.png", "Train/dog/1.png", "val/cat/2.png"),
            *("val/dog/2.png", "test/cat/3.png", "documents/a.pdf"),
        )
    )
    assert found.class_names == ("cat", "dog")
    assert dict(zip(found.files, found.parts, strict=True)) == {
        "Train/cat/1.png": "train",
        "Train/dog/1.png": "train",
        "val/cat/2.png": "validation",
        "val/dog/2.png": "validation",
        "test/cat/3.png": "test",
    }
    assert found.passed_over == ["documents"]


def test_a_class_may_be_called_train(tree):
    found = folders.scan(tree("car/1.png", "bus/1.png", "train/1.png"))
    assert found.class_names == ("bus", "car", "train")


def test_what_systems_leave_is_no_picture_and_no_class(tree):
    found = folders.scan(
        tree(
            *("cat/1.png", "dog/1.png", ".DS_Store", "cat/.DS_Store"),
            *("cat/._1.png", "__MACOSX/cat/1.png", ".git/1.png"),
            *("dog/Thumbs.db", "empty/.keep"),
        )
    )
    assert found.class_names == ("cat", "dog")
    assert found.files == ["cat/1.png", "dog/1.png"]
    assert found.passed_over == ["empty/"]


def test_other_files_are_named_and_passed_over(tree):
    found = folders.scan(
        tree("cat/1.png", "cat/notes.txt", "dog/1.png", "README", "loose.png")
    )
    assert found.files == ["cat/1.png", "dog/1.png"]
    assert {*found.passed_over} == {"README", "loose.png", "cat/notes.txt"}


def test_the_fingerprint_is_of_names_sizes_and_times(tree):
    folder = tree("cat/1.png", "dog/1.png")
    first = folders.scan(folder).fingerprint
    assert folders.scan(folder).fingerprint == first
    os.utime(folder / "cat" / "1.png", (1, 1))
    second = folders.scan(folder).fingerprint
    (folder / "cat" / "1.png").write_bytes(b"1")
    os.utime(folder / "cat" / "1.png", (1, 1))
    assert len({first, second, folders.scan(folder).fingerprint}) == 3


BAD = {
    "nothing": (["dog/.keep"], "has no pictures. It must have a folder for"),
    "no classes": (
        ["1.png", "2.png", "3.png", "4.png"],
        r"no class folders \(1.png, 2.png, 3.png and 1 more\)",
    ),
    "one class": (["cat/1.png"], "one class folder with pictures, cat, and"),
    "one too many": (
        ["pets/cat/1.png", "pets/dog/1.png"],
        "nothing to tell it from. Did you mean .*pets?",
    ),
    "other formats": (
        ["cat/1.png", "dog/2.webp", "dog/3.TIFF"],
        "not read: dog/2.webp, dog/3.TIFF. Convert them to PNG or JPEG",
    ),
    "a class to test alone": (
        ["train/a/1.png", "train/b/1.png", "test/c/1.png"],
        "classes without training pictures: c.",
    ),
    "one part twice": (
        ["train/a/1.png", "val/a/1.png", "valid/a/1.png"],
        "two folders for one part of the data. Received: train, val, valid",
    ),
    "a line break": (["cat/1.png", "d\nog/1.png"], r"'d\\nog' in .* no plain"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_folder_of_class_folders_is_refused_in_words(case, tree):
    names, reason = BAD[case]
    with pytest.raises(DataError, match=reason):
        folders.scan(tree(*names))


def test_names_that_are_no_text_are_refused(tree):
    with pytest.raises(DataError, match=r"'d\\udcffg' in .* is no plain text"):
        folders.scan(tree("cat/1.png", "d\udcffg/1.png"))


def test_a_folder_that_cannot_be_read(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        folders.scan(tree("cat/1.png"))


def test_many_classes_are_listed_in_order():
    words = folders.first([str(number) for number in range(40_000)])
    assert words == "0, 1, 2 and 39,997 more"
