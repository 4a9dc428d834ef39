"""What is measured on the picture of a digit is what was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from recipes.lab.data import digit_tasks
from recipes.lab.errors import UsageError


def stroke(thickness=3.0, angle=0.0, length=18.0, center=(13.5, 13.5)):
    """Draw one straight stroke, with soft edges, as an image."""
    y, x = np.mgrid[:28, :28].astype("float64")
    down, right = y - center[0], x - center[1]
    turn = np.radians(angle)
    along = down * np.cos(turn) - right * np.sin(turn)
    across = down * np.sin(turn) + right * np.cos(turn)
    inside = np.minimum(thickness / 2 - abs(across), length / 2 - abs(along))
    return np.rint(255 * np.clip(inside + 0.5, 0, 1)).astype("u1")[..., None]


def measured(*images):
    return digit_tasks.measured(np.stack(images))


@pytest.mark.parametrize("angle", [-25, 0, 10, 30])
def test_a_stroke_that_leans_is_as_slanted(angle):
    [slant] = measured(stroke(angle=angle))["slant"]
    # The ends of the stroke are cut square, which turns it back a little.
    assert slant == pytest.approx(angle, abs=0.05 * abs(angle) + 0.01)


@pytest.mark.parametrize("thickness", [2, 3, 4])
def test_a_thick_stroke_is_as_thick(thickness):
    ring = (2 * np.pi * 7, 7.0)  # no ends, all directions
    y, x = np.mgrid[:28, :28] - 13.5
    inside = thickness / 2 - abs(np.hypot(x, y) - ring[1])
    image = np.rint(255 * np.clip(inside + 0.5, 0, 1)).astype("u1")[..., None]
    found = measured(image)
    assert found["thickness"][0] == pytest.approx(thickness, rel=0.05)
    assert found["ink"][0] == pytest.approx(ring[0] * thickness, rel=0.02)


def test_box_and_halves_are_those_of_the_ink():
    image = np.zeros((28, 28, 1), "u1")
    image[4:9, 6:16] = 255  # 5 rows, the third of which is cut in half
    found = {name: values[0] for name, values in measured(image).items()}
    assert (found["height"], found["width"], found["ink"]) == (5, 10, 50)
    assert found["density"] == pytest.approx(100)
    assert found["upper_ink"] == pytest.approx(50)
    image[4:6, 6:11] = 0
    found = {name: values[0] for name, values in measured(image).items()}
    assert found["upper_ink"] == pytest.approx(100 * 15 / 40)


def test_measures_stay_where_the_digit_is_moved(digits):
    images = digits.test.inputs[:50]
    moved = np.roll(images, (1, -1), axis=(1, 2))
    before, after = map(digit_tasks.measured, (images, moved))
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=2e-2, atol=1e-3)


def test_an_empty_image_has_numbers_too():
    found = measured(np.zeros((28, 28, 1), "u1"))
    assert np.isfinite([values[0] for values in found.values()]).all()
    assert found["width"] == found["height"] == 0


def test_labels_tell_five_tasks():
    found = digit_tasks.of_labels(np.arange(10))
    assert {name: values.tolist() for name, values in found.items()} == {
        "digit": [*range(10)],
        "parity": [0, 1] * 5,
        "above_four": [0] * 5 + [1] * 5,
        "loops": [1, 0, 0, 0, 0, 0, 1, 0, 2, 1],
        "straight_stroke": [0, 1, 0, 0, 1, 1, 0, 1, 0, 0],
    }


def test_every_head_has_targets_of_its_kind(digits):
    data = digit_tasks.with_tasks(digits)
    assert len(data.heads) == 12
    for split in (data.train, data.validation, data.test):
        assert [*split.targets] == [head.name for head in data.heads]
        for head in data.heads:
            values = split.targets[head.name]
            assert values.shape == (len(split),)
            if head.class_names:
                assert values.dtype == "int32"
                assert {*values} == {*range(len(head.class_names))}
            else:
                assert values.dtype == "float32"
                assert np.std(values) > 0.1
                assert head.unit


def test_some_of_the_tasks_are_kept(digits):
    data = digit_tasks.with_tasks(digits).of_heads(["slant"])
    assert [head.name for head in data.heads] == ["slant"]
    assert [*data.test.targets] == ["slant"]


def test_other_classes_are_refused(digits):
    names = ("T-shirt/top", *digits.class_names[1:])
    with pytest.raises(UsageError, match="digits 0 to 9, and .*T-shirt"):
        digit_tasks.with_tasks(replace(digits, class_names=names))
