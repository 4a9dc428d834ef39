"""Load an export as a stranger would and compare it with what it should say.

    python -m recipes._verification EXPORT QUESTION.npz

First with TensorFlow alone, through both signatures; then with
`zoo.load_model`. Exits with 1 and the reason if any of them disagrees.
"""

import sys

TOLERANCE = 1e-5  # of a probability, in float32


def main(export: str, question: str) -> int:
    """Compare an export's answers with the expected probabilities."""
    import numpy as np
    import tensorflow as tf

    with np.load(question, allow_pickle=False) as file:
        images, expected = tf.constant(file["images"]), file["expected"]

    loaded = tf.saved_model.load(export)
    signatures = loaded.signatures
    files = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    answers = {
        "serving_default": signatures["serving_default"](image=images),
        "image_bytes": signatures["image_bytes"](image_bytes=files),
    }
    found = {name: a["probabilities"].numpy() for name, a in answers.items()}

    import zoo

    model = zoo.load_model(export, verbose=False)
    found["model.keras"] = model.predict(
        images, batch_size=len(images), verbose=0
    )
    for name, probabilities in found.items():
        difference = np.max(np.abs(probabilities - expected))
        if not difference <= TOLERANCE:
            print(
                f"{name} differs from the model by {difference:.2g} in a "
                f"probability; at most {TOLERANCE} is rounding",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
