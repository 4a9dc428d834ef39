"""The verification finds whatever differs from the model."""

import io
import re
import shutil

import keras
import numpy as np
import pytest
from helpers.exports import signatures_of, with_new_sums
from helpers.tasks import reconstruction

import zoo
from recipes.lab.export import exporting, verification


@pytest.fixture(scope="module")
def exam(export, scored):
    """The exam to which the export knows the answers, as bytes."""
    model = zoo.load_model(export, verbose=False)
    return saved(exporting.exam(model, signatures_of(model), scored))


def saved(exam):
    file = io.BytesIO()
    np.savez(file, **exam)
    return file.getvalue()


def verify(export, exam):
    with_new_sums(export)
    return verification.main(export, io.BytesIO(exam))


def test_a_good_export_is_verified(tampered, exam):
    assert verify(tampered, exam) is None


def test_other_variables_are_found(tampered, exam, other_weights):
    exporting._write_saved_model(tampered, signatures_of(other_weights))
    found = verify(tampered, exam)
    assert "differs from the model: probabilities by" in found


@pytest.mark.thorough
def test_another_keras_model_is_found(tampered, exam, other_weights):
    other_weights.save(tampered / "model.keras")
    found = verify(tampered, exam)
    assert "model.keras differs from the model: output by" in found


@pytest.mark.thorough
def test_other_class_names_are_found(tampered, exam):
    model = zoo.load_model(tampered, verbose=False)
    exporting._write_saved_model(tampered, signatures_of(model, "0123456798"))
    assert "differs from the model: class_name in" in verify(tampered, exam)


def test_a_signature_too_few_is_found(tampered, exam):
    signatures = signatures_of(zoo.load_model(tampered, verbose=False))
    del signatures["image_bytes"]
    exporting._write_saved_model(tampered, signatures)
    assert "the signatures are ['serving_default']" in verify(tampered, exam)


@pytest.fixture(scope="module")
def autoencoder_exam(autoencoder, scored):
    """The exam to which the autoencoder's export knows the answers."""
    signatures = reconstruction().signatures(autoencoder)
    return exporting.exam(autoencoder, signatures, scored)


@pytest.fixture
def examine(autoencoder_export, autoencoder_exam):
    """Ask the autoencoder's export for its own answers, with some changed."""

    def examine(changes):
        exam = saved(autoencoder_exam | changes)
        return verification.main(autoencoder_export, io.BytesIO(exam))

    return examine


@pytest.mark.parametrize("half", ["encode", "decode"])
def test_a_half_of_another_autoencoder_is_found(
    half, autoencoder_export, autoencoder, autoencoder_exam, tmp_path
):
    tampered = shutil.copytree(autoencoder_export, tmp_path / "1")
    other = keras.models.clone_model(autoencoder)  # with weights of its own
    signatures = reconstruction().signatures(autoencoder)
    signatures[half] = reconstruction().signatures(other)[half]
    exporting._write_saved_model(tampered, signatures)
    found = verify(tampered, saved(autoencoder_exam))
    assert re.match(rf"{half} differs from the model: \w+ by", found)


def moved_by(step, pixels):
    """Make every pixel lighter or darker by a step."""
    return np.where(pixels < 128, pixels + step, pixels - step).astype("uint8")


@pytest.mark.parametrize("key", ["reconstruct", "decode"])
def test_a_pixel_may_be_rounded_the_other_way_and_no_further(
    key, examine, autoencoder_exam
):
    key += "/expect/pixels"
    pixels = autoencoder_exam[key]
    assert examine({key: moved_by(1, pixels)}) is None
    found = examine({key: moved_by(2, pixels)})
    assert "pixels by 2; at most 1 is rounding" in found


def test_one_pixel_of_all_is_found(examine, autoencoder_exam):
    pixels = autoencoder_exam["decode/expect/pixels"].copy()
    pixels[-1, -1, -1] ^= 128
    assert "decode differs from the model: pixels by" in examine(
        {"decode/expect/pixels": pixels}
    )


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_outputs_of_another_type_are_found(dtype, examine, autoencoder_exam):
    key = "encode/expect/code"
    other = np.round(autoencoder_exam[key]).astype(dtype)
    assert f"code is float32, not {dtype}" in examine({key: other})


def test_outputs_of_another_shape_are_found(examine, autoencoder_exam):
    key = "encode/expect/code"
    found = examine({key: autoencoder_exam[key][:, :-1]})
    assert "code has the shape (100, 32), not (100, 31)" in found


def test_outputs_of_another_name_are_found(examine):
    found = examine({"encode/expect/codes": np.zeros(1)})
    assert found == "encode returns ['code'], not ['code', 'codes']"


def test_a_text_is_sure_if_each_of_its_letters_is():
    likely = np.zeros((3, 2, 3), "float32")
    likely[:, :, 0] = 0.5
    likely[0, :, 1] = 0.3
    likely[1, 1, 2] = 0.49999  # the second letter of the second text
    likely[2, 0, 1] = 0.5
    expected = {verification.LETTERS: likely, "letters": likely.argmax(axis=-1)}
    assert verification.are_sure(expected).tolist() == [True, False, False]
    whole = {"probabilities": likely[:, 1]}
    assert verification.are_sure(whole).tolist() == [True, False, True]
