"""Seeds, precision, devices and the tf.distribute strategy of a run."""

import contextlib
import functools
import os
import random
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from recipes.lab import flags, terminal
from recipes.lab.errors import UsageError
from recipes.lab.flags import RunOptions
from recipes.lab.training import workers

LEAST_PART = 64  # examples of a batch for which a processor is worth it


@dataclass(frozen=True)
class Devices:
    """What a run computes on.

    Attributes:
        strategy: A `tf.distribute.Strategy`, or `None` for a single device.
        replicas: Number of copies of the model; each takes an equal share of
            the batch.
        description: One line for people: what was chosen and why.
        parts: In how many parts a CPU computes a batch, see `parts.py`; 0 if
            it is not one CPU that trains.
        cluster: The processes that train together, or None: this one alone.
    """

    strategy: object | None
    replicas: int
    description: str
    cluster: workers.Cluster | None = None
    parts: int = 0

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
        config: The recipe's Config; `run` is read here, and `batch_size` of
            recipes that train in batches.

    Returns:
        The devices, ready for use.

    Raises:
        UsageError: If a setting is none that a run can use, the machine has no
            such device, or the replicas cannot share the batch.
        NothingToDo: If this process is the evaluator of a cluster.
    """
    flags.check(config)
    options, batch_size = config.run, getattr(config, "batch_size", None)
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
            f"run with --device cpu does. To use them, {terminal.start_anew()}."
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

    parts = _parts(options, gpus, batch_size)
    strategy, reason, cluster = _choose_strategy(options, gpus)
    if options.device == "auto" and hidden:
        reason += ", the GPUs were hidden earlier in this process"
    replicas = strategy.num_replicas_in_sync if strategy else 1
    if batch_size is None:
        batches = ""
    elif batch_size % replicas:
        raise UsageError(
            f"--batch-size must be a multiple of the {replicas} replicas that "
            f"share it. Received: {batch_size}"
        )
    else:
        batches = f"; batch {batch_size}"
        if replicas > 1:
            batches += f" = {replicas} x {batch_size // replicas}"
    if options.deterministic:
        xla = "XLA off (--deterministic)"
    elif strategy:
        xla = "XLA off (tf.distribute)"
    else:
        xla = "XLA on" if gpus else "XLA off (CPU)"
    description = (
        f"{reason}{batches}, {options.precision}, {xla}, {_in_words(parts)}, "
        f"seed {options.seed}"
    )
    print(f"devices: {description}")
    devices = Devices(strategy, replicas, description, cluster, parts)
    if cluster is not None and devices.shares == replicas:
        # A worker's data are its share; Keras would share them out again.
        strategy.experimental_distribute_dataset = _as_it_is
    return devices


def check_one_device(run, reason: str) -> None:
    """Refuse a strategy, in a training that is written for one device.

    Args:
        run: The open run.
        reason: Why others could not take a part of it, in words.

    Raises:
        UsageError: If a `tf.distribute` strategy was chosen.
    """
    if run.devices.strategy is not None:
        raise UsageError(
            f"--strategy must be none: {reason}. "
            f"Received: {run.options.strategy}"
        )


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
            home = os.environ.get("KERAS_HOME", "~/.keras")
            raise UsageError(
                f"Keras sets {name} to {value} here, and recipes need "
                f"{default}. Put that into {home}/keras.json, or set "
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


def _parts(options: RunOptions, gpus, batch_size: int | None) -> int:
    """Return in how many parts to compute a batch, and set threads for them.

    A process that has started TensorFlow keeps its threads.
    """
    if gpus or options.strategy not in ("auto", "none"):
        return 0
    cluster = workers.find() if options.strategy == "auto" else None
    if cluster is not None and len(cluster.addresses) > 1:
        return 0
    if not batch_size or options.cpu_devices > 1:
        return 1
    if options.precision != "float32":
        return 1  # which is where a batch normalization computes
    most = max(1, min(processors(), batch_size // LEAST_PART))
    parts = max(n for n in range(1, most + 1) if batch_size % n == 0)
    if parts > 1:
        with contextlib.suppress(RuntimeError):
            threading = tf.config.threading
            threading.set_intra_op_parallelism_threads(processors() // parts)
            threading.set_inter_op_parallelism_threads(processors())
    return parts


def threads() -> int:
    """Return how many threads one operation may use."""
    configured = tf.config.threading.get_intra_op_parallelism_threads()
    return configured or processors()


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _in_words(parts: int) -> str:
    """Say how the processors share the work."""
    if parts < 2:
        return f"{threads()} threads"
    return f"{parts} parts of a batch side by side"


def _as_it_is(dataset, options=None):
    return dataset


def _choose_strategy(options: RunOptions, gpus):
    """Return a strategy, or None, the reason in words, and the cluster."""
    if options.strategy in ("auto", "multi_worker"):
        cluster = workers.find()
        if cluster is None and options.strategy == "multi_worker":
            raise UsageError(workers.HOW_TO)
        if cluster is not None and len(cluster.addresses) > 1:
            if options.cpu_devices > 1:
                raise UsageError(
                    "--cpu-devices is for --strategy mirrored; workers take "
                    "the CPU of their machine as one device."
                )
            return workers.join(cluster), cluster.describe(), cluster
    if gpus:
        names = [d.name for d in tf.config.list_logical_devices("GPU")]
    else:
        names = [d.name for d in tf.config.list_logical_devices("CPU")]
        names = names[: options.cpu_devices]
    kind = "GPU" if gpus else "CPU"
    asked = not gpus and options.strategy == "auto" and len(names) > 1
    if options.strategy == "mirrored" or asked:
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
            f"{terminal.start_anew()}."
        ) from error
