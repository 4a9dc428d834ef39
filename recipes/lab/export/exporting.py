"""Exports: a SavedModel that anyone can serve, verified before it counts.

`saved_models/<name>/<version>/` holds the SavedModel, `model.keras`, the model
for LiteRT and as ONNX, the card, the metrics and the sums of all files. It is
built beside the versions, loaded in a fresh process, compared with the Keras
model on real inputs, and only then renamed to the next version. A server that
watches the folder never sees half an export, nor one that nobody checked.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab import files, verifier
from recipes.lab.errors import RecipeError
from recipes.lab.export import formats
from recipes.lab.export.card import card
from recipes.lab.files import SCHEMA
from zoo import _loading

VERIFIED = 64  # inputs
# Share of its outputs by which a copy of a model may differ from it, and of a
# model that computes in half precision: bfloat16 has three digits.
TOLERANCE, ROUGH_TOLERANCE = 0.01, 0.05


def remake(version: Path, run, task) -> None:
    """Write an export anew around its own weights, and verify that.

    The assets, and what `metrics.json` says of the training, stay as they are,
    byte for byte, the variables to the bit. So does `model.keras`, unless the
    builder of today calls a layer by another name: then it is saved anew, with
    the same weights. The rest is written and measured by the code of today, and
    takes the place of the old export only when all of it holds.

    Args:
        version: The version folder.
        run: A run with the recipe, the options and the data of the export's.
        task: What the model does.

    Raises:
        ValueError: If the export is damaged.
        RecipeError: If the new export differs from the model, or its weights
            or metrics from those of the old one.
    """
    model = zoo.load_model(version, verbose=False)
    record = json.loads((version / "metrics.json").read_text())
    renamed = None
    if record["model"] in zoo.list_models():
        renamed = _renamed(model, zoo.create_model(record["model"]))
    if renamed is None:

        def save(path):
            shutil.copyfile(version / path.name, path)
    else:
        model, save = renamed, renamed.save
    order = _order_of_variables(version, model)

    with (
        _only_building_folder(version.parent) as building,
        verifier.taken() as process,
    ):
        written = _write_model(building, task, model, save, order)
        changed = [
            path.relative_to(version)
            for path in version.glob("assets/*")
            if (building / path.relative_to(version)).read_bytes()
            != path.read_bytes()
        ]
        if not _same_variables(building, version):
            changed.append("variables")
        if changed:
            raise RecipeError(
                f"{changed[0]} would change, and its numbers were measured "
                "with what it is. Train it again instead."
            )
        record |= _verified_and_measured(
            process, building, model, written, task
        )
        _write_facts(building, run, task, record, version.name)
        _sync(building)
        # Whoever is killed between these two finds it under another name.
        old = version.with_name(f".old-{version.name}")
        os.rename(version, old)
        os.rename(building, version)
        files.sync(version.parent)
        shutil.rmtree(old)


def _renamed(model: keras.Model, fresh: keras.Model) -> keras.Model | None:
    """Return a copy of a model whose layers have the names of a fresh build.

    Args:
        model: The model. What it was built with is not known, so the names are
            compared in each sub-model of the same kinds of layers.
        fresh: What its builder makes today, with default arguments.

    Returns:
        The copy, with the same weights; None if all names are those of today.
    """
    names = {}
    twins = {layer.name: layer for layer in fresh.layers}
    for part in model.layers:
        twin = twins.get(part.name)
        if not isinstance(part, keras.Model) or not twin:
            continue
        if list(map(type, part.layers)) == list(map(type, twin.layers)):
            for layer, today in zip(part.layers, twin.layers, strict=True):
                if layer.name != today.name:
                    names[id(layer)] = today.name
    if not names:
        return None

    def clone(layer):
        config = layer.get_config()
        config["name"] = names.get(id(layer), layer.name)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def export(
    run,
    task,
    model: keras.Model,
    metrics: dict,
    meanwhile: Callable[[], None] = lambda: None,
) -> Path:
    """Export a trained model and verify the export.

    Args:
        run: The open run.
        task: What the model does, see `recipes.lab.tasks`.
        model: The bare model, without augmentation in front.
        metrics: The test metrics, for the card.
        meanwhile: What to do while another process verifies. If it fails, the
            export does not, and its error is raised at the end.

    Returns:
        The version folder, `saved_models/<name>/<version>`; the family's for a
        worker that is not the chief, which exports nothing.

    Raises:
        ValueError: If the model's outputs do not fit the task.
        RecipeError: If the export cannot be written or differs from the model.
    """
    family = run.options.output_dir / "saved_models" / run.export_name
    if not run.devices.is_chief:
        return family
    task.check(model)
    weights = _sum_of_weights(model)
    if version := _exported_before(run, family, weights):
        print(f"exported and verified {version} before")
        meanwhile()
        return version
    print("exporting the model", flush=True)
    errors = []

    def do_meanwhile():
        try:
            meanwhile()
        except Exception as error:
            errors.append(error)

    try:
        with (
            _only_building_folder(family) as building,
            verifier.taken() as process,
        ):
            version = _next_version(family)
            exported = _plain_copy(model, _examples(task))
            record = run.record(model, metrics)
            written = _write_model(building, task, exported, exported.save)
            print("verifying the export in a fresh process", flush=True)
            record |= _verified_and_measured(
                *(process, building, exported, written, task, do_meanwhile)
            )
            _write_facts(building, run, task, record, version.name)
            _sync(building)
            files.write_json(
                run.folder / "export.json",
                {
                    "schema": SCHEMA,
                    "version": zoo.__version__,
                    "export": version.name,
                    "sums": files.sha256(building / _loading.SUMS),
                    "weights": weights,
                },
            )
            os.rename(building, version)
            files.sync(family)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "message", None) or str(error) or repr(error)
        reason = reason.splitlines()[0].rpartition("}} ")[-1]  # TensorFlow's op
        raise RecipeError(
            f"The export to {family} failed, and nothing of it was kept: "
            f"{reason}"
        ) from error
    print(f"exported and verified {version}", flush=True)
    if errors:
        raise errors[0]
    return version


def _exported_before(run, family: Path, weights: str) -> Path | None:
    """Return the version that this run has made of this model, if it stands.

    A run that is killed between its export and its end makes no second one.
    What it wrote down before the rename counts only with the folder itself.
    """
    try:
        record = json.loads((run.folder / "export.json").read_bytes())
        version = family / record["export"]
        sums = files.sha256(version / _loading.SUMS)
        if (sums, weights) != (record["sums"], record["weights"]):
            return None
        _loading.check_sums(version)
    except (OSError, ValueError, KeyError):
        return None
    return version


def _sum_of_weights(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _only_building_folder(family: Path):
    """Give one process at a time an empty folder beside the versions.

    The system drops the lock with the process, however that ends. So whatever
    is half built when we get it was left by a process that was killed.
    """
    family.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(family, os.O_RDONLY)
    try:
        if not files.lock(descriptor, family):
            print(f"waiting for another export to {family}", flush=True)
            files.lock(descriptor, family, wait=True)
        for leftover in family.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        building = family / f".tmp-{os.getpid()}"
        building.mkdir()
        try:
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)
    finally:
        os.close(descriptor)


def _next_version(family: Path) -> Path:
    taken = [int(p.name) for p in family.iterdir() if p.name.isdecimal()]
    return family / str(max(taken, default=0) + 1)


def _examples(task):
    """Return real inputs to verify a model with."""
    return task.inputs.examples(task.data.test, VERIFIED)


def _plain_copy(model: keras.Model, examples) -> keras.Model:
    """Return the model as it is exported: float32 and uncompiled.

    An optimizer would triple the size of `model.keras`.
    """
    # GPUs may round float32 to ten bits; what others get is measured on a CPU.
    with tf.device("CPU:0"):
        copy = formats.in_float32(model)
        found = _answers(copy, examples)
    difference = max(
        # Of numbers in a unit of their own a share of the largest one.
        np.mean(np.abs(found[name] - answers)) / max(1, np.abs(answers).max())
        for name, answers in _answers(model, examples).items()
    )
    is_exact = keras.config.dtype_policy().name == "float32"
    if not difference <= (TOLERANCE if is_exact else ROUGH_TOLERANCE):
        raise RecipeError(
            "The model made anew from its configuration does not answer as "
            "the trained one does: its outputs differ by "
            f"{difference:.2g} in the mean. Does get_config of its layers "
            "return all of their arguments?"
        )
    return copy


def _answers(model: keras.Model, inputs) -> dict[str, np.ndarray]:
    """Return what a model answers, by its outputs' names, as float32.

    The output of a model that has only one is called `output`.
    """
    answers = model(inputs, training=False)
    if not isinstance(answers, dict):
        answers = {"output": answers}
    return {k: v.numpy().astype("float32") for k, v in answers.items()}


# --- the files -----------------------------------------------------------


class _Written(NamedTuple):
    """The model in an export.

    Attributes:
        signatures: The signatures of the SavedModel.
        absent: What other formats do not have, and why.
    """

    signatures: dict
    absent: dict[str, str]


def _write_model(folder, task, model, save, order=None) -> _Written:
    """Write the model in all formats, and the sums, for the verification.

    Args:
        folder: An empty folder.
        task: What the model does.
        model: The Keras model as it is exported.
        save: Function that writes `model.keras` to a path.
        order: The model's variables as the SavedModel is to store them.
    """
    signatures = task.signatures(model)
    if order is not None:
        _order_variables(signatures, order)
    _write_saved_model(folder, signatures)
    _write_assets(folder, task.inputs.assets() | task.assets())
    files.check_clock()  # it may have gone back since
    save(folder / "model.keras")
    absent = formats.write(folder, task, model, signatures)
    _write_sums(folder)
    return _Written(signatures, absent)


def _write_facts(folder, run, task, record, version: str) -> None:
    """Write what is to be said of the export, and the sums of everything.

    Args:
        folder: The folder with the model.
        run: The run.
        task: What the model does.
        record: The run's record, with its metrics and what was measured.
        version: The number of the export.
    """
    files.write_json(folder / "metrics.json", record)
    write_card(folder, run, task, record, version)


def write_card(folder: Path, run, task, record, version: str) -> None:
    """Write the card of an export, and the sums of everything in its folder."""
    files.write_atomically(
        folder / "README.md", card(run, task, record, version)
    )
    _write_sums(folder)


def _sync(folder: Path) -> None:
    """Make sure that a folder is on the disk, with all that is in it."""
    for path in [*folder.rglob("*"), folder]:
        files.sync(path)


def _write_saved_model(folder: Path, signatures: dict) -> None:
    # No `track`: it would store every weight twice.
    archive = keras.export.ExportArchive()
    for name, signature in signatures.items():
        archive.add_endpoint(name, signature.function)
    archive.write_out(folder, verbose=False)


def _variables(folder: Path):
    """Return a reader of the variables that a SavedModel stores."""
    return tf.train.load_checkpoint(str(folder / "variables" / "variables"))


def _same_variables(one: Path, other: Path) -> bool:
    """Say whether two SavedModels store the same numbers in the same order."""
    left, right = _variables(one), _variables(other)
    stored = left.get_variable_to_dtype_map()
    if stored != right.get_variable_to_dtype_map():
        return False
    # The objects are described by their names, which may be other ones today.
    return all(
        np.array_equal(left.get_tensor(key), right.get_tensor(key))
        for key in stored.keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    )


def _order_of_variables(version: Path, model: keras.Model) -> list:
    """Return the variables of a model in the order of an export's SavedModel.

    Raises:
        RecipeError: If the SavedModel has other weights.
    """
    stored = _variables(version)
    key = "_all_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"
    left = [variable.value for variable in model.variables]
    order = []
    while stored.has_tensor(key.format(len(order))):
        value = stored.get_tensor(key.format(len(order)))
        same = [v for v in left if np.array_equal(v.numpy(), value)]
        if not same:
            raise RecipeError(
                "Its SavedModel and its model.keras have other weights."
            )
        order.append(same[0])
        left = [v for v in left if v is not same[0]]
    return order


def _order_variables(signatures: dict, order: list) -> None:
    """Have the variables stored in this order.

    A graph keeps them in a set, so it is another one in each process.
    """
    for signature in signatures.values():
        graph = signature.function.get_concrete_function().graph
        used = {id(variable) for variable in graph.variables}
        graph.variables = [v for v in order if id(v) in used]


def _write_assets(folder: Path, assets: dict[str, str]) -> None:
    for name, text in assets.items():
        (folder / "assets").mkdir(exist_ok=True)
        files.write_atomically(folder / "assets" / name, text)


def _write_sums(folder: Path) -> None:
    sums = folder / _loading.SUMS
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != sums)
    lines = [
        f"{files.sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in paths
    ]
    files.write_atomically(sums, "".join(lines))


# --- the verification ---------------------------------------------------


def _verified_and_measured(
    process, folder, model, written, task, meanwhile=lambda: None
) -> dict:
    """Have the export verified, and measure its formats at the same time.

    Args:
        process: What verifies, see `recipes.lab.verifier`.
        folder: The folder with the model.
        model: The Keras model as it is exported.
        written: What is in the folder.
        task: What the model does.
        meanwhile: What else there is to do until it has been verified.

    Returns:
        What the record says of the formats.
    """
    question = io.BytesIO()
    with tf.device("CPU:0"):
        np.savez(question, **exam(model, written.signatures, _examples(task)))
    with ThreadPoolExecutor(1) as waiting:
        verified = waiting.submit(_verify, process, folder, question.getvalue())
        with tf.device("CPU:0"):
            measured = formats.measure(folder, task, written.signatures)
        meanwhile()
        verified.result()
    return {"formats": measured, "absent": written.absent}


def _verify(process, folder: Path, question: bytes) -> None:
    """Have the export loaded and compared with the model on real inputs."""
    if problem := verifier.ask(process, folder, question):
        raise RecipeError(
            "The export does not answer as the model does, so it was dropped: "
            f"{problem}"
        )


def exam(model: keras.Model, signatures: dict, inputs) -> dict:
    """Return what to ask an export, and what it should answer.

    Args:
        model: The Keras model that was exported.
        signatures: Its signatures.
        inputs: Inputs of a split.

    Returns:
        Arrays, named `<signature>/ask/<argument>` and
        `<signature>/expect/<output>`; those of `model.keras` are among them.
    """
    asked = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    arrays = {f"model.keras/ask/{name}": asked[name] for name in asked}
    for output, value in _answers(model, inputs).items():
        arrays[f"model.keras/expect/{output}"] = value
    for name, signature in signatures.items():
        for argument, value in signature.ask(inputs).items():
            arrays[f"{name}/ask/{argument}"] = value
        for output, value in signature.expect(inputs).items():
            arrays[f"{name}/expect/{output}"] = value
    return arrays
