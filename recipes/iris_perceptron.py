"""Rosenblatt's perceptron on iris: is a flower a setosa, or not?

    python -m recipes.iris_perceptron
    python -m recipes.iris_perceptron --species versicolor

Expect 100 % within a few epochs. The rule moves the weights only where it is
wrong, and by the flower that it was wrong about. A plane separates setosa from
the other two species, so it makes at most (R/γ)² mistakes in all, in whatever
order the flowers come: R is the length of the longest flower, γ the distance
from the best plane to the nearest. The report has both. No plane separates
versicolor, and the rule of the second command never comes to rest.

Reference: Rosenblatt 1958; Novikoff 1962 (the bound); Fisher 1936 (data).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "iris"
TARGETS = (Target(ACCURACY, 1.0),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    species: Literal["setosa", "versicolor", "virginica"] = "setosa"
    """What is told from the two others."""
    epochs: Count = 50
    """Epochs at most; the rule stops after one without a mistake."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import zoo
    from recipes.lab import runs, tasks
    from recipes.lab.training import closed_form

    with runs.open_run(config, DATASET) as run:
        data = run.data.against_the_rest(config.species)
        with run.scope():
            # From zero, where the proof of the bound begins.
            model = zoo.create_model(
                "perceptron",
                input_shape=data.inputs.shape,
                kernel_initializer="zeros",
            )
        model.get_layer("standardization").adapt(data.train.inputs)

        history = closed_form.fit(
            run,
            model,
            closed_form.perceptron(model),
            data.train,
            validation=data.validation,
            until=lambda logs: logs["mistakes"] == 0,
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        section = _bound(model, data.train, sum(history["mistakes"]))
        return run.finish(task, model, scores, history, sections=[section])


def _bound(model, split, mistakes):
    """Return the report's section on how many mistakes there can be."""
    import numpy as np

    from recipes.lab.report import page
    from recipes.lab.training import closed_form

    flowers = closed_form.summands_of(model)(split).inputs
    radius = np.linalg.norm(flowers, axis=1).max()
    margin = closed_form.margin(flowers, split.targets)
    if margin:
        rows = {
            "mistakes": f"{mistakes:,.0f}",
            "(R/γ)²": f"{(radius / margin) ** 2:,.1f}",
            "R, the longest flower": f"{radius:.4f}",
            "γ, the margin of the best plane": f"{margin:.4f}",
        }
    else:
        rows = {
            "mistakes": f"{mistakes:,.0f}",
            "(R/γ)²": "infinite: no plane separates these classes",
        }
    caption = (
        "The rule makes at most (R/γ)² mistakes before it comes to rest. "
        "Flowers are measured as the neuron sees them: standardized, with a 1 "
        "for the bias."
    )
    html = page.table(rows.items())
    return lambda plots: ("Mistakes in training", caption, html)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
