"""Every patch of Keras that training under tf.distribute needs."""

import contextlib
import functools
import itertools
import threading

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import image as keras_image
from keras.src.backend.tensorflow import random as keras_random

from recipes.lab.training.devices import Devices

_OVERRIDES = (
    "_get_metrics_result_or_logs",
    "_maybe_symbolic_build",
    "reset_metrics",
    "test_step",
    "train_step",
)
_OPTIMIZER_OVERRIDES = ("_all_reduce_sum_gradients", "_clip_gradients")


def prepare_model(
    model, devices: Devices, validation_share: int | None = None
) -> None:
    """Put right what Keras lacks under a strategy; `restore_model` undoes it.

    Batch normalization takes its statistics over the whole batch, not over each
    replica's part, random numbers are drawn for the whole batch, see
    `draw_for_whole_batch`, and it is the whole batch's gradient that is clipped
    and not each replica's. The optimizer's variables are made now, inside the
    scope, for a checkpoint to go into.

    With several workers Keras fails when it builds the model from a batch,
    though it is built, and when it averages the metrics of a step. They stay in
    their variables here, which are summed over the workers once an epoch.

    Args:
        model: A compiled model.
        devices: What it is trained on.
        validation_share: Examples of a replica in a batch of validation, of
            which the last may have fewer.

    Raises:
        ValueError: If the model was made outside of the scope.
    """
    if devices.strategy not in (None, model.distribute_strategy):
        raise ValueError(
            f"{model.name} would not be trained on all devices: make the "
            "model, and models made of its layers, within devices.scope()."
        )
    with devices.scope():
        if devices.replicas > 1:
            on_gpus = bool(tf.config.list_logical_devices("GPU"))
            by_grpc = devices.cluster is not None and not on_gpus
            _synchronize_batch_norm(
                model, _gathered_and_added if by_grpc else _all_reduced
            )
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
            if devices.replicas > 1:
                _clip_sums(_innermost(model.optimizer))
    if devices.replicas > 1:
        model.train_step = draw_for_whole_batch(model.train_step)
        model.test_step = draw_for_whole_batch(
            model.test_step, validation_share
        )
        model.train_function = model.test_function = None
    if devices.cluster is not None:
        model._maybe_symbolic_build = lambda *arguments, **options: None
        # One graph asks for all at once, in 6 ms; one by one they take 20.
        metrics = tf.function(model.get_metrics_result)
        model._get_metrics_result_or_logs = lambda _: metrics()

        @tf.function
        def reset(count):  # traced anew when training has made more of them
            devices.strategy.run(keras.Model.reset_metrics, args=(model,))

        model.reset_metrics = lambda: reset(len(model.metrics_variables))
        model.train_function = _on_all_workers(model, model.train_step)
        model.test_function = _on_all_workers(model, model.test_step)


def restore_model(model) -> None:
    """Make a trained model the plain one again, as it is saved."""
    _synchronize_batch_norm(model, None)
    if model.optimizer is not None:
        for name in _OPTIMIZER_OVERRIDES:
            vars(_innermost(model.optimizer)).pop(name, None)
    for name in _OVERRIDES:
        if vars(model).pop(name, None):
            model.train_function = model.test_function = None


def differing(variables, devices: Devices) -> list:
    """Return the variables of which the replicas' copies have drifted apart.

    Keras keeps the copies of a weight equal by giving all replicas the same
    gradients. What `assign` moves by the share of a replica differs at once,
    unless the variable says how to aggregate it. Sums are compared and not the
    bits, for workers on other processors may round otherwise.
    """
    if devices.replicas == 1:
        return []
    variables = [v for v in variables if v.synchronization != "on_read"]
    strategy = devices.strategy

    def sums_of_copies(context):
        sums = []
        for variable in variables:
            copies = strategy.experimental_local_results(variable.value)
            copy = copies[context.replica_id_in_sync_group % len(copies)]
            values = copy.numpy().astype(float).ravel()
            # A plain sum would miss what moves from one value to another.
            total = values @ np.linspace(1, 2, len(values))
            sums.append([total, np.sum(np.abs(values))])
        return tf.constant([sums], tf.float64)

    sums = strategy.gather(
        strategy.experimental_distribute_values_from_function(sums_of_copies),
        axis=0,
    ).numpy()
    spread = np.ptp(sums[..., 0], axis=0)
    apart = spread > 1e-4 * np.max(sums[..., 1], axis=0)
    return [v for v, differs in zip(variables, apart, strict=True) if differs]


def _on_all_workers(model, step):
    """Return what Keras calls for each batch, and what says nothing of it."""

    @tf.function
    def run(iterator):
        model.distribute_strategy.run(step, args=(next(iterator),))

    def function(iterator):
        run(iterator)
        return {}

    return function


def _innermost(optimizer):
    """Return what takes the steps, where another one scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _clip_sums(optimizer) -> None:
    """Let replicas add their gradients before they are clipped, not after.

    Without a limit it leaves the optimizer as it is.
    """
    limits = ("clipnorm", "global_clipnorm", "clipvalue")
    if not any(getattr(optimizer, name) for name in limits):
        return

    def clip(gradients):
        added = iter(_all_reduced([g for g in gradients if g is not None]))
        sums = [None if g is None else next(added) for g in gradients]
        return type(optimizer)._clip_gradients(optimizer, sums)

    optimizer._clip_gradients = clip
    optimizer._all_reduce_sum_gradients = list


def _synchronize_batch_norm(model, sum_over_replicas) -> None:
    """Make batch norm use a sum over all replicas; None undoes it."""
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if sum_over_replicas is None:
            vars(layer).pop("_moments", None)
            layer.synchronized = vars(layer).pop(
                "_synchronized_before", layer.synchronized
            )
        else:
            vars(layer).setdefault("_synchronized_before", layer.synchronized)
            layer.synchronized = True
            layer._moments = functools.partial(
                _moments_of_all, layer, sum_over_replicas
            )


def _moments_of_all(layer, sum_over_replicas, inputs, mask):
    """Return mean and variance over all replicas, with one question to them.

    Keras asks three in each direction, and among workers a question costs more
    than the statistics. All replicas have equal shares of a training batch.
    """
    if mask is not None:
        return type(layer)._moments(layer, inputs, mask)
    axes = layer._reduction_axes
    sums = [tf.reduce_sum(x, axes) for x in (inputs, tf.square(inputs))]
    total, squares = tf.unstack(sum_over_replicas(tf.stack(sums)))
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    share = tf.size(inputs) // tf.size(total)
    count = tf.cast(replicas * share, total.dtype)
    # Plain division becomes multiplication in some graphs, and rounds anew.
    mean = tf.math.divide_no_nan(total, count)
    square = tf.math.divide_no_nan(squares, count)
    return mean, tf.maximum(square - tf.square(mean), 0.0)


def _all_reduced(value):
    """Return the sum of a value, or of each of a list, over all replicas."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


_GATHERS = 1 << 20  # a group beside those that tf.distribute counts from 1
_gathers = itertools.count()


@tf.custom_gradient
def _gathered_and_added(value):
    """Return the sum of what the workers have, in half an all-reduce's time.

    Over gRPC an all-reduce goes around the ring twice, an all-gather once, and
    for as little as this a round costs more than the bytes.
    """

    def total(value):
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        parts = tf.raw_ops.CollectiveGatherV2(
            input=value[tf.newaxis],
            group_size=replicas,
            group_key=_GATHERS,
            instance_key=next(_gathers),
            ordering_token=[],
        )
        parts = tf.ensure_shape(parts, [replicas, *value.shape])
        return tf.add_n(tf.unstack(parts))

    return total(value), total


# --- random numbers -----------------------------------------------------

_replica = threading.local()  # tf.distribute runs each replica in a thread


def draw_for_whole_batch(step, share: int | None = None):
    """Return a step that draws the random numbers that one device would draw.

    Under tf.distribute all replicas have the same seeds, so Keras would give
    the first example of each the same dropout mask and the same noise. Here a
    replica draws for the examples of the replicas before it, too, and takes the
    numbers of its own: those that one device draws for them.

    What tells a draw for the examples is its leading dimension, which is the
    number of examples that this replica has or a multiple of it. Any other draw
    is for the whole batch: all replicas have the same, which is again what one
    device has. The size alone cannot tell a random matrix that happens to have
    as many rows from a row for each example; each replica gets its own then.

    Not what one device would have, but each replica's own, are permutations of
    the batch and `RandomElasticTransform`, which Keras draws elsewhere.

    Args:
        step: A function of a batch of this replica, for `strategy.run`. The
            first tensor in its arguments has the examples.
        share: Number of examples of each replica before this one; None for as
            many as this one has.

    Returns:
        A function of the same arguments.
    """

    @functools.wraps(step)
    def step_of_replica(*data):
        context = tf.distribute.get_replica_context()
        number = tf.get_static_value(context.replica_id_in_sync_group)
        batch = next(x for x in keras.tree.flatten(data) if x is not None)
        rows = keras.ops.shape(batch)[0]
        _replica.number, _replica.rows = int(number), rows
        _replica.first = _replica.number * (rows if share is None else share)
        with _patched_draws():
            try:
                return step(*data)
            finally:
                vars(_replica).clear()

    return step_of_replica


def _rows_before(shape) -> int | tf.Tensor:
    """Return how many rows of a draw belong to the replicas before this one."""
    rows = getattr(_replica, "rows", None)
    if rows is None or not len(shape):
        return 0
    size = shape[0]
    if isinstance(size, int) and (not isinstance(rows, int) or size % rows):
        return 0
    return _replica.first * (size // rows)


def _sizes(shape) -> list:
    """Return a shape as a list, of integers as far as they are known."""
    if tf.is_tensor(shape):
        known = tf.get_static_value(shape)
        shape = tf.unstack(shape) if known is None else known.tolist()
    known = [tf.get_static_value(size) for size in shape]
    return [
        s if k is None else int(k) for s, k in zip(shape, known, strict=True)
    ]


def _below(first, values):
    """Put so many rows, which nobody looks at, before those of the examples."""
    return tf.concat([tf.repeat(values[:1], first, axis=0), values], axis=0)


def _by_rows(draw):
    """Return a function that draws as `draw` does, given a shape."""

    @functools.wraps(draw)
    def draw_rows(shape, *arguments, **options):
        sizes = _sizes(shape)
        first = _rows_before(sizes)
        if isinstance(first, int) and first == 0:
            return draw(shape, *arguments, **options)

        def below(value):
            arrays = tf.is_tensor(value) or isinstance(value, np.ndarray)
            if not arrays or len(value.shape) < len(sizes):
                return value
            return value if value.shape[0] == 1 else _below(first, value)

        numbers = draw(
            [first + sizes[0], *sizes[1:]],
            *map(below, arguments),
            **{name: below(value) for name, value in options.items()},
        )
        return numbers[first:]

    return draw_rows


def _categorical(logits, num_samples, dtype="int64", seed=None):
    first = _rows_before(keras.ops.shape(logits))
    draw = _KERAS_DRAWS["categorical"]
    return draw(_below(first, logits), num_samples, dtype, seed)[first:]


def _dropout(inputs, rate, noise_shape=None, seed=None):
    if rate in (0, 1) or not hasattr(_replica, "rows"):
        draw = _KERAS_DRAWS["dropout"]
        return draw(inputs, rate, noise_shape, seed)
    shape = keras.ops.shape(inputs)
    noise_shape = [
        size if of_noise is None else of_noise
        for size, of_noise in zip(
            shape, noise_shape or [None] * len(shape), strict=True
        )
    ]
    seed = keras_random._cast_seed(keras_random.draw_seed(seed))

    @_by_rows
    def draw(shape, dtype):
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)

    return tf.nn.experimental.general_dropout(inputs, rate, draw, noise_shape)


def _shuffle(x, axis=0, seed=None):
    if axis != 0:
        return _KERAS_DRAWS["shuffle"](x, axis, seed)
    places = keras_random.uniform(keras.ops.shape(x)[:1], seed=seed)
    return tf.gather(x, tf.argsort(places))


def _seed_of_replica(seed):
    seed = keras_random.draw_seed(seed)
    if number := getattr(_replica, "number", 0):
        return tf.random.experimental.stateless_fold_in(seed, number)
    return seed


_KERAS_DRAWS = {
    name: getattr(keras_random, name)
    for name in (
        *("beta", "binomial", "categorical", "dropout", "gamma", "normal"),
        *("randint", "shuffle", "truncated_normal", "uniform"),
    )
}
_DRAWS = {name: _by_rows(draw) for name, draw in _KERAS_DRAWS.items()} | {
    "categorical": _categorical,
    "dropout": _dropout,
    "shuffle": _shuffle,
}
_steps = 0  # how many are being traced, or run eagerly
_steps_lock = threading.Lock()


@contextlib.contextmanager
def _patched_draws():
    """Let Keras draw as the functions above do until the last replica is out.

    Replicas wait for each other within their steps, so none may undo it alone.
    """
    global _steps
    with _steps_lock:
        _steps += 1
        vars(keras_random).update(_DRAWS)
        keras_image.draw_seed = _seed_of_replica
    try:
        yield
    finally:
        with _steps_lock:
            _steps -= 1
            if not _steps:
                vars(keras_random).update(_KERAS_DRAWS)
                keras_image.draw_seed = keras_random.draw_seed
