"""Two series of which the next number depends on those before, in a curved way.

NARMA10 is driven: at each step a number u comes in, drawn evenly between 0 and
0.5, and the answer depends on the last ten of them and on the last ten answers,
with products of both. A network has to remember all of these, and multiply.

The Mackey-Glass series drives itself: x changes by what it was 17 units of time
before. It never repeats, and never strays far. What is to be said is the next
number; with what it said itself a network can go on from there.

References:
- A. F. Atiya, A. G. Parlos, New results on recurrent network training, 2000:
  the tenth-order system.
- M. C. Mackey, L. Glass, Oscillation and chaos in physiological control
  systems, 1977.
- H. Jaeger, H. Haas, Harnessing nonlinearity, 2004: the error after 84 steps.
"""

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tables import Column
from recipes.lab.inputs.time_series import TimeSeries

STEPS, SMALL_STEPS = 100, 40  # that a network is shown, at most
SIZES = {"train": 6_000, "validation": 1_000, "test": 2_000}
SMALL = 400  # windows of each split of a sample
ORDER = 10  # of NARMA: how many steps count
DELAY = 17  # of Mackey-Glass, in units of time; a step is one
PER_UNIT = 10  # steps of the solution in a unit of time
SETTLING = 500  # steps before the first one, which depend on the beginning

NARMA10 = "narma10"
MACKEY_GLASS = "mackey_glass"
TITLES = {
    NARMA10: "NARMA of order 10",
    MACKEY_GLASS: "the Mackey-Glass series",
}
COLUMNS = {
    NARMA10: Column("u", "", "what drives the system, from 0 to 0.5"),
    MACKEY_GLASS: Column("x", "", "the series itself, about 0.2 to 1.4"),
}
TARGETS = {
    NARMA10: Column("y", "", "what the system answers at the next step"),
    MACKEY_GLASS: Column("next_x", "", "the series at the next step"),
}


def load(name: str, small: bool = False) -> Data:
    """Return windows of a series, and the number that follows each.

    Each split is of a series of its own. Its windows begin one step apart.

    Args:
        name: One of `TITLES`.
        small: Whether a sample is enough, of shorter windows.
    """
    random = np.random.default_rng([*TITLES].index(name))
    steps = SMALL_STEPS if small else STEPS
    splits = {}
    for split, count in SIZES.items():
        if small:
            count = SMALL
        if name == NARMA10:
            inputs, answers = narma(count + steps, random)
            targets = answers[steps:]
        else:
            inputs = mackey_glass(count + steps, random)
            targets = inputs[steps:]
        windows = np.lib.stride_tricks.sliding_window_view(inputs[:-1], steps)
        splits[split] = Split(
            windows[..., np.newaxis].astype("float32"),
            targets.astype("float32"),
        )
    return Data(
        name,
        **splits,
        inputs=TimeSeries(steps, (COLUMNS[name],)),
        facts=Facts(TITLES[name], "computed, free of licences"),
        class_names=(),
        source="a simulation",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
        target=TARGETS[name],
    )


def narma(count: int, random) -> tuple[np.ndarray, np.ndarray]:
    """Return what drives the system, and what it answers, each `(count,)`.

    y(t+1) = 0.3 y(t) + 0.05 y(t) [y(t) + ... + y(t-9)] + 1.5 u(t-9) u(t) + 0.1

    so an answer depends on what came in before its own step. One of many series
    grows without end; it is drawn again.
    """
    total = count + SETTLING
    while True:
        u = random.uniform(0.0, 0.5, total)
        y = np.zeros(total)
        for t in range(ORDER - 1, total - 1):
            recent = y[t - ORDER + 1 : t + 1].sum()
            y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * recent + 0.1
            y[t + 1] += 1.5 * u[t - ORDER + 1] * u[t]
            if y[t + 1] > 1:
                break
        else:
            return u[SETTLING:], y[SETTLING:]


def mackey_glass(count: int, random) -> np.ndarray:
    """Return a series `(count,)`, one number for each unit of time.

    dx/dt = 0.2 x(t-17) / (1 + x(t-17)^10) - 0.1 x(t)

    from a beginning that is drawn near 1.2, by the method of Runge and Kutta;
    between its steps the delayed x is interpolated.
    """
    lag, size = DELAY * PER_UNIT, 1 / PER_UNIT
    total = (count + SETTLING) * PER_UNIT
    x = np.empty(lag + total)
    x[: lag + 1] = 1.2 + random.uniform(-0.1, 0.1)
    pull = 0.2 * x[: lag + 1] / (1 + x[: lag + 1] ** 10)
    pull = [*pull]  # by what is 17 units of time older than what it moves
    for i in range(lag, lag + total - 1):
        start, end = pull[i - lag], pull[i - lag + 1]
        middle, now = (start + end) / 2, x[i]
        k1 = start - 0.1 * now
        k2 = middle - 0.1 * (now + size / 2 * k1)
        k3 = middle - 0.1 * (now + size / 2 * k2)
        k4 = end - 0.1 * (now + size * k3)
        x[i + 1] = now + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        pull.append(0.2 * x[i + 1] / (1 + x[i + 1] ** 10))
    return x[lag + SETTLING * PER_UNIT :: PER_UNIT][:count]
