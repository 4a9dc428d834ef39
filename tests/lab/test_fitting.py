"""Training that is cut off, damaged or diverging resumes, or says why not."""

import json
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from helpers.ends import TIMES
from helpers.small_recipe import (
    STEPS,
    Config,
    Cut,
    Training,
    assert_same_training,
    few_digits,
    perceptron,
    without_times,
)

from recipes.lab.command import Target, run_command
from recipes.lab.data import augmentation
from recipes.lab.errors import Preempted
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY
from recipes.lab.runs import open_run
from recipes.lab.training import fitting


def all_that_is_random(config):
    """Dropout, batch normalization and a schedule."""
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
    return perceptron(dropout=0.3), keras.optimizers.Adam(config.learning_rate)


@pytest.fixture
def recipe(tmp_path, capsys, no_export):
    """A function that runs a small recipe, and says how it ended."""

    def run(
        *flags,
        build=all_that_is_random,
        callbacks=lambda: (),
        cut=None,
        cut_after_fit=False,
        output=tmp_path,
    ):
        end = Ending()

        def train(config):
            with open_run(config, few_digits()) as run:
                end.fit(
                    run,
                    lambda: build(config),
                    augment=augmentation.random_shift,
                    callbacks=[*callbacks(), *([cut] if cut else [])],
                )
                if cut_after_fit:
                    raise KeyboardInterrupt
                return run.finish(*end.score(run))

        flags = [*map(str, flags), "--output-dir", str(output)]
        end.code = run_command(train, Config, (Target(ACCURACY, 0.5),), flags)
        end.out, end.err = capsys.readouterr()
        return end

    return run


@dataclass
class Ending(Training):
    """How a run of the recipe ended."""

    code: int | None = None
    out: str = ""
    err: str = ""


def assert_same_end(one, other):
    assert (one.code, other.code) == (0, 0)
    assert_same_training(one, other)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
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


def test_the_same_command_goes_on_and_ends_with_the_same_bits(recipe, unbroken):
    cut = recipe(cut=Cut(3))
    assert_says_how_to_go_on(cut, 3)
    assert [row["epoch"] for row in cut.rows()] == ["1", "2", "3"]
    assert [p.name[:6] for p in cut.checkpoints()] == ["000002", "000003"]
    half = cut.checkpoints()[0].with_name(".tmp-99-000003-ab.npz")
    half.touch()  # what SIGKILL in the midst of a save leaves

    resumed = recipe()
    assert resumed.err == ""
    assert resumed.folder == cut.folder
    assert f"continuing {cut.folder}" in resumed.out
    assert "resuming after epoch 3 of 4" in resumed.out
    assert "epoch 4/4" in resumed.out
    assert "epoch 3/4" not in resumed.out
    assert_same_end(resumed, unbroken(recipe))

    # History has a row an epoch, and two checkpoints are kept.
    assert [row["epoch"] for row in resumed.rows()] == ["1", "2", "3", "4"]
    assert [p.name[:6] for p in resumed.checkpoints()] == ["000003", "000004"]
    for row, expected in zip(
        resumed.rows(), unbroken(recipe).rows(), strict=True
    ):
        assert row["schema"] == "1"
        assert all(float(row[name]) > 0 for name in TIMES)
        assert without_times(row) == without_times(expected)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= {*row}


def assert_says_how_to_go_on(cut, epochs):
    assert cut.code == 130
    assert f"stopped; {epochs} of 4 epochs are kept in {cut.folder}" in cut.err
    assert "interrupted. Run the same command again to resume." in cut.err
    assert not (cut.folder / "metrics.json").exists()


@pytest.mark.thorough
def test_cut_off_in_the_first_epoch_it_begins_again(recipe, unbroken):
    cut = recipe(cut=Cut(0))
    assert_says_how_to_go_on(cut, 0)
    resumed = recipe()
    assert f"continuing {cut.folder}" in resumed.out
    assert "resuming after epoch" not in resumed.out
    assert "epoch 1/4" in resumed.out
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


def test_a_run_records_what_it_is_and_a_missed_target_is_exit_code_1(recipe):
    end = recipe("--epochs", 1, "--seed", 3, "--target", 1)
    assert end.code == 1
    assert "error: Test accuracy " in end.err
    assert "misses the target, 100.00 %" in end.err
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


@pytest.mark.thorough
@pytest.mark.parametrize("watches", [True, False])
def test_callbacks_that_look_at_each_step_see_it(recipe, watches):
    class Steps(keras.callbacks.Callback):
        taken = []

        def look(self, batch, logs=None):
            self.taken.append(int(self.model.optimizer.iterations))

    if watches:
        Steps.on_train_batch_end = Steps.look
    else:
        Steps.on_epoch_end = Steps.look
    recipe("--epochs", 2, callbacks=lambda: [Steps()])
    steps = [*range(1, 2 * STEPS + 1)]
    assert Steps.taken == (steps if watches else [STEPS, 2 * STEPS])


@pytest.mark.thorough
def test_a_repeat_has_draws_of_its_own(tmp_path, monkeypatch):
    """Weights, dropout and the order of the batches, whatever came before."""
    seeds, batches = [], fitting.training_batches

    def recording(*arguments, seed, **options):
        seeds.append(seed)
        return batches(*arguments, seed=seed, **options)

    monkeypatch.setattr(fitting, "training_batches", recording)
    config = Config(epochs=2, run=RunOptions(output_dir=tmp_path, seed=5))
    ends = []
    with open_run(config, few_digits()) as run:
        for i, number in enumerate((0, 1, 0)):
            seed, training = fitting.seed_repeat(run, number), Training()
            options = {"phase": f"fit-{i}", "seed": seed, "quiet": True}
            training.fit(run, lambda: constant_rate(config), **options)
            ends.append(np.concatenate([w.ravel() for w in training.bits()]))
    first, other, again = ends
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert seeds[0] == seeds[2] == 5 != seeds[1]
    # Each has ended, so its last checkpoint is enough.
    kept = sorted((run.folder / "checkpoints").glob("*/*.npz"))
    assert [p.name[:6] for p in kept] == 3 * ["000002"]


def test_a_model_of_other_classes_is_refused_before_it_trains(tmp_path, capsys):
    def train(config):
        with open_run(config, few_digits()) as run:
            model = keras.Sequential(
                [keras.layers.Flatten(), keras.layers.Dense(12, name="out")]
            )
            model.build((None, *run.data.inputs.shape))
            model.compile("sgd", "sparse_categorical_crossentropy")
            return fitting.fit(run, model, run.data.train)

    flags = ["--output-dir", str(tmp_path)]
    assert run_command(train, Config, (Target(ACCURACY, 0.5),), flags) == 2
    said = capsys.readouterr().err
    assert "has 12 outputs, and digits has 10 classes. Build it" in said
