"""Training on one device with less between the computations.

Keras leaves TensorFlow after every step, traces the first one twice, and makes
of Adam a dozen small operations for each weight. Here as many steps as fit into
a fifth of a second are one call, and Adam is one operation of TensorFlow's. The
numbers are those of Keras but for rounding: the operation computes 1 - beta_2
from beta_2 in float32, 0.00100005 where Keras has 0.001, and its steps differ
from Keras' by 2e-5 of their length.
"""

import functools
import math
import time

import keras
import tensorflow as tf

CALL_SECONDS = 0.2  # so that the bar moves, and Ctrl-C is heard


def fuse(
    model, batches: tf.data.Dataset, steps: int, *, one_by_one: bool = False
) -> None:
    """Let `fit` train a model with fewer operations; `unfuse` undoes it.

    Args:
        model: A compiled model with a built optimizer, for one device.
        batches: What it is to be trained on.
        steps: Steps of an epoch.
        one_by_one: Whether somebody looks at the model after each step.
    """
    if type(model.optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW):
        model.optimizer.update_step = functools.partial(
            _update_by_adam, model.optimizer
        )
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        # Keras makes their variables while it traces, and traces once more.
        _, targets = keras.tree.map_structure(
            lambda spec: keras.KerasTensor(spec.shape, spec.dtype.name),
            batches.element_spec,
        )
        metrics.build(targets, model.output)
    if not model.run_eagerly:
        seconds = 0.0 if one_by_one else CALL_SECONDS
        model.train_function = _several_steps(model, steps, seconds)


def unfuse(model) -> None:
    """Make a model and its optimizer Keras' own again."""
    vars(model.optimizer or model).pop("update_step", None)
    model.train_function = None


def _several_steps(model, steps: int, at_once: float):
    """Return what Keras calls for each step, which runs some of them at once.

    The calls after it, for steps that have been taken already, return at once.

    Args:
        model: The model.
        steps: Steps of an epoch.
        at_once: For how many seconds to compute in one call.
    """

    @tf.function(jit_compile=model.jit_compile, autograph=False)
    def one_step(data):
        return model.distribute_strategy.run(model.train_step, args=(data,))

    @tf.function(autograph=False)
    def run(iterator, count):
        outputs = one_step.get_concrete_function(iterator.element_spec)
        nothing = tf.nest.map_structure(
            lambda spec: tf.zeros(spec.shape, spec.dtype),
            outputs.structured_outputs,
        )
        return tf.while_loop(
            lambda taken, logs: taken < count,
            lambda taken, logs: (taken + 1, one_step(next(iterator))),
            (0, nothing),
            parallel_iterations=1,
        )[1]

    left = ahead = 0
    seconds = math.inf  # of a step; the first is traced
    logs = None

    def function(iterator):
        nonlocal left, ahead, seconds, logs
        left = left or steps  # in this epoch
        if not ahead:
            ahead = max(1, min(left, int(at_once / seconds)))
            start = time.perf_counter()
            logs = run(iterator, tf.constant(ahead))
            seconds = (time.perf_counter() - start) / ahead
        ahead -= 1
        left -= 1
        return logs

    return function


def _update_by_adam(optimizer, gradient, variable, learning_rate):
    """Take Adam's step for one variable as one operation."""
    if optimizer.amsgrad or not isinstance(gradient, tf.Tensor):
        return type(optimizer).update_step(
            optimizer, gradient, variable, learning_rate
        )
    index = optimizer._get_variable_index(variable)
    step = tf.cast(optimizer.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=_handle(variable),
        m=_handle(optimizer._momentums[index]),
        v=_handle(optimizer._velocities[index]),
        beta1_power=tf.pow(optimizer.beta_1, step),
        beta2_power=tf.pow(optimizer.beta_2, step),
        lr=learning_rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=gradient,
    )


def _handle(variable):
    """Return TensorFlow's handle of a variable of it, or of Keras."""
    return getattr(variable, "_value", variable).handle
