"""A Hopfield network: a memory that completes what it is shown.

    python -m recipes.memories_hopfield

Ten bitmaps of digits are stored in the weights between units, one for each
pixel. Shown a bitmap with some pixels flipped, the network updates its units,
its energy falls, and it comes to rest at a memory, or at something else.

Hebb's rule stores each pattern by itself; digits are so much alike that none of
them stays. The pseudo-inverse takes into account what they have in common, and
stores all. Expect it to tell 99.4 % of the digits from such cues, and to recall
95 % of them to the last pixel. The report shows cues on their way, the energy,
and how many random patterns Hebb's rule can store: in networks of three sizes
the share of patterns that stay falls as more are stored, but not abruptly.

Reference: Hopfield 1982; Personnaz, Guyon and Dreyfus 1985 (the
pseudo-inverse); Amit, Gutfreund and Sompolinsky 1985 (how much can be stored).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import ACCURACY, RECALLED, STORED

DATASET = "memories"
TARGETS = (Target(ACCURACY, 0.95), Target(RECALLED, 0.90))
SIZES = (50, 100, 200)  # units of the networks whose capacity is measured
LOADS = (0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2, 0.25, 0.3)
SHOWN = 10  # cues


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    steps: Count = 8
    """How often the units are updated."""
    draws: Count = 100
    """Sets of random patterns that the capacity is the mean of."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Store, score, export and report; return the metrics."""
    import numpy as np

    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form
    from zoo import associative

    with runs.open_run(config, DATASET) as run:
        data = run.data
        rules = {
            "hebb_": associative.hebbian_weights,
            "": associative.pseudo_inverse_weights,
        }
        networks, task, metrics = {}, tasks.Classification(data), {}
        for owner, rule in rules.items():
            model = training.create_model(data, "hopfield", steps=config.steps)
            networks[owner] = model

            def storing(model=model, rule=rule):
                """Store the bitmaps; return the metrics."""
                associative.store(model, data.train.inputs, rule=rule)
                shares = {}
                for name, split in {
                    "": data.train,
                    "val_": data.validation,
                }.items():
                    wrong = 1 - np.mean(_recalled(model, data, split))
                    shares[f"{name}loss"] = wrong
                return shares

            history = closed_form.solve(
                run,
                model,
                storing,
                loss="share of images that are not recalled",
                phase="train" if not owner else "hebb",
                quiet=bool(owner),
            )
            metrics[f"{owner}{RECALLED.name}"] = float(
                np.mean(_recalled(model, data, data.test))
            )
            stored = np.sum(_recalled(model, data, data.train))
            metrics[f"{owner}{STORED.name}"] = float(stored)
        scores = task.score(model, data.test)
        scores.metrics.update(metrics)
        return run.finish(
            *(task, model, scores, history),
            sections=[
                _ways(networks, data.test),
                _capacity(config.draws, run.options.seed),
            ],
        )


def _states(model, images):
    """Return the states of a network after each step, from the first one on."""
    import numpy as np

    from zoo import associative

    states = [associative.patterns_of(model, images)]
    weights = model.get_layer("memory").kernel.numpy()
    for _ in range(model.get_layer("memory").steps):
        sums = np.sign(states[-1] @ weights)
        states.append(np.where(sums == 0, states[-1], sums))
    return np.array(states), weights


def _recalled(model, data, split):
    """Return which images end as the bitmap of their label, to the pixel."""
    from recipes.lab import tasks
    from zoo import associative, feature_extractor

    ends = tasks.features_of(feature_extractor(model, "memory"), split).inputs
    patterns = associative.patterns_of(model, data.train.inputs)
    return (ends == patterns[split.targets]).all(axis=1)


def _ways(networks, test):
    """Return the report's section on cues on their way, and their energy."""
    import numpy as np

    from recipes.lab.report import comparisons, page
    from zoo import associative

    names = {"": "pseudo-inverse", "hebb_": "Hebb"}
    _, firsts = np.unique(test.targets, return_index=True)
    cues = test.inputs[firsts[:SHOWN]]
    strips, rows, lines = [cues / 255], ["cue"], {}
    for owner, name in names.items():
        states, weights = _states(networks[owner], cues)
        for step in (1, len(states) - 1):
            strips.append((1 + states[step].reshape(cues.shape)) / 2)
            rows.append(f"{name}, step {step}")
        some = test.inputs[:: max(1, len(test) // 500)]
        states, _ = _states(networks[owner], some)
        energies = [
            associative.energy(weights, state) / states.shape[-1]
            for state in states
        ]
        lines[name] = {
            step: energy.tolist() for step, energy in enumerate(energies)
        }
    panel = comparisons.Panel(
        {
            name: {step: [float(np.mean(e))] for step, e in line.items()}
            for name, line in lines.items()
        },
        x_label="step",
        y_label="energy for each unit, mean over cues",
    )
    rises = max(
        float(np.max(np.diff([*line.values()], axis=0)))
        for line in lines.values()
    )
    caption = (
        "Above, the first cue of each digit, and what becomes of it. Below, "
        "the energy of the networks, in the mean over test cues. No cue's "
        f"energy rises in any step: the largest change is {rises:.2g}."
    )

    def section(plots):
        figure = page.tiles(
            *(np.concatenate(strips), None, len(cues)),
            cmap="gray",
            limits=(0, 1),
            rows=rows,
        )
        alt = f"{len(cues)} cues in columns; in rows: {', '.join(rows)}."
        picture = page.figure_html(plots / "ways.png", figure, alt)
        heading, words, html = comparisons.panels_section(
            *(plots, "energy"),
            heading="From a cue to a memory",
            caption=caption,
            panels=(panel,),
        )
        return heading, words, f'{picture}<p class="caption"></p>{html}'

    return section


def _capacity(draws, seed):
    """Return the report's section on how many random patterns stay."""
    import math

    import numpy as np

    from recipes.lab.report import comparisons
    from zoo import associative

    lines = {}
    for units in SIZES:
        random = np.random.default_rng([seed, units])
        measured, theory = {}, {}
        for load in LOADS:
            count = max(2, round(load * units))
            shares = []
            for _ in range(draws):
                patterns = random.choice([-1.0, 1.0], (count, units))
                weights = associative.hebbian_weights(patterns)
                np.fill_diagonal(weights, 0)
                # Whole numbers, but for rounding. At 0 a unit stays as it is.
                sums = np.rint(units * (patterns @ weights))
                stay = patterns * sums >= 0
                shares.append(100 * float(stay.all(axis=1).mean()))
            measured[count / units] = shares
            # What the others say to a unit is noise of this deviation.
            deviation = math.sqrt((count - 1) / units)
            wrong = math.erfc(1 / (deviation * math.sqrt(2))) / 2
            theory[count / units] = [100 * (1 - wrong) ** units]
        lines[f"{units} units"] = measured
        lines[f"{units}, theory"] = theory
    panel = comparisons.Panel(
        lines,
        x_label="patterns for each unit",
        y_label="patterns that stay as they are, in %",
    )
    caption = (
        "Random patterns and Hebb's rule, without joining units to themselves: "
        "the share of the patterns of which no unit changes. It is no wall: "
        "sets of as many patterns differ in how many of theirs stay. Theory "
        "takes what the other patterns say to a unit for normal "
        "noise, of its own for each unit. At 0.138 patterns for each "
        "unit even states near the patterns are lost in large networks; exact "
        "patterns are lost before, and the sooner the larger the network."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "capacity"),
        heading="How much can be stored",
        caption=caption,
        panels=(panel,),
        repeats="sets",
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
