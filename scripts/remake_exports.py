"""Make the shipped exports anew from their own weights.

    python scripts/remake_exports.py
    python scripts/remake_exports.py mnist_cnn mnist_autoencoder
    python scripts/remake_exports.py --folder /tmp/copy/saved_models
    python scripts/remake_exports.py --cards

For each export that ships: load its model.keras, make the signatures, and write
the SavedModel, the card and the sums by the code of today. What was trained and
measured stays: the variables to the bit, and byte for byte the assets,
metrics.json with its command, commit and date, and model.keras. Where a builder
has given its layers other names since, model.keras has them, too, with the
same weights. The new export is loaded in a fresh process and compared with the
model on test images, and takes the place of the old one only when all of that
holds. Needs the data that each was trained on, to verify with. `--cards` writes
nothing but the cards, and the sums.
"""

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import zoo
from recipes.lab.data import sources
from recipes.lab.errors import RecipeError
from recipes.lab.export import exporting, scoring
from recipes.lab.flags import RunOptions
from recipes.lab.runs import Run
from zoo import _loading

ROOT = Path(__file__).resolve().parent.parent


def main(argv=None) -> int:
    """Make the exports anew; return 1 if one of them stays as it was."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "saved_models",
        help="where the exports are (default: those of this checkout)",
    )
    parser.add_argument("--data-dir", type=Path, help="a folder of TFDS")
    parser.add_argument("--cards", action="store_true", help="the cards alone")
    arguments = parser.parse_args(argv)
    shipped = dict(path.split("/") for path in _loading.shipped_exports())
    if unknown := set(arguments.names) - set(shipped):
        parser.error(f"no such export ships: {', '.join(sorted(unknown))}")

    failed = False
    for name in arguments.names or shipped:
        version = arguments.folder / name / shipped[name]
        try:
            done = remake(version, arguments.data_dir, arguments.cards)
            print(f"{version}: {done}")
        except (OSError, ValueError, RecipeError) as error:
            print(f"{version} stays as it was: {error}", file=sys.stderr)
            failed = True
    return int(failed)


def remake(version: Path, data_dir: Path | None, card: bool = False) -> str:
    """Make an export anew, or its card; return in words what became of it."""
    record = json.loads((version / "metrics.json").read_text())
    options = RunOptions(data_dir=data_dir)
    with contextlib.redirect_stdout(io.StringIO()):
        data = sources.load(record["dataset"], options)
    if data.checksum != record["data_checksum"]:
        raise RecipeError(
            f"it was trained on other data than {data.describe()}. Give the "
            "folder of that data as --data-dir."
        )
    task = scoring.task_of(record, version, data)
    data, settings = task.data, record["settings"]
    run = Run(record["recipe"], version, settings, options, data, None)
    if card:
        exporting.write_card(version, run, task, record, version.name)
        return "its card is written anew"
    before = answers(version, task)
    exporting.remake(version, run, task)
    worst = max(
        np.max(np.abs(found - expected))
        for found, expected in zip(answers(version, task), before, strict=True)
    )
    return (
        "made anew; its answers are the same to the bit"
        if worst == 0
        else f"made anew; its answers differ by at most {worst:.2g}"
    )


def answers(version: Path, task) -> list:
    """Return what the default signature answers, but for the names."""
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    model = zoo.load_model(version, verbose=False)
    inputs = task.inputs.examples(task.data.test, exporting.VERIFIED)
    asked = task.signatures(model)["serving_default"].ask(inputs)
    outputs = served(**{k: tf.constant(value) for k, value in asked.items()})
    return [
        outputs[name].numpy().astype("float64")
        for name in sorted(outputs)
        if outputs[name].dtype != tf.string
    ]


if __name__ == "__main__":
    sys.exit(main())
