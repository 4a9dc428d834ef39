"""The README.md of an export, as a Hugging Face model card."""

import zoo
from recipes._runs import SCHEMA, Run

_DATA = {
    "mnist": ("MNIST", "white on black", "CC BY-SA 3.0"),
    "fashion_mnist": ("Fashion-MNIST", "light on black", "MIT"),
    "digits": ("scikit-learn digits", "white on black", "CC BY 4.0"),
}


def classifier_card(run: Run, record: dict, version: str) -> str:
    """Return the card of a classifier.

    Args:
        run: The open run.
        record: The run's record with its metrics, as in `metrics.json`.
        version: The number of the export.

    Returns:
        Markdown with a YAML header.
    """
    title, polarity, licence = _DATA[run.data.name]
    metrics = record["metrics"]
    height, width, channels = run.data.test.images.shape[1:]
    colors = "grey" if channels == 1 else "RGB"
    labels = ", ".join(run.data.class_names)
    sample = (
        "\n**Trained on a small sample: a demonstration, not a result.**\n"
        if run.export_name != run.recipe
        else ""
    )
    environment = record["environment"]
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items())
    return f"""\
---
license: apache-2.0
library_name: keras
pipeline_tag: image-classification
tags:
- keras
- tensorflow
- image-classification
datasets:
- {run.data.name}
metrics:
- accuracy
model-index:
- name: {run.export_name}
  results:
  - task:
      type: image-classification
      name: Image classification
    dataset:
      type: {run.data.name}
      name: {title}
      split: test
    metrics:
    - type: accuracy
      value: {metrics["test_accuracy"]:.4f}
      name: Test accuracy
schema: {SCHEMA}
keras_zoo_recipes: {zoo.__version__}
---

# {run.export_name}
{sample}
`{record["model"]}` ({record["params"]:,} trainable parameters) trained on
{title} by the recipe `{run.recipe}` of keras-zoo-recipes.

| test accuracy | test cross-entropy | seed | training |
| --- | --- | --- | --- |
| {metrics["test_accuracy"]:.2%} | {metrics["test_loss"]:.4f} nats | \
{record["seed"]} | {metrics["train_seconds"]:.0f} s |

## Input

Raw pixels, 0 to 255, `({height}, {width}, {channels})`, **{polarity}**.
Do not divide by 255: the model does that. Classes: {labels}.

## Use

With TensorFlow alone:

```python
import tensorflow as tf

export = tf.saved_model.load("saved_models/{run.export_name}/{version}")
# images: uint8, (n, {height}, {width}, {channels})
answer = export.signatures["serving_default"](image=images)
print(answer["class_name"], answer["probabilities"])
```

The signature `image_bytes` takes PNG or JPEG files instead, in any size up to
4,096 pixels a side; it makes them {colors} and resizes them. With the package
installed, `zoo.load_model("{run.export_name}")` returns the Keras model.

With TensorFlow Serving watching `saved_models/{run.export_name}`:

```sh
printf '{{"signature_name": "image_bytes", "instances": [{{"b64": "%s"}}]}}' \\
  "$(base64 < image.png | tr -d '\\n')" |
  curl -s -d @- http://localhost:8501/v1/models/{run.export_name}:predict
```

## Training

- Command: `{record["command"]}`
- Commit: {record["commit"] or "unknown"}, {record["date"]}
- Data: {run.data.describe()}
- Machine: {environment["hardware"]}, {environment["threads"]} threads
- Versions: {versions}

## Limits and licences

It always answers with one of its classes, whatever the picture shows; images
unlike {title} get confident nonsense. Weights: Apache-2.0. Data: {licence}.
`SHA256SUMS` proves that the files are whole, not who wrote them.
"""
