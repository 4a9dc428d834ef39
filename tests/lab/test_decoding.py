"""Pictures are decoded once, as exports read them, into a mapped file."""

import hashlib
import io
import mmap

import numpy as np
import pytest
import tensorflow as tf
from helpers.folders import write_folder
from helpers.pictures import image_file
from PIL import Image

from recipes.lab.data import decoding
from recipes.lab.errors import DataError
from recipes.lab.inputs import image_files

SHAPE = (12, 10, 3)
PARTS = np.arange(20, dtype="int8") % 4 % 3  # half of them for training
LABELS = (np.arange(20) // 4).astype("int32")


def picture(number, side=16, grey=False):
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3))
    if grey:
        pixels[:] = pixels[..., :1]
    kind = ["PNG", "JPEG"][number % 2]
    return image_file(Image.fromarray(pixels.astype("uint8")), kind)


PICTURES = [picture(number) for number in range(20)]


def write(pictures=PICTURES, parts=PARTS, labels=LABELS, shape=SHAPE):
    file = io.BytesIO()
    decoding.write(
        *(file, pictures, lambda i: f"number {i}"), *(parts, labels, shape)
    )
    return file


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    file = tmp_path_factory.mktemp("decoded") / "pixels"
    file.write_bytes(write().getvalue())
    with open(file, "rb") as stream:
        return decoding.read(stream)


def test_each_picture_is_in_its_part_with_its_label_as_exports_read_it(decoded):
    with_labels = []
    for part in decoding.PARTS:
        pixels, labels = decoded.pixels[part], decoded.labels[part]
        assert pixels.shape == (len(labels), *SHAPE) and pixels.dtype == "uint8"
        with_labels.append(
            {(p.tobytes(), n) for p, n in zip(pixels, labels, strict=True)}
        )
    for number, content in enumerate(PICTURES):
        pixels = image_files.decode(tf.constant(content), SHAPE).numpy()
        pair = pixels.tobytes(), LABELS[number]
        assert [pair in part for part in with_labels] == [
            PARTS[number] == part for part in range(3)
        ]


def test_the_first_pictures_of_a_part_are_of_all_classes(tmp_path):
    count = 300
    parts = np.r_[1, 2, np.zeros(count - 2)].astype("int8")
    classes = np.arange(count) // 60
    file = write([PICTURES[0]] * count, parts, classes, SHAPE)
    (tmp_path / "pixels").write_bytes(file.getvalue())
    with open(tmp_path / "pixels", "rb") as stream:
        labels = decoding.read(stream).labels["train"]
    assert {*labels[:64].tolist()} == {*range(5)}


def test_pictures_stay_in_the_file_and_begin_where_a_page_does(decoded):
    for pixels in decoded.pixels.values():
        base = pixels
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(base, mmap.mmap)
        assert pixels.ctypes.data % decoding.BLOCK == 0


def test_the_same_pictures_have_the_same_sum_and_others_another(decoded):
    def sum_of(**arguments):
        head = write(**arguments).getvalue()[: decoding.BLOCK]
        return head[head.index(b"checksum") + 12 :][:64].decode()

    assert sum_of() == decoded.checksum
    assert sum_of(labels=LABELS[::-1]) != decoded.checksum
    assert sum_of(parts=PARTS[::-1]) != decoded.checksum
    assert sum_of(pictures=PICTURES[::-1]) != decoded.checksum


def test_test_pictures_that_training_has_seen_are_counted(decoded):
    assert decoded.leaked == 0
    # One training picture, and all test pictures.
    same = [PICTURES[0 if part == 2 else i] for i, part in enumerate(PARTS)]
    for found, count in ((same, 5), (PICTURES, 0)):
        head = write(pictures=found).getvalue()[: decoding.BLOCK]
        assert f'"leaked": {count}'.encode() in head


def test_damaged_pictures_are_named(tmp_path):
    pictures = list(PICTURES)
    pictures[3] = b"no picture"
    pictures[7] = pictures[7][:40]
    pictures[12] = str(tmp_path / "gone.png")
    with pytest.raises(DataError) as error:
        write(pictures=pictures)
    said = str(error.value)
    assert said.startswith(
        "3 of 20 pictures cannot be read: number 3 (it is no"
    )
    assert "number 7 (" in said and "number 12 (No such file" in said
    assert "{{" not in said and "[Op:" not in said


def test_of_many_damaged_pictures_the_first_are_named():
    with pytest.raises(DataError, match="number 4 .*; and 15 more. Repair"):
        write(pictures=[b"no picture"] * 20)


def test_a_file_that_was_cut_or_is_another_is_no_cache(tmp_path):
    content = write().getvalue()
    for wrong in (b"", content[:-4], b"{}" + content):
        (tmp_path / "wrong").write_bytes(wrong)
        with open(tmp_path / "wrong", "rb") as stream:
            with pytest.raises((ValueError, LookupError)):
                decoding.read(stream)


# --- the size that is chosen --------------------------------------------


@pytest.mark.parametrize(
    ("sides", "resize", "expected"),
    [
        ([(20, 30)] * 3, None, (20, 30)),
        ([(20, 30), (40, 50), (60, 90)], None, (40, 50)),
        ([(480, 640)] * 3, None, (96, 128)),
        ([(480, 640)] * 3, 32, (32, 32)),
    ],
)
def test_the_shape_is_the_median_and_not_too_large(sides, resize, expected):
    pictures = [
        image_file(Image.new("RGB", (width, height), "red"), "PNG")
        for height, width in sides
    ]
    found = decoding.shape_of(pictures, resize, "mine")
    assert found == (*expected, 3)


def test_pictures_without_colors_have_one_channel_however_they_are_stored():
    grey = [picture(number, grey=True) for number in range(4)]
    assert decoding.shape_of(grey, None, "mine") == (16, 16, 1)
    assert decoding.shape_of([*grey, picture(5)], None, "mine") == (16, 16, 3)


def test_pictures_of_which_none_can_be_read_have_no_shape():
    with pytest.raises(
        DataError, match="No picture of mine can be read: it is"
    ):
        decoding.shape_of([b"one", b"two"], None, "mine")


# --- arrays in memory ---------------------------------------------------


def test_arrays_in_memory_are_known_by_their_content(decoded):
    copies = {part: array.copy() for part, array in decoded.pixels.items()}
    one, other = (
        decoding.in_memory(pixels, decoded.labels)
        for pixels in (decoded.pixels, copies)
    )
    assert one.checksum == other.checksum and one.leaked == 0
    copies["test"] = copies["train"][:3]
    assert decoding.in_memory(copies, decoded.labels).leaked == 3


def test_arrays_are_resized_as_files_are():
    pixels = np.stack([np.array(Image.open(io.BytesIO(p))) for p in PICTURES])
    resized = decoding.resized(pixels, SHAPE[:2])
    for image, content in zip(resized[::2], PICTURES[::2], strict=True):  # PNG
        read = image_files.decode(tf.constant(content), SHAPE).numpy()
        np.testing.assert_array_equal(image, read)


@pytest.mark.thorough
def test_a_folder_is_decoded_to_the_same_bits_each_time(tmp_path):
    folder = write_folder(tmp_path / "mine", 60)
    paths = sorted(map(str, folder.rglob("*.png")))
    parts = np.arange(len(paths)) % 3
    sums = {
        hashlib.sha256(write(paths, parts, parts).getvalue()).hexdigest()
        for _ in range(3)
    }
    assert len(sums) == 1
