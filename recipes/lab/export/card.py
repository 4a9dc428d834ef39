"""The README.md of an export, as a Hugging Face model card."""

import zoo
from recipes.lab.files import SCHEMA
from recipes.lab.inputs.image_files import LARGEST_SIDE
from recipes.lab.settings import describe_loaded

_DATA = {
    "mnist": ("MNIST", "white on black", "CC BY-SA 3.0"),
    "fashion_mnist": ("Fashion-MNIST", "light on black", "MIT"),
    "digits": ("scikit-learn digits", "white on black", "CC BY 4.0"),
}


def classifier_card(run, record: dict, version: str) -> str:
    """Return the card of a classifier.

    Args:
        run: The open run.
        record: The run's record with its metrics, as in `metrics.json`.
        version: The number of the export.

    Returns:
        Markdown with a YAML header.
    """
    metrics = record["metrics"]
    title, *_ = _DATA[run.data.name]
    height, width, channels = run.data.test.images.shape[1:]
    colors = "grey" if channels == 1 else "RGB"
    ink = (
        "; ink of one\ntone on a transparent sheet becomes white, in any color"
        if channels == 1
        else ""
    )
    use = f"""\
With TensorFlow alone:

```python
import tensorflow as tf

export = tf.saved_model.load("saved_models/{run.export_name}/{version}")
# images: uint8, (n, {height}, {width}, {channels})
answer = export.signatures["serving_default"](image=images)
print(answer["class_name"], answer["probabilities"])
```

The signature `image_bytes` takes PNG or JPEG files instead, in any size up to
{LARGEST_SIDE:,} pixels a side. It turns them upright as their EXIF says, makes
them {colors} and resizes them. What is transparent becomes black{ink}.
It refuses transparent pictures too dark to be seen on black, PNG files of 16
bits that use less than half of their range, and JPEG files for print (CMYK).

With the package installed, `zoo.load_model("{run.export_name}")` returns the \
Keras model.

With TensorFlow Serving watching `saved_models/{run.export_name}`:

```sh
printf '{{"signature_name": "image_bytes", "instances": [{{"b64": "%s"}}]}}' \\
  "$(base64 < image.png | tr -d '\\n')" |
  curl -s -d @- http://localhost:8501/v1/models/{run.export_name}:predict
```
"""
    return _card(
        run,
        record,
        task="image-classification",
        metric=("accuracy", "Test accuracy", metrics["test_accuracy"]),
        results={
            "test accuracy": f"{metrics['test_accuracy']:.2%}",
            "test cross-entropy": f"{metrics['test_loss']:.4f} nats",
        },
        meaning=f"Classes: {', '.join(run.data.class_names)}.",
        use=use,
        limits="It always answers with one of its classes, whatever the "
        f"picture shows; images\nunlike {title} get confident nonsense.",
    )


def autoencoder_card(run, record: dict, version: str) -> str:
    """Return the card of an autoencoder; see `classifier_card`."""
    metrics = record["metrics"]
    title, *_ = _DATA[run.data.name]
    height, width, channels = run.data.test.images.shape[1:]
    use = f"""\
With TensorFlow alone:

```python
import tensorflow as tf

export = tf.saved_model.load("saved_models/{run.export_name}/{version}")
# images: uint8, (n, {height}, {width}, {channels})
code = export.signatures["encode"](image=images)["code"]
answer = export.signatures["decode"](code=code)
print(answer["reconstruction"])  # float32 in [0, 1]; "image" has it as uint8
```

The signature `reconstruct`, which is `serving_default` too, goes all the way.
With the package installed, `model = zoo.load_model("{run.export_name}")` is the
Keras model. `zoo.feature_extractor(model)` takes raw pixels as well and returns
codes, `model.get_layer("decoder")` takes codes. The layer `encoder` alone takes
pixels in [0, 1], for what rescales them comes before it.
"""
    return _card(
        run,
        record,
        task="image-feature-extraction",
        metric=("mse", "Test mean squared error", metrics["test_mse"]),
        results={
            "test squared error per pixel": f"{metrics['test_mse']:.5f}",
            "test PSNR": f"{metrics['test_psnr']:.2f} dB",
        },
        meaning="Pictures come out in [0, 1], and as\nuint8 pixels.",
        use=use,
        limits=f"It has seen {title} and nothing else: other pictures come out "
        f"as the nearest\nthing to {title} that it can draw.",
    )


def _card(run, record, *, task, metric, results, meaning, use, limits) -> str:
    """Return a card.

    Args:
        run: The open run.
        record: The run's record.
        task: Hugging Face's name of the task.
        metric: Hugging Face's name of the metric, ours, and the value.
        results: What the table of results begins with.
        meaning: What is to be said of the outputs.
        use: How to use the export.
        limits: What it cannot do.
    """
    title, polarity, licence = _DATA[run.data.name]
    height, width, channels = run.data.test.images.shape[1:]
    metric_type, metric_name, value = metric
    results = {
        **results,
        "seed": str(record["seed"]),
        "training": f"{record['metrics']['train_seconds']:.0f} s",
    }
    sample = (
        "\n**Trained on a small sample: a demonstration, not a result.**\n"
        if run.export_name != run.recipe
        else ""
    )
    environment = record["environment"]
    # Sorted, as in metrics.json, so that the same record makes the same card.
    versions = sorted(environment["versions"].items())
    versions = ", ".join(f"{name} {version}" for name, version in versions)
    more = ""
    # Older records have neither.
    if loaded := record["settings"].get("loaded"):
        started = describe_loaded(loaded, digits=64)
        more += f"- Started from: {started}\n"
    if changes := record.get("changes"):
        more += f"- Not as it was when training began: {'; '.join(changes)}\n"
    return f"""\
---
license: apache-2.0
library_name: keras
pipeline_tag: {task}
tags:
- keras
- tensorflow
- {task}
datasets:
- {run.data.name}
metrics:
- {metric_type}
model-index:
- name: {run.export_name}
  results:
  - task:
      type: {task}
      name: {task.replace("-", " ").capitalize()}
    dataset:
      type: {run.data.name}
      name: {title}
      split: test
    metrics:
    - type: {metric_type}
      value: {value:.4g}
      name: {metric_name}
schema: {SCHEMA}
keras_zoo_recipes: {zoo.__version__}
---

# {run.export_name}
{sample}
`{record["model"]}` ({record["params"]:,} trainable parameters) trained on
{title} by the recipe `{run.recipe}` of keras-zoo-recipes.

| {" | ".join(results)} |
|{" --- |" * len(results)}
| {" | ".join(results.values())} |

## Input

Raw pixels, 0 to 255, `({height}, {width}, {channels})`, **{polarity}**.
Do not divide by 255: the model does that. {meaning}

## Use

{use}
## Training

- Command: `{record["command"]}`
- Commit: {record["commit"] or "unknown"}, {record["date"]}
- Data: {run.data.describe()}
{more}\
- Machine: {environment["hardware"]}, {environment["threads"]} threads
- Versions: {versions}

## Limits and licences

{limits} Weights: Apache-2.0. Data: {licence}.
`SHA256SUMS` proves that the files are whole, not who wrote them.
"""
