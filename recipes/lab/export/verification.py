"""Load an export as a stranger would and compare it with what it should say.

    python -m recipes.lab.export.verification EXPORT < EXAM.npz

Each signature is asked with TensorFlow alone, `model.keras` through
`zoo.load_model`. Exits with 1 and the reason if any of them disagrees. The exam
is read after TensorFlow is imported, so this process can be started before
there is an export.
"""

import io
import sys
from pathlib import Path
from typing import BinaryIO

TOLERANCE = 1e-5  # of a float32, relative to the largest if that is above 1


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
            answers = {"output": model(ask[name]["inputs"], training=False)}
        else:
            arguments = {k: tf.constant(v) for k, v in ask[name].items()}
            answers = loaded.signatures[name](**arguments)
        if answers.keys() != expected.keys():
            return f"{name} returns {sorted(answers)}, not {sorted(expected)}"
        for output, value in expected.items():
            if problem := _difference(answers[output].numpy(), value):
                return f"{name} differs from the model: {output} {problem}"
    return None


def _difference(found, expected) -> str | None:
    """Return in what an output differs by more than rounding, or None."""
    import numpy as np

    if found.dtype == object:  # strings, as TensorFlow has them
        found = found.astype(str)
    if found.shape != expected.shape:
        return f"has the shape {found.shape}, not {expected.shape}"
    both_strings = found.dtype.kind == expected.dtype.kind == "U"
    if found.dtype != expected.dtype and not both_strings:
        return f"is {found.dtype}, not {expected.dtype}"
    if found.dtype.kind == "f":
        scale = max(1.0, np.max(np.abs(expected)))
        worst = np.max(np.abs(found - expected)) / scale
        if not worst <= TOLERANCE:
            return f"by {worst:.2g}; at most {TOLERANCE} is rounding"
    elif found.dtype == np.uint8:  # pixels, rounded from floats
        worst = np.max(np.abs(found.astype(int) - expected))
        if worst > 1:
            return f"by {worst}; at most 1 is rounding"
    elif np.any(found != expected):
        return f"in {np.sum(found != expected)} of {expected.size} places"
    return None


if __name__ == "__main__":
    # Keras imports these two wherever it finds them, and uses neither here;
    # that would be a third of this process' time.
    sys.modules["sklearn"] = sys.modules["matplotlib"] = None
    import zoo  # noqa: F401  # imports Keras before TensorFlow does

    # isort: split
    import tensorflow  # noqa: F401

    sys.exit(main(sys.argv[1], io.BytesIO(sys.stdin.buffer.read())))
