"""The embedded digits: drawn like MNIST in its place, and as they are."""

import numpy as np
import pytest
from helpers.commands import ROOT
from helpers.datasets import ARRAYS, load
from helpers.marks import only_thorough

import zoo
from recipes.lab.data import sources
from recipes.lab.flags import RunOptions


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


@pytest.mark.parametrize("name", only_thorough(SHIPPED, ("mnist_cnn",)))
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


# --- as they are --------------------------------------------------------


def test_digits_as_they_are_have_no_part_aside(capsys):
    from sklearn.datasets import load_digits

    data = sources.load("digits_8x8", RunOptions(offline=True, data_dir="no"))
    assert not data.is_sample
    assert len(data.train) == len(data.test) == 1_797
    assert len(data.validation) == 0
    found = load_digits()
    np.testing.assert_allclose(
        data.train.inputs[..., 0] / 255, found.images / 16, atol=0.5 / 255
    )
    assert {*data.train.inputs[data.train.inputs > 0].ravel()} <= {
        *range(16, 256)
    }
    np.testing.assert_array_equal(data.train.targets, found.target)
    said = capsys.readouterr().out
    assert said.startswith("digits_8x8 from scikit-learn: 1,797 images (sha")
    np.testing.assert_array_equal(data.train.inputs, data.test.inputs)
