"""Load an export as a stranger would and compare it with what it should say.

    python -m recipes._verification EXPORT < QUESTION.npz

First with TensorFlow alone, through both signatures; then with
`zoo.load_model`. Exits with 1 and the reason if any of them disagrees. The
question is read after TensorFlow is imported, so this process can be started
before there is an export.
"""

import io
import sys
from pathlib import Path
from typing import BinaryIO

TOLERANCE = 1e-5  # of a probability, in float32


def main(export: str | Path, question: BinaryIO) -> str | None:
    """Ask an export for what is known.

    Args:
        export: The version folder.
        question: An open `.npz` file: `images`, their `probabilities`, and the
            `class_names`.

    Returns:
        What is wrong with the export, or None.
    """
    import numpy as np
    import tensorflow as tf

    import zoo

    with np.load(question, allow_pickle=False) as file:
        images, expected = tf.constant(file["images"]), file["probabilities"]
        class_names = file["class_names"]

    loaded = tf.saved_model.load(str(export))
    default, image_bytes = (
        loaded.signatures[name] for name in ("serving_default", "image_bytes")
    )
    files = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    answers = {
        "serving_default": default(image=images),
        "image_bytes": image_bytes(image_bytes=files),
    }
    found = {name: a["probabilities"].numpy() for name, a in answers.items()}
    model = zoo.load_model(export, verbose=False)
    found["model.keras"] = model(images, training=False).numpy()

    for name, probabilities in found.items():
        difference = np.max(np.abs(probabilities - expected))
        if not difference <= TOLERANCE:
            return (
                f"{name} differs from the model by {difference:.2g} in a "
                f"probability; at most {TOLERANCE} is rounding"
            )
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
            return f"the probabilities of {name} do not sum to 1"
    for name, answer in answers.items():
        ids, names = answer["class_id"].numpy(), answer["class_name"].numpy()
        best = found[name].argmax(axis=1)
        if np.any(ids != best) or np.any(
            names.astype(str) != class_names[best]
        ):
            return f"{name} names other classes than the most probable ones"
    labels = Path(export, "assets", "labels.txt").read_text().splitlines()
    if labels != class_names.tolist():
        return f"labels.txt holds {labels}, not {class_names.tolist()}"
    return None


if __name__ == "__main__":
    # Keras imports these two wherever it finds them, and uses neither here;
    # that would be a third of this process' time.
    sys.modules["sklearn"] = sys.modules["matplotlib"] = None
    import tensorflow  # noqa: F401

    sys.exit(main(sys.argv[1], io.BytesIO(sys.stdin.buffer.read())))
