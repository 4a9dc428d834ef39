"""An export is whole or it is not there, and says what it is."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.builders import assert_same_weights, with_other_names
from helpers.commands import run_recipe
from helpers.exports import (
    asking,
    front_matter,
    listing,
    read_yaml,
    signatures_of,
    with_new_sums,
)
from helpers.forked_verifier import verified_by
from helpers.tasks import classification, reconstruction

import zoo
from recipes.lab import verifier
from recipes.lab.errors import RecipeError
from recipes.lab.export import exporting, formats
from recipes.lab.flags import RunOptions
from recipes.lab.runs.run import Run
from recipes.lab.training.devices import Devices
from zoo import _loading

METRICS = {"test_accuracy": 0.5, "test_loss": 2.0, "train_seconds": 1.0}


@pytest.fixture
def run(tmp_path, digits):
    """An open run, at the point where its model is to be exported."""
    options = RunOptions(output_dir=tmp_path, dry_run=True)
    devices = Devices(None, 1, "1 CPU")
    (tmp_path / "run").mkdir()
    settings = {"source": {}, "loaded": []}
    return Run(
        *("mnist_cnn", tmp_path / "run", settings, options, digits, devices)
    )


@pytest.fixture
def unverified(monkeypatch):
    """Leave out what takes its time, for tests of what happens around it."""
    for start in ("at_hand", "taken"):
        monkeypatch.setattr(verifier, start, contextlib.nullcontext)
    monkeypatch.setattr(exporting, "_verify", lambda *_: None)
    monkeypatch.setattr(exporting, "_write_saved_model", touch_saved_model)
    monkeypatch.setattr(formats, "write", lambda *_: {})


def touch_saved_model(folder, *_):
    (folder / "saved_model.pb").touch()


# --- what is on the disk ------------------------------------------------


def test_everything_is_inside_the_version_folder(export):
    assert listing(export.parent) == ["1"]
    # On the few images of the sample, eight bits may cost too much.
    assert {*listing(export)} - {"model.int8.tflite"} == {
        "README.md", "SHA256SUMS", "assets", "fingerprint.pb", "metrics.json",
        "model.keras", "model.onnx", "model.tflite", "saved_model.pb",
        "variables",
    }  # fmt: skip
    assert listing(export / "assets") == ["labels.txt"]
    labels = (export / "assets" / "labels.txt").read_text()
    assert labels.splitlines() == list("0123456789")


def test_sums_cover_all_other_files(export):
    sums = {
        path.relative_to(export).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in export.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    lines = (export / "SHA256SUMS").read_text().splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == sums


def test_files_carry_schema_and_version(export):
    metrics = json.loads((export / "metrics.json").read_text())
    assert metrics["schema"] == 1
    versions = metrics["environment"]["versions"]
    assert versions["keras-zoo-recipes"] == zoo.__version__
    card = read_yaml(front_matter((export / "README.md").read_text()))
    assert card["schema"] == "1"
    assert card["keras_zoo_recipes"] == zoo.__version__


def test_weights_are_stored_once_and_without_an_optimizer(export):
    model = keras.saving.load_model(export / "model.keras")
    assert not model.compiled
    weights = 4 * model.count_params()
    assert (export / "model.keras").stat().st_size < 1.5 * weights
    variables = export / "variables"
    stored = sum(path.stat().st_size for path in variables.iterdir())
    assert weights <= stored < 1.5 * weights


def test_a_sample_export_says_that_it_is_one(export):
    assert export.parent.name == "mnist_cnn-sample"
    assert "a demonstration, not a result" in (export / "README.md").read_text()


# --- how it comes to be -------------------------------------------------


def small_model(**arguments):
    return zoo.create_model("softmax_regression", **arguments)


@pytest.mark.thorough
@pytest.mark.thorough
def test_export_is_verified_by_the_same_packages_and_in_silence(
    run, monkeypatch, capfd
):
    """In a folder whose own `recipes` would be found first."""
    (run.options.output_dir / "recipes").mkdir()
    (run.options.output_dir / "recipes" / "__init__.py").write_text("1 / 0")
    monkeypatch.chdir(run.options.output_dir)
    with verified_by(verifier):  # in a process that finds them by itself
        version = exporting.export(
            run, classification(), small_model(), METRICS
        )
    output = capfd.readouterr()
    assert output.out == (
        "exporting the model\n"
        "verifying the export in a fresh process\n"
        f"exported and verified {version}\n"
    )
    assert output.err == ""


@pytest.mark.thorough
def test_exports_at_the_same_time_take_turns(run, unverified, monkeypatch):
    monkeypatch.setattr(exporting, "_verify", lambda *_: time.sleep(0.3))
    versions = []

    def export():
        version = exporting.export(
            run, classification(), small_model(), METRICS
        )
        versions.append(version.name)

    threads = [threading.Thread(target=export) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == ["1", "2"]
    family = version_folder(run).parent
    assert listing(family) == ["1", "2"]
    assert zoo._loading.find_export(family) == family / "2"
    card = (family / "2" / "README.md").read_text()
    assert "saved_models/mnist_cnn-sample/2" in card


def version_folder(run, version=1):
    family = run.options.output_dir / "saved_models" / run.export_name
    return family / str(version)


def test_a_zero_padded_version_is_taken(run, unverified):
    (version_folder(run).parent / "0001").mkdir(parents=True)
    version = exporting.export(run, classification(), small_model(), METRICS)
    assert listing(version.parent) == ["0001", "2"]


def test_what_a_killed_export_left_is_not_served_and_goes(run, unverified):
    leftover = version_folder(run).parent / ".tmp-1"
    (leftover / "variables").mkdir(parents=True)
    (leftover / "SHA256SUMS").touch()
    with pytest.raises(ValueError, match="not an export"):
        zoo.load_model(leftover.parent)
    version = exporting.export(run, classification(), small_model(), METRICS)
    assert listing(leftover.parent) == [version.name] == ["1"]


@pytest.mark.thorough
def test_a_run_that_was_killed_after_its_export_makes_no_second_one(
    run, unverified, capsys
):
    model = small_model()

    def export(model=model, run=run):
        return exporting.export(run, classification(), model, METRICS).name

    assert export() == "1"
    (version_folder(run).parent / "7").mkdir()
    capsys.readouterr()
    assert export() == "1"
    assert capsys.readouterr().out == (
        f"exported and verified {version_folder(run)} before\n"
    )
    # What says which is not enough: the version must be it, and be whole.
    (version_folder(run) / "model.keras").write_bytes(b"")
    assert export() == "8"
    shutil.rmtree(version_folder(run, 8))
    assert export() == "8"
    version_folder(run, 8).rename(version_folder(run, 9))
    shutil.copytree(version_folder(run, 7), version_folder(run, 8))
    assert export() == "10"
    # Nor is the run, should its training have ended otherwise.
    assert export(small_model()) == "11"
    # A record is not believed to be one.
    (run.folder / "export.json").write_text("{")
    assert export() == "12"
    # In another output folder there is nothing yet.
    elsewhere = dataclasses.replace(
        run.options, output_dir=run.options.output_dir / "elsewhere"
    )
    assert export(run=dataclasses.replace(run, options=elsewhere)) == "1"


@pytest.mark.thorough
def test_a_run_that_was_killed_before_the_rename_exports_again(
    run, unverified, monkeypatch
):
    def die(*_):
        raise KeyboardInterrupt

    model = small_model()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            exporting.export(run, classification(), model, METRICS)
    assert (run.folder / "export.json").exists()
    # Meanwhile another run takes the number.
    (run.folder.parent / "another").mkdir()
    another = dataclasses.replace(run, folder=run.folder.parent / "another")
    exporting.export(another, classification(), small_model(), METRICS)
    assert exporting.export(run, classification(), model, METRICS).name == "2"


FULL = OSError(errno.ENOSPC, "No space left on device")

FULL_TENSORFLOW = tf.errors.ResourceExhaustedError(None, None, "disk is full")


@pytest.mark.parametrize(
    ("step", "error", "raised", "message"),
    [
        ("_write_saved_model", FULL, RecipeError, "kept: .*No space left"),
        ("_write_sums", FULL_TENSORFLOW, RecipeError, "kept: disk is full"),
        ("_write_sums", OSError(), RecipeError, r"kept: OSError\(\)"),
        ("_write_sums", KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
    ids=["full disk", "TensorFlow", "no reason", "Ctrl-C"],
)
def test_an_export_that_fails_leaves_nothing(
    run, monkeypatch, step, error, raised, message
):
    original = getattr(exporting, step)

    def fail(*arguments):
        original(*arguments)
        raise error

    if step != "_write_saved_model":  # which takes its time
        monkeypatch.setattr(exporting, "_write_saved_model", touch_saved_model)
    monkeypatch.setattr(formats, "write", lambda *_: {})
    monkeypatch.setattr(exporting, step, fail)
    with pytest.raises(raised, match=message):
        exporting.export(run, classification(), small_model(), METRICS)
    assert listing(version_folder(run).parent) == []


def test_a_file_in_the_way_is_named(run):
    family = version_folder(run).parent
    family.parent.mkdir()
    family.touch()
    with pytest.raises(RecipeError, match=str(family)):
        exporting.export(run, classification(), small_model(), METRICS)
    assert family.is_file()


@pytest.mark.faults
def test_an_export_that_answers_otherwise_is_dropped(
    tmp_path, monkeypatch, capsys
):
    def write_another(folder, signatures):
        original(folder, signatures_of(small_model()))

    original = exporting._write_saved_model
    monkeypatch.setattr(exporting, "_write_saved_model", write_another)
    flags = ["--dry-run", "--output-dir", tmp_path]
    assert run_recipe("mnist_softmax_regression", *flags) == 1
    assert "differs from the model: probab" in capsys.readouterr().err
    family = tmp_path / "saved_models" / "mnist_softmax_regression-sample"
    assert listing(family) == []


@pytest.mark.parametrize("num_classes", [9, 11])
def test_every_output_needs_a_name(run, num_classes):
    with pytest.raises(ValueError, match=f"10 classes.*{num_classes}"):
        exporting.export(
            run, classification(), small_model(num_classes=num_classes), METRICS
        )
    assert not version_folder(run).parent.exists()


@keras.saving.register_keras_serializable("test_export")
class Forgetful(keras.layers.Layer):
    """A layer whose configuration lacks an argument."""

    def __init__(self, scale=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return inputs * self.scale

    def get_config(self):
        return {"name": self.name}


def test_a_model_that_its_configuration_does_not_tell_is_refused(run):
    model = zoo.create_model("mlp", hidden_units=(8,))
    outputs = model.layers[-1](Forgetful(1.0)(model.layers[-2].output))
    with pytest.raises(RecipeError, match="get_config"):
        exporting.export(
            run, classification(), keras.Model(model.input, outputs), METRICS
        )
    assert listing(version_folder(run).parent) == []


@contextlib.contextmanager
def mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.thorough
def test_mixed_precision_is_exported_as_float32(run, scored):
    with mixed_precision():
        trained = zoo.create_model("cnn")
        version = exporting.export(run, classification(), trained, METRICS)

    model = zoo.load_model(version, verbose=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    probabilities = model(scored, training=False).numpy()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    rounded = trained(scored, training=False).numpy().astype("float32")
    np.testing.assert_allclose(probabilities, rounded, atol=0.02)
    served = tf.saved_model.load(str(version))
    answer = served.signatures["serving_default"](image=scored)
    assert answer["probabilities"].dtype == tf.float32
    # The model that was trained is left as it was.
    assert trained.layers[-1].compute_dtype == "bfloat16"


def test_logits_are_no_probabilities(run):
    logits = small_model(classifier_activation=None)
    with pytest.raises(RecipeError, match="do not sum to 1"):
        exporting.export(run, classification(), logits, METRICS)
    assert listing(version_folder(run).parent) == []


# --- made anew ----------------------------------------------------------


def content_of(export):
    return {
        path.relative_to(export).as_posix(): path.read_bytes()
        for path in export.rglob("*")
        if path.is_file()
    }


def assert_made_anew(export, before):
    """By the same code, so that the card stays as well, but for the times."""
    _loading.check_sums(export)
    after = content_of(export)
    assert after.keys() == before.keys()
    kept = re.compile("model.keras|assets/.*|variables/.*")
    for name in filter(kept.fullmatch, before):
        assert after[name] == before[name], name
    for name in ("README.md", "metrics.json"):
        assert without_times(after[name]) == without_times(before[name]), name


def without_times(content):
    """Nor the size of the SavedModel: names in it are numbered by process."""
    measured = r'("(?:microseconds|bytes)": )[\d.]+|[\d,]+( µs| kB)'
    return re.sub(measured, r"\1\2", content.decode())


@pytest.mark.thorough
def test_an_export_is_made_anew_around_its_weights(run, tampered):
    (tampered / "saved_model.pb").write_bytes(b"of other code")
    with_new_sums(tampered)
    before = content_of(tampered)
    exporting.remake(tampered, run, classification())
    assert listing(tampered.parent) == ["1", "run"]
    assert_made_anew(tampered, before)
    answer = asking(tampered)("serving_default", run.data.test.inputs[:3])
    assert answer["class_name"].shape == (3,)


@pytest.mark.thorough
def test_an_autoencoder_is_made_anew(run, autoencoder_export, tmp_path):
    export = shutil.copytree(autoencoder_export, tmp_path / "1")
    before = content_of(export)
    run = dataclasses.replace(run, recipe="mnist_autoencoder")
    exporting.remake(export, run, reconstruction())
    assert_made_anew(export, before)


@pytest.mark.thorough
def test_layers_are_called_what_their_builder_calls_them_today(
    run, autoencoder_export, tmp_path
):
    export = shutil.copytree(autoencoder_export, tmp_path / "1")
    model = zoo.load_model(export, verbose=False)
    with_other_names(model, {"picture": "reshaped"}).save(
        export / "model.keras"
    )
    with_new_sums(export)
    before = content_of(export)
    run = dataclasses.replace(run, recipe="mnist_autoencoder")
    exporting.remake(export, run, reconstruction())
    renamed = zoo.load_model(export, verbose=False)
    assert renamed.to_json() == model.to_json()
    assert_same_weights(renamed.get_weights(), model.get_weights())
    after = content_of(export)
    for name in filter(re.compile(r"variables/.*").fullmatch, before):
        assert after[name] == before[name], name


def test_a_copy_with_the_names_of_today_has_the_same_weights(images):
    today = zoo.create_model("deep_autoencoder")
    assert exporting._renamed(today, today) is None
    noisy = zoo.create_model("deep_autoencoder", noise=0.5, latent_dim=2)
    older = with_other_names(noisy, {"decode1": "hidden1"})
    renamed = exporting._renamed(older, today)
    assert renamed.to_json() == noisy.to_json()
    assert_same_weights(renamed.get_weights(), older.get_weights())
    np.testing.assert_array_equal(renamed(images), older(images))


def test_weights_that_differ_are_left_as_they_are(run, tampered, other_weights):
    other_weights.save(tampered / "model.keras")
    with_new_sums(tampered)
    before = content_of(tampered)
    with pytest.raises(RecipeError, match="have other weights"):
        exporting.remake(tampered, run, classification())
    assert content_of(tampered) == before
    assert listing(tampered.parent) == ["1", "run"]


@pytest.mark.thorough
def test_what_is_not_verified_takes_no_place(run, tampered):
    before = content_of(tampered)
    with pytest.raises(RecipeError, match="class_name in"):
        exporting.remake(tampered, run, Wrong())
    assert content_of(tampered) == before
    assert listing(tampered.parent) == ["1", "run"]


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A task whose graph and whose expectation have other names."""

    right: object = dataclasses.field(default_factory=classification)

    def __getattr__(self, name):
        return getattr(self.right, name)

    def signatures(self, model):
        right = self.right.signatures(model)
        wrong = classification("1234567890").signatures(model)
        return {
            name: right[name]._replace(expect=wrong[name].expect)
            for name in right
        }
