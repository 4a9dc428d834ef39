"""Every recipe trains, and the main job does all that a recipe promises."""

import ast
import csv
import importlib
import json
import re
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
from helpers.builders import outputs
from helpers.commands import (
    IN_BATCHES,
    ON_ONE_DEVICE,
    RECIPES,
    ROOT,
    is_a_usage_error,
    run_recipe,
)
from helpers.marks import only_thorough
from typing_extensions import Doc

import zoo
from recipes.lab import results
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import named
from recipes.lab.training import Progress


def test_main_job_leaves_a_whole_run(dry_run):
    run = dry_run / "runs" / "mnist_cnn-sample" / "1"
    for name in ("config.json", "environment.json", "metrics.json"):
        assert json.loads((run / name).read_text())["schema"] == 1
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1"]
    assert "<html" in (run / "report.html").read_text()
    assert {p.name for p in (run / "plots").iterdir()} >= {
        "curves.png",
        "confusion_matrix.png",
    }
    assert list((run / "checkpoints" / "train").glob("000001-*.npz"))


def test_main_job_exports_the_model_that_it_scored(dry_run, export):
    run = dry_run / "runs" / "mnist_cnn-sample" / "1"
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    exported = json.loads((export / "metrics.json").read_text())["metrics"]
    assert metrics["test_accuracy"] == exported["test_accuracy"]

    from recipes.lab.data import sources

    test = sources.load("mnist", RunOptions(dry_run=True)).test
    model = zoo.load_model(export, verbose=False)
    answers = model.predict(test.inputs, verbose=0).argmax(axis=1)
    assert np.mean(answers == test.targets) == metrics["test_accuracy"]


# Where a recipe trains more than one model only if it is asked to, or takes
# long to score one.
EVERY_PHASE = {
    "dates_seq2seq": {"hidden_units": 8},
    "digits_cross_validation": {"folds": 2},
    "fashion_mnist_architectures": {
        "networks": ("alexnet", "vgg"),
        "widths": (0.05,),
    },
    "fashion_mnist_hydranet": {"also": (2,)},
    "infert_ann": {"folds": 2, "hidden_units": 4, "wide_units": 2},
    "mnist_autoencoder": {"code_lengths": (4,)},
    "mnist_dbn": {"hidden_units": (16, 12)},
    "mnist_dcign": {"importance_samples": 5},
    "mnist_echo_state": {"units": 40},
    "mnist_energy_autoencoder": {"agreements": (10.0,)},
    "mnist_liquid_state": {"layers": 1},
    "mnist_learning_curve": {
        "networks": ("softmax", "small"),
        "images": (),
        "repeats": 1,
    },
    "mnist_optimizers": {
        "optimizers": ("Adam", "Muon"),
        "tries": 1,
        "repeats": 1,
    },
    "mnist_regularization": {
        "ways": ("L2", "early_stopping"),
        "tries": 1,
        "repeats": 1,
    },
    "mnist_mcdnn": {"widths": (12,), "deslanted": (12,), "filters": (4, 8)},
    "mnist_multi_task": {"alone": ("slant",)},
    "mnist_pretraining": {
        "ways": ("autoencoders", "modern"),
        "hidden_units": (16, 12),
    },
    "mnist_residual_mlp": {"blocks": 3, "units": 16},
    "mnist_transfer": {"mode": "partial", "labels_per_class": (200,)},
    "mnist_iwae": {"importance_samples": 20},
    "mnist_vae": {"importance_samples": 20},
    "series_echo_state": {"units": 40, "repeats": 2},
}


@pytest.fixture
def cut_after_each_epoch(monkeypatch):
    """Press Ctrl-C as soon as a training has ended its first epoch of two."""
    end = Progress.end_epoch

    def end_and_cut(self, logs, stopped=False):
        end(self, logs, stopped)
        if self.epoch == 1 < self.epochs and not stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "end_epoch", end_and_cut)


def train_two_epochs(name, output_dir):
    """Train a recipe, in all phases that it has; on two devices if it can."""
    recipe = importlib.import_module(f"recipes.{name}")
    options = RunOptions(dry_run=True, output_dir=output_dir, strategy="none")
    if name not in ON_ONE_DEVICE:
        options = replace(options, strategy="mirrored", cpu_devices=2)
    settings = {"epochs": 2, "batch_size": 200, "restarts": 2}
    settings = {
        key: value
        for key, value in settings.items()
        if hasattr(recipe.Config, key)
    }
    more = EVERY_PHASE.get(name, {})
    return recipe.train(recipe.Config(**settings, run=options, **more))


def bits_of(folder):
    """The newest checkpoint of each phase, and its history without times."""
    newest = {}
    for path in sorted(folder.glob("runs/*/1/checkpoints/*/*.npz")):
        with np.load(path) as file:
            newest[path.parent.name] = dict(file)
    histories = {}
    for phase, arrays in newest.items():
        meta = json.loads(arrays.pop("meta").tobytes())
        histories[phase] = without_times(meta["history"])
    return newest, histories


def without_times(metrics):
    return {k: v for k, v in metrics.items() if not k.endswith("seconds")}


# These differ from another recipe in their data, network or numbers only.
NEAR_COPIES = (
    "fashion_mnist_architectures",
    "fashion_mnist_cnn",
    "fashion_mnist_deep_autoencoder",
    "fashion_mnist_hydranet",
    "fashion_mnist_lstm",
    "fashion_mnist_resnet",
    "mnist_autoencoder_2006",
    "mnist_bidirectional_lstm",
    "mnist_cnn_accurate",
    "mnist_conditional_gan",
    "mnist_convolutional_autoencoder",
    "mnist_deep_autoencoder",
    "mnist_denoising_autoencoder",
    "mnist_energy_autoencoder",
    "mnist_gru",
    "mnist_iwae",
    "mnist_lecture_cnn",
    "mnist_lenet5",
    "mnist_mlp_augmented",
    "mnist_pixel_by_pixel",
    "mnist_residual_mlp",
    "mnist_simple_rnn",
    "mnist_softmax_regression",
    "mnist_sparse_autoencoder",
    "mnist_to_fashion_mnist",
)
# They resume as others do; mnist_gan is killed in tests/survival/test_kills.py,
# moons_mlp in tests/recipes/test_moons.py.
RESUME_AS_OTHERS = (
    *("mnist_gan", "moons_mlp", "mnist_mlp", "mnist_lstm"),
    *("mnist_learning_curve", "mnist_multi_task", "mnist_optimizers"),
    *("mnist_regularization", "mnist_pretraining", "mnist_rbm"),
    *("dates_seq2seq", "fashion_mnist_mobilenet"),
    *("fashion_mnist_baselines", "mnist_dcign", "mnist_deconvolution"),
    "fashion_mnist_deblurring_gan",
    *("exotic_particle", "face_pose", "ising_phases", "roads_alvinn"),
    *("adding_problem", "copies_neural_turing", "deepcpg"),
    *("entity_template", "heart_failure"),
    "mnist_svm",
    *("mnist_captioner", "sentences_sentiment"),
    *("mnist_echo_state", "mnist_liquid_state", "series_echo_state"),
)
# Where the sample is more than a dry run needs.
SHORTER = {
    "dates_seq2seq": ("--hidden-units", 8),
    "exotic_particle": ("--hidden-units", 16, 16),
    "mnist_dbn": ("--hidden-units", 16, 12),
    "mnist_pretraining": ("--hidden-units", 16, 12),
    "mnist_dcign": ("--importance-samples", 5),
    "mnist_echo_state": ("--units", 40),
    "mnist_liquid_state": ("--layers", 1),
    "series_echo_state": ("--units", 40),
    "mnist_learning_curve": ("--images", 100, "--networks", "softmax", "small"),
    "mnist_optimizers": ("--optimizers", "SGD", "Muon"),
}


def thorough_without(slow, of=RECIPES):
    return [
        pytest.param(
            name,
            marks=pytest.mark.slow if name in slow else pytest.mark.thorough,
        )
        for name in of
    ]


@pytest.mark.parametrize(
    "name", thorough_without({*NEAR_COPIES, *RESUME_AS_OTHERS})
)
def test_recipe_that_is_cut_off_ends_with_the_same_bits_and_is_whole(
    name, tmp_path, no_export, monkeypatch, request
):
    monkeypatch.setattr("recipes.mnist_transfer.DRAWS", 1)
    metrics = train_two_epochs(name, tmp_path / "unbroken")
    phases, histories = bits_of(tmp_path / "unbroken")

    request.getfixturevalue("cut_after_each_epoch")
    for history in histories.values():
        if max(map(len, history.values())) > 1:
            with pytest.raises(KeyboardInterrupt):
                train_two_epochs(name, tmp_path / "cut")
    monkeypatch.undo()  # the last time it exports and reports, too
    monkeypatch.setattr("recipes.mnist_transfer.DRAWS", 1)
    cut_metrics = train_two_epochs(name, tmp_path / "cut")
    assert_all_is_there(name, tmp_path / "cut")
    cut_phases, cut_histories = bits_of(tmp_path / "cut")

    assert cut_histories == histories
    assert cut_phases.keys() == phases.keys()
    for phase, arrays in phases.items():
        assert cut_phases[phase].keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(cut_phases[phase][key], array)
    assert without_times(cut_metrics) == without_times(metrics)


# Of the others it is seen above.
@pytest.mark.parametrize(
    "name", thorough_without({*RECIPES} - {*RESUME_AS_OTHERS})
)
def test_dry_run_does_all_that_a_recipe_promises(name, tmp_path):
    flags = ["--dry-run", "--output-dir", tmp_path, *SHORTER.get(name, ())]
    assert run_recipe(name, *flags) == 0
    assert_all_is_there(name, tmp_path)


@pytest.mark.parametrize(
    "name",
    # What computes something besides a network's answers, or in other units.
    thorough_without(
        # Some of these take half a minute, and their losses are others', too.
        {"copies_neural_turing", "dates_seq2seq", "mnist_dcign", "mnist_iwae"},
        of=(
            *("adding_problem", "copies_neural_turing", "dates_seq2seq"),
            *("fashion_mnist_hydranet", "mnist_captioner", "mnist_dcign"),
            *("mnist_energy_autoencoder", "mnist_iwae", "mnist_multi_task"),
            *("mnist_sparse_autoencoder", "mnist_vae"),
        ),
    ),
)
def test_dry_run_in_half_precision(name, tmp_path):
    flags = ["--dry-run", "--output-dir", tmp_path, *SHORTER.get(name, ())]
    assert run_recipe(name, *flags, "--precision", "mixed_bfloat16") == 0
    assert_all_is_there(name, tmp_path)


def assert_all_is_there(name, output_dir):
    """A run has left its report, its metrics, and an export that answers."""
    run = output_dir / "runs" / f"{name}-sample" / "1"
    assert "<html" in (run / "report.html").read_text()
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    recipe = importlib.import_module(f"recipes.{name}")
    assert recipe.TARGETS[0].metric.name in metrics
    assert np.isfinite(list(metrics.values())).all()
    if recipe.TARGETS[0].floor != 1:  # which some data let one reach
        assert metrics.get("test_accuracy", 0) < 1
    export = output_dir / "saved_models" / f"{name}-sample" / "1"
    assert (export / "SHA256SUMS").exists()
    assert (export / "README.md").read_text().startswith("---\nlicense: ")
    model = zoo.load_model(export, verbose=False)
    nothing = keras.tree.map_structure(
        lambda x: np.zeros((1, *x.shape[1:])), model.input
    )
    answers = outputs(model, nothing)
    assert np.isfinite(answers).all()


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_shows_its_command_first(name):
    text = (ROOT / "recipes" / f"{name}.py").read_text()
    assert f"\n\n    python -m recipes.{name}\n" in text


@pytest.mark.parametrize("name", RECIPES)
def test_each_flag_has_one_help(name):
    """That of its type would silently replace its own."""
    module = importlib.import_module(f"recipes.{name}")
    tree = ast.parse((ROOT / "recipes" / f"{name}.py").read_text())
    config = next(x for x in tree.body if getattr(x, "name", "") == "Config")
    for field, behind in pairwise(config.body):
        if not isinstance(field, ast.AnnAssign):
            continue
        kind = module.Config.__annotations__[field.target.id]
        parts = getattr(kind, "__metadata__", ())
        helps = sum(isinstance(part, Doc) for part in parts)
        helps += isinstance(behind, ast.Expr)
        assert helps == 1, field.target.id


@pytest.mark.parametrize("name", RECIPES)
def test_a_plain_classifier_takes_a_page(name):
    """Losses, phases, donors, fading and pictures of its own may take more."""
    text = (ROOT / "recipes" / f"{name}.py").read_text()
    functions = re.findall(r"^ *def (\w+)", text, re.MULTILINE)
    is_plain = "create_model" in text and set(functions) <= {"train", "augment"}
    if "tasks.Classification" in text and is_plain and "fading" not in text:
        assert len(text.splitlines()) <= 85


def test_list_of_recipes_names_them_all(capsys):
    from recipes.__main__ import main

    assert main([]) == 0
    listed = capsys.readouterr().out
    for name in RECIPES:
        assert name in listed


# --- what is promised ---------------------------------------------------


@pytest.mark.parametrize("name", sorted(results.of_plain_commands()))
def test_what_a_recipe_says_to_expect_is_what_was_measured(name):
    row = results.of_plain_commands()[name]
    text = " ".join(importlib.import_module(f"recipes.{name}").__doc__.split())
    said = re.search(
        r"[Ee]xpect \D*?(-?\d+(?:\.(\d+))?)(?: to (-?\d+(?:\.\d+)?))?", text
    )
    assert said, "it does not say what to expect"
    low, digits, high = said.groups()
    rounding = 0.5 * 10 ** -len(digits or "")
    metric = named(row["metric"])
    measured = metric.factor * float(row["mean"])
    of_rights = metric.unit == "%" and metric.better == "max"
    if of_rights and float(low) < 50:  # it speaks of errors
        measured = 100 - measured
    assert float(low) - rounding <= measured <= float(high or low) + rounding


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("recipe", "flag"),
    [("adding_problem", "--networks"), ("mnist_pretraining", "--ways")],
)
def test_a_list_that_must_name_something_is_not_empty(recipe, flag, capsys):
    said = is_a_usage_error(capsys, "--dry-run", flag, recipe=recipe)
    assert f"{flag} must name one or more. Received: none" in said


@pytest.mark.usefixtures("empty_folder")
def test_columns_that_see_digits_upright_are_some_of_all(capsys):
    flags = ("--dry-run", "--deslanted", 18, 11)
    said = is_a_usage_error(capsys, *flags, recipe="mnist_mcdnn")
    assert "--deslanted must be some of --widths. Received: 11" in said


@pytest.mark.thorough
def test_a_network_that_says_nothing_of_lattices_ends_in_words(
    tmp_path, capsys
):
    flags = ("--dry-run", "--learning-rate", 1, "--output-dir", tmp_path)
    assert run_recipe("ising_phases", *flags) == 1
    assert "answers nothing between 5 and 95 %" in capsys.readouterr().err


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    "recipe",
    only_thorough(IN_BATCHES, ["face_pose", "mnist_cnn", "mnist_transfer"]),
)
def test_a_batch_larger_than_the_data_is_refused(recipe, capsys):
    said = is_a_usage_error(
        capsys, "--dry-run", "--batch-size", 1_298, recipe=recipe
    )
    # Some recipes train on a part of the 1,297.
    size = re.search(r"--batch-size must be at most the ([\d,]+) train", said)
    assert int(size.group(1).replace(",", "")) <= 1_297
