"""A Markov chain of letters: what comes next depends on the last letter alone.

    python -m recipes.letters_markov_chain

Written dates and numbers, in words and digits, are counted letter by letter:
how often does each letter follow each other one? These shares are all that the
chain knows. Nothing is left to a gradient, for no other probabilities make the
texts more likely. Expect 2.38 bits per letter.

From the end of a text the chain steps to the beginning of the next one. In
the long run it is in each state for a share of its steps that the matrix alone
decides, the stationary distribution: the report has it beside the letters of
the test texts. It also draws texts, and shows how fast counts of a chain come
near to what the chain is, as there are more of them.

Reference: Markov 1913; Shannon 1948.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import BITS, VISITS

DATASET = "written_dates_and_numbers"
TARGETS = (Target(BITS, 2.4), Target(VISITS, 0.01))
# What may be added to each count; the validation texts choose.
SMOOTHINGS = (0.001, 0.01, 0.1, 1.0, 10.0)
LENGTHS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)  # of walks


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    texts: Count = 30_000
    """Training texts that are counted, the first ones."""
    draws: Count = 10
    """Walks of each length that the error of counting is the mean of."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Count, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form
    from zoo import chains

    with runs.open_run(config, DATASET) as run:
        data = run.data
        model = training.create_model(data, "markov_chain")
        task = tasks.NextLetter(data)
        texts = data.train[: config.texts]

        def bits(split):
            """Return what a letter of some texts takes, in bits."""
            return task.score(model, split, quiet=True).metrics[BITS.name]

        def counting():
            """Count the transitions; return the metrics."""
            counts = chains.count_transitions(texts.inputs, task.states)
            found = {}
            for smoothing in SMOOTHINGS:
                matrix = chains.transition_matrix(counts, smoothing)
                chains.set_transitions(model, matrix)
                found[bits(data.validation)] = smoothing, matrix
            best = min(found)
            smoothing, matrix = found[best]
            chains.set_transitions(model, matrix)
            return {
                "loss": bits(texts),
                "val_loss": best,
                "smoothing": smoothing,
            }

        history = closed_form.solve(
            run, model, counting, loss="bits per letter"
        )
        scores = task.score(model, data.test)
        return run.finish(
            *(task, model, scores, history),
            sections=[_counted(config, chains.transitions_of(model))],
        )


def _counted(config, matrix):
    """Return the report's section on how near counts come to a known chain."""
    import numpy as np

    from recipes.lab.report import comparisons
    from zoo import chains

    states = len(matrix)
    stationary = chains.stationary_distribution(matrix)
    errors = {}
    for length in LENGTHS:
        random = np.random.default_rng([config.run.seed, length])
        errors[length] = []
        for walked in chains.walk(matrix, length, config.draws, random):
            pairs = np.append(chains.START, walked[:-1]) * states + walked
            counts = np.bincount(pairs, minlength=states**2)
            found = chains.transition_matrix(
                counts.reshape(states, states), 0.01
            )
            apart = np.abs(found - matrix).sum(axis=1) / 2
            errors[length].append(100 * float(stationary @ apart))
    first = np.mean(errors[LENGTHS[0]])
    panel = comparisons.Panel(
        {
            "counted": errors,
            "a root of the steps": {
                length: [float(first * (LENGTHS[0] / length) ** 0.5)]
                for length in LENGTHS
            },
        },
        x_label="steps of a walk",
        y_label="total variation from the chain, in %",
        log_x=True,
        log_y=True,
    )
    caption = (
        "The chain draws, and what it draws is counted as if nobody knew the "
        "chain: how far its probabilities are from the true ones, in the mean "
        "over where the chain is. As for all that is counted, a hundred times "
        "the steps make the error ten times smaller, once each transition has "
        "been seen."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "counted"),
        heading="The more is counted, the nearer",
        caption=caption,
        panels=(panel,),
        repeats="walks",
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
