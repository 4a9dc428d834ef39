"""Exports take what TensorFlow Serving's clients send."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.serving import asked, definitions, specification


@pytest.fixture(scope="module", params=["export", "autoencoder_export"])
def any_export(request):
    """The export of a classifier, and of an autoencoder."""
    if request.param == "export":
        return request.getfixturevalue("export")
    folder = request.getfixturevalue("autoencoder_dry_run")
    return folder / "saved_models/mnist_autoencoder-sample/1"


def test_every_signature_can_be_served(any_export):
    """For rows, every input and output must have the images in front."""
    found = definitions(any_export)
    assert "serving_default" in found, (
        "which is what a request without a name asks"
    )
    for definition in found.values():
        assert definition.method_name == "tensorflow/serving/predict"
        for tensors in (definition.inputs, definition.outputs):
            assert {specification(t).shape[0] for t in tensors.values()} == {
                None
            }
        # Of strings whose name ends so, a server would make {"b64": ...}.
        assert not [key for key in definition.outputs if key.endswith("_bytes")]


def test_inputs_are_what_the_card_says(export):
    inputs = {
        (name, key): specification(tensor)
        for name, definition in definitions(export).items()
        for key, tensor in definition.inputs.items()
    }
    assert inputs == {
        ("serving_default", "image"): tf.TensorSpec(
            (None, 28, 28, 1), tf.uint8
        ),
        ("image_bytes", "image_bytes"): tf.TensorSpec((None,), tf.string),
    }


FORMS = {
    "rows": lambda key, rows: {"instances": rows},
    "named rows": lambda key, rows: {"instances": [{key: r} for r in rows]},
    "columns": lambda key, rows: {"inputs": {key: rows}},
    "one column": lambda key, rows: {"inputs": rows},
}


@pytest.fixture(scope="module")
def served(any_export):
    """The export as a server loads it."""
    return tf.saved_model.load(str(any_export))


@pytest.mark.parametrize("form", FORMS)
def test_requests_of_every_form_are_answered(form, any_export, served, images):
    signatures = definitions(any_export)
    for name, definition in signatures.items():
        [(key, tensor)] = definition.inputs.items()
        spec = specification(tensor)
        if spec.dtype == tf.string:
            files = [tf.io.encode_png(image).numpy() for image in images]
            rows = [{"b64": base64.b64encode(f).decode()} for f in files]
            values = tf.constant(files)
        else:
            shape = (len(images), *spec.shape[1:])
            values = tf.cast(np.resize(images, shape), spec.dtype)
            rows = values.numpy().tolist()
        body = {"signature_name": name, **FORMS[form](key, rows)}
        found, tensors = asked(json.dumps(body), signatures)
        assert found == name
        assert tensors[key].dtype == spec.dtype
        assert spec.shape.is_compatible_with(tensors[key].shape)
        answer = served.signatures[name](**tensors)
        expected = served.signatures[name](**{key: values})
        assert answer.keys() == definition.outputs.keys()
        for output, value in answer.items():
            np.testing.assert_array_equal(value, expected[output])
            assert specification(definition.outputs[output]).is_compatible_with(
                value
            )
            # What goes back is JSON: numbers, and strings of UTF-8.
            rows = value.numpy().tolist()
            if value.dtype == tf.string:
                rows = [row.decode() for row in rows]
            json.dumps(rows, allow_nan=False)


def test_a_request_without_a_name_is_for_images(export, images):
    body = json.dumps({"instances": images.tolist()})
    name, tensors = asked(body, definitions(export))
    assert name == "serving_default"
    np.testing.assert_array_equal(tensors["image"], images)
