"""Two networks in turns: their losses, their optimizers, their end."""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.small_recipe import TWO, without_times
from helpers.tasks import sample

import zoo
from recipes.lab import training
from recipes.lab.flags import BatchSize, Epochs, RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training.progress import training_state

STEPS = 4  # of an epoch


@dataclass(frozen=True)
class Config:
    """The settings of the small game below."""

    epochs: Epochs = 3
    batch_size: BatchSize = 16
    run: RunOptions = RunOptions()


@pytest.fixture(scope="module")
def digits():
    """A few of the embedded digits."""
    data = sample()
    return dataclasses.replace(
        data,
        train=data.train[: STEPS * 16 + 3],
        validation=data.validation[:20],
    )


def small_game(optimizer):
    """A game of two small networks, each with an optimizer of its own."""
    model = zoo.create_model("dcgan", filters=(4, 2), choices=3, latent_dim=8)
    game = training.Adversarial(
        model.get_layer("generator"), model.get_layer("discriminator")
    )
    game.compile(optimizer(), optimizer())
    return game


def adam():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


def play(
    data,
    folder,
    *,
    optimizer=adam,
    epochs=3,
    prepare=None,
    callbacks=(),
    **options,
):
    """Train a small game; return it and the history."""
    config = Config(epochs, run=RunOptions(output_dir=folder, **options))
    with open_run(config, data) as run:
        with run.scope():
            game = small_game(optimizer)
            if prepare:
                prepare(game)
        history = training.fit(
            *(run, game, data.train.to_reconstruct()),
            validation=data.validation.to_reconstruct(),
            callbacks=callbacks,
        )
    return game, history


class Cut(keras.callbacks.Callback):
    """Press Ctrl-C in the midst of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.wanted = epoch
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.wanted and batch == 1:
            raise KeyboardInterrupt


@pytest.mark.thorough
def test_a_game_that_is_cut_off_ends_with_the_same_bits(digits, tmp_path):
    game, history = play(digits, tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        play(digits, tmp_path / "cut", callbacks=[Cut(2)])
    resumed, its_history = play(digits, tmp_path / "cut")
    assert without_times(its_history) == without_times(history)
    for optimizer in ("generator_optimizer", "discriminator_optimizer"):
        assert int(getattr(resumed, optimizer).iterations) == 3 * STEPS
    for one, other in zip(
        training_state(resumed), training_state(game), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), one.path)


def test_losses_are_those_of_the_game(digits):
    """Keras would show a `loss` of 0.0, which nobody has updated."""
    code, picture = keras.Input((2,)), keras.Input((28, 28, 1))
    drawn = keras.layers.Reshape((28, 28, 1))(keras.layers.Dense(784)(code))
    # It says 1/2 of everything, and with this optimizer it goes on to.
    odds = keras.layers.Dense(1, kernel_initializer="zeros")
    log_odds = odds(keras.layers.Flatten()(picture))
    game = training.Adversarial(
        keras.Model(code, drawn), keras.Model(picture, log_odds)
    )
    game.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    pictures = digits.validation.inputs / np.float32(255)
    data = tf.data.Dataset.from_tensor_slices((pictures, pictures)).batch(8)
    history = game.fit(
        data, validation_data=data, shuffle=False, verbose=0
    ).history
    for of in ("", "val_"):
        [discriminator] = history[f"{of}discriminator_loss"]
        [generator] = history[f"{of}generator_loss"]
        assert discriminator == pytest.approx(2 * np.log(2), rel=1e-6)
        assert generator == pytest.approx(np.log(2), rel=1e-6)
    assert "loss" not in history


@pytest.mark.thorough
def test_each_learns_from_its_own_loss_alone(digits, tmp_path):
    def weights_of(game):
        return [
            [v.numpy() for v in player.trainable_variables]
            for player in (game.generator, game.discriminator)
        ]

    before = {}

    def remember(game):
        game.generator_optimizer.learning_rate = 0.0
        before["weights"] = weights_of(game)

    game, history = play(
        digits,
        tmp_path,
        optimizer=lambda: keras.optimizers.Adam(0.01),
        prepare=remember,
    )
    for one, other in zip(
        weights_of(game)[0], before["weights"][0], strict=True
    ):
        np.testing.assert_array_equal(one, other)
    losses = history["discriminator_loss"]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.thorough
def test_what_is_left_in_the_end_is_the_average(digits, tmp_path):
    game, _ = play(digits, tmp_path)
    averages = game.generator_optimizer._model_variables_moving_average
    for weight, average in zip(
        game.generator.trainable_variables, averages, strict=True
    ):
        np.testing.assert_array_equal(weight.numpy(), average.numpy())


@pytest.mark.thorough
def test_two_devices_play_the_game_of_one(digits, tmp_path):
    """Plain gradient descent, for Adam would hide a doubled gradient.

    An epoch is enough: later the game makes much of what was rounding.
    """

    def losses(folder, **options):
        _, history = play(
            *(digits, tmp_path / folder),
            optimizer=lambda: keras.optimizers.SGD(0.05),
            epochs=1,
            **options,
        )
        return without_times(history)

    alone = losses("one")
    for name, loss in losses("two", **TWO).items():
        np.testing.assert_allclose(loss, alone[name], rtol=1e-3, err_msg=name)


class Lazy(keras.Sequential):
    """A model whose second optimizer makes its variables when it is used."""

    def __init__(self):
        super().__init__([keras.Input((2,)), keras.layers.Dense(1)])
        self.others = {"late": [keras.optimizers.Adam()]}


def test_an_optimizer_that_would_not_be_saved_is_refused():
    model = Lazy()
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match=r"lazy.others\['late'\]\[0\]"):
        training_state(model)
    [late] = model.others["late"]
    late.build(model.trainable_variables)
    state = {id(variable) for variable in training_state(model)}
    assert state >= {id(v) for v in late.variables + model.optimizer.variables}
    assert len(state) == len(training_state(model))


def test_an_optimizer_in_a_layer_is_saved_too():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model = keras.Sequential([inner, keras.layers.Dense(1)])
    inner.compile("adam", "mse")
    model.compile("sgd", "mse")
    for part in (inner, model):
        part.optimizer.build(part.trainable_variables)
    state = {id(variable) for variable in training_state(model)}
    assert state >= {id(variable) for variable in inner.optimizer.variables}
