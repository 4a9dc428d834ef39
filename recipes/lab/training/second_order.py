"""L-BFGS for small models: all examples at once, and no learning rate.

A least-squares fit has more than one minimum, so the search begins at several
places, and the best end is kept. Each of these is an epoch: a run that is cut
off resumes with the next one.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Split
from recipes.lab.training.closed_form import check_run
from recipes.lab.training.progress import Progress

# SciPy's L-BFGS stops where float32 cannot tell two points apart.
OPTIONS = {"maxiter": 2_000, "maxfun": 10_000, "maxcor": 20, "ftol": 1e-12}


def minimize(
    run,
    model: keras.Model,
    train: Split,
    loss: Callable,
    *,
    restarts: int,
    loss_in_words: str,
    phase: str = "train",
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Minimize the loss of a small model, from several starts.

    A search begins with weights that are drawn from the standard normal
    distribution, whatever the initializers of the model, as R's `neuralnet`
    does. At the end the model has the best weights that were found.

    Args:
        run: The open run.
        model: The model; its trainable weights are moved.
        train: The examples, all of which are used at once.
        loss: Function `(targets, outputs) -> scalar` of float32 tensors.
        restarts: How many searches there are.
        loss_in_words: What the loss is, for people.
        phase: Name of this training, for recipes with several.
        quiet: Say one line at the end, for recipes with many.

    Returns:
        The history, one value for each search: `loss`, the least that it found;
        `best`, the least so far; and its `iterations`.

    Raises:
        UsageError: If there is more than one device.
        RecipeError: If the loss or a weight became NaN or infinite.
    """
    from scipy.optimize import minimize as search

    check_run(run)
    run.losses[phase] = loss_in_words
    progress = Progress(
        *(run, model.variables), phase=phase, epochs=restarts, quiet=quiet
    )
    value_and_gradient = _objective(model, train, loss)
    width = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    for epoch in progress:
        before = model.get_weights()
        best = min(progress.history.get("loss", [np.inf]))
        random = np.random.default_rng([run.options.seed, epoch])
        end = search(
            *(value_and_gradient, random.standard_normal(width)),
            jac=True,
            method="L-BFGS-B",
            options=OPTIONS,
        )
        value, _ = value_and_gradient(end.x)  # which sets the weights
        if value >= best:
            model.set_weights(before)
        progress.end_epoch(
            {"loss": value, "best": min(value, best), "iterations": end.nit}
        )
    return progress.history


def _objective(model: keras.Model, train: Split, loss: Callable) -> Callable:
    """Return the function from all weights, as one vector, to the loss.

    It gives the weights to the model, and returns the gradient, too.
    """
    variables = [weight.value for weight in model.trainable_weights]
    sizes = [int(np.prod(variable.shape)) for variable in variables]
    inputs = tf.constant(train.inputs)
    targets = tf.constant(train.targets.astype("float32"))

    @tf.function(
        input_signature=[tf.TensorSpec((sum(sizes),), tf.float32)],
        autograph=False,
    )
    def move(weights):
        for variable, part in zip(
            variables, tf.split(weights, sizes), strict=True
        ):
            variable.assign(tf.reshape(part, variable.shape))
        with tf.GradientTape() as tape:
            value = loss(targets, model(inputs, training=True))
        gradients = tape.gradient(value, variables)
        return value, tf.concat([tf.reshape(g, [-1]) for g in gradients], 0)

    def value_and_gradient(weights):
        value, gradient = move(tf.constant(weights, tf.float32))
        return float(value), gradient.numpy().astype("float64")

    return value_and_gradient
