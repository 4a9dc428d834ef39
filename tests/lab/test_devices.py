"""What a run computes on, and what it leaves of that."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import is_a_usage_error
from helpers.small_recipe import TWO, Config, perceptron
from tensorflow.python.framework.config import (
    disable_op_determinism,
    is_op_determinism_enabled,
)

from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.training.devices import numerics, set_up

# --- what was chosen ----------------------------------------------------


def choose(capsys, **options):
    devices = set_up(Config(run=RunOptions(**options)))
    assert capsys.readouterr().out == f"devices: {devices.description}\n"
    return devices


def test_one_cpu_needs_no_strategy_even_if_it_is_split(capsys):
    # The tests run on a CPU that is split in two.
    assert len(tf.config.list_logical_devices("CPU")) == 2
    devices = choose(capsys, seed=5)
    assert (devices.strategy, devices.replicas) == (None, 1)
    assert devices.description.startswith(
        "1 CPU, no strategy (one device needs none); batch 32, float32, "
        "XLA off (CPU), "
    )
    assert devices.description.endswith(" threads, seed 5")


def test_cpus_that_were_asked_for_are_trained_on(capsys):
    devices = choose(capsys, cpu_devices=2)
    assert devices.replicas == 2
    assert devices.description.startswith("2 CPU(s), mirrored because you")


def test_no_strategy_takes_one_cpu_and_says_that_there_are_more(capsys):
    devices = choose(capsys, cpu_devices=2, strategy="none")
    assert devices.strategy is None
    assert devices.description.startswith("1 CPU of 2, no strategy;")


def test_mirrored_takes_as_many_cpus_as_were_asked_for(capsys):
    one = choose(capsys, strategy="mirrored")
    assert one.replicas == 1
    assert one.description.startswith("1 CPU(s), mirrored because you asked")
    two = choose(capsys, **TWO)
    assert two.replicas == two.strategy.num_replicas_in_sync == 2
    assert "batch 32 = 2 x 16" in two.description
    assert "XLA off (tf.distribute)" in two.description


def test_the_cpu_may_be_asked_for(capsys):
    assert "1 CPU" in choose(capsys, device="cpu").description


def test_the_seed_decides_the_weights():
    def weights(seed):
        with numerics(RunOptions(seed=seed)):
            return perceptron().get_weights()[0]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


# --- precision and determinism ------------------------------------------


def test_deterministic_operations_and_only_those():
    with numerics(RunOptions(deterministic=True)):
        tf.random.set_seed(None)
        with pytest.raises(RuntimeError, match="determinism"):
            tf.random.normal((2,))  # unseeded
    tf.random.normal((2,))


def test_deterministic_operations_are_named(capsys):
    assert (
        "XLA off (--deterministic)"
        in choose(capsys, deterministic=True).description
    )


# --- what comes after a run ---------------------------------------------

ODD = {"precision": "mixed_float16", "deterministic": True, "seed": 5}


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_run_leaves_the_process_as_it_was(error):
    try:
        with numerics(RunOptions(**ODD)):
            assert keras.layers.Dense(1).compute_dtype == "float16"
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert keras.config.dtype_policy().name == "float32"
    assert not is_op_determinism_enabled()


def test_a_run_leaves_what_was_chosen_before_it():
    keras.config.set_dtype_policy("mixed_bfloat16")
    tf.config.experimental.enable_op_determinism()
    try:
        with numerics(RunOptions()):
            assert keras.layers.Dense(1).compute_dtype == "float32"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert is_op_determinism_enabled()
    finally:
        keras.config.set_dtype_policy("float32")
        disable_op_determinism()


def numbers():
    return [
        random.random(),
        np.random.random(),
        *keras.random.uniform((2,)).numpy(),
        *tf.random.uniform((2,)).numpy(),
    ]


def test_no_two_runs_leave_the_same_random_numbers():
    """As in a search, which draws the next settings after each run."""
    seen = []
    for _ in range(3):
        with numerics(RunOptions()):
            numbers()
        seen += numbers()
    assert len(set(seen)) == len(seen)


def test_python_and_numpy_go_on_where_they_were():
    keras.utils.set_random_seed(3)
    expected = random.random(), np.random.random()
    keras.utils.set_random_seed(3)
    with numerics(RunOptions(seed=5)):
        numbers()
    assert (random.random(), np.random.random()) == expected


def test_a_process_without_a_seed_has_none_afterwards():
    tf.random.set_seed(None)
    with numerics(RunOptions()):
        assert tf.compat.v1.random.get_seed(None) != (None, None)
    assert tf.compat.v1.random.get_seed(None) == (None, None)


# --- the second run of a process ----------------------------------------


@pytest.fixture
def hidden_gpus(monkeypatch):
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    present = tf.config.list_physical_devices
    monkeypatch.setattr(
        tf.config,
        "list_physical_devices",
        lambda kind=None: [gpu] if kind == "GPU" else present(kind),
    )


def test_gpus_that_are_hidden_are_not_taken_for_used(hidden_gpus, capsys):
    with pytest.raises(UsageError, match="hidden earlier .* start a new proc"):
        choose(capsys, device="gpu")
    found = choose(capsys)
    assert found.description.startswith("1 CPU, no strategy")
    assert "the GPUs were hidden earlier in this process" in found.description
    assert "XLA off (CPU)" in found.description


@pytest.mark.usefixtures("empty_folder")
def test_no_gpu_is_a_usage_error(capsys):
    said = is_a_usage_error(capsys, "--device", "gpu")
    assert "--device gpu: TensorFlow sees no GPU here" in said
    assert "--device cpu" in said


@pytest.mark.usefixtures("empty_folder")
def test_replicas_must_be_able_to_share_the_batch(capsys):
    said = is_a_usage_error(
        capsys,
        "--dry-run",
        *("--strategy", "mirrored", "--cpu-devices", 2, "--batch-size", 33),
    )
    assert "--batch-size must be a multiple of the 2 replicas" in said
    assert "Received: 33" in said


@pytest.mark.usefixtures("empty_folder")
def test_the_cpu_cannot_be_split_again_in_a_process_that_runs(capsys):
    said = is_a_usage_error(capsys, "--dry-run", "--cpu-devices", 7)
    assert "For another --device or --cpu-devices, start a new proc" in said


def test_settings_from_python_are_checked_like_flags():
    with pytest.raises(UsageError, match="--epochs must be between 1"):
        set_up(Config(epochs=0))
