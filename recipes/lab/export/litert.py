"""The files for LiteRT, which runs on phones and in browsers: `.tflite`.

`model.tflite` has the signatures of the SavedModel that LiteRT can run, with
the same names, inputs and outputs. `model.int8.tflite` has the same; its large
weights are rounded to eight bits, one scale for each output of a layer (dynamic
range: what goes in and comes out has the types that it had). The guards of the
signatures are in neither: LiteRT has no assertions, so the converter drops
them.
"""

import contextlib
import copy
import gc
import os
import re
import tempfile
from dataclasses import dataclass

import keras
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from recipes.lab.inputs.signatures import Signature

# Of a loop that are written out: the file grows with each.
MOST_STEPS = 100
# What every runtime can read: neither strings nor int64.
PLAIN = (tf.float32, tf.int32, tf.uint8)


@dataclass(frozen=True)
class Converted:
    """A model as LiteRT takes it.

    Attributes:
        model: The content of `model.tflite`, empty if LiteRT cannot run any of
            the signatures.
        int8: The content of `model.int8.tflite`. Where no weights are large
            enough to be rounded it is the same.
        signatures: The signatures in both, by name.
        left_out: The names of those that are not, and why.
        without: The names of outputs that they do not have, and why.
    """

    model: bytes
    int8: bytes
    signatures: dict[str, Signature]
    left_out: dict[str, str]
    without: dict[str, str]


def convert(task, model: keras.Model) -> Converted:
    """Convert a model for LiteRT.

    Some runtimes of LiteRT read neither strings nor int64. So each other output
    that `serving_default` has beside such is also that of a signature of its
    own: for a classifier that is `probabilities`.

    Args:
        task: What the model does, see `recipes.lab.tasks`.
        model: The model as it is exported.

    Returns:
        The contents of both files, and what is in them.
    """
    model = unrolled(model)
    signatures = task.signatures(model)
    left_out = {
        name: reason
        for name, signature in signatures.items()
        if (reason := _needs(signature.function))
    }
    inside = {k: v for k, v in signatures.items() if k not in left_out}
    joined = {name for v in inside.values() for name in _joined_outputs(v)}
    without = dict.fromkeys(
        joined, "it is joined from letters, which needs TensorFlow"
    )
    inside = {k: _without(v, joined) for k, v in inside.items()}
    default = inside.get("serving_default") or inside.get(task.inputs.signature)
    if default:
        inside |= _plain_outputs(default)
    files = b"", b""
    if inside:
        try:
            files = _convert(model, inside)
        except ConverterError as error:
            reason = _reason(error)
            left_out = {k: left_out.get(k, reason) for k in signatures}
            inside, without = {}, {}
    return Converted(*files, inside, left_out, without)


def unrolled(model: keras.Model) -> keras.Model:
    """Return a model whose recurrent layers are unrolled.

    LiteRT has no loop that collects what each step gives.

    Returns:
        A copy with the same weights, or the model itself if it has no loop, or
        one of so many steps that nobody would want to write them out.
    """
    config = copy.deepcopy(model.get_config())
    loops = [node for node in _dicts(config) if node.get("unroll") is False]
    if not loops or _most_steps(model) > MOST_STEPS:
        return model
    for node in loops:
        node["unroll"] = True
    twin = type(model).from_config(config)
    twin.set_weights(model.get_weights())
    return twin


def _most_steps(model: keras.Model) -> int:
    """Return how many steps the longest sequence has that a loop reads."""
    sequences = [
        getattr(layer, "input", None)  # none, in a layer of two directions
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional)
    ]
    return max(x.shape[1] or 0 for x in sequences if x is not None)


def _dicts(node):
    """Yield all dictionaries in a configuration."""
    if isinstance(node, dict):
        yield node
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in node:
        yield from _dicts(child)


def _needs(function) -> str | None:
    """Say what a signature needs that LiteRT does not have, or return None."""
    for spec in function.input_signature:
        if spec.dtype == tf.string:
            work = "splits text" if spec.name == "text" else "decodes files"
            return f"it {work}, which needs TensorFlow"
    operations = function.get_concrete_function().graph.get_operations()
    if any("Random" in operation.type for operation in operations):
        return "it draws from a seed, which needs TensorFlow"
    return None


def _reason(error: ConverterError) -> str:
    """Say why a conversion failed, by what its long message names."""
    names = sorted({*re.findall(r"'tf\.(\w+)' op", str(error))})
    if names:
        return f"it needs {', '.join(names)}, which LiteRT does not have"
    return f"it cannot be converted ({str(error).splitlines()[0]})"


def _plain_outputs(default: Signature) -> dict[str, Signature]:
    """Return a signature for each output that every runtime can read.

    There are none if all are such.
    """
    outputs = default.function.get_concrete_function().structured_outputs
    plain = [name for name in outputs if outputs[name].dtype in PLAIN]
    if len(plain) == len(outputs):
        return {}
    return {name: _of_one_output(default, name) for name in plain}


def _joined_outputs(signature: Signature) -> list[str]:
    """Return the outputs that are texts, joined from letters."""
    function = signature.function.get_concrete_function()
    operations = function.graph.get_operations()
    if all(operation.type != "ReduceJoin" for operation in operations):
        return []
    outputs = function.structured_outputs
    return [name for name in outputs if outputs[name].dtype == tf.string]


def _without(signature: Signature, names: set[str]) -> Signature:
    """Return a signature that lacks some of the outputs."""
    if not names:
        return signature
    outputs = signature.function.get_concrete_function().structured_outputs
    return _of_outputs(signature, [*outputs.keys() - names])


def _of_one_output(signature: Signature, name: str) -> Signature:
    return _of_outputs(signature, [name])


def _of_outputs(signature: Signature, names: list[str]) -> Signature:
    function = signature.function

    @tf.function(input_signature=function.input_signature, autograph=False)
    def of_outputs(*arguments):
        answer = function(*arguments)
        return {name: answer[name] for name in names}

    def expect(inputs):
        answer = signature.expect(inputs)
        return {name: answer[name] for name in names}

    return Signature(of_outputs, signature.ask, expect)


def _convert(model, signatures: dict[str, Signature]) -> list[bytes]:
    """Return the signatures with weights in float32, and in eight bits."""
    functions = {
        name: signature.function.get_concrete_function()
        for name, signature in signatures.items()
    }
    return converted(model, functions, ([], [tf.lite.Optimize.DEFAULT]))


def converted(model, functions, optimizations=([],)) -> list[bytes]:
    """Return files with the functions of a model, one for each optimization.

    All are converted from one SavedModel. Given functions, the converter would
    save them for each, and without their weights if nothing else holds these:
    Keras' variables do not, for a SavedModel tracks those within them.

    Args:
        model: The model whose variables the functions use.
        functions: Name of each signature, and its concrete function.
        optimizations: For each file, what `tf.lite.TFLiteConverter` is asked
            to optimize.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with (
        tempfile.TemporaryDirectory() as folder,
        quiet(),
        _little_garbage(),
    ):
        tf.saved_model.save(module, folder, functions)
        contents = []
        for wanted in optimizations:
            converter = tf.lite.TFLiteConverter.from_saved_model(
                folder, [*functions]
            )
            converter.optimizations = wanted
            converter.exclude_conversion_metadata = True  # takes time to write
            contents.append(bytes(converter.convert()))
    return contents


@contextlib.contextmanager
def quiet():
    """Drop what is written to the standard error, whoever writes it.

    The converter says there, in C++, what it reads and what it ignores. What
    goes wrong it raises.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextlib.contextmanager
def _little_garbage():
    """Have the garbage collector pass over all that there is.

    The converter calls it once for each file. To look at all of TensorFlow and
    Keras took longer than the conversion.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
