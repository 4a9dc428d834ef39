"""What a run says once it is trained: the result, and what to make of it."""

import dataclasses
import importlib
import re
import shlex
import sys
import types
from pathlib import Path

import keras
import pytest
import tyro
from helpers.commands import RECIPES

import zoo
from recipes import mnist_autoencoder as autoencoder
from recipes import mnist_cnn as cnn
from recipes import mnist_elm as elm
from recipes import mnist_lecture_cnn as lecture_cnn
from recipes import mnist_mcdnn as mcdnn
from recipes import mnist_transfer as transfer
from recipes.lab import results
from recipes.lab.flags import RunOptions
from recipes.lab.runs import summary
from recipes.lab.training import fitting

METRICS = {"test_accuracy": 0.9942, "test_loss": 0.1234, "train_seconds": 9.0}
SMOOTHED = {"train": "cross-entropy of smoothed labels"}


def said(config, losses=None, sample=False, **options):
    """Return the summary of a run of a Config."""
    run = types.SimpleNamespace(
        config=dataclasses.replace(config, run=RunOptions(**options)),
        data=types.SimpleNamespace(name="mnist", is_sample=sample),
        folder=Path("nowhere"),
        losses=losses or {},
        drawn="train",
        options=RunOptions(**options),
        recipe=sys.modules[type(config).__module__].__name__.split(".")[-1],
    )
    return summary.summary(run, METRICS, Path("saved_models/mnist_cnn/1"))


def test_a_dry_run_says_what_it_does_before_it_does_it(said_dry_run):
    folder, words = said_dry_run
    report = folder / "runs" / "mnist_cnn-sample" / "1" / "report.html"
    export = folder / "saved_models" / "mnist_cnn-sample" / "1"
    stages = (
        "epoch 1/1 ",
        "scoring 300 examples",
        "exporting the model",
        "verifying the export in a fresh process",
        "drawing the report",
        f"exported and verified {export}",
        "Test accuracy ",
        "Test cross-entropy ",
        f"report  {report.as_uri()}",
        f'model   zoo.load_model("{export}")',
        "next    ",
        "done in ",
    )
    places = [words.index("\n" + stage) for stage in stages]
    assert places == sorted(places)
    assert "the losses of training are something else" in words
    assert "published" not in words
    assert "cross-entropy of smoothed labels" in report.read_text("utf-8")


@pytest.mark.parametrize(
    ("config", "command"),
    [
        (cnn.Config(), "mnist_cnn"),
        (cnn.Config(epochs=1), "mnist_cnn --epochs 1"),
        (lecture_cnn.Config(), "mnist_lecture_cnn"),
        (
            lecture_cnn.Config(training="lecture"),
            "mnist_lecture_cnn --training lecture",
        ),
    ],
)
@pytest.mark.parametrize(
    "options", [{}, {"seed": 7, "strategy": "mirrored", "cpu_devices": 2}]
)
def test_the_result_of_the_very_command_is_beside_its_own(
    config, command, options
):
    words = said(config, **options)
    row = results.read()[f"python -m recipes.{command}"]
    value, count = f"{100 * float(row['mean']):.2f}", "one seed"
    if row["seeds"] != "1":
        value += f" ± {100 * float(row['std']):.2f}"
        count = f"{row['seeds']} seeds"
    value += f" % over {count}"
    assert f"Test accuracy       99.42 %      published: {value}\n" in words
    assert "Test cross-entropy  0.1234 nats\n" in words


@pytest.mark.parametrize(
    ("config", "how"),
    [
        (cnn.Config(epochs=2), {}),
        (cnn.Config(learning_rate=0.02), {}),
        (cnn.Config(), {"precision": "mixed_bfloat16"}),
        (cnn.Config(), {"dry_run": True}),
        (cnn.Config(), {"sample": True}),
    ],
    ids=["epochs", "rate", "precision", "dry run", "sample"],
)
def test_no_result_is_promised_to_another_command(config, how):
    assert "published" not in said(config, **how)


@dataclasses.dataclass(frozen=True)
class Config(cnn.Config):
    """That of a recipe of somebody's own."""


def test_no_result_is_promised_to_a_recipe_of_ones_own():
    words = said(Config())
    assert "published" not in words
    assert "next" not in words


def test_losses_that_do_not_compare_are_named():
    words = said(cnn.Config(), losses=SMOOTHED)
    assert (
        "Test cross-entropy  0.1234 nats  the losses of training are something "
    ) in words
    assert words.index("cross-entropy of smoothed") < words.index("model ")
    plain = said(cnn.Config(), losses={"train": "cross-entropy"})
    assert "something else" not in plain


@pytest.mark.parametrize(
    ("config", "how", "command"),
    [
        (transfer.Config(), {}, "-m recipes.mnist_transfer --mode full"),
        (transfer.Config(mode="full"), {}, "--labels-per-class 10 30 100"),
        (autoencoder.Config(), {}, "--code-lengths 2 4 8 16 64 128"),
        (cnn.Config(), {}, "-m recipes  # lists the recipes"),
        (cnn.Config(epochs=2), {}, "-m recipes  # lists the recipes"),
        (cnn.Config(), {"dry_run": True}, "-m recipes.mnist_cnn  # the whole"),
        (cnn.Config(), {"sample": True}, " scripts/prepare_data.py  # gets"),
    ],
)
def test_what_to_try_next(config, how, command):
    [line] = re.findall("^next    (.*)$", said(config, **how), re.MULTILINE)
    assert command in line


@pytest.mark.parametrize(
    ("config", "how", "flags"),
    [
        (mcdnn.Config(widths=(14,), epochs=1), {}, "--widths 14"),
        (mcdnn.Config(), {"seed": 3}, "--seed 3"),
        (elm.Config(), {"strategy": "none"}, ""),
        (
            *(elm.Config(), {"strategy": "none", "dataset": "own"}),
            "--dataset own",
        ),
        (
            *(cnn.Config(), {"dataset": "own", "resize": 32}),
            "--resize 32 --dataset own",
        ),
    ],
)
def test_the_whole_training_is_the_one_that_was_tried(config, how, flags):
    words = said(config, dry_run=True, **how)
    [line] = re.findall("^next    (.*)  # the whole", words, re.MULTILINE)
    name = config.__module__
    assert line.split(f"-m {name}")[1].strip() == flags


def test_lines_fit_a_terminal():
    for losses in ({}, SMOOTHED, {"train": "`a_function_of_my_own`"}):
        lines = said(cnn.Config(), losses=losses).splitlines()
        assert max(len(line) for line in lines if "next" not in line) <= 80


def test_commands_of_the_results_are_ones_that_recipes_take():
    """Else nobody would ever see what to expect."""
    for command, row in results.read().items():
        assert row["recipe"] in RECIPES
        recipe = importlib.import_module(f"recipes.{row['recipe']}")
        flags = shlex.split(command)[3:]
        config = tyro.cli(tyro.conf.OmitArgPrefixes[recipe.Config], args=flags)
        assert results.of(config, row["dataset"]) == row
        assert flags or row["dataset"] == recipe.DATASET


def penalized(**penalty):
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, **penalty)]
    )


def distance(labels, outputs):
    return keras.ops.mean(outputs)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("mse", "mean squared error"),
        (keras.losses.MeanSquaredError(), "mean squared error"),
        ("sparse_categorical_crossentropy", "cross-entropy"),
        (keras.losses.CategoricalCrossentropy(), "cross-entropy"),
        (
            keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            "cross-entropy of smoothed labels",
        ),
        (keras.losses.categorical_crossentropy, "cross-entropy"),
        (distance, "`distance`"),
    ],
)
def test_what_a_loss_is_called(loss, words):
    model = penalized()
    model.compile(loss=loss)
    assert fitting._loss_in_words(model) == words


def test_losses_of_several_outputs_are_a_sum():
    model = penalized()
    model.compile(loss={"a": "mse", "b": distance, "c": "mse"})
    words = "sums of mean squared error and `distance` over the outputs"
    assert fitting._loss_in_words(model) == words


@pytest.mark.parametrize(
    "penalty",
    ["kernel_regularizer", "bias_regularizer", "activity_regularizer"],
)
def test_penalties_are_named(penalty):
    model = penalized(**{penalty: "l2"})
    model.compile(loss="mse")
    assert fitting._loss_in_words(model) == "mean squared error with penalties"


def test_penalties_of_a_model_within_a_model_are_named():
    model = zoo.create_model("autoencoder", sparsity=0.1)
    model.compile(loss="mse")
    assert fitting._loss_in_words(model) == "mean squared error with penalties"


def test_what_one_seed_reached_has_no_spread():
    row = {"metric": "test_accuracy", "mean": "0.98820", "std": "0.00000"}
    assert results.describe_values(row | {"seeds": "1"}) == "98.82 %"
    assert results.describe_values(row | {"seeds": "3"}) == "98.82 ± 0.00 %"
