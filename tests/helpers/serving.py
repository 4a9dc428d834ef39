"""What TensorFlow Serving makes of a request."""

import base64
import json

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


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
