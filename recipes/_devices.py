"""Seeds, precision, devices and the tf.distribute strategy of a run."""

import contextlib
import functools
import json
import os
from dataclasses import dataclass

import keras
import tensorflow as tf

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
    """

    strategy: object | None
    replicas: int
    description: str

    def scope(self):
        """Return the context in which models and optimizers are made."""
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()


def set_up(options: RunOptions, batch_size: int) -> Devices:
    """Seed everything and choose the devices; call this before any other step.

    Args:
        options: The run's options.
        batch_size: The global batch, to be shared by the replicas.

    Returns:
        The devices, ready for use.

    Raises:
        UsageError: If the machine has no such device, or the replicas cannot
            share the batch.
    """
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            "Recipes train with TensorFlow, but Keras runs on "
            f"{keras.backend.backend()} here. Set KERAS_BACKEND=tensorflow."
        )
    gpus = tf.config.list_physical_devices("GPU")
    if options.device == "gpu" and not gpus:
        raise UsageError(
            "--device gpu: TensorFlow sees no GPU here. For NVIDIA GPUs "
            "install keras-zoo-recipes[cuda]; or train with --device cpu."
        )
    if options.device == "cpu":
        gpus = []
        _configure(tf.config.set_visible_devices, [], "GPU")
    if options.cpu_devices > 1:
        _make_logical_cpus(options.cpu_devices)

    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()

    strategy, reason = _choose_strategy(options, gpus)
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
    return Devices(strategy, replicas, description)


def threads() -> int:
    """Return how many threads one operation may use."""
    configured = tf.config.threading.get_intra_op_parallelism_threads()
    if configured:
        return configured
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def prepare_model(model, devices: Devices) -> None:
    """Put right what Keras lacks under a strategy; `restore_model` undoes it.

    Batch normalisation takes its statistics over the whole batch, not over each
    replica's part. The optimizer's variables are made now, inside the scope,
    for a checkpoint to go into.
    """
    with devices.scope():
        _synchronize_batch_norm(model, devices.replicas > 1)
        model.optimizer.build(model.trainable_variables)


def restore_model(model) -> None:
    """Make a trained model the plain one again, as it is saved."""
    _synchronize_batch_norm(model, False)


def _synchronize_batch_norm(model, synchronized: bool) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = synchronized


def _choose_strategy(options: RunOptions, gpus):
    """Return a strategy, or None, and the reason in words."""
    if options.strategy == "multi_worker" or (
        options.strategy == "auto" and _names_a_cluster()
    ):
        raise UsageError(
            "multi_worker: recipes do not train on several machines yet. Use "
            "--strategy mirrored for several devices of one machine, or "
            "--strategy none."
        )
    if gpus:
        names = [d.name for d in tf.config.list_logical_devices("GPU")]
    else:
        names = [d.name for d in tf.config.list_logical_devices("CPU")]
        names = names[: options.cpu_devices]
    kind = "GPU" if gpus else "CPU"
    if options.strategy == "mirrored":
        reason = f"{len(names)} {kind}(s), mirrored because you asked"
        return _mirrored(tuple(names)), reason
    if options.strategy == "auto" and gpus and len(names) > 1:
        reason = f"{len(names)} GPUs, mirrored because there are several"
        return _mirrored(tuple(names)), reason
    if len(names) > 1:
        return None, f"1 {kind} of {len(names)}, no strategy"
    return None, f"1 {kind}, no strategy (one device needs none)"


@functools.cache
def _mirrored(names: tuple[str, ...]):
    """Return the one MirroredStrategy of this process over some devices.

    A second one would number its collective operations like the first, and
    TensorFlow would take one for the other.
    """
    return tf.distribute.MirroredStrategy(names)


def _names_a_cluster() -> bool:
    """Whether TF_CONFIG makes this process one of several."""
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        return bool(config.get("cluster"))
    except (ValueError, AttributeError) as error:
        raise UsageError(
            "The environment variable TF_CONFIG must be a JSON object. "
            f"Received: {os.environ['TF_CONFIG']!r}"
        ) from error


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
            "process; start a new one for --device and --cpu-devices."
        ) from error
