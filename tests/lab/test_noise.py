"""A seed and a count stand for codes, the same ones everywhere."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python

from recipes.lab.inputs.noise import ASKED, MOST, LabeledNoise, Noise

NOISE = Noise(3)


@pytest.fixture(scope="module")
def sample():
    """A signature that answers with the codes themselves."""
    signature = NOISE.endpoint(
        lambda codes: {"code": codes}, lambda codes: {"code": codes.numpy()}
    )
    return signature.function


def codes_of(sample, seed, count):
    seed, count = (tf.constant(n, tf.int64) for n in (seed, count))
    return sample(seed, count)["code"].numpy()


def test_the_same_seed_and_count_give_the_same_codes(sample):
    codes = codes_of(sample, 7, 5)
    assert codes.shape == (5, 3)
    np.testing.assert_array_equal(codes_of(sample, 7, 5), codes)
    assert not np.isclose(codes_of(sample, 8, 5), codes).any()
    tf.random.set_seed(1)
    np.testing.assert_array_equal(codes_of(sample, 7, 5), codes)


def test_fewer_codes_are_the_first_of_more(sample):
    np.testing.assert_array_equal(
        codes_of(sample, 2**40, 2), codes_of(sample, 2**40, 900)[:2]
    )


def test_codes_are_standard_normal(sample):
    codes = codes_of(sample, -1, MOST)
    assert abs(codes.mean()) < 0.03
    assert codes.std() == pytest.approx(1, abs=0.03)


@pytest.mark.thorough
def test_another_process_gets_the_same_codes(sample):
    program = (
        "from recipes.lab.inputs.noise import Noise\n"
        "print(Noise(3).draw(7, 5).numpy().tobytes().hex())"
    )
    said = run_python("-c", program).stdout
    assert said.strip() == codes_of(sample, 7, 5).tobytes().hex()


@pytest.mark.parametrize("count", [0, -3, MOST + 1, 2**60])
def test_an_absurd_count_is_refused_with_what_it_may_be(sample, count):
    with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
        codes_of(sample, 0, count)
    allowed = "at most 10,000" if count > 0 else "1 or more"
    assert f"count must be {allowed}" in refusal.value.message
    assert str(count) in refusal.value.message


def test_what_the_verification_asks_is_what_it_expects(sample):
    signature = NOISE.endpoint(
        lambda codes: {"code": codes}, lambda codes: {"code": codes.numpy()}
    )
    assert signature.ask(None) == ASKED
    expected = signature.expect(None)["code"]
    np.testing.assert_array_equal(codes_of(sample, **ASKED), expected)


# --- with labels ----------------------------------------------------------

LABELED = LabeledNoise(3, ("shirt", "shoe"))


@pytest.fixture(scope="module")
def labeled_sample():
    """A signature that answers with the codes themselves."""
    signature = LABELED.endpoint(
        lambda codes: {"code": codes}, lambda codes: {"code": codes.numpy()}
    )
    answer = signature.function(*map(tf.constant, signature.ask(None).values()))
    expected = signature.expect(None)["code"]
    np.testing.assert_array_equal(answer["code"], expected)
    return signature.function


def ask_for(sample, label, count=5):
    asked = (tf.constant(n, tf.int64) for n in (7, count, label))
    return sample(*asked)["code"].numpy()


def test_a_label_comes_before_the_code_that_the_seed_gives(labeled_sample):
    codes = ask_for(labeled_sample, 1)
    np.testing.assert_array_equal(codes[:, :2], [[0, 1]] * 5)
    np.testing.assert_array_equal(codes[:, 2:], NOISE.draw(7, 5))
    assert LABELED.shape == codes.shape[1:]


def test_each_code_may_have_a_label_of_its_own():
    codes = LABELED.draw(7, 3, np.array([1, 0, 1])).numpy()
    np.testing.assert_array_equal(codes[:, 1], [1, 0, 1])
    examples = LABELED.examples(None, 3)
    np.testing.assert_array_equal(examples[:, 1], [0, 1, 0])


@pytest.mark.parametrize(("label", "count"), [(-1, 5), (2, 5), (0, 0)])
def test_a_label_that_there_is_not_is_refused(labeled_sample, label, count):
    with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
        ask_for(labeled_sample, label, count)
    wanted = "label must be from 0 to 1" if count else "count must be 1 or"
    assert wanted in refusal.value.message
