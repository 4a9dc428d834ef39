"""Tables: their rows, splits, columns and signatures."""

import base64
import csv
import io
import json
import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_recipe

import zoo
from recipes.lab import tasks
from recipes.lab.data import sources, tables
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.inputs.tables import Column, Tables
from zoo import _loading

SPLIT = [name for name in tables.TABLES if name != "infert"]
each_table = pytest.mark.parametrize("name", tables.TABLES)
each_split_table = pytest.mark.parametrize("name", SPLIT)


def load(name):
    return tables.TABLES[name]()


# --- rows ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("iris", 150, 4),
        ("wine", 178, 13),
        ("breast_cancer", 569, 30),
        ("diabetes", 442, 10),
    ],
)
def test_every_row_of_a_table_is_in_one_split(name, rows, columns):
    data = load(name)
    whole = data.train + data.validation + data.test
    assert whole.inputs.shape == (rows, columns)
    assert whole.inputs.dtype == "float32"
    from sklearn import datasets

    scaled = {"scaled": False} if name == "diabetes" else {}
    found = getattr(datasets, f"load_{name}")(**scaled)

    def in_order(inputs, targets):
        both = np.column_stack([inputs, targets]).astype("float32")
        return both[np.lexsort(both.T)]

    np.testing.assert_array_equal(
        in_order(whole.inputs, whole.targets),
        in_order(found.data, found.target),
    )


@each_split_table
def test_splits_have_the_same_mix_of_targets(name):
    data = load(name)
    splits = (data.train, data.validation, data.test)
    assert np.allclose(
        np.array([len(s) for s in splits]) / sum(map(len, splits)),
        (0.6, 0.2, 0.2),
        atol=0.01,
    )
    for target in np.quantile(data.train.targets, (0.2, 0.5, 0.8)):
        shares = [np.mean(split.targets <= target) for split in splits]
        assert np.ptp(shares) < 0.03


@each_table
def test_columns_are_named_and_targets_are_described(name):
    data = load(name)
    names = data.inputs.names
    assert len(set(names)) == len(names) == data.train.inputs.shape[1]
    assert all(column.isidentifier() for column in names)
    assert all(column.about for column in data.inputs.columns)
    assert bool(data.class_names) != bool(data.target)
    if data.class_names:
        labels = range(len(data.class_names))
        assert np.unique(data.train.targets).tolist() == [*labels]
        assert data.train.targets.dtype == "int32"
    assert data.describe().startswith(f"{name} from ")
    assert not data.is_sample


def test_diabetes_is_in_raw_units():
    data = load("diabetes")
    age = data.train.inputs[:, data.inputs.names.index("age")]
    assert age.min() >= 18
    assert age.max() == 79
    assert np.all(age == np.round(age))


def test_tables_are_loaded_by_name_without_a_network(capsys):
    data = sources.load("iris", RunOptions(offline=True, data_dir="nowhere"))
    assert data.class_names == ("setosa", "versicolor", "virginica")
    assert capsys.readouterr().out.startswith("iris from scikit-learn: 90 tr")
    with pytest.raises(UsageError, match="Did you mean iris"):
        sources.load("iriss", RunOptions())


def test_one_class_against_the_rest():
    data = load("iris").against_the_rest("versicolor")
    assert data.class_names == ("not versicolor", "versicolor")
    for split in (data.train, data.validation, data.test):
        assert np.mean(split.targets) == pytest.approx(1 / 3, abs=0.01)


# --- infert -------------------------------------------------------------


def test_folds_leave_each_group_out_once():
    data = load("infert")
    times = np.zeros(248)
    for kept, left in data.folds(10):
        assert not {*data.groups[kept]} & {*data.groups[left]}
        assert len(kept) + len(left) == 248
        times[left] += 1
    assert np.all(times == 1)
    with pytest.raises(UsageError, match="between 2 and the 83 groups"):
        next(data.folds(84))


def test_a_group_is_a_case_and_up_to_two_controls():
    data = load("infert")
    for group in np.unique(data.groups):
        labels = data.train.targets[data.groups == group]
        assert labels.sum() == 1
        assert 2 <= len(labels) <= 3


# --- columns in ---------------------------------------------------------

COLUMNS = (Column("length", "cm", "how long"), Column("count"))


@pytest.fixture(scope="module")
def signatures():
    """Those of a model that answers with length + 100 count."""

    def answer(features):
        return {"sum": features @ tf.constant([[1.0], [100.0]])}

    return Tables(COLUMNS).endpoints(answer, None)


def call(signature, rows):
    return signature.function(*map(tf.constant, signature.ask(rows).values()))


def test_a_row_is_its_columns_in_order(signatures):
    rows = np.array([[1.5, 2], [3, 4]], "float32")
    assert [*signatures["columns"].ask(rows)] == ["length", "count"]
    for signature in signatures.values():
        answer = call(signature, rows)
        np.testing.assert_array_equal(answer["sum"], [[201.5], [403]])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1.0, np.nan]], "features must be finite"),
        ([[np.inf, 1.0]], "features must be finite"),
        (np.zeros((0, 2), "float32"), "the batch is empty"),
    ],
)
def test_rows_that_say_nothing_are_refused(rows, reason, signatures):
    rows = np.asarray(rows, "float32")
    for signature in signatures.values():
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            call(signature, rows)


def test_columns_of_different_lengths_are_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="hape"):
        signatures["columns"].function(
            tf.constant([1.0, 2.0]), tf.constant([1.0])
        )


def test_export_names_the_columns():
    inputs = Tables(COLUMNS)
    rows = [*csv.reader(io.StringIO(inputs.assets()["columns.csv"]))]
    assert rows == [
        ["name", "unit", "about"],
        ["length", "cm", "how long"],
        ["count", "", ""],
    ]
    assert "| `length` | cm | how long |" in inputs.card()
    assert "| `count` | – |  |" in inputs.card()
    assert inputs.columns[0].title == "length (cm)"
    assert inputs.columns[1].title == "count"


def test_rows_are_shown_as_a_table(tmp_path):
    html = Tables(COLUMNS).gallery(
        tmp_path / "a.png", np.array([[1.5, 2]]), ["yes →\nno"], "a row"
    )
    for text in ("<table", "length (cm)", "yes → no", "1.5"):
        assert text in html
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("width", [1, 3, 9])
def test_first_weights_are_drawn_beside_their_columns(width, tmp_path):
    data = load("iris")
    model = zoo.ann((4,), hidden_units=width)
    heading, caption, html = data.inputs.weights_section(tmp_path, model, [])
    assert "weights" in heading
    assert ("first 6 of 9" in caption) == (width == 9)
    assert "petal_width (cm)" in html
    assert (tmp_path / "weights.png").exists()


def test_weights_of_features_are_no_weights_of_columns(tmp_path):
    data = load("wine")
    assert data.inputs.weights_section(tmp_path, zoo.ann((4,)), []) is None


# --- exports ------------------------------------------------------------


@pytest.fixture(scope="module")
def dry_runs(tmp_path_factory):
    """The output folder of dry runs with a number and with classes."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("diabetes_linear", "iris_perceptron"):
        assert run_recipe(name, "--dry-run", "--output-dir", folder) == 0
    return folder


def block(card, language):
    return card.split(f"```{language}\n")[1].split("```")[0]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "output", "shape"),
    [
        ("diabetes_linear", "prediction", (3,)),
        ("iris_perceptron", "class_name", (3,)),
    ],
)
def test_what_a_card_of_a_table_says_to_do_works(
    name, output, shape, dry_runs, tmp_path, monkeypatch
):
    monkeypatch.chdir(dry_runs)
    export = dry_runs / "saved_models" / f"{name}-sample" / "1"
    card = (export / "README.md").read_text()
    data = load(name.partition("_")[0])
    assert f"pipeline_tag: tabular-{'re' if data.target else 'c'}" in card
    names = {"features": data.test.inputs[:3]}
    exec(block(card, "python"), names)
    assert names["answer"][output].shape == shape

    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\ncat > "{tmp_path}/body"\n')
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    subprocess.run(["sh", "-euc", block(card, "sh")], check=True)
    body = json.loads((tmp_path / "body").read_text())
    [row] = body["instances"]
    assert [*row] == data.inputs.names
    served = tf.saved_model.load(str(export))
    answer = served.signatures[body["signature_name"]](
        **{column: tf.constant([value]) for column, value in row.items()}
    )
    features = tf.constant([[*row.values()]])
    expected = served.signatures["serving_default"](features=features)
    np.testing.assert_array_equal(answer[output], expected[output])
    text = (export / "assets" / "columns.csv").read_text()
    rows = [*csv.reader(io.StringIO(text))][1:]
    assert [column for column, *_ in rows] == data.inputs.names


@pytest.mark.thorough
def test_report_of_a_table_has_its_figures(dry_runs):
    for name, figures in {
        "diabetes_linear": ("truth", "errors", "weights"),
        "iris_perceptron": ("confusion_matrix", "weights", "curves"),
    }.items():
        run = dry_runs / "runs" / f"{name}-sample" / "1"
        report = (run / "report.html").read_text()
        for figure in figures:
            png = (run / "plots" / f"{figure}.png").read_bytes()
            assert base64.b64encode(png).decode() in report
        assert "a dry run" in report
        assert "images" not in report.replace("data:image", "")


@pytest.mark.thorough
def test_a_dry_run_of_a_table_never_answers_to_its_name(dry_runs, monkeypatch):
    monkeypatch.chdir(dry_runs)
    found = _loading.find_export("diabetes_linear")
    assert found.parent.parent == _loading.SHIPPED
    assert zoo.load_model("diabetes_linear-sample").name == "linear_neuron"


def test_three_classes_of_wine_have_their_names():
    data = load("wine")
    features = keras.Input((13,))
    outputs = keras.layers.Dense(3, "softmax")(features)
    model = keras.Model(features, outputs)
    task = tasks.Classification(data)
    task.check(model)
    for signature in task.signatures(model).values():
        answer = call(signature, data.test.inputs[:4])
        assert answer["probabilities"].shape == (4, 3)
        for name in answer["class_name"].numpy():
            assert name.decode() in data.class_names


def test_a_task_of_tables_asks_its_inputs():
    task = tasks.Classification(load("iris"))
    assert task.hub_task == "tabular-classification"
    assert "rows\nunlike iris" in task.limits()
