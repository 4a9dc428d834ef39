"""Every patch of Keras that training under tf.distribute needs."""

import functools
import itertools

import keras
import tensorflow as tf

from recipes.lab.training.devices import Devices

_OVERRIDES = (
    "_get_metrics_result_or_logs",
    "_maybe_symbolic_build",
    "reset_metrics",
)


def prepare_model(model, devices: Devices) -> None:
    """Put right what Keras lacks under a strategy; `restore_model` undoes it.

    Batch normalisation takes its statistics over the whole batch, not over each
    replica's part. The optimizer's variables are made now, inside the scope,
    for a checkpoint to go into.

    With several workers Keras fails when it builds the model from a batch,
    though it is built, and when it averages the metrics of a step. They stay in
    their variables here, which are summed over the workers once an epoch.

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
        model.optimizer.build(model.trainable_variables)
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
    for name in _OVERRIDES:
        if vars(model).pop(name, None):
            model.train_function = model.test_function = None


def _on_all_workers(model, step):
    """Return what Keras calls for each batch, and what says nothing of it."""

    @tf.function
    def run(iterator):
        model.distribute_strategy.run(step, args=(next(iterator),))

    def function(iterator):
        run(iterator)
        return {}

    return function


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
    """Return the sum of a value over all replicas."""
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
