"""The other formats of an export, LiteRT and ONNX: written, then measured.

What each of them is called, where it is and what runs it is in
`zoo._runtimes`. A format that a model cannot have is left out, and the card
says why.
"""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.export import litert, onnx_graph, onnx_layers
from recipes.lab.inputs.signatures import Signature
from zoo import _predictor, _runtimes

# What eight bits may cost, on the validation set: a share of the answers, or
# of an error.
LOST_ANSWERS = 0.0005
LOST_SHARE = 0.01

ASKED = 200  # times for one example
AT_ONCE = 1_000  # examples, of the SavedModel


def write(
    folder: Path, task, model: keras.Model, signatures: dict[str, Signature]
) -> dict[str, str]:
    """Write the files of all formats that a model can have.

    Args:
        folder: Where the export is built.
        task: What the model does, see `recipes.lab.tasks`.
        model: The Keras model as it is exported.
        signatures: The signatures of its SavedModel.

    Returns:
        What is not there, such as a file or a signature in one, and why.
    """
    absent = {}
    converted = litert.convert(task, model)
    for signature, reason in converted.left_out.items():
        absent[f"signature `{signature}` in `model.tflite`"] = reason
    for output, reason in converted.without.items():
        absent[f"output `{output}` in `model.tflite`"] = reason
    if converted.model:
        (folder / "model.tflite").write_bytes(converted.model)
        (folder / "model.int8.tflite").write_bytes(converted.int8)
        reason = (
            "no layer has enough weights to round them"
            if converted.int8 == converted.model
            else _costs_of_int8(folder, task)
        )
        if reason:
            (folder / "model.int8.tflite").unlink()
            absent["`model.int8.tflite`"] = reason
    try:
        for name, content in onnx_graph.write(task, model).items():
            (folder / name).write_bytes(content)
        for output in _strings(signatures):
            absent[f"output `{output}` in `model.onnx`"] = (
                "devices read no strings; its `metadata_props` have the labels"
            )
    except onnx_layers.NotInOnnx as error:
        absent["`model.onnx`"] = str(error).rstrip(".")
    return absent


def in_float32(model: keras.Model) -> keras.Model:
    """Return an uncompiled copy that computes in float32 alone."""

    def converted(node):
        if isinstance(node, list | tuple):
            return [converted(child) for child in node]
        if not isinstance(node, dict):
            return node
        if node.get("class_name") == "DTypePolicy":
            return {**node, "config": {"name": "float32"}}
        return {key: converted(child) for key, child in node.items()}

    copy = type(model).from_config(converted(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _strings(signatures) -> list[str]:
    """Return the outputs of the default signature that are strings."""
    function = signatures["serving_default"].function
    outputs = function.get_concrete_function().structured_outputs
    return [name for name in outputs if outputs[name].dtype == tf.string]


def _costs_of_int8(folder: Path, task) -> str | None:
    """Say why eight bits are not enough for a model, or return None."""
    split, metric = task.data.validation, task.metrics[0]
    if not len(split):
        return "there is no validation set to measure what eight bits cost on"
    scores = []
    for format in ("litert", "litert-int8"):
        predictor = open_quietly(folder, format, task)
        answer = _ask(predictor, task.inputs.examples(split, len(split)))
        scored = _scored(task, answer, split)
        if scored is None:
            return "nobody has measured what eight bits cost such a model"
        scores.append(scored.metrics[metric.name])
    whole, small = scores
    if metric.better == "max":
        is_good = small >= whole - LOST_ANSWERS
    else:
        is_good = small <= whole * (1 + LOST_SHARE)
    if is_good:
        return None
    whole, small = map(metric.write, scores)
    return (
        f"with weights in eight bits it scores {small} instead of {whole} on "
        "the validation set"
    )


def measure(folder: Path, task, signatures: dict[str, Signature]) -> dict:
    """Say of each format how large, how right and how fast it is.

    Args:
        folder: Where the export is built, with all formats in it.
        task: What the model does.
        signatures: The signatures of its SavedModel.

    Returns:
        For the SavedModel and each format that is there: `file` and `bytes`;
        where answers can be scored, the metric that counts, on the whole test
        set as it is; `largest_difference` of any number that comes out there
        from the SavedModel's; and `microseconds` for one example, with what
        Python takes.
    """
    name = task.inputs.signature
    asked = questions(task, signatures)
    one = {name: value[:1] for name, value in asked.items()}

    def saved_model(**arguments):
        answer = signatures[name].function(
            *map(tf.constant, arguments.values())
        )
        return {key: value.numpy() for key, value in answer.items()}

    expected = in_parts(saved_model, asked)
    files = [folder / "saved_model.pb", *folder.glob("variables/*")]

    def facts(files, ask, answer):
        return {
            "file": files[0].name,
            "bytes": sum(file.stat().st_size for file in files),
            **score(task, answer),
            "largest_difference": max(
                float(np.max(np.abs(answer[key] - expected[key])))
                for key in answer.keys() & expected.keys()
                if answer[key].dtype.kind == "f"
            ),
            "microseconds": round(1e6 * seconds_of_one(ask, one), 1),
        }

    found = {"saved_model": facts(files, saved_model, expected)}
    for format, (file, _) in _runtimes.FORMATS.items():
        if not (folder / file).exists():
            continue
        predictor = open_quietly(folder, format, task)
        found[format] = facts([folder / file], predictor, predictor(**asked))
        found[format]["signatures"] = [*predictor.signatures]
    return found


def questions(task, signatures: dict[str, Signature]) -> dict:
    """Return what each format is asked: the whole test set, by argument."""
    split = task.data.test
    inputs = task.inputs.examples(split, len(split))
    return signatures[task.inputs.signature].ask(inputs)


def open_quietly(folder: Path, format: str, task) -> _predictor.Predictor:
    """Open a format of an export, and ask it once."""
    inputs, split = task.inputs, task.data.test
    runtime = _runtimes.open_format(folder, format)
    predictor = _predictor.Predictor(runtime, inputs.signature)
    with (
        litert.quiet()
    ):  # LiteRT says what it has chosen when it is first asked
        _ask(predictor, inputs.examples(split, 1))
    return predictor


def _ask(predictor, examples) -> dict:
    """Ask a predictor of one argument, or of several by their names."""
    if isinstance(examples, dict):
        return predictor(**examples)
    return predictor(examples)


def score(task, answer: dict) -> dict[str, float]:
    """Return the metric that counts, of answers to the test set, if any is."""
    data, metric = task.data, task.metrics[0].name
    scored = _scored(task, answer, data.test)
    # Where it takes cross-validation, one model has no such score.
    if scored is None or data.groups is not None:
        return {}
    return {metric: scored.metrics[metric]}


def _scored(task, answer: dict, split):
    """Score the output that says it all; those of several heads together."""
    several = bool(task.data.heads)
    outputs = answer if several else answer[task.answered]
    return task.score_answers(outputs, split)


def in_parts(ask, asked: dict) -> dict:
    """Ask a function of arrays for some examples at a time."""
    count = len(next(iter(asked.values())))
    parts = [
        ask(**{k: v[start : start + AT_ONCE] for k, v in asked.items()})
        for start in range(0, count, AT_ONCE)
    ]
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def seconds_of_one(ask, one) -> float:
    """Return the median time of an answer, once it has become fast."""
    for _ in range(ASKED // 10):
        ask(**one)
    times = [time.perf_counter()]
    for _ in range(ASKED):
        ask(**one)
        times.append(time.perf_counter())
    return float(np.median(np.diff(times)))
