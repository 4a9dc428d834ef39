"""Training that is cut off, damaged or diverging, and goes on all the same."""

import csv
import dataclasses
import json
from dataclasses import dataclass

import keras
import numpy as np
import pytest

import zoo
from recipes.lab import training
from recipes.lab.command import Target, run_command
from recipes.lab.data import augmentation, sources, splits
from recipes.lab.errors import Preempted, RecipeError, UsageError
from recipes.lab.flags import BatchSize, Epochs, RunOptions
from recipes.lab.metrics import ACCURACY, Metric
from recipes.lab.runs import open_run
from recipes.lab.tasks import Classification
from recipes.lab.training import fitting
from recipes.lab.training.devices import set_up

STEPS = 5  # of an epoch
TIMES = ("seconds", "cpu_seconds")


@dataclass(frozen=True)
class Config:
    """The settings of the small recipe below."""

    epochs: Epochs = 4
    batch_size: BatchSize = 32
    learning_rate: float = 0.01
    code_lengths: tuple[int, ...] = (4, 2)  # JSON knows no tuples
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    """A few of the embedded digits."""
    data = sources.load("mnist", RunOptions(dry_run=True))

    def first(split, count):
        return splits.Split(split.inputs[:count], split.targets[:count])

    return dataclasses.replace(
        data,
        train=first(data.train, STEPS * 32 + 7),
        validation=first(data.validation, 50),
        test=first(data.test, 50),
    )


def all_that_is_random(config):
    """Dropout, batch normalisation and a schedule."""
    image = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(16, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(10, activation="softmax")(x)
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, STEPS * config.epochs
    )
    return keras.Model(image, x), keras.optimizers.Adam(schedule)


def constant_rate(config):
    """A perceptron whose learning rate callbacks may change."""
    model = zoo.create_model("mlp", hidden_units=(16,), dropout=0.3)
    return model, keras.optimizers.Adam(config.learning_rate)


@pytest.fixture
def recipe(digits, tmp_path, capsys, no_export):
    """A function that runs a small recipe, and says how it ended."""

    def run(
        *flags,
        build=all_that_is_random,
        callbacks=lambda: (),
        cut=None,
        cut_after_fit=False,
        output=tmp_path,
    ):
        result = {}

        def train(config):
            with open_run(config, digits) as run:
                result["folder"] = run.folder
                with run.scope():
                    model, optimizer = build(config)
                    model.compile(
                        optimizer=optimizer,
                        loss="sparse_categorical_crossentropy",
                        metrics=["accuracy"],
                    )
                history = fitting.fit(
                    run,
                    model,
                    digits.train,
                    validation=digits.validation,
                    augment=augmentation.random_shift,
                    callbacks=[*callbacks(), *([cut] if cut else [])],
                )
                if cut_after_fit:
                    raise KeyboardInterrupt
                task = Classification(digits)
                scores = task.score(model, digits.test)
                result["probabilities"] = scores.outputs
                result["history"] = history
                result["bits"] = [
                    v.numpy() for v in model.variables + optimizer.variables
                ]
                return run.finish(task, model, scores, history)

        flags = [*map(str, flags), "--output-dir", str(output)]
        code = run_command(train, Config, (Target(ACCURACY, 0.5),), flags)
        return Ending(code, *capsys.readouterr(), **result)

    return run


@dataclass
class Ending:
    """How a run of the recipe ended."""

    code: int
    out: str
    err: str
    folder: object = None
    bits: list | None = None
    history: dict | None = None
    probabilities: np.ndarray | None = None

    def checkpoints(self):
        return sorted((self.folder / "checkpoints" / "train").iterdir())

    def rows(self):
        with open(self.folder / "history.csv", newline="") as file:
            return list(csv.DictReader(file))


class Cut(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        super().__init__()
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, 2):
            raise self.error


def without_times(history):
    return {k: v for k, v in history.items() if k not in TIMES}


def assert_same_end(one, other):
    assert (one.code, other.code) == (0, 0)
    assert without_times(one.history) == without_times(other.history)
    assert len(one.bits) == len(other.bits)
    for a, b in zip(one.bits, other.bits, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    """The end of a run that nobody disturbed; made by the first who asks."""
    ends = {}

    def end(recipe, **options):
        key = options.get("build", all_that_is_random)
        if key not in ends:
            output = tmp_path_factory.mktemp("unbroken")
            ends[key] = recipe(output=output, **options)
        return ends[key]

    return end


# --- cut off and gone on ------------------------------------------------


@pytest.mark.parametrize(
    "epoch", [pytest.param(0, marks=pytest.mark.thorough), 2]
)
def test_the_same_command_goes_on_and_ends_with_the_same_bits(
    epoch, recipe, unbroken
):
    cut = recipe(cut=Cut(epoch))
    assert cut.code == 130
    assert f"stopped; {epoch} of 4 epochs are kept in {cut.folder}" in cut.err
    assert "interrupted. Run the same command again to resume." in cut.err
    assert not (cut.folder / "metrics.json").exists()

    resumed = recipe()
    assert resumed.folder == cut.folder
    assert f"continuing {cut.folder}" in resumed.out
    assert ("resuming after epoch" in resumed.out) == (epoch > 0)
    assert f"epoch {epoch + 1}/4" in resumed.out
    assert f"epoch {epoch}/4" not in resumed.out
    assert_same_end(resumed, unbroken(recipe))


@pytest.mark.thorough
def test_it_may_be_cut_off_again_and_again(recipe, unbroken):
    for epoch in (1, 3):
        assert recipe(cut=Cut(epoch)).code == 130
    resumed = recipe()
    assert "resuming after epoch 3 of 4" in resumed.out
    assert_same_end(resumed, unbroken(recipe))


def test_preemption_ends_with_143_and_can_be_resumed_too(recipe):
    cut = recipe(cut=Cut(1, error=Preempted))
    assert cut.code == 143
    assert "preempted. Run the same command again to resume." in cut.err


@pytest.mark.thorough
def test_cut_off_after_the_last_epoch_nothing_is_trained_again(
    recipe, unbroken
):
    cut = recipe(cut_after_fit=True)
    assert cut.code == 130
    (cut.folder / "history.csv").unlink()  # as if killed before it was written
    resumed = recipe()
    assert "resuming after epoch 4 of 4" in resumed.out
    assert "epoch 4/4" not in resumed.out
    assert_same_end(resumed, unbroken(recipe))
    assert len(resumed.rows()) == 4


def patient_callbacks():
    """Halve the rate after two epochs, stop after three, as none improves."""
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss", min_delta=100, patience=1, factor=0.5
        ),
        keras.callbacks.EarlyStopping(
            monitor="val_loss",
            min_delta=100,
            patience=3,
            restore_best_weights=True,
        ),
    ]


PATIENT = {"build": constant_rate, "callbacks": patient_callbacks}


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param({"cut": Cut(2)}, marks=pytest.mark.thorough, id="before"),
        pytest.param({"cut_after_fit": True}, id="after"),
    ],
)
@pytest.mark.thorough
def test_early_stopping_stops_where_it_would_have(cut, recipe, unbroken):
    whole = unbroken(recipe, **PATIENT)
    assert len(whole.history["loss"]) == 4
    assert recipe(**PATIENT, **cut).code == 130
    resumed = recipe(**PATIENT)
    assert_same_end(resumed, whole)


@pytest.mark.thorough
def test_a_finished_run_starts_anew_under_the_next_number(recipe):
    first = recipe("--epochs", 1)
    second = recipe("--epochs", 1)
    assert (first.folder.name, second.folder.name) == ("1", "2")
    assert "run " + str(second.folder) in second.out
    assert_same_end(second, first)


@pytest.fixture
def opened(digits, tmp_path):
    """A function that opens a run of some options and does nothing with it."""

    def name(
        data=digits,
        epochs=4,
        learning_rate=0.01,
        code_lengths=(4, 2),
        **options,
    ):
        config = Config(
            epochs,
            learning_rate=learning_rate,
            code_lengths=code_lengths,
            run=RunOptions(output_dir=tmp_path, **options),
        )
        with open_run(config, data) as run:
            return run.folder.name

    return name


def test_other_settings_or_data_have_a_run_of_their_own(opened, digits):
    other = dataclasses.replace(digits, checksum="0" * 64)
    assert opened() == "1"
    assert opened(epochs=1) == "2"
    assert opened(seed=1) == "3"
    assert opened(other) == "4"
    assert opened(strategy="none") == "5"
    assert opened(code_lengths=(4, 2, 1)) == "6"
    # Each is found again; where the data lie is no setting.
    assert opened(epochs=1) == "2"
    assert opened(other) == "4"
    assert opened(data_dir="elsewhere", offline=True, target=0.5) == "1"


def test_a_run_on_the_sample_never_continues_as_another(
    opened, digits, tmp_path
):
    assert opened() == "1"
    assert opened(dataclasses.replace(digits, is_sample=False)) == "1"
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "test_fitting-sample",
        "test_fitting",
    }


def test_a_folder_that_nobody_began_in_is_used(opened, tmp_path):
    home = tmp_path / "runs/test_fitting-sample"
    assert opened() == "1"
    (home / "2").mkdir()
    (home / "2/.lock").touch()
    # But first comes what was begun.
    assert opened() == "1"
    assert opened(epochs=1) == "2"
    # What lacks its settings is not empty for that, nor is a file.
    (home / "2/config.json").unlink()
    (home / "3").touch()
    assert opened(epochs=2) == "4"


# --- a run with a name --------------------------------------------------


@pytest.mark.thorough
def test_a_named_run_goes_on_and_is_refused_when_it_is_finished(recipe):
    flags = ("--run-name", "mine", "--epochs", 2)
    assert recipe(*flags, cut=Cut(1)).code == 130
    resumed = recipe(*flags)
    assert (resumed.code, resumed.folder.name) == (0, "mine")
    assert "resuming after epoch 1 of 2" in resumed.out
    again = recipe(*flags)
    assert again.code == 2
    assert "is finished. Choose another --run-name" in again.err


def test_a_named_run_with_other_settings_is_refused_with_the_difference(
    opened, tmp_path
):
    opened(run_name="mine")
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(UsageError, match="0.01 there, 0.5 here") as error:
        opened(run_name="mine", learning_rate=0.5)
    assert "learning_rate" in str(error.value)
    assert "epochs" not in str(error.value)
    assert {p: p.read_bytes() for p in files} == files
    (tmp_path / "runs/test_fitting-sample/mine/config.json").write_text("{")
    with pytest.raises(UsageError, match="config.json is damaged"):
        opened(run_name="mine")


def test_a_run_that_is_open_is_refused_by_name_and_passed_over_else(
    digits, tmp_path
):
    named = Config(run=RunOptions(output_dir=tmp_path, run_name="mine"))
    unnamed = Config(run=RunOptions(output_dir=tmp_path))
    with open_run(named, digits):
        with pytest.raises(RecipeError, match="in use by another process") as e:
            with open_run(named, digits):
                pass
        assert e.value.exit_code == 1
    with open_run(named, digits):
        pass  # it is free again
    with (
        open_run(unnamed, digits) as first,
        open_run(unnamed, digits) as second,
    ):
        assert (first.folder.name, second.folder.name) == ("1", "2")
    with open_run(unnamed, digits) as newest:
        assert newest.folder.name == "2"


# --- damage -------------------------------------------------------------


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.thorough
@pytest.mark.parametrize("damage", [cut_short, flip_a_bit])
def test_a_damaged_checkpoint_costs_one_epoch(damage, recipe, unbroken):
    cut = recipe(cut=Cut(3))
    newest = cut.checkpoints()[-1]
    damage(newest)
    resumed = recipe()
    assert f"{newest} is damaged; going back to the one before" in resumed.err
    assert "resuming after epoch 2 of 4" in resumed.out
    assert_same_end(resumed, unbroken(recipe))
    # The damaged one takes no good one's place.
    assert [p.name[:6] for p in resumed.checkpoints()] == ["000003", "000004"]
    assert newest not in resumed.checkpoints()


@pytest.mark.thorough
def test_if_all_checkpoints_are_damaged_it_starts_from_the_beginning(
    recipe, unbroken
):
    for checkpoint in recipe(cut=Cut(3)).checkpoints():
        flip_a_bit(checkpoint)
    resumed = recipe()
    assert resumed.err.count("is damaged") == 2
    assert "epoch 1/4" in resumed.out
    assert_same_end(resumed, unbroken(recipe))
    assert len(resumed.checkpoints()) == 2


def test_checkpoints_of_another_model_are_refused(recipe):
    recipe(cut=Cut(1))
    other = recipe(build=constant_rate)
    assert other.code == 1
    assert "was written for another model" in other.err


# --- records ------------------------------------------------------------


def test_history_has_a_row_an_epoch_and_two_checkpoints_are_kept(
    recipe, unbroken
):
    cut = recipe(cut=Cut(3))
    assert [row["epoch"] for row in cut.rows()] == ["1", "2", "3"]
    assert [p.name[:6] for p in cut.checkpoints()] == ["000002", "000003"]
    half = cut.checkpoints()[0].with_name(".tmp-99-000003-ab.npz")
    half.touch()  # what SIGKILL in the midst of a save leaves
    resumed = recipe()
    assert resumed.err == ""
    assert [row["epoch"] for row in resumed.rows()] == ["1", "2", "3", "4"]
    assert [p.name[:6] for p in resumed.checkpoints()] == ["000003", "000004"]
    for row, expected in zip(
        resumed.rows(), unbroken(recipe).rows(), strict=True
    ):
        assert row["schema"] == "1"
        assert all(float(row[name]) > 0 for name in TIMES)
        assert without_times(row) == without_times(expected)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= {*row}


def test_a_run_records_what_it_is(recipe):
    end = recipe("--epochs", 1, "--seed", 3)
    config = json.loads((end.folder / "config.json").read_text())
    assert config["settings"]["seed"] == 3
    assert config["settings"]["dataset"] == "digits"
    metrics = json.loads((end.folder / "metrics.json").read_text())
    assert metrics["schema"] == config["schema"] == 1
    assert 0 <= metrics["metrics"]["test_accuracy"] <= 1
    environment = json.loads((end.folder / "environment.json").read_text())
    assert environment["versions"]["keras"] == keras.__version__
    assert "1 CPU" in environment["devices"]


# --- diverging ----------------------------------------------------------


class Poison(keras.callbacks.Callback):
    """A weight becomes NaN in the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            weight = self.model.trainable_variables[0]
            weight.assign(weight * np.nan)


def infinite_loss(config):
    """A model whose loss becomes infinite, not its weights."""
    image = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(10, kernel_initializer="ones")(x)
    x = keras.ops.exp(x)
    return keras.Model(image, x / x), keras.optimizers.SGD(0.0)


def test_a_weight_that_is_nan_ends_the_run(recipe):
    end = recipe(callbacks=lambda: [Poison()])
    assert end.code == 1
    assert "Training diverged in epoch 2" in end.err
    assert "is NaN or infinite. Nothing was exported" in end.err
    assert not (end.folder / "metrics.json").exists()
    # Only the finite epoch is kept.
    assert [p.name[:6] for p in end.checkpoints()] == ["000001"]
    assert len(end.rows()) == 1


def test_a_loss_that_is_nan_ends_the_run(recipe):
    end = recipe(build=infinite_loss)
    assert end.code == 1
    assert "Training diverged in epoch 1: loss is NaN or infinite" in end.err
    assert end.checkpoints() == []


# --- the target ---------------------------------------------------------


def test_a_missed_target_is_exit_code_1_and_a_reached_one_0(recipe):
    missed = recipe("--epochs", 1, "--target", 1.01)
    assert missed.code == 1
    assert "error: test_accuracy " in missed.err
    assert "misses the target 1.0100" in missed.err
    assert (missed.folder / "metrics.json").exists()  # the run is done
    reached = recipe("--epochs", 1, "--target", 0.0)
    assert (reached.code, reached.err) == (0, "")


@pytest.mark.parametrize(
    ("direction", "value", "reached"),
    [
        ("max", 0.5, True),
        ("max", 0.49, False),
        ("min", 0.5, True),
        ("min", 0.51, False),
        ("max", float("nan"), False),
        ("min", float("nan"), False),
    ],
)
def test_the_direction_of_a_target_counts(direction, value, reached):
    metric = Metric("error", "Error", better=direction)
    assert Target(metric, 0.5).reached_by(value) is reached


def test_settings_from_python_are_checked_like_flags():
    with pytest.raises(UsageError, match="--epochs must be between 1"):
        set_up(Config(epochs=0))


# --- a loop of one's own --------------------------------------------------


def train_by_hand(digits, output, cut_in=None):
    """Count the epochs in a variable; return it, and what is written down."""
    options = RunOptions(output_dir=output)
    with open_run(Config(run=options), digits) as run:
        count = keras.Variable(0.0, name="count")
        progress = training.Progress(run, [count])
        for epoch in progress:
            count.assign_add(epoch + 1)
            if epoch == cut_in:
                raise KeyboardInterrupt
            progress.end_epoch({"loss": 1 / (epoch + 1)})
    return float(count.numpy()), without_times(progress.history)


def test_a_loop_of_ones_own_resumes_at_the_epoch_that_was_cut_off(
    digits, tmp_path, capsys
):
    whole = train_by_hand(digits, tmp_path / "whole")
    assert whole == (1 + 2 + 3 + 4, {"loss": [1, 1 / 2, 1 / 3, 1 / 4]})
    with pytest.raises(KeyboardInterrupt):
        train_by_hand(digits, tmp_path / "cut", cut_in=2)
    assert "stopped; 2 of 4 epochs are kept in" in capsys.readouterr().err
    assert train_by_hand(digits, tmp_path / "cut") == whole
    assert "train: resuming after epoch 2 of 4" in capsys.readouterr().out


def test_a_loop_that_forgets_to_end_an_epoch_is_told(digits, tmp_path):
    with open_run(Config(run=RunOptions(output_dir=tmp_path)), digits) as run:
        with pytest.raises(RuntimeError, match="end_epoch"):
            for _ in training.Progress(run, []):
                pass
