"""Clamped codes: what a group of views may differ in, and what it may not."""

import keras
import numpy as np
import pytest

import zoo
from zoo import graphics


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def codes():
    """Codes of five numbers: of 3 scenes, 2 factors and 4 views."""
    random = np.random.default_rng(0)
    return random.normal(size=(3 * 2 * 4, 5)).astype("float32")


def test_in_a_group_only_the_number_of_its_factor_differs(codes):
    clamping = graphics.ClampedCodes(factors=2, views=4)
    clamped, _ = clamping([codes, codes], training=True)
    clamped = plain(clamped).reshape(3, 2, 4, 5)
    groups = codes.reshape(3, 2, 4, 5)
    for factor in range(2):
        of_factor, before = clamped[:, factor], groups[:, factor]
        others = np.delete(np.arange(5), factor)
        np.testing.assert_allclose(
            of_factor[..., factor], before[..., factor], rtol=1e-6
        )
        mean = before[..., others].mean(axis=1, keepdims=True)
        expected = np.broadcast_to(mean, before[..., others].shape)
        np.testing.assert_allclose(of_factor[..., others], expected, atol=1e-6)


def test_what_is_clamped_is_pulled_to_the_mean(codes):
    clamping = graphics.ClampedCodes(factors=2, views=4, invariance=0.5)
    clamped, _ = clamping([codes, codes], training=True)
    distance = np.sum((codes - plain(clamped)) ** 2, axis=1).mean()
    [loss] = clamping.losses
    assert plain(loss) == pytest.approx(0.5 * distance, rel=1e-5)


def test_in_inference_mode_nothing_is_clamped(codes):
    clamping = graphics.ClampedCodes(factors=2, views=4)
    found, same = clamping([codes[:7], -codes[:7]])
    np.testing.assert_array_equal(plain(found), codes[:7])
    np.testing.assert_array_equal(plain(same), -codes[:7])
    assert clamping.losses == []


@pytest.mark.parametrize(
    "arguments",
    [{"factors": 24}, {"factors": 0}, {"views": 1}, {"filters": (8, 8, 8)}],
    ids=str,
)
def test_the_argument_that_is_refused_is_named(arguments):
    [(argument, value)] = arguments.items()
    with pytest.raises(ValueError, match=argument) as refusal:
        zoo.create_model("dcign", **arguments)
    assert str(value) in str(refusal.value)


@pytest.mark.thorough
def test_rows_are_standardized_before_they_lose_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = zoo.create_model("deconvolution", input_shape=(2,))
    finally:
        keras.config.set_dtype_policy("float32")
    rows = np.array([[1.0, 100_000.0], [0.0, 101_000.0]])
    model.get_layer("standardization").adapt(rows)
    assert np.isfinite(model.predict(rows, verbose=0)).all()


def test_pictures_may_be_larger_and_in_color():
    model = zoo.create_model("dcign", input_shape=(32, 48, 3), filters=(4,))
    assert model.output_shape == (None, 32, 48, 3)
