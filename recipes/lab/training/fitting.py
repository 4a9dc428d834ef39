"""`model.fit` that can be killed at any moment, and resumes as if it had not.

What it has reached is kept by `Progress`, and the data of an epoch depend on
seed and epoch alone. So a run that was killed ends with the same bits as one
that was not.
"""

from collections.abc import Callable, Sequence

import keras

from recipes.lab.data import splits
from recipes.lab.data.batches import (
    training_batches,
    validation_batches,
    validation_share,
)
from recipes.lab.data.splits import Split
from recipes.lab.errors import UsageError
from recipes.lab.training import distributed, fused, parts, unrolling
from recipes.lab.training.progress import (
    Progress,
    optimizers_of,
    tensorboard_folder,
    training_state,
)
from recipes.lab.training.schedules import Later
from recipes.lab.training.watching import Watcher, folder_of

REPEATS_APART = 1_000  # seeds, so that runs of other seeds repeat none of them


def fit(
    run,
    model: keras.Model,
    train: Split,
    *,
    validation: Split | None = None,
    augment: Callable | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    watch: Callable | None = None,
    phase: str = "train",
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Train a compiled model, or finish the training that was cut off.

    Args:
        run: The open run.
        model: A compiled model; it is trained in place.
        train: Inputs and targets to fit.
        validation: Inputs and targets to watch after each epoch.
        augment: Function `(images, draw) -> images` on a training batch, see
            `recipes.lab.data.augmentation`.
        callbacks: Further Keras callbacks. `EarlyStopping` and
            `ReduceLROnPlateau` are resumed, too.
        watch: Function that returns a few pictures `(n, height, width,
            channels)` in [0, 1] as the model draws them now, the same each time
            but for what it has learned. It is called after some epochs, and the
            report shows what it returned. It may move no variable.
        phase: Name of this fit, for recipes with several.
        epochs: Number of epochs; None for the Config's.
        batch_size: Global batch size; None for the Config's.
        seed: Seed of the order and of the augmentation, see `seed_repeat`;
            None for the run's.
        quiet: Say one line at the end, for recipes with many.

    Returns:
        The history: metric name to one value an epoch; `seconds` and
        `cpu_seconds` of each epoch are among them.

    Raises:
        UsageError: If the model has another number of outputs than the data
            has classes.
        RecipeError: If the loss or a variable became NaN or infinite, or a
            variable has different values on the replicas.
        KeyboardInterrupt: After saying what is kept.
    """
    epochs = epochs or run.config.epochs
    batch_size = batch_size or run.config.batch_size
    steps = splits.steps_per_epoch(train, batch_size)
    _check_outputs(model, train, run.data)
    share = validation and validation_share(validation, run.devices.replicas)
    distributed.prepare_model(model, run.devices, share)
    run.losses[phase] = _loss_in_words(model)
    rates = _rates_of(model)
    progress = Progress(
        *(run, training_state(model)),
        phase=phase,
        epochs=epochs,
        callbacks=callbacks,
        quiet=quiet,
        has_bar=True,
        for_tensorboard=False,  # a callback does
    )
    if progress.before:
        _begin_rates_anew(rates, progress)
    shares = run.devices.shares
    batches = training_batches(
        train,
        batch_size,
        seed=run.options.seed if seed is None else seed,
        initial_epoch=progress.before + progress.epoch,
        augment=augment,
        shares=shares,
    )
    if run.devices.parts:
        if not validation or len(validation) >= run.devices.parts:
            parts.compute_in_parts(model, run.devices.parts)
        unrolling.unroll(model)
        watched_closely = any(map(_watches_steps, callbacks))
        fused.fuse(model, batches[0], steps, one_by_one=watched_closely)
    watched = {}
    if validation:
        validation_shares, validation_steps = validation_batches(
            validation,
            replicas=max(run.devices.replicas, run.devices.parts),
            shares=shares,
        )
        watched = {
            "validation_data": run.devices.distribute(validation_shares),
            "validation_steps": validation_steps,
        }
    if watch and run.devices.is_chief:
        callbacks = [*callbacks, Watcher(folder_of(run, phase), epochs, watch)]
    if run.options.tensorboard and run.devices.is_chief:
        callbacks = [*callbacks, _tensorboard(run, phase)]
    model.fit(
        run.devices.distribute(batches),
        steps_per_epoch=steps,
        initial_epoch=epochs if progress.stopped else progress.epoch,
        epochs=epochs,
        shuffle=False,  # the batches are shuffled already
        callbacks=[*callbacks, _Recorder(progress)],
        verbose=1 if progress.has_bar and not progress.quiet else 0,
        **watched,
    )
    distributed.restore_model(model)
    parts.compute_as_a_whole(model)
    unrolling.roll(model)
    fused.unfuse(model)
    return progress.history


def steps(run, train: Split | None = None) -> int:
    """Return the number of steps of a whole fit, for a learning rate schedule.

    Args:
        run: The open run.
        train: What is fitted; None for the run's own training split.
    """
    train = run.data.train if train is None else train
    per_epoch = splits.steps_per_epoch(train, run.config.batch_size)
    return run.config.epochs * per_epoch


def seed_repeat(run, number: int) -> int:
    """Seed the weights and the dropout of one of several equal trainings.

    Each number has its own draws. The networks that are built after a call with
    the same number begin with the same weights, if they are the same: so what
    is compared differs in nothing else.

    Args:
        run: The open run.
        number: Number of the training, from 0, whose draws are the run's own.

    Returns:
        The seed of its batches, for `fit`.
    """
    seed = (run.options.seed + number * REPEATS_APART) % 2**31
    keras.utils.set_random_seed(seed)
    return seed


def train_seconds(*histories: dict) -> dict[str, float]:
    """Return the wall and CPU seconds of whole fits, as metrics.

    They hold everything from the first step's tracing to the last validation.
    """
    return {
        f"train_{name}": sum(sum(history[name]) for history in histories)
        for name in ("seconds", "cpu_seconds")
    }


def _check_outputs(model, train: Split, data) -> None:
    """Refuse a classifier of other classes now, and not when it is exported."""
    shape, classes = getattr(model, "output_shape", None), data.num_classes
    if model.loss is None:  # whatever it learns, it is not the classes
        return
    if train.prepare or isinstance(train.targets, dict):
        return
    if train.targets.dtype.kind != "i":
        return
    if not isinstance(shape, tuple) or len(shape) != 2:
        return
    # Recipes may fit a part of the classes, numbered anew.
    is_whole = train.targets.max() + 1 == classes
    fitting = (classes, 1) if classes == 2 else (classes,)
    if is_whole and shape[1] not in fitting:
        raise UsageError(
            f"{model.name} has {shape[1]} outputs, and {data.name} has "
            f"{classes} classes. Build it with num_classes={classes}."
        )


_LOSSES = {
    "binary_crossentropy": "cross-entropy",
    "categorical_crossentropy": "cross-entropy",
    "energies": "energy of images and codes",
    "sparse_categorical_crossentropy": "cross-entropy",
    "categorical_hinge": "hinge loss",
    "mse": "mean squared error",
    "mean_squared_error": "mean squared error",
}


def _rates_of(model: keras.Model) -> dict:
    """Return the optimizers of a model, and the learning rate of each."""
    rates = {}
    for optimizer in optimizers_of(model).values():
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        rate = optimizer._learning_rate
        if isinstance(rate, keras.Variable):
            rate = float(rate.numpy())
        rates[optimizer] = rate
    return rates


def _begin_rates_anew(rates: dict, progress: Progress) -> None:
    """Have learning rates be those of this run, not of what it continues.

    A schedule goes by the steps of the optimizer, which are counted on: for
    Adam they say how much its averages are worth.
    """
    for optimizer, rate in rates.items():
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            start = int(progress.at_start(optimizer.iterations))
            optimizer.learning_rate = Later(rate, start)
        elif isinstance(rate, float) and not progress.epoch:
            optimizer.learning_rate = rate


def _loss_in_words(model: keras.Model) -> str:
    """Return what a compiled model calls its loss."""
    if isinstance(model.loss, dict):
        words = dict.fromkeys(map(_name_of_loss, model.loss.values()))
        return f"sums of {' and '.join(words)} over the outputs"
    if model.loss is None:
        return "what layers of the model add"
    words = _name_of_loss(model.loss)
    weights = model.trainable_variables
    if any(weight.regularizer for weight in weights) or any(
        getattr(layer, "activity_regularizer", None)
        for layer in model._flatten_layers()
    ):
        words += " with penalties"
    return words


def _name_of_loss(loss) -> str:
    name = getattr(loss, "name", None) or getattr(loss, "__name__", str(loss))
    words = _LOSSES.get(name, f"`{name}`")
    if getattr(loss, "label_smoothing", 0):
        words += " of smoothed labels"
    return words


def _watches_steps(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback looks at the model before or after each step."""
    return any(
        getattr(getattr(callback, name), "__func__", None)
        is not getattr(keras.callbacks.Callback, name)
        for name in (
            *("on_batch_begin", "on_batch_end"),
            *("on_train_batch_begin", "on_train_batch_end"),
        )
    )


def _tensorboard(run, phase: str) -> keras.callbacks.Callback:
    folder = tensorboard_folder(run, phase)
    return keras.callbacks.TensorBoard(folder, write_graph=False)


class _Recorder(keras.callbacks.Callback):
    """Tells `Progress` what Keras' `fit` does."""

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress = progress

    def on_train_begin(self, logs=None):
        # Early stopping has just forgotten everything.
        self.progress.remind_callbacks()
        self.progress.begin()

    def on_epoch_end(self, epoch, logs=None):
        self.progress.end_epoch(logs, stopped=bool(self.model.stop_training))
