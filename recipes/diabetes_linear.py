"""One linear neuron on diabetes: linear regression, by the normal equations.

    python -m recipes.diabetes_linear

Expect 51.1 points of error (RMSE) on the test rows, in a fraction of a second:
the weights are not learned but computed, and nothing is random. They are those
of scikit-learn's `LinearRegression`. The report draws what a standard deviation
more of each column adds to the answer.

Reference: Legendre 1805; Efron, Hastie, Johnstone and Tibshirani 2004 (data).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, RunOptions
from recipes.lab.metrics import RMSE

DATASET = "diabetes"
TARGETS = (Target(RMSE, 56.0),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    penalty: Amount = 0.0
    """Weight of the sum of the squared weights (ridge regression)."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np

    import zoo
    from recipes.lab import runs, tasks
    from recipes.lab.training import closed_form

    with runs.open_run(config, DATASET) as run:
        data = run.data
        with run.scope():
            model = zoo.create_model(
                "linear_neuron", input_shape=data.inputs.shape
            )
        # Raw units go in. What they are divided by is a weight, too.
        model.get_layer("standardization").adapt(data.train.inputs)
        task = tasks.Regression(data)

        def solution():
            """Set the weights for which the sum of squared errors is least."""
            rows = tasks.features_of(closed_form.body(model), data.train)
            columns, truth = np.float64(rows.inputs), rows.targets[:, None]
            kernel, bias = closed_form.ridge([(columns, truth)], config.penalty)
            model.get_layer("prediction").set_weights([kernel, bias])
            fitted, validated = (
                task.score(model, split, quiet=True).metrics["test_mse"]
                for split in (data.train, data.validation)
            )
            return {"loss": fitted, "val_loss": validated}

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
