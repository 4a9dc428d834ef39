"""Score an export anew, and compare that with what its card says.

The task of the export scores it, on the data that it was scored on before: what
both are is in its `metrics.json`. The embedded sample is never used for them.
"""

import contextlib
import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

import zoo
from recipes.lab import tasks, terminal
from recipes.lab.data import (
    captions,
    degradation,
    digit_tasks,
    own,
    poses,
    sources,
    styles,
    synthetic,
)
from recipes.lab.data.splits import Data
from recipes.lab.errors import DataError, RecipeError, UsageError
from recipes.lab.export import formats
from recipes.lab.export.card import FORMATS
from recipes.lab.export.verification import (
    ROUNDED,
    TOLERANCE_ELSEWHERE,
    are_sure,
)
from recipes.lab.flags import RunOptions
from recipes.lab.inputs.noise import LabeledNoise, Noise
from recipes.lab.metrics import FITTED_ACCURACY, Metric, named
from zoo import _loading, _runtimes

# Chance has a part in these scores, and goes by the order of the images.
_BY_CHANCE = (
    tasks.Denoising,
    tasks.EnergyBasedGeneration,
    tasks.Generation,
    tasks.Restoration,
    tasks.VariationalGeneration,
)
_SMALLEST = 1e-6  # tolerance: float32 has no more of a number near 1
_KERAS = "Keras model"
_ROUNDED = tuple(FORMATS[format] for format in ROUNDED)
_WIDTH = 80  # of a terminal


class Number(NamedTuple):
    """A number of a card beside the same number measured here.

    Attributes:
        of: What was scored: the Keras model, or a format.
        metric: What the number is called.
        card: What the card says.
        here: What was measured.
        tolerance: By how much the two may differ.
    """

    of: str
    metric: Metric
    card: float
    here: float
    tolerance: float

    @property
    def difference(self) -> float:
        """By how much the two differ."""
        return self.here - self.card

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than they may; NaN never agrees."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class Comparison:
    """What scoring an export anew has shown.

    Attributes:
        export: The version folder.
        data: What it was scored on.
        numbers: All that was compared.
        unsure: Share of the answers that rounding may turn into others.
        remarks: What was not compared, and why; what else is to be known.
    """

    export: Path
    data: Data
    numbers: list[Number]
    unsure: float
    remarks: list[str]

    @property
    def agrees(self) -> bool:
        """Whether every number is that of the card."""
        return all(number.agrees for number in self.numbers)

    @property
    def name(self) -> str:
        """Family and version: `mnist_cnn/1`."""
        return "/".join(self.export.resolve().parts[-2:])

    def table(self) -> str:
        """Return the numbers side by side, and what they may differ by."""
        rows = [("", "metric", "card", "here", "difference", "")]
        previous = None
        for number in self.numbers:
            rows.append(
                (
                    number.of if number.of != previous else "",
                    number.metric.words,
                    number.metric.write(number.card),
                    number.metric.write(number.here),
                    f"{number.difference:.1g}",
                    "" if number.agrees else "DIFFERS",
                )
            )
            previous = number.of
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{of:<{widths[0]}}  {metric:<{widths[1]}}  {card:>{widths[2]}}  "
            f"{here:>{widths[3]}}  {difference:>{widths[4]}}  {end}".rstrip()
            for of, metric, card, here, difference, end in rows
        ]
        notes = [*self.remarks, f"{self.verdict()}. {self.allowed()}"]
        notes = [textwrap.fill(note, _WIDTH) for note in notes]
        return "\n".join([*lines, "", *notes])

    def line(self) -> str:
        """Return the number that counts, and whether all of them agree."""
        first = self.numbers[0]
        return (
            f"{first.metric.words} {first.metric.write(first.here)}: "
            f"{self.verdict()}"
        )

    def verdict(self) -> str:
        """Return in words whether the numbers agree."""
        wrong = sum(not number.agrees for number in self.numbers)
        if wrong:
            return f"{wrong} of {len(self.numbers)} numbers DIFFER"
        return f"{len(self.numbers)} of {len(self.numbers)} numbers agree"

    def allowed(self) -> str:
        """Return in words by how much the numbers may differ, and why."""
        kinds = {(n.metric.unit == "%", n.of in _ROUNDED) for n in self.numbers}
        parts = []
        if (True, False) in kinds:
            parts.append(
                f"{100 * self.unsure:.2g} % of the answers, which is the share "
                "of those whose two best classes are within "
                f"{2 * TOLERANCE_ELSEWHERE:g}, so that rounding may turn them"
            )
        if (False, False) in kinds:
            parts.append(
                f"{100 * TOLERANCE_ELSEWHERE:g} % of an error or a loss, for "
                "each machine adds float32 in an order of its own"
            )
        if {(True, True), (False, True)} & kinds:
            parts.append(
                f"where weights have 8 bits {100 * formats.LOST_ANSWERS:g} % "
                f"of the answers, or {100 * formats.LOST_SHARE:g} % of an "
                "error: what the bits may cost at all"
            )
        return f"Allowed: {'; '.join(parts)}."


def main(
    names: Sequence[str],
    data_dir: Path | None = None,
    offline: bool = False,
    dataset: str | None = None,
) -> int:
    """Score exports and print what that shows.

    Args:
        names: Names or paths as for `zoo.load_model`; none for all that ship.
        data_dir: Where the data are, as the flag of recipes.
        offline: Never touch the network.
        dataset: What the exports were trained on, if that is no recipe's.

    Returns:
        0 if all numbers agree; 1 if one does not or an export is damaged; 2 if
        there is no such export; 3 if its data are not there.
    """
    options = RunOptions(data_dir=data_dir, offline=offline, dataset=dataset)
    if dataset is not None and not names:
        return _fail(
            UsageError("--dataset goes with the export that it taught.")
        )
    if len(names) == 1:
        try:
            comparison = compare(names[0], options)
        except (RecipeError, OSError, ValueError) as error:
            return _fail(error)
        terminal.say(f"\n{comparison.table()}")
        return int(not comparison.agrees)
    codes = [0]
    for name in names or shipped_names():
        print(f"{name}  ", end="", flush=True)
        try:
            with contextlib.redirect_stdout(None):
                comparison = compare(name, options)
        except (RecipeError, OSError, ValueError) as error:
            codes.append(_fail(error))
            continue
        terminal.say(comparison.line())
        codes.append(int(not comparison.agrees))
    return max(codes)


def shipped_names() -> list[str]:
    """Return the names by which the exports that ship are loaded."""
    return [
        "{}@shipped:{}".format(*export.split("/"))
        for export in _loading.shipped_exports()
    ]


def _fail(error: Exception) -> int:
    """Say what is wrong; return the exit code that tells it."""
    print(f"error: {error}", file=sys.stderr)
    if isinstance(error, FileNotFoundError):
        return UsageError.exit_code
    return getattr(error, "exit_code", RecipeError.exit_code)


def compare(name, options: RunOptions) -> Comparison:
    """Score an export on the test set, as its task does, in every format.

    Args:
        name: Name or path, as for `zoo.load_model`. Its sums are checked. They
            do not say who wrote it, and a SavedModel is a program: it is run.
        options: Uses `data_dir`, `offline` and `dataset`.

    Raises:
        FileNotFoundError: If there is no such export.
        ValueError: If it is damaged or was changed.
        UsageError: If it was trained on other data than those of a recipe, and
            they are not given, or have other classes or another size.
        DataError: If what it was scored on cannot be had.
        RecipeError: If nobody can say what it does.
    """
    export = _loading.find_export(name)
    passed_over = _loading.check_sums(export)
    try:
        record = json.loads((export / "metrics.json").read_text())
        data = data_of(record, export, options)
        task = task_of(record, export, data)
        if data.is_own:
            _check_fits(export, task)
    except (KeyError, json.JSONDecodeError) as error:
        raise RecipeError(
            f"{export} cannot be scored: its metrics.json does not say what "
            f"it does ({error!r})."
        ) from error
    remarks = [f"Passed over: {file}." for file in passed_over]
    if data.is_own and data.checksum != record["data_checksum"]:
        remarks.append(
            f"{data.name} has changed since: the card's numbers are of "
            f"pictures of the sum {record['data_checksum'][:12]}, and these "
            f"have {data.checksum[:12]}. So the numbers need not agree."
        )
    elif data.checksum != record["data_checksum"]:
        if isinstance(task, _BY_CHANCE):
            raise DataError(
                f"{export} was scored on the same images in another order than "
                f"that of {data.source}, and chance goes by the order. Read "
                "them from TFDS."
            )
        remarks.append(
            f"The card's numbers are of other files than {data.source}: of "
            "the same images if these are whole, in another order."
        )
    # GPUs may round float32 to ten bits; what others get is measured on a CPU.
    with tf.device("CPU:0"):
        numbers, unsure, skipped = _numbers(export, record, task)
    return Comparison(export, data, numbers, unsure, remarks + skipped)


def data_of(record: dict, export: Path, options: RunOptions) -> Data:
    """Return the data that an export was scored on, or those that are given.

    Args:
        record: Its `metrics.json`.
        export: The version folder.
        options: Uses `data_dir`, `offline` and `dataset`.

    Raises:
        UsageError: If they are no recipe's and not given, or do not fit.
        DataError: If they cannot be had.
    """
    name = options.dataset or record["dataset"]
    if options.dataset and (os.path.exists(name) or name not in sources.NAMES):
        size = record["settings"].get("resize")
        return own.load(name, replace(options, resize=size))
    if name != record["dataset"]:
        raise UsageError(
            f"{export} was trained on {record['dataset']}, and --dataset says "
            f"{name}."
        )
    if name == "digits":  # of a dry run, or of a sample
        return sources.load("mnist", RunOptions(dry_run=True))
    if name not in sources.NAMES:
        raise UsageError(
            f"{export} was trained on data that are no recipe's, {name}. Say "
            "where they are: --dataset PATH."
        )
    if name in synthetic.SETS:  # drawn once more, or its small sample is
        options = replace(options, dry_run=record["settings"]["dry_run"])
    return sources.load(name, options, stand_in=False)


def _check_fits(export: Path, task) -> None:
    """Refuse data of other images or classes than those of an export.

    What it takes and answers need not be these, so its task says what it is.
    """
    model, name = zoo.load_model(export, verbose=False), task.data.name
    hint = "Were they what it was trained on?"
    takes, needed = model.input_shape[1:], task.inputs.shape
    if takes != needed:
        raise UsageError(
            f"{export} takes inputs of shape {takes}, and those of {name} have "
            f"{needed}. {hint}"
        )
    labels = export / "assets" / "labels.txt"
    there, here = [], []
    if labels.exists():
        there = labels.read_text("utf-8").splitlines()
        here = task.assets()["labels.txt"].splitlines()
    if unknown := [label for label in there if label not in here]:
        what = "letters" if task.data.writing else "classes"
        raise UsageError(
            f"{export} answers {', '.join(unknown[:3])}, which {name} does not "
            f"have. Its {what} are: {', '.join(here[:10])}. {hint}"
        )
    try:
        task.check(model)  # what comes out, too
    except ValueError as error:
        raise UsageError(f"{name} does not fit {export}. {error}") from error


def _numbers(export: Path, record: dict, task) -> tuple:
    """Return the numbers, the share of unsure answers, and what was skipped."""
    model = zoo.load_model(export, verbose=False)
    task.check(model)
    metrics = record["metrics"]
    if task.data.groups is not None:  # its test trains other networks
        scores = task.score(model, task.data.train)
        accuracy = scores.metrics[task.metrics[0].name]
        found = {FITTED_ACCURACY.name: accuracy}
    else:
        scores = task.score(model, task.data.test)
        found = scores.metrics
    unsure = 0.0
    if task.answered in ("probabilities", "letters"):
        unsure = _share_of_unsure(scores.outputs)
    elif task.data.heads:
        unsure = max(
            _share_of_unsure(scores.outputs[head.name])
            for head in task.data.heads
            if head.class_names
        )
    numbers = [
        _number(_KERAS, name, metrics[name], value, unsure)
        for name, value in found.items()
        if name in metrics
    ]
    skipped = []
    others = [
        named(name).words
        for name in metrics
        if name not in found and not name.startswith("train_")
    ]
    if others:
        skipped.append(
            f"Not compared, for it takes more than this model: "
            f"{', '.join(others)}."
        )
    said = {
        format: {
            name: value
            for name, value in facts.items()
            if name == task.metrics[0].name
        }
        for format, facts in record.get("formats", {}).items()
    }
    if not any(said.values()):
        skipped.append(
            "The card has no score of single formats, so none is compared."
        )
        return numbers, unsure, skipped
    for format, answer in _answers(export, model, task):
        for name, value in formats.score(task, answer).items():
            if name not in said.get(format, {}):
                skipped.append(f"The card has no score of {FORMATS[format]}.")
                continue
            numbers.append(
                _number(format, name, said[format][name], value, unsure)
            )
    return numbers, unsure, skipped


def _share_of_unsure(probabilities) -> float:
    return 1 - are_sure({"probabilities": probabilities}).mean()


def _answers(export: Path, model, task) -> Iterator[tuple[str, dict]]:
    """Yield each format of an export, and its answers to the test set."""
    asked = formats.questions(task, task.signatures(model))
    served = tf.saved_model.load(str(export))
    signature = served.signatures[task.inputs.signature]

    def ask(**arguments):
        tensors = {k: tf.constant(value) for k, value in arguments.items()}
        return {k: value.numpy() for k, value in signature(**tensors).items()}

    yield "saved_model", formats.in_parts(ask, asked)
    for format, (file, _) in _runtimes.FORMATS.items():
        if (export / file).exists():
            predictor = formats.open_quietly(export, format, task)
            yield format, predictor(**asked)


def _number(of, name, card: float, here: float, unsure: float) -> Number:
    metric = named(name)
    is_share = metric.unit == "%"
    if of in ROUNDED:
        tolerance = formats.LOST_ANSWERS if is_share else formats.LOST_SHARE
    else:
        tolerance = 0.0 if is_share else TOLERANCE_ELSEWHERE
    tolerance = tolerance + unsure if is_share else tolerance * abs(card)
    return Number(
        *(FORMATS.get(of, of), metric, card, here),
        max(tolerance, _SMALLEST),
    )


def task_of(record: dict, version: Path, data: Data):
    """Return what an export does, as the numbers tell that it was given.

    Args:
        record: Its `metrics.json`.
        version: The version folder.
        data: The data set that it was trained on.

    Raises:
        RecipeError: If it takes a judge that is not here.
        KeyError: If the numbers are of no task.
    """
    metrics, settings = record["metrics"], record["settings"]
    if f"noisy_{tasks.Denoising.metrics[1].name}" in metrics:
        return tasks.Denoising(data, settings["noise"])
    if f"class_mean_{tasks.Drawing.metrics[0].name}" in metrics:
        return tasks.Drawing(styles.to_draw(data))
    if f"wiener_{tasks.Restoration.metrics[0].name}" in metrics:
        level = settings["blur"], settings["noise"]
        return tasks.Restoration(degradation.to_restore(data, *level), *level)
    # Several have the mean squared error of pictures, too, but not first.
    for kind in (
        tasks.EnergyBasedGeneration,
        tasks.CountedGeneration,
        tasks.ConditionalGeneration,
        tasks.MultiTask,
        tasks.Translation,
        tasks.NextLetter,
        tasks.Copying,
        tasks.Steering,
        tasks.Classification,
        tasks.Regression,
        tasks.Reconstruction,
        tasks.InverseGraphics,
        tasks.VariationalGeneration,
        tasks.Generation,
    ):
        if kind.metrics[0].name in metrics:
            break
    else:
        raise KeyError("metrics")
    if kind is tasks.Generation:
        return kind(data, Noise(settings["latent_dim"]), _judge(settings))
    if kind is tasks.ConditionalGeneration:
        inputs = LabeledNoise(settings["latent_dim"], data.class_names)
        return kind(data, inputs, _judge(settings))
    if kind is tasks.VariationalGeneration:
        return kind(data, settings["importance_samples"])
    if kind is tasks.InverseGraphics:
        data, values = poses.in_random_poses(data)
        samples = settings["importance_samples"]
        return kind(data, samples, poses.FACTORS, values)
    if kind is tasks.Translation and data.writing is None:
        return kind(captions.spelled(data))
    if kind is tasks.MultiTask:
        return kind(digit_tasks.with_tasks(data))
    if kind is tasks.Classification:
        labels = version / "assets" / "labels.txt"
        class_names = tuple(labels.read_text("utf-8").splitlines())
        if not {*class_names} <= {*data.class_names}:
            if data.is_own:  # others than it has learned
                return kind(data)
            data = data.against_the_rest(class_names[-1])
        elif class_names != data.class_names:
            data = data.of_classes(class_names)
    return kind(data)


def _judge(settings: dict):
    """Return the very classifier that has judged what a generator draws."""
    [wanted] = settings["loaded"]
    name, version = wanted["name"], wanted.get("version")
    for place in (f"{name}@shipped:{version}", f"{name}:{version}"):
        with contextlib.suppress(FileNotFoundError, ValueError):
            if _loading.describe_export(place)["sum"] == wanted["sum"]:
                return zoo.load_model(place, verbose=False)
    raise RecipeError(
        f"What it draws was judged by {name} version {version} (sha256 "
        f"{wanted['sum'][:12]}), which is not here, and another judge has "
        "other numbers."
    )
