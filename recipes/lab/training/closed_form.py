"""A rule or a solution instead of a gradient.

`fit` applies a rule to the training examples, epoch after epoch; `solve` sets
weights that are computed once. Both keep the same history, log and checkpoints
as a training by gradients, and resume from them. Both need all the examples on
one device: there is no gradient that replicas could add up.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np

from recipes.lab.data.splits import Split
from recipes.lab.errors import UsageError
from recipes.lab.tasks.scores import features_of
from recipes.lab.training import devices
from recipes.lab.training.normal_equations import NormalEquations
from recipes.lab.training.progress import Progress

HALVINGS = 30  # of a step of Newton's that went too far
MEASURED = 2_000  # examples of which the errors of a map are watched
AT_ONCE = 5_000  # examples whose distances are computed together


class Rule(NamedTuple):
    """What moves the weights of a model, and how well they do.

    Attributes:
        prepare: Function of a split that returns it as the next two take it. It
            is called once: what it computes does not depend on the weights.
        step: Function of a split, in the order of an epoch, that moves the
            weights; it returns metrics of the epoch.
        measure: Function of a split that returns metrics: `loss`, and others.
        loss: What `loss` means, in words.
        examples: How many examples a step is given, or None for all.
    """

    prepare: Callable[[Split], Split]
    step: Callable[[Split], dict[str, float]]
    measure: Callable[[Split], dict[str, float]]
    loss: str
    examples: int | None = None


def fit(
    run,
    model: keras.Model,
    rule: Rule,
    train: Split,
    *,
    validation: Split | None = None,
    until: Callable[[dict[str, float]], bool] = lambda logs: False,
    phase: str = "train",
    epochs: int | None = None,
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Train a model by a rule, or finish the training that was cut off.

    Args:
        run: The open run.
        model: The model whose weights the rule moves.
        rule: The rule.
        train: The examples that it learns from; every epoch shows each of them
            `passes` times, or the rule's number of them, in an order of its
            own.
        validation: Examples to watch after each epoch.
        until: Function of an epoch's metrics: whether it was the last.
        phase: Name of this training, for recipes with several.
        epochs: Number of epochs at most; None for the Config's.
        quiet: Say one line at the end, for recipes with many.

    Returns:
        The history: metric name to one value an epoch.

    Raises:
        UsageError: If there is more than one device, or half precision.
        RecipeError: If a metric or a weight became NaN or infinite.
    """
    check_run(run)
    run.losses[phase] = rule.loss
    progress = Progress(
        run, model.variables, phase=phase, epochs=epochs, quiet=quiet
    )
    train = rule.prepare(train)
    validation = validation and rule.prepare(validation)
    for epoch in progress:
        random = np.random.default_rng([run.options.seed, epoch])
        order = random.permutation(train.passes * len(train)) % len(train)
        logs = rule.step(train[order[: rule.examples]]) | rule.measure(train)
        if validation:
            watched = rule.measure(validation)
            logs |= {f"val_{name}": value for name, value in watched.items()}
        progress.end_epoch(logs, stopped=until(logs))
    return progress.history


def solve(
    run,
    model: keras.Model,
    solution: Callable[[], dict[str, float]],
    *,
    loss: str,
    phase: str = "train",
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Set the weights of a model to what is computed once: a single epoch.

    Args:
        run: The open run.
        model: The model.
        solution: Function that sets the weights and returns metrics: `loss`,
            and others.
        loss: What `loss` means, in words.
        phase: Name of this training, for recipes with several.
        quiet: Say one line at the end, for recipes with many.

    Returns:
        The history: metric name to one value.

    Raises:
        UsageError: If there is more than one device, or half precision.
        RecipeError: If a metric or a weight is NaN or infinite.
    """
    check_run(run)
    run.losses[phase] = loss
    progress = Progress(
        run, model.variables, phase=phase, epochs=1, quiet=quiet
    )
    for _ in progress:
        progress.end_epoch(solution())
    return progress.history


def check_run(run) -> None:
    """Refuse a strategy or half precision, before anything is trained.

    Raises:
        UsageError: If one was chosen.
    """
    if run.options.precision != "float32":
        raise UsageError(
            "--precision must be float32: what trains here is a rule or a "
            "solution, which half precision would make wrong, and not faster. "
            f"Received: {run.options.precision}"
        )
    devices.check_one_device(
        run,
        "what trains here is a rule or a solution, which needs all the "
        "examples on one device, and no gradient that several could add up",
    )


# --- solutions ----------------------------------------------------------


def ridge(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], penalty: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias of a linear layer with the least error.

    Args:
        batches: Pairs of features `(n, p)` and targets `(n, k)`. They are asked
            for one by one.
        penalty: Weight of the kernel's squares; see `NormalEquations.solve`.
    """
    equations = NormalEquations()
    for features, targets in batches:
        equations.add(features, targets)
    return equations.solve(penalty)


# --- rules --------------------------------------------------------------


def perceptron(model: keras.Model, rate: float = 1.0) -> Rule:
    """Return Rosenblatt's rule for the last layer of a model: one step unit.

    Example by example: where the answer is wrong, the weights move by the
    example, towards its target. Where it is right, nothing moves.

    Args:
        model: A model of one output, 0 or 1.
        rate: How far they move.
    """
    layer = model.layers[-1]

    def step(split):
        weights, mistakes = _weights_of(layer)[:, 0], 0
        for row, target in zip(split.inputs, split.targets, strict=True):
            if error := target - float(row @ weights > 0):
                weights += rate * error * row
                mistakes += 1
        _set_weights(layer, weights[:, np.newaxis])
        return {"mistakes": mistakes}

    def measure(split):
        answers = split.inputs @ _weights_of(layer)[:, 0] > 0
        wrong = answers != split.targets
        return {"loss": np.mean(wrong), "accuracy": 1 - np.mean(wrong)}

    return Rule(summands_of(model), step, measure, "shares of mistakes")


def newton(model: keras.Model, penalty: float = 0.0) -> Rule:
    """Return Newton's method for logistic regression, as the last layer.

    It minimizes the summed cross-entropy plus half the penalty times the sum of
    the squared kernel. A step that would raise that is halved until it does
    not.

    Args:
        model: A model whose last layer is a softmax, or one sigmoid: the
            probability of the second of two classes.
        penalty: Weight of the kernel's squares; the bias is not punished.
    """
    layer = model.layers[-1]

    def log_probabilities(rows, weights):
        sums = rows @ weights
        if weights.shape[1] == 1:  # a softmax whose first class has no weights
            sums = np.hstack([0 * sums, sums])
        return sums - np.logaddexp.reduce(sums, axis=1, keepdims=True)

    def nats(rows, targets, weights):
        found = log_probabilities(rows, weights)
        return -found[np.arange(len(rows)), targets]

    def objective(rows, targets, weights):
        squares = np.sum(weights[:-1] ** 2)
        return np.sum(nats(rows, targets, weights)) + penalty / 2 * squares

    def step(split):
        rows, targets = split.inputs, split.targets
        weights = _weights_of(layer)
        count, outputs = weights.shape
        probabilities = np.exp(log_probabilities(rows, weights))
        truth = np.eye(probabilities.shape[1])[targets]
        excess = (probabilities - truth)[:, -outputs:]
        punished = np.full((count, 1), penalty)
        punished[-1] = 0
        gradient = rows.T @ excess + punished * weights
        curvature = np.diag(np.tile(punished[:, 0], outputs))
        curvature = curvature.reshape(outputs, count, outputs, count)
        probabilities = probabilities[:, -outputs:]
        for i, j in itertools.combinations_with_replacement(range(outputs), 2):
            covariances = probabilities[:, [i]] * (
                (i == j) - probabilities[:, [j]]
            )
            curvature[i, :, j] += rows.T @ (covariances * rows)
            curvature[j, :, i] = curvature[i, :, j]
        # The same number added to all classes changes nothing: of all moves
        # that are as good this is the shortest.
        move, *_ = np.linalg.lstsq(
            curvature.reshape(weights.size, -1), gradient.T.ravel()
        )
        move = move.reshape(outputs, count).T
        before = objective(rows, targets, weights)
        for _ in range(HALVINGS):
            if objective(rows, targets, weights - move) <= before:
                _set_weights(layer, weights - move)
                break
            move = move / 2
        return {"objective": objective(rows, targets, _weights_of(layer))}

    def measure(split):
        rows, targets, weights = split.inputs, split.targets, _weights_of(layer)
        answers = log_probabilities(rows, weights).argmax(axis=1)
        return {
            "loss": np.mean(nats(rows, targets, weights)),
            "accuracy": np.mean(answers == targets),
        }

    return Rule(summands_of(model), step, measure, "cross-entropy")


def k_means(model: keras.Model, layer: keras.Layer) -> Rule:
    """Return Lloyd's rule for the centers of a layer.

    Each center moves to the mean of the examples that are nearer to it than to
    any other. One that no example is nearest to stays where it is.

    Args:
        model: A model of one input.
        layer: A layer of it with `centers`, `(units, p)`.
    """
    before = keras.Model(model.input, layer.input)

    def step(split):
        nearest, _ = _nearest(split.inputs, layer.centers.numpy())
        counts = np.bincount(nearest, minlength=layer.units)
        order = np.argsort(nearest, kind="stable")
        starts = np.append(0, counts.cumsum()[:-1])
        some = counts > 0
        sums = np.add.reduceat(split.inputs[order], starts[some], axis=0)
        centers = layer.centers.numpy()
        centers[some] = sums / counts[some, np.newaxis]
        layer.centers.assign(centers)
        return {"centers_without_examples": np.sum(~some)}

    def measure(split):
        _, distances = _nearest(split.inputs, layer.centers.numpy())
        return {"loss": np.mean(distances)}

    return Rule(
        *(lambda split: features_of(before, split), step, measure),
        "mean squared distance from the nearest center",
    )


def self_organizing_map(
    model: keras.Model, layer: keras.Layer, *, images: int, shrinking: float
) -> Rule:
    """Return Kohonen's rule, for many examples at a time.

    Each example has a winner, the unit with the nearest prototype. Then each
    prototype becomes the mean of the examples, weighted by a Gaussian of how
    far it is on the map from their winners. Step by step that gets narrower.

    Args:
        model: A model of one input.
        layer: A layer of it, see `zoo.self_organizing`.
        images: Examples of a step.
        shrinking: By what the radius is multiplied after each.
    """
    before = keras.Model(model.input, layer.input)
    apart = layer.squared_distances_on_the_map()

    def step(split):
        rows, units = split.inputs, len(apart)
        prototypes = layer.prototypes.numpy()
        nearest = np.concatenate(
            [found.argmin(axis=1) for _, found in _compared(rows, prototypes)]
        )
        counts = np.bincount(nearest, minlength=units)
        sums = np.zeros((units, rows.shape[1]), "float32")
        order = np.argsort(nearest, kind="stable")
        starts = np.append(0, counts.cumsum()[:-1])
        some = counts > 0
        sums[some] = np.add.reduceat(rows[order], starts[some], axis=0)
        radius = float(layer.reach.numpy()[0])
        near = np.exp(-apart / (2 * radius**2)).astype("float32")
        weights = near @ counts
        # Far from all winners, with a narrow Gaussian, a unit stays.
        moved = weights > 1e-6
        means = (near @ sums)[moved] / weights[moved, np.newaxis]
        prototypes[moved] = means
        layer.prototypes.assign(prototypes)
        layer.reach.assign([radius * shrinking])
        return {"radius": radius}

    def measure(split):
        quantization, topographic = map_errors(layer, split.inputs[:MEASURED])
        return {"loss": quantization, "topographic_error": topographic}

    return Rule(
        *(lambda split: features_of(before, split), step, measure),
        "quantization error",
        examples=images,
    )


def map_errors(layer: keras.Layer, rows: np.ndarray) -> tuple[float, float]:
    """Return the quantization and the topographic error of a map.

    The first is the mean distance from the nearest prototype. The second is the
    share of the rows whose two nearest units are no neighbors on the map; the
    eight around a unit are.

    Args:
        layer: See `zoo.self_organizing`.
        rows: What goes into it, `(n, p)`.
    """
    prototypes = layer.prototypes.numpy()
    apart = layer.squared_distances_on_the_map()
    distance, torn = 0.0, 0
    for some, found in _compared(rows, prototypes):
        nearest, distances = _least(some, found)
        distance += np.sqrt(distances).sum()
        found[np.arange(len(some)), nearest] = np.inf
        torn += np.sum(apart[nearest, found.argmin(axis=1)] > 2)
    return float(distance / len(rows)), float(torn / len(rows))


def _nearest(rows, centers):
    """Return the nearest center of each row, and its squared distance."""
    found = [_least(*block) for block in _compared(rows, centers)]
    nearest, distances = zip(*found, strict=True)
    return np.concatenate(nearest), np.concatenate(distances)


def _compared(rows, centers):
    """Yield some rows, and their squared distances less their own squares."""
    norms = np.square(centers).sum(axis=1)
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        found = some @ (-2 * centers).T
        found += norms
        yield some, found


def _least(rows, found):
    """Return the nearest center of each row, and its squared distance."""
    nearest = found.argmin(axis=1)
    least = np.take_along_axis(found, nearest[:, np.newaxis], axis=1)[:, 0]
    return nearest, (least + np.square(rows).sum(axis=1)).clip(0)


def margin(rows: np.ndarray, labels: np.ndarray) -> float | None:
    """Return how far the best plane through the origin is from the nearest row.

    The best plane separates the classes, and is as far from both as can be.
    It is found as the shortest vector whose product with each row is at least
    1 on its side (Lawson and Hanson 1974, least distance programming).

    Args:
        rows: `(n, p)`.
        labels: 0 or 1 for each.

    Returns:
        The distance, or None if no plane through the origin separates them.
    """
    from scipy.optimize import nnls

    sides = np.where(labels[:, np.newaxis] > 0, rows, -rows)
    system = np.vstack([sides.T, np.ones(len(sides))])
    goal = np.append(np.zeros(rows.shape[1]), 1.0)
    solution, distance = nnls(system, goal, maxiter=100 * len(sides))
    if distance < 1e-9:
        return None
    *left, last = system @ solution - goal
    normal = np.array(left) / -last
    return 1 / np.linalg.norm(normal)


def body(model: keras.Model) -> keras.Model:
    """Return a model up to what goes into its last layer."""
    return keras.Model(model.input, model.layers[-1].input)


def summands_of(model: keras.Model) -> Callable[[Split], Split]:
    """Return the function from a split to what the last layer weighs and sums.

    The inputs of that are one row for each example, float64: its features, and
    a 1 that the bias is the weight of.
    """
    features = body(model)

    def prepare(split):
        split = features_of(features, split)
        ones = np.ones((len(split), 1))
        rows = np.hstack([split.inputs.astype("float64"), ones])
        return replace(split, inputs=rows)

    return prepare


def _weights_of(layer: keras.Layer) -> np.ndarray:
    """Return the kernel of a layer, and its bias as one row more."""
    return np.vstack(layer.get_weights()).astype("float64")


def _set_weights(layer: keras.Layer, weights: np.ndarray) -> None:
    layer.set_weights([weights[:-1], weights[-1]])
