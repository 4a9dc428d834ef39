"""An extreme learning machine on MNIST: no gradient, one solution.

    python -m recipes.mnist_elm

Random filters that nobody trains, then one layer of weights that is computed:
ridge regression from what the filters answer to the ten classes. Expect 98.8 %
in half a minute on two CPU cores, after one pass over the images. With 5,000
random units that see the whole image it would be 97.1 %; here each sees a small
field, and all fields of a filter share its weights.

The only epoch is that pass. Interrupted in it, the same command repeats it.

Reference: Huang, Bai, Kasun and Vong 2015; Hoerl and Kennard 1970 (ridge
regression); Guo et al. 2017 (from scores to probabilities).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Count, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.985),)
# Of the squared weights; validation chooses.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    filters: Count = 64
    """Number of random filters."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form, normal_equations

    with runs.open_run(config, DATASET) as run:
        data = run.data
        model = training.create_model(data, "elm", filters=config.filters)
        extractor = zoo.feature_extractor(model)

        def features(split):
            return tasks.features_of(extractor, split).inputs

        def solution():
            """Compute the weights of the last layer; return the metrics."""
            *weights, metrics = normal_equations.regress_classes(
                features, data, PENALTIES
            )
            model.get_layer("predictions").set_weights(weights)
            return metrics

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
