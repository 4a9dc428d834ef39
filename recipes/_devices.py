"""Seeds, precision, devices and the tf.distribute strategy of a run."""

import contextlib
import functools
import itertools
import os
import random
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from recipes import _config, _workers
from recipes._config import RunOptions
from recipes._errors import UsageError


@dataclass(frozen=True)
class Devices:
    """What a run computes on.

    Attributes:
        strategy: A `tf.distribute.Strategy`, or `None` for a single device.
        replicas: Number of copies of the model; each takes an equal share of
            the batch.
        description: One line for people: what was chosen and why.
        cluster: The processes that train together, or None: this one alone.
    """

    strategy: object | None
    replicas: int
    description: str
    cluster: _workers.Cluster | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes what a run leaves."""
        return self.cluster is None or self.cluster.index == 0

    def gather(self, number: int) -> list[int]:
        """Return the number that each process has, the chief's first.

        All wait here for each other.
        """
        if self.cluster is None:
            return [number]
        numbers = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant([number], tf.int64)
        )
        return self.strategy.gather(numbers, axis=0).numpy().tolist()

    @property
    def shares(self) -> int:
        """How many data sets `distribute` takes, one share of a batch each."""
        if self.cluster and self.replicas > len(self.cluster.addresses):
            return 1  # tf.distribute shares it out to a worker's several GPUs
        return self.replicas

    def distribute(self, shares: list[tf.data.Dataset]):
        """Return what `fit` takes its batches from."""
        if self.strategy is None or self.shares < self.replicas:
            return shares[0]
        if self.cluster is not None:
            return shares[self.cluster.index]
        return self.strategy.distribute_datasets_from_function(
            lambda context: shares[context.input_pipeline_id],
            tf.distribute.InputOptions(
                experimental_replication_mode=(
                    tf.distribute.InputReplicationMode.PER_REPLICA
                ),
                experimental_fetch_to_device=False,
            ),
        )

    def scope(self):
        """Return the context in which models and optimizers are made."""
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()


def set_up(config) -> Devices:
    """Check what is asked for and choose the devices, before any other step.

    Args:
        config: The recipe's Config; `run` and `batch_size` are read here.

    Returns:
        The devices, ready for use.

    Raises:
        UsageError: If a setting is none that a run can use, the machine has no
            such device, or the replicas cannot share the batch.
        NothingToDo: If this process is the evaluator of a cluster.
    """
    _config.check(config)
    options, batch_size = config.run, config.batch_size
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            "Recipes train with TensorFlow, but Keras runs on "
            f"{keras.backend.backend()} here. Set KERAS_BACKEND=tensorflow."
        )
    _check_keras_json()
    gpus = tf.config.get_visible_devices("GPU")
    hidden = not gpus and bool(tf.config.list_physical_devices("GPU"))
    if options.device == "gpu" and hidden:
        raise UsageError(
            "--device gpu: the GPUs were hidden earlier in this process, as a "
            f"run with --device cpu does. To use them, {_config.start_anew()}."
        )
    if options.device == "gpu" and not gpus:
        raise UsageError(
            "--device gpu: TensorFlow sees no GPU here. For NVIDIA GPUs "
            "pip install 'tensorflow[and-cuda]'; or train with --device cpu."
        )
    if options.device == "cpu":
        gpus = []
        _configure(tf.config.set_visible_devices, [], "GPU")
    if options.cpu_devices > 1:
        _make_logical_cpus(options.cpu_devices)

    strategy, reason, cluster = _choose_strategy(options, gpus)
    if options.device == "auto" and hidden:
        reason += ", the GPUs were hidden earlier in this process"
    replicas = strategy.num_replicas_in_sync if strategy else 1
    if batch_size % replicas:
        raise UsageError(
            f"--batch-size must be a multiple of the {replicas} replicas that "
            f"share it. Received: {batch_size}"
        )
    if options.deterministic:
        xla = "XLA off (--deterministic)"
    elif strategy:
        xla = "XLA off (tf.distribute)"
    else:
        xla = "XLA on" if gpus else "XLA off (CPU)"
    description = (
        f"{reason}; batch {batch_size}"
        + (f" = {replicas} x {batch_size // replicas}" if replicas > 1 else "")
        + f", {options.precision}, {xla}, {threads()} threads, "
        f"seed {options.seed}"
    )
    print(f"devices: {description}")
    devices = Devices(strategy, replicas, description, cluster)
    if cluster is not None and devices.shares == replicas:
        # A worker's data are its share; Keras would share them out again.
        strategy.experimental_distribute_dataset = _as_it_is
    return devices


def _check_keras_json() -> None:
    """Refuse settings that would train something else than was measured."""
    defaults = {
        "image_data_format": "channels_last",
        "floatx": "float32",
        "epsilon": 1e-7,
    }
    for name, default in defaults.items():
        value = getattr(keras.config, name)()
        if value != default:
            raise UsageError(
                f"Keras sets {name} to {value} here, and recipes need "
                f"{default}. Put that into ~/.keras/keras.json, or set "
                "KERAS_HOME to an empty folder."
            )


@contextlib.contextmanager
def numerics(options: RunOptions):
    """Seed everything and set the precision, for as long as this lasts.

    What comes after a run in the same process gets the random numbers and the
    precision that it would have had without.

    Args:
        options: The run's options.
    """
    # Not among TensorFlow's public names, though Keras' own tests use it.
    from tensorflow.python.framework import config as tf_config

    precision = keras.config.dtype_policy()
    deterministic = tf_config.is_op_determinism_enabled()
    python, numpy = random.getstate(), np.random.get_state()
    tensorflow = _next_tensorflow_seed()
    try:
        keras.utils.set_random_seed(options.seed)
        keras.config.set_dtype_policy(options.precision)
        if options.deterministic:
            tf.config.experimental.enable_op_determinism()
        yield
    finally:
        if not deterministic:
            tf_config.disable_op_determinism()
        keras.config.set_dtype_policy(precision)
        keras.utils.set_random_seed(options.seed)  # Keras forgets its numbers
        tf.random.set_seed(tensorflow)
        np.random.set_state(numpy)
        random.setstate(python)


def _next_tensorflow_seed() -> int | None:
    """Return a seed from TensorFlow's own sequence, None if it has none."""
    try:
        return tf.compat.v1.random.get_seed(None)[1]
    except RuntimeError:  # none, though its operations are deterministic
        return None


def threads() -> int:
    """Return how many threads one operation may use."""
    configured = tf.config.threading.get_intra_op_parallelism_threads()
    if configured:
        return configured
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _as_it_is(dataset, options=None):
    return dataset


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
    """Return the sum of what the replicas have, for one to ask."""
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


def _choose_strategy(options: RunOptions, gpus):
    """Return a strategy, or None, the reason in words, and the cluster."""
    if options.strategy in ("auto", "multi_worker"):
        cluster = _workers.find()
        if cluster is None and options.strategy == "multi_worker":
            raise UsageError(_workers.HOW_TO)
        if cluster is not None and len(cluster.addresses) > 1:
            if options.cpu_devices > 1:
                raise UsageError(
                    "--cpu-devices is for --strategy mirrored; workers take "
                    "the CPU of their machine as one device."
                )
            return _workers.join(cluster), cluster.describe(), cluster
    if gpus:
        names = [d.name for d in tf.config.list_logical_devices("GPU")]
    else:
        names = [d.name for d in tf.config.list_logical_devices("CPU")]
        names = names[: options.cpu_devices]
    kind = "GPU" if gpus else "CPU"
    if options.strategy == "mirrored":
        reason = f"{len(names)} {kind}(s), mirrored because you asked"
        return _mirrored(tuple(names)), reason, None
    if options.strategy != "none" and gpus and len(names) > 1:
        reason = f"{len(names)} GPUs, mirrored because there are several"
        return _mirrored(tuple(names)), reason, None
    if len(names) > 1:
        return None, f"1 {kind} of {len(names)}, no strategy", None
    return None, f"1 {kind}, no strategy (one device needs none)", None


@functools.cache
def _mirrored(names: tuple[str, ...]):
    """Return the one MirroredStrategy of this process over some devices.

    A second one would number its collective operations like the first, and
    TensorFlow would take one for the other.
    """
    return tf.distribute.MirroredStrategy(names)


def _make_logical_cpus(count: int) -> None:
    """Split the CPU, or find it split far enough already."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if present and len(present) >= count:
        return
    _configure(
        tf.config.set_logical_device_configuration,
        cpu,
        [tf.config.LogicalDeviceConfiguration()] * count,
    )


def _configure(function, *arguments) -> None:
    try:
        function(*arguments)
    except RuntimeError as error:
        raise UsageError(
            "TensorFlow has already started with other devices in this "
            "process. For another --device or --cpu-devices, "
            f"{_config.start_anew()}."
        ) from error
