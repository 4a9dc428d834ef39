"""Digits become as MNIST's are, wherever and however they were drawn."""

import io

import numpy as np
import pytest
from helpers import handwriting
from helpers.pictures import image_file, picture
from PIL import Image

import zoo
from zoo import _pictures

HELD_BACK = 2026  # a seed of photos that nothing was chosen on


@pytest.fixture(scope="module")
def predict():
    return zoo.load_predictor("mnist_cnn@shipped")


def share_right(predict, images, labels):
    return np.mean(predict(np.stack(images))["class_id"] == labels)


@pytest.mark.thorough
@handwriting.needs_mnist
def test_photos_are_read_of_which_the_bare_model_reads_none(predict):
    files, labels = handwriting.photos(60, HELD_BACK)
    opened = [io.BytesIO(file) for file in files]
    prepared = [zoo.prepare_digit(file) for file in opened]
    assert share_right(predict, prepared, labels) >= 0.9
    bare = [_pictures.read(file, (28, 28, 1)) for file in opened]
    assert share_right(predict, bare, labels) < 0.25  # chance is 0.1


WAYS = {
    "in a sheet of four times the size": handwriting.on_a_large_sheet,
    "in its corner": handwriting.in_a_corner,
    "beside the middle": handwriting.beside_the_middle,
    "cropped": handwriting.cropped,
    "drawn with a thin pen": handwriting.thin,
    "black on white": lambda digit: 255 - handwriting.cropped(digit),
}


@pytest.mark.thorough
@handwriting.needs_mnist
@pytest.mark.parametrize("way", WAYS)
def test_digits_are_found_and_scaled(way, predict):
    images, labels = handwriting.some_digits(300, HELD_BACK)
    prepared = [zoo.prepare_digit(WAYS[way](image)) for image in images]
    assert share_right(predict, prepared, labels) >= 0.95


@pytest.mark.thorough
@handwriting.needs_mnist
def test_images_of_mnist_stay_as_they_are(predict):
    images, labels = handwriting.some_digits(1_000, HELD_BACK)
    before = share_right(predict, images[..., np.newaxis], labels)
    prepared = [zoo.prepare_digit(image) for image in images]
    assert share_right(predict, prepared, labels) >= before - 0.002
    same = [
        np.array_equal(one[..., 0], other)
        for one, other in zip(prepared, images, strict=True)
    ]
    assert np.mean(same) > 0.9


@pytest.fixture(scope="module")
def digit():
    return handwriting.five(20)


def test_what_is_drawn_fits_mnist(digit):
    image = zoo.prepare_digit(digit)
    assert (image.shape, image.dtype) == ((28, 28, 1), np.uint8)
    rows, columns = (
        np.flatnonzero(image.max(axis=axis)) for axis in ((1, 2), (0, 2))
    )
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    mass = image[..., 0] / image.sum()
    center = mass.sum(axis=1) @ range(28), mass.sum(axis=0) @ range(28)
    assert np.abs(np.subtract(center, 14)).max() <= 0.5
    assert image.max() == 255
    again = zoo.prepare_digit(image)
    np.testing.assert_array_equal(again, image)


def test_paper_ink_place_and_turn_do_not_matter(digit, tmp_path):
    expected = zoo.prepare_digit(digit).astype(int)
    paper = 255 - np.pad(digit, ((150, 40), (60, 180))) * 0.6
    height, width = paper.shape
    shade = np.linspace(0.5, 1, width) * np.linspace(1, 0.8, height)[:, None]
    photo = (paper * shade).astype("uint8")
    ways = {
        "light on dark": 255 - photo,
        "dark on light": photo,
        "color": np.stack([photo] * 3, axis=-1),
        "list": photo.tolist(),
    }
    for way, shown in ways.items():
        found = zoo.prepare_digit(shown).astype(int)
        assert np.abs(found - expected).mean() < 10, way
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    for file in (tmp_path / "photo.jpg", open(tmp_path / "photo.jpg", "rb")):
        found = zoo.prepare_digit(file).astype(int)
        assert np.abs(found - expected).mean() < 10
    file.close()


def test_thin_lines_become_as_wide_as_those_of_mnist():
    inks = [
        zoo.prepare_digit(handwriting.five(width)).sum() / 255
        for width in (2, 4, 8, 14)
    ]
    assert min(inks) > 0.85 * max(inks)


def shaded(height, width, noise):
    """Blank paper under a shadow, photographed."""
    across = np.linspace(0, 1, width)
    light = 200 - 60 * across - 50 / (1 + np.exp((0.4 - across) / 0.03))
    rng = np.random.default_rng(0)
    pixels = light + noise * rng.normal(size=(height, width))
    return pixels.clip(0, 255).astype("uint8")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


REFUSED = {
    "black": (np.zeros((28, 28), "uint8"), "Nothing is seen"),
    "white": (np.full((480, 640), 255, "uint8"), "blank, or all noise"),
    "grey": (np.full((30, 20), 128, "uint8"), "blank, or all noise"),
    "paper": (shaded(480, 640, 4), "blank, or all noise"),
    "smooth paper": (shaded(480, 640, 0), "blank, or all noise"),
    "noise": (noise(28, 28), "blank, or all noise"),
    "colored noise": (noise(480, 640, 3), "blank, or all noise"),
    "a speck": (np.pad(noise(2, 2) | 192, 40), "smaller than 8 pixels, or"),
    "divided by 255": (noise(28, 28) / 255, "to 255. Received: 0 to 1"),
    "negative": (noise(28, 28) / 2 - 9, "to 255. Received: -9 to 118.5"),
    "text": (np.array([["0"] * 9] * 9), "must be numbers. Received: <U1"),
    "booleans": (noise(28, 28) > 99, "must be numbers. Received: bool"),
    "numbers that are none": (np.full((9, 9), np.nan), "not from 0 to 255"),
    "a batch": (noise(2, 28, 28, 1), r"Received: \(2, 28, 28, 1\)"),
    "a row": (noise(1, 28), "3 x 3 pixels or more"),
    "nothing": ([], "3 x 3 pixels or more"),
    "a text file": (io.BytesIO(b"not a picture"), "the file is no picture"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_shows_no_digit_is_refused(case):
    shown, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        zoo.prepare_digit(shown)


def test_photos_of_many_pixels_are_read_smaller(digit):
    large = Image.fromarray(255 - np.pad(digit, 60)).resize((6_000, 6_000))
    file = io.BytesIO(image_file(large, "JPEG"))
    found = zoo.prepare_digit(file).astype(int)
    assert np.abs(found - zoo.prepare_digit(digit)).mean() < 10
    file = io.BytesIO(
        image_file(picture(noise(9, 9, 1)).resize((5_000, 9)), "PNG")
    )
    with pytest.raises(ValueError, match="1 to 4096 pixels; received 5000 x 9"):
        zoo.prepare_digit(file)
