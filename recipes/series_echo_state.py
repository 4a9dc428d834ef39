"""Echo state networks on two series: what comes next is in the echo.

    python -m recipes.series_echo_state

NARMA10 is a system that is driven at random, and answers by what came in during
the last ten steps. To say its answers a network must remember these steps, and
multiply. The Mackey-Glass series drives itself, and is chaotic. There a network
learns to say the next number; then it goes on alone for 84 steps, each from
what it said before, and is compared with the series.

A reservoir is drawn at random, so each error is of one seed. Five reservoirs of
each series are drawn, and the report has the errors of all. An error is divided
by the deviation of the series: always saying the mean has an error of 1. Expect
a normalized error of 0.22 of NARMA10, and of 0.01 to 0.06 of Mackey-Glass.

The report also shows the echo state property: in which state a reservoir began,
it forgets, unless its spectral radius is large. And it shows how the spectral
radius decides what is remembered, and for how long.

Reference: Jaeger 2001; Jaeger and Haas 2004; Atiya and Parlos 2000 (NARMA).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import NORMALIZED_RMSE

DATASET, OTHER = "narma10", "mackey_glass"
TARGETS = (Target(NORMALIZED_RMSE, 0.22),)
# What comes in is small for the one, where sums count, and slow for the other.
RESERVOIRS = {
    DATASET: {"spectral_radius": 0.9, "leak": 1.0, "input_scale": 0.3},
    OTHER: {"spectral_radius": 0.9, "leak": 0.5, "input_scale": 1.0},
}
AHEAD = {DATASET: 1, OTHER: 84}  # steps, of the error that counts
# Of the squared weights; validation chooses. With less, those of the network
# that is exported are so large that it counts how a runtime rounds.
PENALTIES = {
    DATASET: (1e-4, 1e-3, 1e-2),
    OTHER: (1e-8, 1e-7, 1e-6, 1e-5, 1e-4),
}
RADII = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3)  # of the report
SMALL_UNITS = 100  # of the reservoirs that have these
LAGS = 40  # steps back, of what is remembered
SHOWN = 300  # steps
LEAST = 1e-8  # distance that is drawn; float32 may find none at all


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    units: Count = 400
    """Units of a reservoir."""
    repeats: Count = 5
    """Reservoirs of each series, each with a seed of its own; the first one of
    NARMA10 is exported."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.data import sources

    with runs.open_run(config, DATASET) as run:
        sets = {DATASET: run.data, OTHER: sources.load(OTHER, config.run)}
        histories, networks = [], {name: [] for name in sets}
        errors = {name: [] for name in sets}
        for repeat in range(config.repeats):
            for name, data in sets.items():
                model, history = _fit(run, data, repeat)
                histories.append(history)
                networks[name].append(model)
                errors[name].append(_error(model, data.test, AHEAD[name]))

        model, task = networks[DATASET][0], tasks.Regression(run.data)
        scores = task.score(model, run.data.test)
        for name, found in errors.items():
            owner = "" if name == DATASET else f"{name}_"
            scores.metrics[f"{owner}{NORMALIZED_RMSE.name}"] = found[0]
            worst = f"worst_{owner}{NORMALIZED_RMSE.name}"
            scores.metrics[worst] = max(found)
        return run.finish(
            *(task, model, scores, *histories),
            sections=[
                _on_its_own(networks[OTHER][0], sets[OTHER].test, errors),
                _forgetting(run),
                _remembering(run),
            ],
        )


def _fit(run, data, repeat):
    """Compute the last layer of a network; return it and its history."""
    import numpy as np

    from recipes.lab import training
    from recipes.lab.training import closed_form

    training.seed_repeat(run, repeat)
    model = training.create_model(
        *(data, "echo_state_regressor"),
        units=run.config.units,
        **RESERVOIRS[data.name],
    )
    reservoir, head = map(model.get_layer, ("reservoir", "prediction"))

    def solution():
        """Try penalties, keep the best one; return the metrics."""
        states = _states(reservoir, data.train)
        watched = _states(reservoir, data.validation)
        solved = _ridge(states, data.train.targets, PENALTIES[data.name])
        found = {}
        for penalty, weights in solved.items():
            head.set_weights(weights)
            found[penalty] = _error(
                *(model, data.validation, AHEAD[data.name], watched)
            )
        penalty = min(found, key=found.get)
        kernel, bias = solved[penalty]
        head.set_weights([kernel, bias])

        def squared_error(states, split):
            answers = (states @ kernel + bias)[:, 0]
            return np.mean(np.square(answers - split.targets))

        return {
            "loss": squared_error(states, data.train),
            "val_loss": squared_error(watched, data.validation),
            f"val_{NORMALIZED_RMSE.name}": found[penalty],
            "penalty": penalty,
        }

    is_first = repeat == 0 and data.name == DATASET
    history = closed_form.solve(
        run,
        model,
        solution,
        loss="mean squared error",
        phase="train" if is_first else f"{data.name}-{repeat}",
        quiet=not is_first,
    )
    return model, history


def _states(reservoir, split):
    """Return the states of a reservoir after each window, `(n, units)`."""
    import numpy as np

    return np.concatenate(
        [reservoir(batch.inputs).numpy() for batch in split.in_batches(1_000)]
    )


def _ridge(states, targets, penalties):
    """Return kernel and bias of ridge regression, for each penalty.

    By the singular values of the states: the squares that others solve it by
    would need more digits than there are.
    """
    import numpy as np

    states, targets = (
        x.reshape(len(x), -1).astype("float64") for x in (states, targets)
    )
    middle, mean = states.mean(axis=0), targets.mean(axis=0)
    left, values, right = np.linalg.svd(states - middle, full_matrices=False)
    products = left.T @ (targets - mean)
    solved = {}
    for penalty in penalties:
        shares = values / (values**2 + penalty)
        kernel = right.T @ (shares[:, np.newaxis] * products)
        solved[penalty] = kernel, mean - middle @ kernel
    return solved


def _error(model, split, ahead, states=None):
    """Return the error of a network, in deviations of what it has to say.

    Args:
        model: The network.
        split: Windows of a series, one step apart.
        ahead: After how many steps it is compared; all but the first are from
            its own answers.
        states: The states after each window, if they are known.
    """
    import numpy as np

    *_, answers = _go_on(model, split, ahead, states)
    truth = split.targets[ahead - 1 :]
    errors = answers[: len(truth)] - truth
    return float(np.sqrt(np.mean(np.square(errors))) / np.std(split.targets))


def _go_on(model, split, steps, states=None):
    """Yield what a network says after windows, then from its own answers."""
    reservoir, head = map(model.get_layer, ("reservoir", "prediction"))
    if states is None:
        states = _states(reservoir, split)
    answers = head(states)
    yield answers.numpy()[:, 0]
    for _ in range(steps - 1):
        states = reservoir.step(answers, states)
        answers = head(states)
        yield answers.numpy()[:, 0]


def _on_its_own(model, split, errors):
    """Return the report's section on a series that a network continues.

    Args:
        model: The network of the Mackey-Glass series.
        split: Windows of it.
        errors: Of all reservoirs, by the name of the series.
    """
    from recipes.lab.data.synthetic import series
    from recipes.lab.report import comparisons, page

    steps = min(SHOWN, len(split))
    answers = [float(one[0]) for one in _go_on(model, split[:1], steps)]
    lines = {
        "the series": split.targets[:steps].tolist(),
        "the network, from its own answers": answers,
    }
    panel = comparisons.Panel(
        {
            name: {step: [x] for step, x in enumerate(line, start=1)}
            for name, line in lines.items()
        },
        x_label="steps after the last number that the network was shown",
        y_label="x",
    )
    rows = [
        (f"reservoir {number}", *(f"{error:.4f}" for error in both))
        for number, both in enumerate(zip(*errors.values(), strict=True), 1)
    ]
    header = ("", "NARMA10", f"Mackey-Glass, after {AHEAD[OTHER]} steps")
    caption = (
        "A network is shown a part of the Mackey-Glass series, then goes on "
        "alone. The series is chaotic: a small error grows, and after some "
        "hundred steps the two may part. The table has the errors of all "
        "reservoirs on the test series, in standard deviations "
        f"({series.TITLES[DATASET]}: of the next answer). A network that goes "
        "on alone can also run away; its error then is large."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "alone"),
        heading="On its own",
        caption=caption,
        panels=(panel,),
        html=page.table(rows, header),
    )


def _forgetting(run):
    """Return the report's section on the echo state property."""
    import numpy as np

    from recipes.lab import training
    from recipes.lab.report import comparisons

    random = np.random.default_rng(run.options.seed)
    inputs = run.data.validation.inputs[0].astype("float32")
    beginnings = random.uniform(-1, 1, (2, SMALL_UNITS)).astype("float32")
    lines = {}
    for radius in (0.5, 0.9, 1.1, 1.5):
        training.seed_repeat(run, 0)
        reservoir = _small(run, radius)
        states, line = beginnings, {}
        for step in range(len(inputs) + 1):
            line[step] = [
                max(float(np.linalg.norm(np.diff(states, axis=0))), LEAST)
            ]
            if step < len(inputs):
                both = np.repeat(inputs[step : step + 1], 2, axis=0)
                states = reservoir.step(both, states).numpy()
        lines[f"spectral radius {radius}"] = line
    panel = comparisons.Panel(
        lines,
        x_label="step",
        y_label="distance of the two states",
        log_y=True,
    )
    caption = (
        f"A reservoir of {SMALL_UNITS} units begins in two states that are "
        "drawn at random, and reads the same series in both. With a spectral "
        "radius below 1 the states come together, down to what float32 can "
        "tell apart: what they are is an echo of the series, and of nothing "
        "else. With a large radius they stay apart, and what such a reservoir "
        "says depends on where it began."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "forgetting"),
        heading="The echo state property",
        caption=caption,
        panels=(panel,),
    )


def _small(run, radius):
    """Return a reservoir of few units, with a spectral radius."""
    from recipes.lab import training

    settings = RESERVOIRS[DATASET] | {"spectral_radius": radius}
    model = training.create_model(
        *(run.data, "echo_state_regressor"), units=SMALL_UNITS, **settings
    )
    return model.get_layer("reservoir")


def _remembering(run):
    """Return the report's section on what the spectral radius decides."""
    import numpy as np

    from recipes.lab import training
    from recipes.lab.report import comparisons

    train, validation = run.data.train[::2], run.data.validation
    lags = min(LAGS, train.inputs.shape[1])

    def targets_of(split):
        """What follows, then what came in so many steps ago."""
        back = split.inputs[:, ::-1, 0][:, :lags]
        return np.hstack([split.targets[:, None], back])

    errors, remembered = {}, {}
    truth = targets_of(validation)
    for radius in RADII:
        shares = []
        for repeat in range(run.config.repeats):
            training.seed_repeat(run, repeat)
            reservoir = _small(run, radius)
            states = _states(reservoir, train)
            penalty = min(PENALTIES[DATASET])
            solved = _ridge(states, targets_of(train), [penalty])
            kernel, bias = solved[penalty]
            states = _states(reservoir, validation)
            missed = np.var(states @ kernel + bias - truth, axis=0)
            shares.append(missed / np.var(truth, axis=0))
        errors[radius] = [float(np.sqrt(one[0])) for one in shares]
        remembered[radius] = {
            lag: [100 * max(0.0, 1 - float(one[1 + lag])) for one in shares]
            for lag in range(lags)
        }
    panels = (
        comparisons.Panel(
            {f"radius {r}": remembered[r] for r in RADII[:: len(RADII) // 4]},
            x_label="steps ago",
            y_label="variance that is remembered, in %",
        ),
        comparisons.Panel(
            {"NARMA10": errors},
            x_label="spectral radius",
            y_label="normalized RMSE, validation",
        ),
    )
    caption = (
        f"Reservoirs of {SMALL_UNITS} units, at each spectral radius. On the "
        "left a layer is computed for each number of steps, which says what "
        "came in so long ago; the share of the variance that it explains, "
        "summed over the steps, is called the memory capacity. On the right is "
        "the error on NARMA10, for which ten steps have to be remembered."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "radius"),
        heading="What the spectral radius decides",
        caption=caption,
        panels=panels,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
