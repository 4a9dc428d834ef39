"""The device changes the speed, never the semantics."""

import dataclasses
import random
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import is_a_usage_error
from tensorflow.python.framework.config import (
    disable_op_determinism,
    is_op_determinism_enabled,
)

import zoo
from recipes.lab.data import sources, splits
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.tasks import Classification
from recipes.lab.training import distributed, fitting
from recipes.lab.training.devices import numerics, set_up

EPOCHS, STEPS, BATCH = 2, 5, 32
ONE = {}
TWO = {"strategy": "mirrored", "cpu_devices": 2}


@dataclass(frozen=True)
class Config:
    epochs: int = EPOCHS
    batch_size: int = BATCH
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    """A few digits; no split is a multiple of the batches or the replicas."""
    data = sources.load("mnist", RunOptions(dry_run=True))

    def first(split, count):
        return splits.Split(split.inputs[:count], split.targets[:count])

    return dataclasses.replace(
        data,
        train=first(data.train, STEPS * BATCH + 7),
        validation=first(data.validation, 51),
        test=first(data.train, 1_001),
    )


def perceptron():
    return zoo.create_model("mlp", hidden_units=(16,), dropout=0.0)


def convolution(dropout=0.0):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (4, 8):
        x = keras.layers.Conv2D(filters, 3, 2, use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(image, keras.layers.Dense(10, "softmax")(x))


def random_convolution():
    return convolution(dropout=0.3)


class Cut(keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == STEPS + 2:
            raise KeyboardInterrupt


@dataclass
class Trained:
    model: keras.Model
    history: dict
    metrics: dict
    probabilities: np.ndarray
    synchronized: list  # what batch normalisation was during training

    def weights(self):
        return [v.numpy() for v in self.model.variables]

    def bits(self):
        optimizer = self.model.optimizer
        return self.weights() + [v.numpy() for v in optimizer.variables]


class Watch(keras.callbacks.Callback):
    """Notes whether batch normalisation is synchronised during training."""

    def on_train_end(self, logs=None):
        self.seen = synchronized(self.model)


def synchronized(model):
    norms = keras.layers.BatchNormalization
    return [x.synchronized for x in model.layers if isinstance(x, norms)]


@pytest.fixture(scope="module")
def train(digits, tmp_path_factory):
    """A function that trains a small model on some devices."""

    def function(build, options, callbacks=(), output=None):
        output = output or tmp_path_factory.mktemp("output")
        options = RunOptions(output_dir=output, **options)
        config = Config(run=options)
        with open_run(config, digits) as run:
            with run.scope():
                model = build()
                model.compile(
                    optimizer=keras.optimizers.Adam(0.001),
                    loss="sparse_categorical_crossentropy",
                    metrics=["accuracy"],
                )
            watch = Watch()
            history = fitting.fit(
                run,
                model,
                digits.train,
                validation=digits.validation,
                callbacks=[*callbacks, watch],
            )
            scores = Classification(digits).score(model, digits.test)
        return Trained(
            model, history, scores.metrics, scores.outputs, watch.seen
        )

    return function


@pytest.fixture(scope="module")
def convolution_on_one(train):
    return train(convolution, ONE)


@pytest.fixture(scope="module")
def convolution_on_two(train):
    return train(convolution, TWO)


def largest_difference(one, other):
    pairs = zip(one, other, strict=True)
    return max(np.max(np.abs(a - b)) for a, b in pairs)


# --- two replicas -------------------------------------------------------


@pytest.fixture
def no_device_iterators(monkeypatch):
    """Refuse the iterator that cannot be deleted while its tuner sleeps."""
    from tensorflow.python.data.ops import multi_device_iterator_ops

    monkeypatch.setattr(
        multi_device_iterator_ops, "OwnedMultiDeviceIterator", None
    )


def test_mirrored_equals_one_device(train, no_device_iterators):
    """Ten steps of Adam differ by rounding only.

    The two halves of a batch are summed in another order, which makes 1e-7 of
    a weight here: 1e-5 is well above that, and far below the 1e-3 by which
    Adam moves a weight in one step.
    """
    one, two = train(perceptron, ONE), train(perceptron, TWO)
    assert largest_difference(one.weights(), two.weights()) < 1e-5
    assert largest_difference([one.probabilities], [two.probabilities]) < 1e-5
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(
            one.history[name], two.history[name], atol=1e-5
        )


def test_mirrored_with_synchronised_batch_norm_is_close_to_one_device(
    convolution_on_one, convolution_on_two
):
    """Ten steps with batch normalisation, which magnifies rounding.

    It divides by a deviation, so weights differ by some 5e-6 here and the
    looser bounds are 5e-4 for them and 5e-5 for the losses. Statistics of
    half a batch, not synchronised, make it 3e-3 and 1e-3.
    """
    one, two = convolution_on_one, convolution_on_two
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            one.history[name], two.history[name], atol=5e-5
        )
    assert largest_difference(one.weights(), two.weights()) < 5e-4


def test_batch_norm_is_synchronised_while_training_and_plain_again_after(
    convolution_on_one, convolution_on_two, tmp_path
):
    one, two = convolution_on_one, convolution_on_two
    assert one.synchronized == [False, False]
    assert two.synchronized == [True, True]
    two.model.save(tmp_path / "two.keras")
    saved = keras.saving.load_model(tmp_path / "two.keras")
    assert synchronized(two.model) == synchronized(saved) == [False, False]


def test_what_a_builder_synchronised_stays_so(tmp_path):
    devices = set_up(Config(run=RunOptions(**TWO)))
    with devices.scope():
        models = [zoo.cnn(synchronized=built) for built in (True, False)]
        for model in models:
            model.compile("sgd", "mse")
    for built, model in zip((True, False), models, strict=True):
        for _ in range(2):
            distributed.prepare_model(model, devices)
            assert synchronized(model) == [True] * 3
        distributed.restore_model(model)
        assert synchronized(model) == [built] * 3


def small_cnn(**arguments):
    return zoo.deep_cnn(
        (8, 8, 1), filters=(4,), kernel_sizes=(3,), strides=(2,), **arguments
    )


def small_transfer(**arguments):
    return zoo.transfer_classifier(
        (8, 8, 1), backbone=small_cnn(), mode="full", **arguments
    )


@pytest.mark.parametrize(
    "build",
    [small_cnn, pytest.param(small_transfer, marks=pytest.mark.thorough)],
)
@pytest.mark.thorough
def test_a_strategy_of_ones_own_needs_synchronised_builders(build, tmp_path):
    """One replica gets brighter images, so its statistics are others."""
    bright = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1))
    halves = [
        tf.data.Dataset.from_tensors((images, np.arange(16) % 10)).repeat(3)
        for images in (bright, bright // 8)
    ]
    devices = set_up(Config(run=RunOptions(**TWO)))

    def change_by_saving(**arguments):
        with devices.scope():
            model = build(**arguments)
            model.compile("sgd", "sparse_categorical_crossentropy")
        data = devices.distribute(halves)
        model.fit(data, steps_per_epoch=3, shuffle=False, verbose=0)
        model.save(tmp_path / "model.keras")
        saved = keras.saving.load_model(tmp_path / "model.keras")(bright)
        answers = devices.strategy.run(tf.function(lambda: model(bright)))
        return max(
            np.max(np.abs(answer - saved))
            for answer in devices.strategy.experimental_local_results(answers)
        )

    assert change_by_saving() > 1e-3
    assert change_by_saving(synchronized=True) < 1e-5


def test_every_image_is_scored_once_though_replicas_get_unequal_shares(
    convolution_on_two, digits
):
    """1,001 images in batches of 501 and 500 on two replicas, against NumPy's
    own count with the bare model on one device."""
    two = convolution_on_two
    bare = convolution()
    bare.set_weights(two.model.get_weights())
    expected = bare.predict(digits.test.inputs, batch_size=77, verbose=0)
    assert two.probabilities.shape == (1_001, 10)
    np.testing.assert_allclose(two.probabilities, expected, atol=1e-5)
    right = np.mean(expected.argmax(axis=1) == digits.test.targets)
    assert two.metrics["test_accuracy"] == pytest.approx(right, abs=2e-3)

    images = digits.validation.inputs
    chosen = bare.predict(images, verbose=0)[
        np.arange(51), digits.validation.targets
    ]
    assert two.history["val_loss"][-1] == pytest.approx(
        -np.mean(np.log(chosen)), abs=1e-4
    )


def test_a_model_from_outside_the_scope_is_refused(capsys):
    """Keras would train it on one device, and say nothing."""
    devices = set_up(Config(run=RunOptions(**TWO)))
    model = perceptron()
    model.compile(loss="mse")
    with pytest.raises(ValueError, match=r"mlp would not be .*scope\(\)"):
        distributed.prepare_model(model, devices)


@pytest.mark.thorough
def test_a_mirrored_run_goes_on_with_the_same_bits(train, tmp_path):
    whole = train(random_convolution, TWO)
    with pytest.raises(KeyboardInterrupt):
        train(random_convolution, TWO, [Cut()], output=tmp_path)
    resumed = train(random_convolution, TWO, output=tmp_path)
    assert len(list((tmp_path / "runs" / "test_devices-sample").iterdir())) == 1
    for a, b in zip(whole.bits(), resumed.bits(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.probabilities, resumed.probabilities)


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


def test_auto_takes_one_cpu_and_says_that_there_are_more(capsys):
    devices = choose(capsys, cpu_devices=2)
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


def test_mixed_precision_trains_and_scores(train, convolution_on_one, capsys):
    mixed = train(convolution, {"precision": "mixed_bfloat16"})
    assert "mixed_bfloat16" in capsys.readouterr().out
    assert mixed.model.layers[2].compute_dtype == "bfloat16"
    assert {v.dtype for v in mixed.weights()} == {np.dtype("float32")}
    assert mixed.probabilities.dtype == np.float32
    # bfloat16 has 8 bits of precision.
    np.testing.assert_allclose(mixed.probabilities.sum(axis=1), 1, atol=0.02)
    exact = convolution_on_one.history["loss"]
    np.testing.assert_allclose(mixed.history["loss"], exact, rtol=0.05)


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
