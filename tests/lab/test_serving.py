"""Exports take what TensorFlow Serving's clients send."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


@pytest.fixture(scope="module", params=["export", "autoencoder_export"])
def any_export(request):
    """The export of a classifier, and of an autoencoder."""
    if request.param == "export":
        return request.getfixturevalue("export")
    folder = request.getfixturevalue("autoencoder_dry_run")
    return folder / "saved_models/mnist_autoencoder-sample/1"


def definitions(export):
    """The signatures that a server sees, without TensorFlow's own."""
    content = (export / "saved_model.pb").read_bytes()
    [graph] = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    assert graph.meta_info_def.tags == ["serve"]
    return {
        name: definition
        for name, definition in graph.signature_def.items()
        if not name.startswith("__")
    }


def specification(tensor):
    return tf.TensorSpec(tensor.tensor_shape, tensor.dtype)


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


def tensor_of(value, tensor):
    """Read a JSON value as a server does: nothing is converted."""
    expected = {tf.string: bytes, tf.uint8: int, tf.float32: float}
    dtype = specification(tensor).dtype

    def leaf(value):
        if isinstance(value, dict):
            assert dtype == tf.string and value.keys() == {"b64"}
            value = base64.b64decode(value["b64"], validate=True)
        assert type(value) is expected[dtype]
        return value

    def read(value):
        return (
            list(map(read, value)) if isinstance(value, list) else leaf(value)
        )

    return tf.constant(read(value), dtype)


def asked(body, signatures):
    """Return the signature that a request is for, and the tensors."""
    request = json.loads(body)
    name = request.pop("signature_name", "serving_default")
    inputs = signatures[name].inputs
    [(form, values)] = request.items()
    if form == "instances" and isinstance(values[0], dict):
        if values[0].keys() == inputs.keys():  # else they are bytes
            values = {key: [row[key] for row in values] for key in inputs}
    if not isinstance(values, dict) or values.keys() == {"b64"}:
        [key] = inputs  # the only one needs no name
        values = {key: values}
    assert form in ("instances", "inputs") and values.keys() == inputs.keys()
    return name, {key: tensor_of(values[key], inputs[key]) for key in inputs}


FORMS = {
    "rows": lambda key, rows: {"instances": rows},
    "named rows": lambda key, rows: {"instances": [{key: r} for r in rows]},
    "columns": lambda key, rows: {"inputs": {key: rows}},
    "one column": lambda key, rows: {"inputs": rows},
}


@pytest.mark.parametrize("form", FORMS)
def test_requests_of_every_form_are_answered(form, any_export, images):
    served = tf.saved_model.load(str(any_export))
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
