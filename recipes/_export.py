"""Exports: a SavedModel that anyone can serve, verified before it counts.

`saved_models/<name>/<version>/` holds the SavedModel, `model.keras`, the card,
the metrics and the sums of all files. It is built beside the versions, loaded
in a fresh process, compared with the Keras model on real images, and only then
renamed to the next version. A server that watches the folder never sees half an
export, nor one that nobody checked.
"""

import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from recipes import _files, _model_card
from recipes._data import Data
from recipes._errors import RecipeError
from recipes._runs import Run

LARGEST_SIDE = 4_096  # pixels; read from a file's header before it is decoded
VERIFIED_IMAGES = 64
LOW_PRECISION = 0.01  # mean difference of probabilities that it may make


def export_classifier(run: Run, model: keras.Model, metrics: dict) -> Path:
    """Export a trained classifier and verify the export.

    The signatures, all of them from raw pixels:

    - `serving_default`: `image` uint8 `(batch, height, width, channels)`
    - `image_bytes`: `image_bytes` string `(batch,)`, PNG or JPEG files

    Both return `probabilities` float32 `(batch, num_classes)`, `class_id` int64
    `(batch,)` and `class_name` string `(batch,)`.

    Args:
        run: The open run.
        model: The bare model, without augmentation in front.
        metrics: The test metrics, for the card.

    Returns:
        The version folder, `saved_models/<name>/<version>`.

    Raises:
        ValueError: If the model has another number of outputs than the data
            has classes.
        RecipeError: If the export cannot be written or differs from the model.
    """
    class_names = run.data.class_names
    if model.output_shape != (None, len(class_names)):
        raise ValueError(
            f"A classifier of {len(class_names)} classes must have an output "
            f"of shape {(None, len(class_names))}. "
            f"Received: {model.output_shape}"
        )
    family = run.options.output_dir / "saved_models" / run.export_name
    try:
        with (
            _only_building_folder(family) as building,
            _verifier_of(building) as verifier,
        ):
            version = _next_version(family)
            exported = _plain_copy(model, run.data)
            _write_saved_model(building, exported, class_names)
            _write_labels(building, class_names)
            exported.save(building / "model.keras")
            record = run.record(model, metrics)
            _files.write_json(building / "metrics.json", record)
            _files.write_atomically(
                building / "README.md",
                _model_card.classifier_card(run, record, version.name),
            )
            _write_sums(building)
            _verify(verifier, exported, run.data)
            for path in [*building.rglob("*"), building]:
                _files.sync(path)
            os.rename(building, version)
            _files.sync(family)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "message", None) or str(error) or repr(error)
        reason = reason.splitlines()[0].rpartition("}} ")[-1]  # TensorFlow's op
        raise RecipeError(
            f"The export to {family} failed, and nothing of it was kept: "
            f"{reason}"
        ) from error
    print(f"exported and verified {version}")
    return version


@contextlib.contextmanager
def _only_building_folder(family: Path):
    """Give one process at a time an empty folder beside the versions.

    The system drops the lock with the process, however that ends. So whatever
    is half built when we get it was left by a process that was killed.
    """
    family.mkdir(parents=True, exist_ok=True)
    lock = os.open(family, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another export to {family}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in family.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        building = family / f".tmp-{os.getpid()}"
        building.mkdir()
        try:
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)
    finally:
        os.close(lock)


def _next_version(family: Path) -> Path:
    taken = [int(p.name) for p in family.iterdir() if p.name.isdecimal()]
    return family / str(max(taken, default=0) + 1)


def _plain_copy(model: keras.Model, data: Data) -> keras.Model:
    """Return the model as others shall have it: float32 and uncompiled.

    An optimizer would triple the size of `model.keras`.
    """

    def to_float32(node):
        if isinstance(node, list | tuple):
            return [to_float32(child) for child in node]
        if not isinstance(node, dict):
            return node
        if node.get("class_name") == "DTypePolicy":
            return {**node, "config": {"name": "float32"}}
        return {key: to_float32(child) for key, child in node.items()}

    images = data.test.images[:VERIFIED_IMAGES]
    # GPUs may round float32 to ten bits; what others get is measured on a CPU.
    with tf.device("CPU:0"):
        copy = type(model).from_config(to_float32(model.get_config()))
        copy.set_weights(model.get_weights())
        found = copy(images, training=False).numpy()
    expected = model(images, training=False).numpy().astype("float32")
    difference = np.mean(np.abs(found - expected))
    if not difference <= LOW_PRECISION:
        raise RecipeError(
            "The model made anew from its configuration does not answer as "
            "the trained one does: its probabilities differ by "
            f"{difference:.2g} in the mean. Does get_config of its layers "
            "return all of their arguments?"
        )
    return copy


# --- the signatures -----------------------------------------------------


def _write_saved_model(folder: Path, model, class_names) -> None:
    shape = model.input_shape[1:]
    names = tf.constant(class_names)

    def answer(images):
        probabilities = model(tf.cast(images, tf.float32), training=False)
        class_id = tf.argmax(probabilities, axis=-1)
        return {
            "probabilities": probabilities,
            "class_id": class_id,
            "class_name": tf.gather(names, class_id),
        }

    @tf.function(
        input_signature=[tf.TensorSpec((None, *shape), tf.uint8, name="image")],
        autograph=False,
    )
    def serving_default(image):
        # A signature does not check shapes by itself.
        image = tf.ensure_shape(image, (None, *shape))
        return answer(_at_least_one(image))

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")],
        autograph=False,
    )
    def image_bytes(image_bytes):
        files = _at_least_one(tf.ensure_shape(image_bytes, (None,)))
        images = tf.map_fn(
            lambda contents: _decode(contents, shape),
            files,
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )
        return answer(images)

    # No `track`: it would store every weight twice.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", serving_default)
    archive.add_endpoint("image_bytes", image_bytes)
    archive.write_out(folder, verbose=False)


def _at_least_one(batch):
    check = tf.debugging.assert_positive(
        tf.shape(batch)[0], message="the batch is empty; send an image or more"
    )
    with tf.control_dependencies([check]):
        return tf.identity(batch)


def _decode(contents, shape):
    """Decode one PNG or JPEG file to uint8 pixels of the model's shape."""
    height, width, channels = shape
    is_png = tf.strings.substr(contents, 0, 8) == b"\x89PNG\r\n\x1a\n"
    is_jpeg = tf.strings.substr(contents, 0, 3) == b"\xff\xd8\xff"
    known = tf.debugging.Assert(
        is_png | is_jpeg, ["image_bytes must hold PNG or JPEG files"]
    )
    with tf.control_dependencies([known]):
        sides = tf.cond(
            is_png,
            lambda: _png_sides(contents),
            lambda: tf.image.extract_jpeg_shape(contents)[:2],
        )
    # Decoding comes after the assertion, or a small file could fill the memory.
    small = tf.debugging.Assert(
        tf.reduce_all((sides > 0) & (sides <= LARGEST_SIDE)),
        [f"image sides must be 1 to {LARGEST_SIDE} pixels; received", sides],
    )
    with tf.control_dependencies([small]):
        contents = tf.identity(contents)
    image = tf.cond(
        is_png,
        lambda: tf.io.decode_png(contents, channels),
        lambda: tf.io.decode_jpeg(contents, channels),
    )
    image = tf.ensure_shape(image, (None, None, channels))
    image = tf.image.resize(image, (height, width), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def _png_sides(contents):
    """Read height and width from the header of a PNG file, 0 if it is cut."""
    padded = tf.strings.join([contents, b"\0" * 24])
    # The decoder looks for the header further on if another chunk comes first.
    known = tf.debugging.Assert(
        tf.strings.substr(padded, 12, 4) == b"IHDR",
        ["a PNG file must begin with its header, IHDR"],
    )
    with tf.control_dependencies([known]):
        header = tf.strings.substr(padded, 16, 8)
    octets = tf.io.decode_raw(header, tf.uint8)
    octets = tf.reshape(tf.cast(octets, tf.int64), (2, 4))
    sides = tf.reduce_sum(octets * [[1 << 24, 1 << 16, 1 << 8, 1]], axis=1)
    return tf.cast(tf.minimum(sides[::-1], 2**31 - 1), tf.int32)


# --- the files beside the SavedModel ------------------------------------


def _write_labels(folder: Path, class_names) -> None:
    (folder / "assets").mkdir(exist_ok=True)
    _files.write_atomically(
        folder / "assets" / "labels.txt", "\n".join(class_names) + "\n"
    )


def _write_sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{_files.sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    _files.write_atomically(folder / "SHA256SUMS", "".join(lines))


# --- the verification ---------------------------------------------------


@contextlib.contextmanager
def _verifier_of(folder: Path):
    """Start the process that will verify an export.

    It imports TensorFlow while the export is being written, then waits for the
    question. It finds our packages where this process did.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "recipes._verification", folder],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # it has ended by itself, unless we failed


def _verify(verifier: subprocess.Popen, model: keras.Model, data: Data) -> None:
    """Have the export loaded and compared with the model on real images."""
    images = data.test.images[:VERIFIED_IMAGES]
    with tf.device("CPU:0"):
        probabilities = model(images, training=False).numpy()
    question = io.BytesIO()
    np.savez(
        question,
        images=images,
        probabilities=probabilities,
        class_names=np.array(data.class_names),
    )
    _, errors = verifier.communicate(question.getvalue())
    if verifier.returncode:
        lines = errors.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {verifier.returncode}"
        raise RecipeError(
            "The export does not answer as the model does, so it was dropped: "
            f"{reason}"
        )
