"""The README.md of an export, as a Hugging Face model card."""

import zoo
from recipes.lab.export.examples import examples
from recipes.lab.files import SCHEMA
from recipes.lab.settings import describe_loaded

FORMATS = {
    "saved_model": "SavedModel",
    "litert": "LiteRT",
    "litert-int8": "LiteRT, weights in 8 bits",
    "onnx": "ONNX",
}


def card(run, task, record: dict, version: str) -> str:
    """Return the card of an export.

    Args:
        run: The open run.
        task: What the model does, see `recipes.lab.tasks`.
        record: The run's record with its metrics, as in `metrics.json`.
        version: The number of the export.

    Returns:
        Markdown with a YAML header.
    """
    data, tag = task.data, task.hub_task
    title, licence = data.facts
    metrics = record["metrics"]
    headline = task.metrics[0]
    # Older records do not have all of them.
    known = [metric for metric in task.metrics if metric.name in metrics]
    results = {
        **{m.words: m.write(metrics[m.name]) for m in known},
        "seed": str(record["seed"]),
        "training": f"{metrics['train_seconds']:.0f} s",
    }
    sample = (
        "\n**Trained on a small sample: a demonstration, not a result.**\n"
        if run.is_demonstration
        else ""
    )
    environment = record["environment"]
    # Sorted, as in metrics.json, so that the same record makes the same card.
    versions = sorted(environment["versions"].items())
    versions = ", ".join(f"{name} {number}" for name, number in versions)
    more = ""
    # Older records have neither.
    if loaded := record["settings"].get("loaded"):
        started = describe_loaded(loaded, digits=64)
        more += f"- Started from: {started}\n"
    if continued := record["settings"].get("continued"):
        more += (
            f"- Continues the run {continued['run']}, of "
            f"{continued['epochs']} epochs, with a schedule of its own\n"
        )
    if changes := record.get("changes"):
        more += f"- Not as it was when training began: {'; '.join(changes)}\n"
    # The weights belong to whoever trained them, as the data do.
    datasets = f"datasets:\n- {data.name}\n"
    license, weights = "apache-2.0", "Apache-2.0"
    if data.is_own:
        datasets, license, weights = "", "other", "not stated"
    return f"""\
---
license: {license}
library_name: keras
pipeline_tag: {tag}
tags:
- keras
- tensorflow
- {tag}
{datasets}\
metrics:
- {task.hub_metric}
model-index:
- name: {run.export_name}
  results:
  - task:
      type: {tag}
      name: {tag.replace("-", " ").capitalize()}
    dataset:
      type: {data.name}
      name: {title}
      split: test
    metrics:
    - type: {task.hub_metric}
      value: {metrics[headline.name]:.4g}
      name: {headline.words}
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

{task.inputs.card()} {task.output()}

## Use

{examples(run.export_name, version, task, record["formats"])}
## Formats

{_formats(task, record)}
## Training

- Command: `{record["command"]}`
- Commit: {record["commit"] or "unknown"}, {record["date"]}
- Data: {data.describe()}
{more}\
- Machine: {environment["hardware"]}, {environment["threads"]} threads
- Versions: {versions}

## Limits and licences

{task.limits()} Weights: {weights}. Data: {licence}.
`SHA256SUMS` proves that the files are whole, not who wrote them.
"""


def _formats(task, record) -> str:
    """Return the table of the formats, and what they do not have."""
    metric = task.metrics[0]
    rows = [
        ["format", "file", "size", metric.words, "difference", "one example"]
    ]
    for name in [name for name in FORMATS if name in record["formats"]]:
        facts = record["formats"][name]
        value = facts.get(metric.name)
        rows.append(
            [
                FORMATS[name],
                f"`{facts['file']}`",
                f"{facts['bytes'] / 1000:,.0f} kB",
                "–" if value is None else metric.write(value),
                f"{facts['largest_difference']:.1g}",
                f"{facts['microseconds']:,.0f} µs",
            ]
        )
    rows.insert(1, ["---"] * len(rows[0]))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reasons = sorted(record["absent"].items())
    absent = "".join(f"\n- No {what}: {why}." for what, why in reasons)
    if absent:
        absent = f"\n{absent}"
    return f"""\
{table}

Scores are of the whole test set as it is. A difference is the largest of any
number in the answers from the SavedModel's, over as many examples. Times are of
one example at a time, asked in Python on the machine below.{absent}
"""
