"""Load an export as a stranger would and compare it with what it should say.

    (echo EXPORT; cat EXAM.npz) | python -m recipes.lab.export.verification

Each signature is asked with TensorFlow alone, `model.keras` through
`zoo.load_model`, and the other formats through the runtimes that they are for.
Exits with 1 and the reason if any of them disagrees. What
to verify is read after TensorFlow is imported, so this process can be started
before there is an export.
"""

import gc
import io
import os
import sys
from pathlib import Path
from typing import BinaryIO

# Of a float32, relative to the largest if that is above 1; runtimes that are
# not TensorFlow's add numbers in another order.
TOLERANCE = 1e-5
TOLERANCE_ELSEWHERE = 1e-4
LETTERS = "letter_probabilities"  # of what is written letter by letter
ROUNDED = ("litert-int8",)  # formats whose answers only look alike


def main(export: str | Path, exam: BinaryIO) -> str | None:
    """Ask an export for what is known.

    Args:
        export: The version folder.
        exam: An open `.npz` file with the arrays `<signature>/ask/<argument>`
            and `<signature>/expect/<output>`; what is called `model.keras` is
            the Keras model and not a signature.

    Returns:
        What is wrong with the export, or None.
    """
    import numpy as np
    import tensorflow as tf

    import zoo
    from zoo import _runtimes

    ask, expect = {}, {}
    with np.load(exam, allow_pickle=False) as file:
        for path in file:
            name, side, key = path.split("/")
            arrays = {"ask": ask, "expect": expect}[side]
            arrays.setdefault(name, {})[key] = file[path]

    model = zoo.load_model(export, verbose=False)
    loaded = tf.saved_model.load(str(export))
    wanted = expect.keys() - {"model.keras"}
    if wanted != set(loaded.signatures):
        return (
            f"the signatures are {sorted(loaded.signatures)}, "
            f"not {sorted(wanted)}"
        )
    for name, expected in expect.items():
        if name == "model.keras":
            inputs = ask[name].get("inputs", ask[name])
            answers = model(inputs, training=False)
            if not isinstance(answers, dict):
                answers = {"output": answers}
        else:
            arguments = {k: tf.constant(v) for k, v in ask[name].items()}
            answers = loaded.signatures[name](**arguments)
        if answers.keys() != expected.keys():
            return f"{name} returns {sorted(answers)}, not {sorted(expected)}"
        for output, value in expected.items():
            if problem := _difference(answers[output].numpy(), value):
                return f"{name} differs from the model: {output} {problem}"
    for format, (file, _) in _runtimes.FORMATS.items():
        if (Path(export) / file).exists():
            runtime = _runtimes.open_format(Path(export), format)
            for name in runtime.signatures:
                if problem := _ask(runtime, name, ask, expect, format):
                    return f"{name} of {file} {problem}"
    return None


def _ask(runtime, name, ask, expect, format) -> str | None:
    """Ask one signature of a format, in batches of one and of all.

    What it should answer is known from the signatures with the same arguments.

    Returns:
        What is wrong with the answer, or None.
    """
    asked, expected = None, {}
    for known in ask:
        if ask[known].keys() == runtime.signatures[name].keys():
            asked = ask[known]
            expected |= expect[known]
    expected |= expect.get(name, {})
    if unknown := set(runtime.outputs[name]) - set(expected):
        return f"returns {sorted(unknown)}, which the model does not"
    answer, sure = runtime.start(name), are_sure(expected)
    for part in (slice(None), slice(1)):
        found = answer(**{key: value[part] for key, value in asked.items()})
        for output, value in found.items():
            compared = expected[output][part]
            by_choice = compared.dtype.kind not in "fu" or output == LETTERS
            if by_choice and len(value) == len(compared):
                value, compared = value[sure[part]], compared[sure[part]]
            if problem := _difference(
                value,
                compared,
                TOLERANCE_ELSEWHERE,
                by_rounding=format in ROUNDED,
            ):
                return f"differs from the model: {output} {problem}"
    return None


def are_sure(expected):
    """Say of each answer whether rounding cannot make it another class."""
    import numpy as np

    for name in ("probabilities", LETTERS):
        if name in expected:
            ranked = np.sort(expected[name], axis=-1)
            margins = ranked[..., -1] - ranked[..., -2]
            # Each letter is chosen by those before it.
            margins = margins.reshape(len(margins), -1).min(axis=1)
            return margins > 2 * TOLERANCE_ELSEWHERE
    return np.ones(len(next(iter(expected.values()))), bool)


def _difference(
    found, expected, tolerance=TOLERANCE, by_rounding=False
) -> str | None:
    """Return in what an output differs by more than rounding, or None.

    Args:
        found: The output.
        expected: What the model says.
        tolerance: By how much float32 may differ.
        by_rounding: Whether shape and type are all that has to agree.
    """
    import numpy as np

    if found.dtype == object:  # strings, as TensorFlow has them
        found = np.char.decode(found.astype(bytes), "utf-8")
    if found.shape != expected.shape:
        return f"has the shape {found.shape}, not {expected.shape}"
    both_strings = found.dtype.kind == expected.dtype.kind == "U"
    if found.dtype != expected.dtype and not both_strings:
        return f"is {found.dtype}, not {expected.dtype}"
    if by_rounding:
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            return "is not finite"
    elif found.dtype.kind == "f":
        scale = max(1.0, np.max(np.abs(expected), initial=0))
        worst = np.max(np.abs(found - expected), initial=0) / scale
        if not worst <= tolerance:
            return f"by {worst:.2g}; at most {tolerance} is rounding"
    elif found.dtype == np.uint8:  # pixels, rounded from floats
        worst = np.max(np.abs(found.astype(int) - expected))
        if worst > 1:
            return f"by {worst}; at most 1 is rounding"
    elif np.any(found != expected):
        return f"in {np.sum(found != expected)} of {expected.size} places"
    return None


if __name__ == "__main__":
    gc.disable()  # half a million objects come with TensorFlow and stay
    # Keras imports these two wherever it finds them, and uses neither here;
    # that would be a third of this process' time.
    sys.modules["sklearn"] = sys.modules["matplotlib"] = None
    import zoo  # noqa: F401  # imports Keras before TensorFlow does

    # isort: split
    import ai_edge_litert.interpreter  # noqa: F401
    import onnxruntime  # noqa: F401
    import tensorflow  # noqa: F401

    gc.freeze()
    folder, newline, exam = sys.stdin.buffer.read().partition(b"\n")
    if newline:  # else nobody is there any more
        sys.exit(main(os.fsdecode(folder), io.BytesIO(exam)))
