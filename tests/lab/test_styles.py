"""Rows that describe images: their label, and what is measured on them."""

import numpy as np
from helpers.tasks import sample

from recipes.lab.data import digit_tasks, styles


def test_a_row_has_the_label_and_the_style():
    images = sample()
    data = styles.to_draw(images)
    names = [f"label_{i}" for i in range(10)] + [*styles.STYLE]
    assert data.inputs.names == names
    for split, of_images in (
        (data.train, images.train),
        (data.test, images.test),
    ):
        assert split.inputs.shape == (len(of_images), 14)
        assert split.inputs.dtype == "float32"
        labels = split.inputs[:, :10]
        assert (labels.sum(axis=1) == 1).all()
        np.testing.assert_array_equal(labels.argmax(axis=1), of_images.targets)
        style = digit_tasks.measured(of_images.inputs)
        np.testing.assert_array_equal(split.inputs[:, 10], style["slant"])
        np.testing.assert_array_equal(split.inputs[:, 13], style["height"])
        assert split.targets is of_images.inputs
        assert split.passes == of_images.passes


def test_a_batch_has_the_image_as_its_target_in_the_unit_range():
    data = styles.to_draw(sample())
    rows, pictures = data.test.prepare(
        data.test.inputs[:3], data.test.targets[:3]
    )
    np.testing.assert_array_equal(rows, data.test.inputs[:3])
    expected = data.test.targets[:3] / np.float32(255)
    np.testing.assert_allclose(pictures, expected, rtol=1e-6)
