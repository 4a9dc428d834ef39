"""The device changes the speed, never the semantics."""

import dataclasses
import functools
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import only_thorough
from helpers.small_recipe import (
    TWO,
    Config,
    Cut,
    Training,
    assert_same_training,
    few_digits,
    first,
    perceptron,
)
from helpers.tasks import sample

import zoo
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import distributed
from recipes.lab.training.devices import set_up

ONE = {}


@pytest.fixture(scope="module")
def unequal():
    """A few digits; no split is a multiple of the batches or the replicas."""
    return dataclasses.replace(
        few_digits(validation=51), test=first(sample().train, 1_001)
    )


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


def adam():
    return keras.optimizers.Adam(0.001)


def random_convolution():
    return convolution(dropout=0.3)


def few_branches():
    return zoo.hydranet(
        branches=3, chosen=1, stem_filters=2, branch_filters=(3, 4)
    )


@dataclass
class Trained(Training):
    synchronized: list | None = None  # what batch normalization was meanwhile


class Watch(keras.callbacks.Callback):
    """Notes whether batch normalization is synchronized during training."""

    def on_train_end(self, logs=None):
        self.seen = synchronized(self.model)


def synchronized(model):
    norms = keras.layers.BatchNormalization
    return [x.synchronized for x in model.layers if isinstance(x, norms)]


@pytest.fixture(scope="module")
def train(unequal, tmp_path_factory):
    """A function that trains a small model on some devices."""

    def function(build, options, callbacks=(), output=None, optimizer=adam):
        output = output or tmp_path_factory.mktemp("output")
        options = RunOptions(output_dir=output, **options)
        trained, watch = Trained(), Watch()
        with open_run(Config(epochs=2, run=options), unequal) as run:
            trained.fit(
                run,
                lambda: (build(), optimizer()),
                callbacks=[*callbacks, watch],
            )
            trained.score(run)
        trained.synchronized = watch.seen
        return trained

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
    """Ten steps of Adam, with dropout, differ by rounding only.

    The two halves of a batch are summed in another order, which makes 1e-7 of
    a weight here: 1e-5 is well above that, and far below the 1e-3 by which
    Adam moves a weight in one step.
    """
    one, two = (train(lambda: perceptron(0.5), on) for on in (ONE, TWO))
    assert largest_difference(one.weights(), two.weights()) < 1e-5
    assert largest_difference([one.probabilities], [two.probabilities]) < 1e-5
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(
            one.history[name], two.history[name], atol=1e-5
        )


@pytest.mark.parametrize(
    "limit",
    only_thorough(
        ["global_clipnorm", "clipnorm", "clipvalue"], ["global_clipnorm"]
    ),
)
def test_it_is_the_gradient_of_the_batch_that_is_clipped(train, limit):
    """Each replica's own, clipped, would make a step up to twice as long."""

    def sgd(limits):
        return functools.partial(keras.optimizers.SGD, 0.1, **limits)

    limits = {limit: 0.01}
    one, two = (
        train(perceptron, on, optimizer=sgd(limits)) for on in (ONE, TWO)
    )
    assert largest_difference(one.weights(), two.weights()) < 1e-6
    free = train(perceptron, ONE, optimizer=sgd({}))
    assert largest_difference(one.weights(), free.weights()) > 1e-3
    assert "_clip_gradients" not in vars(two.model.optimizer)


@pytest.mark.thorough
def test_mirrored_with_synchronized_batch_norm_is_close_to_one_device(
    convolution_on_one, convolution_on_two
):
    """Ten steps with batch normalization, which magnifies rounding.

    It divides by a deviation, so weights differ by some 5e-6 here and the
    looser bounds are 5e-4 for them and 5e-5 for the losses. Statistics of
    half a batch, not synchronized, make it 3e-3 and 1e-3.
    """
    one, two = convolution_on_one, convolution_on_two
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            one.history[name], two.history[name], atol=5e-5
        )
    assert largest_difference(one.weights(), two.weights()) < 5e-4


@pytest.mark.thorough
def test_a_branch_is_normalized_by_what_all_replicas_send_through_it(train):
    """Rounding makes some 5e-5 of difference."""
    one, two = (train(few_branches, devices) for devices in (ONE, TWO))
    assert largest_difference(one.weights(), two.weights()) < 5e-4
    assert two.synchronized == [True] * 4


@pytest.mark.thorough
def test_batch_norm_is_synchronized_while_training_and_plain_again_after(
    convolution_on_one, convolution_on_two, tmp_path
):
    one, two = convolution_on_one, convolution_on_two
    assert one.synchronized == [False, False]
    assert two.synchronized == [True, True]
    two.model.save(tmp_path / "two.keras")
    saved = keras.saving.load_model(tmp_path / "two.keras")
    assert synchronized(two.model) == synchronized(saved) == [False, False]


def test_what_a_builder_synchronized_stays_so(tmp_path):
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
def test_a_strategy_of_ones_own_needs_synchronized_builders(build, tmp_path):
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


@pytest.mark.thorough
def test_every_image_is_scored_once_though_replicas_get_unequal_shares(
    convolution_on_two, unequal
):
    """1,001 images in batches of 501 and 500 on two replicas, against NumPy's
    own count with the bare model on one device."""
    two = convolution_on_two
    bare = convolution()
    bare.set_weights(two.model.get_weights())
    expected = bare.predict(unequal.test.inputs, batch_size=77, verbose=0)
    assert two.probabilities.shape == (1_001, 10)
    np.testing.assert_allclose(two.probabilities, expected, atol=1e-5)
    right = np.mean(expected.argmax(axis=1) == unequal.test.targets)
    assert two.metrics["test_accuracy"] == pytest.approx(right, abs=2e-3)

    images = unequal.validation.inputs
    chosen = bare.predict(images, verbose=0)[
        np.arange(51), unequal.validation.targets
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
        train(random_convolution, TWO, [Cut(1)], output=tmp_path)
    resumed = train(random_convolution, TWO, output=tmp_path)
    assert len(list((tmp_path / "runs" / "small_recipe-sample").iterdir())) == 1
    assert_same_training(whole, resumed)


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
