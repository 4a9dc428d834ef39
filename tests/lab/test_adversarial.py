"""Two networks in turns: their losses, their optimizers, their end."""

import dataclasses
from dataclasses import dataclass
from functools import partial

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


GAMES = {
    # the model, how it is trained, and what a split is to be for it
    "dcgan": (
        *({"choices": 3}, training.Adversarial),
        lambda split: split.to_reconstruct(),
    ),
    "conditional_gan": (
        *({}, partial(training.ConditionalAdversarial, penalty=1.0)),
        lambda split: split.to_draw(10),
    ),
}
each_game = pytest.mark.parametrize("name", GAMES)


def small_game(optimizer, name="dcgan"):
    """A game of two small networks, each with an optimizer of its own."""
    arguments, kind, _ = GAMES[name]
    model = zoo.create_model(name, filters=(4, 2), latent_dim=8, **arguments)
    game = kind(model.get_layer("generator"), model.get_layer("discriminator"))
    game.compile(optimizer(), optimizer())
    return game


def adam():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


def play(
    data,
    folder,
    name="dcgan",
    *,
    optimizer=adam,
    epochs=3,
    prepare=None,
    callbacks=(),
    **options,
):
    """Train a small game; return it and the history."""
    config = Config(epochs, run=RunOptions(output_dir=folder, **options))
    *_, prepared = GAMES[name]
    with open_run(config, data) as run:
        with run.scope():
            game = small_game(optimizer, name)
            if prepare:
                prepare(game)
        history = training.fit(
            *(run, game, prepared(data.train)),
            validation=prepared(data.validation),
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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("conditional_gan", marks=pytest.mark.thorough),
        # tests/survival/test_kills.py kills it, too.
        pytest.param("dcgan", marks=pytest.mark.slow),
    ],
)
def test_a_game_that_is_cut_off_ends_with_the_same_bits(name, digits, tmp_path):
    game, history = play(digits, tmp_path / "unbroken", name)
    with pytest.raises(KeyboardInterrupt):
        play(digits, tmp_path / "cut", name, callbacks=[Cut(2)])
    resumed, its_history = play(digits, tmp_path / "cut", name)
    assert without_times(its_history) == without_times(history)
    for optimizer in ("generator_optimizer", "discriminator_optimizer"):
        assert int(getattr(resumed, optimizer).iterations) == 3 * STEPS
    for one, other in zip(
        training_state(resumed), training_state(game), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), one.path)


def test_real_and_drawn_pictures_come_with_their_labels():
    """A picture passes if its first pixel is what its label says."""
    code, label = keras.Input((5,)), keras.Input((3,))
    draw = keras.layers.Dense(3, use_bias=False)
    drawn = keras.layers.Reshape((1, 3, 1))(draw(code))
    draw.set_weights([np.float32(10 * np.eye(5, 3))])
    picture = keras.Input((1, 3, 1))
    own = keras.layers.Dot(1)([keras.layers.Flatten()(picture), label])
    game = training.ConditionalAdversarial(
        keras.Model(code, drawn), keras.Model([picture, label], own)
    )
    game.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    labels = np.eye(3, dtype="float32")[[0, 2, 1, 1]]
    pictures = 10 * labels[:, np.newaxis, :, np.newaxis]
    game.test_step((tf.constant(labels), tf.constant(pictures)))
    certain = np.log1p(np.exp(-10))  # what it costs to be sure and right
    losses = {k: float(v) for k, v in game.get_metrics_result().items()}
    assert losses["generator_loss"] == pytest.approx(certain, rel=1e-3)
    assert losses["discriminator_loss"] == pytest.approx(10 + 2 * certain)


def test_a_penalty_is_half_the_squared_slope_at_real_pictures():
    code, picture = keras.Input((2,)), keras.Input((2, 2, 1))
    drawn = keras.layers.Reshape((2, 2, 1))(keras.layers.Dense(4)(code))
    odds = keras.layers.Dense(1)
    log_odds = odds(keras.layers.Flatten()(picture))
    players = keras.Model(code, drawn), keras.Model(picture, log_odds)
    odds.set_weights([np.float32([[1], [2], [0], [-2]]), np.zeros(1)])
    pictures = tf.random.stateless_normal((3, 2, 2, 1), (0, 0))

    def loss(penalty, training_=True):
        keras.utils.set_random_seed(0)
        game = training.Adversarial(*players, penalty=penalty)
        return float(game._loss_of_discriminator(pictures, pictures, training_))

    assert loss(4.0) - loss(0.0) == pytest.approx(0.5 * 4 * 9, rel=1e-5)
    assert loss(4.0, training_=False) == loss(0.0)


def test_a_penalty_on_what_normalizes_over_the_batch_is_refused():
    players = (
        zoo.create_model("dcgan", filters=(4, 2)).get_layer(name)
        for name in ("generator", "discriminator")
    )
    with pytest.raises(ValueError, match=r"over the batch.*penalty=0\.5"):
        training.Adversarial(*players, penalty=0.5)


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
@each_game
def test_two_devices_play_the_game_of_one(name, digits, tmp_path):
    """Plain gradient descent, for Adam would hide a doubled gradient.

    An epoch is enough: later the game makes much of what was rounding.
    """

    def losses(folder, **options):
        _, history = play(
            *(digits, tmp_path / folder, name),
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
