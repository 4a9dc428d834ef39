"""Lectures: the images of Fashion-MNIST."""

import pytest
from helpers.facts import Facts

fact = Facts()


@fact(
    *("A29", 2, "The first image of Fashion-MNIST, as numbers: label = 9"),
    marks=pytest.mark.thorough,
)
def fashion_mnist_holds_the_printed_boot():
    from recipes.lab import errors
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    try:
        data = sources.load("fashion_mnist", RunOptions(offline=True))
    except errors.DataError:
        pytest.skip("Fashion-MNIST is not on this machine (TFDS_DATA_DIR)")
    # Rows 16 to 19 and columns 1 to 14, which the lecture counts from one.
    printed = [
        [0, 3, 0, 0, 0, 0, 0, 0, 0, 62, 145, 204, 228, 207],
        [0, 0, 0, 0, 18, 44, 82, 107, 189, 228, 220, 222, 217, 226],
        [0, 57, 187, 208, 224, 221, 224, 208, 204, 214, 208, 209, 200, 159],
        [3, 202, 228, 224, 221, 211, 211, 214, 205, 205, 205, 220, 240, 80],
    ]
    labels = [
        label
        for split in (data.train, data.validation)
        for label, same in zip(
            split.targets,
            (split.inputs[:, 15:19, :14, 0] == printed).all(axis=(1, 2)),
            strict=True,
        )
        if same
    ]
    assert labels == [9]
    assert data.class_names[9] == "Ankle boot"


test_lecture = fact.test()
