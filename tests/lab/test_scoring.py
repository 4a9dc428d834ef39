"""Exports are scored anew, and compared with what their cards say."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from helpers import kinds
from helpers.exports import with_new_sums
from helpers.folders import write_folder
from helpers.tasks import few_of, sample

from recipes.__main__ import main
from recipes.lab import tasks
from recipes.lab.data import sources
from recipes.lab.data.tables import TABLES
from recipes.lab.errors import DataError, RecipeError, UsageError
from recipes.lab.export import scoring
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY, MSE
from zoo import _loading

SHIPPED = _loading.shipped_exports()
OF_TABLES = [
    export
    for export in SHIPPED
    if json.loads((_loading.SHIPPED / export / "metrics.json").read_text())[
        "dataset"
    ]
    in TABLES
]


def verify(capsys, *arguments):
    """Run the command; return its exit code and what it says."""
    code = main(["verify", *map(str, arguments)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def change_card(export, change):
    """Write another number into `metrics.json`, and new sums."""
    file = export / "metrics.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with_new_sums(export)


# --- the command --------------------------------------------------------


def test_every_format_has_the_numbers_of_the_card(export, capsys):
    code, said, _ = verify(capsys, export)
    assert code == 0
    formats = ("Keras model", "SavedModel", "LiteRT", "ONNX")
    lines = said.splitlines()
    for format in formats:
        [line] = [line for line in lines if line.startswith(f"{format}  ")]
        assert "Test accuracy" in line
    assert "DIFFERS" not in said
    assert "numbers agree. Allowed:" in said
    assert max(map(len, lines[-3:])) <= 80


def test_numbers_that_differ_are_named(tampered, capsys):
    def change(record):
        record["metrics"]["test_loss"] *= 1.001
        record["formats"]["onnx"]["test_accuracy"] += 0.003

    change_card(tampered, change)
    code, said, _ = verify(capsys, tampered)
    assert code == 1
    wrong = [line for line in said.splitlines() if line.endswith("DIFFERS")]
    assert [line.split()[-1] for line in wrong] == ["DIFFERS"] * 2
    assert "Test cross-entropy" in wrong[0] and wrong[1].startswith("ONNX ")
    assert "2 of " in said and "numbers DIFFER" in said


@pytest.mark.thorough
def test_several_exports_have_a_line_each(
    export, autoencoder_dry_run, tmp_path, capsys
):
    autoencoder = autoencoder_dry_run / "saved_models/mnist_autoencoder-sample"
    code, said, errors = verify(capsys, export, tmp_path / "no", autoencoder)
    assert code == 2
    first, _, last = said.partition(f"{tmp_path / 'no'}  ")
    assert first.startswith(f"{export}  Test accuracy ")
    assert "Test MSE 0." in last and "numbers agree" in last
    assert "No export named" in errors


def test_a_changed_file_is_not_scored(tampered, capsys):
    with open(tampered / "model.onnx", "ab") as file:
        file.write(b" ")
    code, said, errors = verify(capsys, tampered)
    assert (code, said) == (1, "")
    assert "model.onnx was changed" in errors


@pytest.mark.parametrize("dataset", [[], ["--dataset", "mnist"]])
def test_the_sample_never_stands_in_for_the_data(dataset, nothing, capsys):
    arguments = ["mnist_softmax_regression@shipped", "--offline", *dataset]
    code, said, errors = verify(capsys, *arguments)
    assert (code, said) == (3, "")
    assert "mnist is not in TFDS_DATA_DIR=" in errors


def test_numbers_of_no_task_are_an_error(tampered, capsys):
    change_card(tampered, lambda record: record.update(metrics={"x": 1}))
    code, _, errors = verify(capsys, tampered)
    assert code == 1
    assert "its metrics.json does not say what it does" in errors


@pytest.mark.thorough
def test_all_tables_that_ship_have_the_numbers_of_their_cards(capsys):
    names = [export.replace("/", "@shipped:") for export in OF_TABLES]
    code, said, _ = verify(capsys, *names)
    assert code == 0
    assert len(said.splitlines()) == len(OF_TABLES) == 4
    assert verify(capsys, "infert_ann@shipped")[0] == 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [
        "mnist_softmax_regression",
        pytest.param("mnist_denoising_autoencoder", marks=pytest.mark.slow),
        pytest.param("mnist_gan", marks=pytest.mark.slow),
    ],
)
def test_an_export_of_images_has_the_numbers_of_its_card(name, capsys):
    code, said, errors = verify(capsys, f"{name}@shipped", "--offline")
    if code == 3:
        pytest.skip(errors)
    assert code == 0
    assert "numbers agree" in said


@pytest.mark.parametrize(
    "kind",
    [
        *("autoencoder", "classifier", "machine", "regression"),
        *("spelling", "letter_chain", "counted_machine", "copier"),
        pytest.param("restorer", marks=pytest.mark.thorough),
        pytest.param("translator", marks=pytest.mark.thorough),
    ],
)
def test_numbers_tell_what_an_export_does(kind, tmp_path):
    task, model = getattr(kinds, kind)()
    (tmp_path / "assets").mkdir()
    for name, text in task.assets().items():
        (tmp_path / "assets" / name).write_text(text, "utf-8")
    metrics = task.score(model, task.data.test[:20]).metrics
    record = {"metrics": metrics, "settings": {"blur": 1.5, "noise": 0.1}}
    data = sample() if kind == "spelling" else task.data
    found = scoring.task_of(record, tmp_path, data)
    assert type(found) is type(task)
    assert found.data.writing == task.data.writing
    if kind == "restorer":
        assert (found.blur, found.noise) == (1.5, 0.1)


# --- data of one's own ---------------------------------------------------


def write_npz(path, classes=10):
    """Write some of the embedded digits as a user has them."""
    test = sample().test
    chosen = test.targets < classes
    np.savez(path, x=test.inputs[chosen], y=test.targets[chosen])
    return path


@pytest.mark.thorough
def test_data_that_have_changed_are_told_from_those_of_the_card(
    export, tmp_path, capsys
):
    path = write_npz(tmp_path / "digits.npz")
    code, said, _ = verify(capsys, export, "--dataset", path)
    said = " ".join(said.split())
    assert "digits has changed since: the card's numbers are of pic" in said
    assert "So the numbers need not agree." in said
    assert code == int("DIFFERS" in said)


def test_data_of_ones_own_are_asked_for(tampered, capsys):
    change_card(tampered, lambda record: record.update(dataset="photos"))
    code, _, errors = verify(capsys, tampered)
    assert code == 2
    assert "are no recipe's, photos. Say where they are: --dataset" in errors
    assert verify(capsys, "--dataset", "photos")[0] == 2


def test_the_data_of_another_recipe_are_refused(tampered, capsys):
    code, _, errors = verify(capsys, tampered, "--dataset", "fashion_mnist")
    assert code == 2
    assert "was trained on digits, and --dataset says fashion_mnist" in errors


def test_other_classes_and_sizes_are_refused(export, tmp_path, capsys):
    few = write_npz(tmp_path / "few.npz", 3)
    code, _, errors = verify(capsys, export, "--dataset", few)
    assert code == 2
    assert "answers 3, 4, 5, which few does not have. Its classes" in errors
    shapes = write_folder(tmp_path / "shapes", 4, 20)
    code, _, errors = verify(capsys, export, "--dataset", shapes)
    assert code == 2
    assert "shape (28, 28, 1), and those of shapes have (20, 20, 3)" in errors


@pytest.mark.parametrize(
    "kind",
    [
        *("spelling", "drawer", "generator", "conditional_generator"),
        *("classifier", "autoencoder", "machine"),
    ],
)
def test_what_a_model_takes_and_answers_need_not_be_images_and_classes(
    kind, tmp_path, monkeypatch
):
    task, model = getattr(kinds, kind)()
    (tmp_path / "assets").mkdir()
    for name, text in task.assets().items():
        (tmp_path / "assets" / name).write_text(text, "utf-8")
    monkeypatch.setattr(scoring.zoo, "load_model", lambda *_, **__: model)
    scoring._check_fits(tmp_path, task)


def test_other_letters_are_refused(tmp_path, monkeypatch):
    task, model = kinds.spelling()
    (tmp_path / "assets").mkdir()
    labels = tmp_path / "assets" / "labels.txt"
    labels.write_text(task.assets()["labels.txt"].replace("z", "q"), "utf-8")
    monkeypatch.setattr(scoring.zoo, "load_model", lambda *_, **__: model)
    with pytest.raises(UsageError, match="answers q, which .* Its letters"):
        scoring._check_fits(tmp_path, task)


def test_pictures_of_another_size_than_a_generator_draws_are_refused(
    tmp_path, monkeypatch
):
    task, _ = kinds.generator()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9)])
    monkeypatch.setattr(scoring.zoo, "load_model", lambda *_, **__: model)
    with pytest.raises(UsageError, match="does not fit .* A generator must"):
        scoring._check_fits(tmp_path, task)


# --- what was scored ----------------------------------------------------


# What the card of an export does not have that was measured earlier.
NEWER = {"test_fid", "real_test_fid"}


@pytest.mark.parametrize("export", SHIPPED)
def test_the_task_of_what_ships_is_found(export):
    """Every number of a card is the task's, or said to take more."""
    folder = _loading.SHIPPED / export
    record = json.loads((folder / "metrics.json").read_text())
    name = record["dataset"]
    data = few_of(name)
    if name in sources.SOURCES:
        source = sources.SOURCES[name]
        data = dataclasses.replace(data, class_names=source.class_names)
    task = scoring.task_of(record, folder, data)
    assert {m.name for m in task.metrics} - {*record["metrics"]} <= NEWER
    if export == "mnist_denoising_autoencoder/1":
        assert task == tasks.Denoising(data, 0.5)
    if export == "mnist_vae/1":
        assert task == tasks.VariationalGeneration(data, 5_000)
    if export == "iris_perceptron/1":
        assert task.data.class_names == ("not setosa", "setosa")
    if export == "mnist_transfer/1":
        assert task.data.class_names == tuple("56789")


def generated(judge):
    """The record of a generator that some export has judged."""
    return {
        "metrics": {"test_classifier_score": 9.0},
        "settings": {"latent_dim": 8, "loaded": [judge]},
    }


def test_a_generator_is_judged_by_its_own_judge():
    judge = _loading.describe_export("mnist_softmax_regression@shipped")
    task = scoring.task_of(generated(judge), None, sample())
    assert task.inputs.latent_dim == 8
    with pytest.raises(RecipeError, match="was judged by mnist_softmax_reg"):
        scoring.task_of(generated(judge | {"sum": "0" * 64}), None, sample())


def test_a_generator_that_is_told_what_to_draw_knows_the_classes():
    judge = _loading.describe_export("mnist_softmax_regression@shipped")
    record = generated(judge)
    record["metrics"]["test_accuracy_from_drawn"] = 0.9
    task = scoring.task_of(record, None, sample())
    assert isinstance(task, tasks.ConditionalGeneration)
    assert task.inputs.class_names == sample().class_names
    assert task.inputs.shape == (18,)


@pytest.mark.thorough
def test_chance_goes_by_the_order_of_the_images(
    autoencoder_dry_run, tmp_path, monkeypatch
):
    folder = autoencoder_dry_run / "saved_models/mnist_autoencoder-sample/1"
    other = dataclasses.replace(sample(), checksum="0" * 64)
    monkeypatch.setattr(scoring.sources, "load", lambda *_, **__: other)
    found = scoring.compare(folder, RunOptions())
    assert found.agrees
    assert "of other files than scikit-learn's" in found.remarks[0]
    noisy = tasks.Denoising(other, 0.5)
    monkeypatch.setattr(scoring, "task_of", lambda *_: noisy)
    with pytest.raises(DataError, match="chance goes by the order"):
        scoring.compare(folder, RunOptions())


# --- what counts as the same --------------------------------------------


@pytest.mark.parametrize(
    ("of", "metric", "here", "agrees"),
    [
        ("onnx", ACCURACY, 0.9, True),
        ("onnx", ACCURACY, 0.9002, True),  # that many are unsure
        ("onnx", ACCURACY, 0.9003, False),
        ("litert-int8", ACCURACY, 0.8994, True),
        ("litert-int8", ACCURACY, 0.891, False),
        ("saved_model", MSE, 0.90008, True),
        ("saved_model", MSE, 0.9002, False),
        ("litert-int8", MSE, 0.908, True),
        ("litert-int8", MSE, 0.91, False),
        ("onnx", MSE, float("nan"), False),
    ],
)
def test_rounding_is_all_that_is_allowed(of, metric, here, agrees):
    number = scoring._number(of, metric.name, 0.9, here, unsure=2e-4)
    assert number.agrees == agrees
