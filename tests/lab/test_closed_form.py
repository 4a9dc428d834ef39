"""Rules and solutions: what they find, and that they resume."""

import json
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from helpers.commands import ON_ONE_DEVICE, run_recipe

import zoo
from recipes.lab.data import tables
from recipes.lab.data.splits import Split
from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.flags import Epochs, RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import Progress, closed_form

XOR = Split(
    np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"),
    np.array([0, 1, 1, 0], "int32"),
)


@dataclass(frozen=True)
class Config:
    """The settings of the small recipes below."""

    epochs: Epochs = 6
    run: RunOptions = RunOptions()


@pytest.fixture
def opened(tmp_path):
    """A function that opens a run on a table."""

    def open_(data, epochs=6, folder="output", **options):
        options = RunOptions(output_dir=tmp_path / folder, **options)
        return open_run(Config(epochs, options), data)

    return open_


def neuron_for(data, name, **arguments):
    model = zoo.create_model(name, input_shape=data.inputs.shape, **arguments)
    model.get_layer("standardization").adapt(data.train.inputs)
    return model


# --- the perceptron's rule ----------------------------------------------


def train_perceptron(run, split, epochs=None):
    """Train from zero, on what the neuron sees; return model and history."""
    model = zoo.create_model(
        "perceptron",
        input_shape=split.inputs.shape[1:],
        kernel_initializer="zeros",
    )
    history = closed_form.fit(
        *(run, model, closed_form.perceptron(model), split),
        until=lambda logs: logs["mistakes"] == 0,
        epochs=epochs,
    )
    return model, history


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_perceptron_converges_within_the_bound_of_its_mistakes(seed, opened):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(60, 2)).astype("float32")
    normal = random.normal(size=2)
    distance = rows @ normal - 0.3
    far = np.abs(distance) > 0.2  # so that a plane separates them, and well
    split = Split(rows[far], (distance[far] > 0).astype("int32"))
    with opened(tables.iris(), epochs=1000, seed=seed) as run:
        model, history = train_perceptron(run, split)
    assert history["mistakes"][-1] == 0 == history["loss"][-1]
    answers = np.asarray(model(split.inputs))[:, 0]
    np.testing.assert_array_equal(answers, split.targets)
    seen = closed_form.summands_of(model)(split).inputs
    radius = np.linalg.norm(seen, axis=1).max()
    margin = closed_form.margin(seen, split.targets)
    assert sum(history["mistakes"]) <= (radius / margin) ** 2


def test_perceptron_never_comes_to_rest_on_xor(opened):
    with opened(tables.iris(), epochs=8) as run:
        _, history = train_perceptron(run, XOR)
    assert len(history["mistakes"]) == 8
    assert min(history["mistakes"]) > 0
    seen = np.hstack([XOR.inputs, np.ones((4, 1))])
    assert closed_form.margin(seen, XOR.targets) is None


def test_perceptron_moves_by_the_example_that_it_was_wrong_about():
    model = zoo.create_model(
        "perceptron", input_shape=(2,), kernel_initializer="zeros"
    )
    rule = closed_form.perceptron(model, rate=0.5)
    both = Split(
        np.array([[2, 3], [-1, 4]], "float32"), np.array([1, 0], "int32")
    )
    logs = rule.step(rule.prepare(both))
    # 0 is not above 0, so (2, 3) was wrong, and then (-1, 4), with 5.5.
    assert logs == {"mistakes": 2}
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_array_equal(kernel[:, 0], (1.5, -0.5))
    np.testing.assert_array_equal(bias, 0)


def test_margin_is_that_of_the_widest_gap():
    rows = np.array([[1.0, 0], [3, 1], [-1, 5], [-1, -2]])
    # The plane across the first axis is at a distance of 1 from three of them.
    assert closed_form.margin(rows, np.array([1, 1, 0, 0])) == pytest.approx(1)


# --- the normal equations -----------------------------------------------


def test_normal_equations_are_scikit_learns_linear_regression():
    from sklearn.linear_model import LinearRegression, Ridge

    train = tables.diabetes().train
    rows, truth = train.inputs.astype("float64"), train.targets[:, np.newaxis]
    kernel, bias = closed_form.ridge([(rows, truth)])
    theirs = LinearRegression().fit(rows, train.targets)
    np.testing.assert_allclose(kernel[:, 0], theirs.coef_, rtol=1e-5)
    assert bias[0] == pytest.approx(theirs.intercept_, rel=1e-5)

    kernel, bias = closed_form.ridge([(rows, truth)], penalty=3.0)
    theirs = Ridge(3.0).fit(rows, train.targets)
    np.testing.assert_allclose(kernel[:, 0], theirs.coef_, rtol=1e-5)
    assert bias[0] == pytest.approx(theirs.intercept_, rel=1e-5)


def test_batches_add_up():
    random = np.random.default_rng(0)
    rows, truth = random.normal(size=(50, 4)), random.normal(size=(50, 3))
    whole = closed_form.ridge([(rows, truth)], penalty=0.1)
    parts = ((rows[i : i + 20], truth[i : i + 20]) for i in (0, 20, 40))
    for one, other in zip(
        whole, closed_form.ridge(parts, penalty=0.1), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_columns_that_depend_on_each_other_need_a_penalty():
    rows = np.array([[1.0, 2], [2, 4], [3, 6]])
    truth = np.array([[1.0], [2], [3]])
    with pytest.raises(RecipeError, match="penalty above 0"):
        closed_form.ridge([(rows, truth)])
    kernel, bias = closed_form.ridge([(rows, truth)], penalty=1e-6)
    np.testing.assert_allclose(rows @ kernel + bias, truth, atol=1e-4)


# --- Newton's method ----------------------------------------------------


@pytest.mark.parametrize(("columns", "penalty"), [(10, 0.0), (30, 1.0)])
def test_newton_finds_scikit_learns_logistic_regression(columns, penalty):
    """Without a penalty on the ten means; thirty columns separate the rows."""
    from sklearn.linear_model import LogisticRegression

    train = tables.breast_cancer().train
    train = Split(train.inputs[:, :columns], train.targets)
    model = zoo.create_model("logistic_neuron", input_shape=(columns,))
    model.get_layer("standardization").adapt(train.inputs)
    rule = closed_form.newton(model, penalty)
    prepared = rule.prepare(train)
    objectives = [rule.step(prepared)["objective"] for _ in range(15)]
    assert np.all(np.diff(objectives) <= 1e-9)
    theirs = LogisticRegression(
        C=1 / penalty if penalty else np.inf, tol=1e-10, max_iter=10_000
    )
    theirs.fit(prepared.inputs[:, :-1], train.targets)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(
        kernel[:, 0], theirs.coef_[0], rtol=1e-3, atol=1e-3
    )
    assert bias[0] == pytest.approx(theirs.intercept_[0], rel=1e-3)
    # The gradient, XᵀX's like in the lecture, is zero there.
    p = 1 / (1 + np.exp(-prepared.inputs @ np.append(kernel, bias)))
    gradient = prepared.inputs.T @ (p - train.targets)
    punished = penalty * np.append(kernel, 0)
    np.testing.assert_allclose(gradient + punished, 0, atol=1e-3)


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_newton_finds_scikit_learns_regression_of_three_classes(penalty):
    from sklearn.linear_model import LogisticRegression

    train = tables.wine().train
    rows = (train.inputs - train.inputs.mean(0)) / train.inputs.std(0)
    model = zoo.create_model(
        "softmax_regression",
        input_shape=(13, 1, 1),
        num_classes=3,
        rescale=(1.0, 0.0),
    )
    rule = closed_form.newton(model, penalty)
    prepared = rule.prepare(Split(rows.reshape(-1, 13, 1, 1), train.targets))
    objectives = [rule.step(prepared)["objective"] for _ in range(12)]
    assert np.all(np.diff(objectives) <= 1e-6)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
    theirs.fit(prepared.inputs[:, :-1], train.targets)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(kernel.T, theirs.coef_, atol=1e-4)
    # One number more in each bias changes nothing.
    np.testing.assert_allclose(
        bias - bias.mean(),
        theirs.intercept_ - theirs.intercept_.mean(),
        atol=1e-4,
    )
    measured = rule.measure(prepared)
    assert measured["accuracy"] == theirs.score(
        prepared.inputs[:, :-1], train.targets
    )
    assert measured["loss"] == pytest.approx(
        -np.mean(
            theirs.predict_log_proba(prepared.inputs[:, :-1])[
                np.arange(len(train)), train.targets
            ]
        ),
        abs=1e-5,
    )


# --- cut off and gone on ------------------------------------------------


def fit_logistic(run):
    data = run.data
    with run.scope():
        model = neuron_for(data, "logistic_neuron")
    history = closed_form.fit(
        *(run, model, closed_form.newton(model, 1.0), data.train),
        validation=data.validation,
    )
    return model.get_weights(), history


def without_times(history):
    return {k: v for k, v in history.items() if not k.endswith("seconds")}


def test_a_rule_that_is_cut_off_ends_with_the_same_bits(opened, monkeypatch):
    data = tables.breast_cancer()
    with opened(data, folder="whole") as run:
        weights, history = fit_logistic(run)

    end = Progress.end_epoch

    def end_or_cut(self, logs, stopped=False):
        if self.epoch == 3:
            raise KeyboardInterrupt
        end(self, logs, stopped)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "end_epoch", end_or_cut)
        with pytest.raises(KeyboardInterrupt), opened(data) as run:
            fit_logistic(run)
    with opened(data) as run:
        again, resumed = fit_logistic(run)
    assert without_times(resumed) == without_times(history)
    assert {"loss", "val_loss", "val_accuracy"} <= history.keys()
    for one, other in zip(again, weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_solution_is_computed_once(opened):
    calls = []

    def solve():
        with opened(tables.diabetes()) as run:
            model = neuron_for(run.data, "linear_neuron")

            def solution():
                calls.append(run.folder)
                model.get_layer("prediction").set_weights(
                    [np.full((10, 1), 2.0), np.array([3.0])]
                )
                return {"loss": 0.5}

            history = closed_form.solve(run, model, solution, loss="a guess")
            assert run.losses == {"train": "a guess"}
            return history, model.get_weights()

    (history, weights), (again, found) = solve(), solve()
    assert history["loss"] == again["loss"] == [0.5]
    assert len(calls) == 1
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)


# --- on one device ------------------------------------------------------


def test_a_strategy_is_refused_before_anything_is_trained(opened, tmp_path):
    data = tables.breast_cancer()
    with (
        pytest.raises(
            UsageError, match="--strategy must be none: .* one devic"
        ),
        opened(data, strategy="mirrored", cpu_devices=2) as run,
    ):
        fit_logistic(run)
    assert not (tmp_path / "output" / "runs").exists()


def test_half_precision_is_refused_before_anything_is_trained(opened, tmp_path):
    with (
        pytest.raises(UsageError, match="--precision must be float32"),
        opened(tables.breast_cancer(), precision="mixed_bfloat16") as run,
    ):
        fit_logistic(run)
    assert not (tmp_path / "output" / "runs").exists()


def test_recipes_of_rules_and_solutions_are_these():
    assert {
        *("breast_cancer_logistic", "diabetes_linear"),
        *("infert_ann", "iris_perceptron"),
    } <= {*ON_ONE_DEVICE}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ON_ONE_DEVICE)
def test_recipe_of_a_rule_says_why_it_takes_no_strategy(name, tmp_path, capsys):
    flags = ("--dry-run", "--strategy", "mirrored", "--cpu-devices", 2)
    assert run_recipe(name, *flags, "--output-dir", tmp_path) == 2
    assert "--strategy must be none" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_a_run_of_a_rule_names_no_batches(opened, capsys):
    with opened(tables.iris()) as run:
        said = capsys.readouterr().out
        assert "batch" not in said
        record = json.loads((run.folder / "config.json").read_text())
        assert "batch_size" not in record["settings"]


# --- k-means ---------------------------------------------------------------


def test_centers_go_to_the_means_of_what_is_nearest():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 2, 2, 1)).astype("uint8")
    split = Split(images, np.zeros(60, "int32"))
    model = zoo.create_model("radial_basis", input_shape=(2, 2, 1), centers=4)
    layer = model.get_layer("kernels")
    rule = closed_form.k_means(model, layer)
    rows = rule.prepare(split)
    np.testing.assert_allclose(rows.inputs, images.reshape(60, 4) / 255)
    # The last one is far from everything.
    layer.centers.assign(np.vstack([rows.inputs[:3], [[9.0] * 4]]))
    losses = [rule.measure(rows)["loss"]]
    for _ in range(12):
        before = layer.centers.numpy()
        assert rule.step(rows) == {"centers_without_examples": 1}
        losses.append(rule.measure(rows)["loss"])
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    # It has come to rest.
    centers = layer.centers.numpy()
    np.testing.assert_array_equal(centers, before)
    np.testing.assert_array_equal(centers[3], [9.0] * 4)
    squares = np.square(rows.inputs[:, np.newaxis] - centers).sum(axis=2)
    nearest = squares.argmin(axis=1)
    for i in range(3):
        mean = rows.inputs[nearest == i].mean(axis=0)
        np.testing.assert_allclose(centers[i], mean, rtol=1e-5)
    assert losses[-1] == pytest.approx(squares.min(axis=1).mean(), rel=1e-4)


# --- a self-organizing map -----------------------------------------------


@pytest.fixture
def sheet():
    """A map of 2 by 3 units, its rule, and rows of a split for it."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (50, 2, 2, 1)).astype("uint8")
    model = zoo.create_model(
        "kohonen", input_shape=(2, 2, 1), rows=2, columns=3, radius=1.5
    )
    layer = model.get_layer("map")
    rule = closed_form.self_organizing_map(
        model, layer, images=40, shrinking=0.5
    )
    return layer, rule, rule.prepare(Split(images, np.zeros(50, "int32")))


def test_prototypes_become_means_that_winners_weigh(sheet):
    layer, rule, rows = sheet
    before, seen = layer.prototypes.numpy(), rows.inputs
    squares = np.square(seen[:, np.newaxis] - before).sum(axis=2)
    winners = squares.argmin(axis=1)
    places = np.array([divmod(i, 3) for i in range(6)])
    assert rule.step(rows) == {"radius": 1.5}
    for unit, place in enumerate(places):
        apart = np.square(places[winners] - place).sum(axis=1)
        weights = np.exp(-apart / (2 * 1.5**2))
        mean = (weights[:, np.newaxis] * seen).sum(axis=0) / weights.sum()
        np.testing.assert_allclose(layer.prototypes[unit], mean, rtol=1e-4)
    assert layer.reach.numpy() == [0.75]


def test_an_epoch_shows_a_map_other_rows_each_time_and_no_more(sheet, opened):
    layer, rule, rows = sheet
    shown = []

    def step(split):
        shown.append(split.inputs)
        return rule.step(split)

    with opened(tables.iris(), epochs=2) as run:
        model = keras.Sequential([keras.Input((4,)), layer])
        watched = rule._replace(step=step, prepare=lambda split: split)
        closed_form.fit(run, model, watched, rows)
    assert [x.shape for x in shown] == [(40, 4)] * 2
    assert not np.array_equal(*shown)
    assert len(np.unique(shown[0], axis=0)) == 40


def test_a_unit_that_is_far_from_all_winners_stays(sheet):
    layer, rule, rows = sheet
    layer.reach.assign([0.05])
    far = np.full(4, 9.0, "float32")
    layer.prototypes.assign(np.vstack([rows.inputs[:5], far]))
    rule.step(rows)
    np.testing.assert_array_equal(layer.prototypes[5], far)


def test_errors_of_a_map_are_what_they_are_called(sheet):
    layer, rule, rows = sheet
    layer.prototypes.assign(0.8 * rows.inputs[:6] + 0.1)
    found = rule.measure(rows)
    distances = np.sqrt(
        np.square(rows.inputs[:, np.newaxis] - layer.prototypes.numpy()).sum(
            axis=2
        )
    )
    first, second = distances.argsort(axis=1)[:, :2].T
    places = np.array([divmod(i, 3) for i in range(6)])
    steps = np.abs(places[first] - places[second]).max(axis=1)
    assert found["loss"] == pytest.approx(distances.min(axis=1).mean())
    assert found["topographic_error"] == np.mean(steps > 1)
    assert 0 < found["topographic_error"] < 1
