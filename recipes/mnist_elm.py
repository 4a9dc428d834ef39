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
    import numpy as np

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.training import closed_form, normal_equations

    with runs.open_run(config, DATASET) as run:
        data = run.data
        model = training.create_model(data, "elm", filters=config.filters)
        one_hot = np.eye(data.num_classes)
        extractor = zoo.feature_extractor(model)

        def equations_of(split):
            """Add up, batch by batch, what ridge regression has to solve."""
            equations = normal_equations.NormalEquations()
            for batch in split.in_batches(5_000):
                batch = tasks.features_of(extractor, batch)
                equations.add(batch.inputs, one_hot[batch.targets])
            return equations

        def solution():
            """Compute the weights of the last layer; return the metrics."""
            fitted = equations_of(data.train)
            watched = equations_of(data.validation)
            solved = {penalty: fitted.solve(penalty) for penalty in PENALTIES}
            penalty = min(solved, key=lambda p: watched.error(*solved[p]))
            kernel, bias = solved[penalty]

            # Scores are no probabilities. Softmax makes them some, once they
            # are multiplied by a number, which validation chooses, too.
            validation = tasks.features_of(extractor, data.validation)
            scores = validation.inputs @ kernel + bias
            factor = normal_equations.sharpness(scores, validation.targets)
            model.get_layer("predictions").set_weights(
                [factor * kernel, factor * bias]
            )
            right = scores.argmax(axis=1) == validation.targets
            return {
                "loss": fitted.error(kernel, bias),
                "val_loss": watched.error(kernel, bias),
                "val_accuracy": np.mean(right),
                "penalty": penalty,
                "factor": factor,
            }

        history = closed_form.solve(
            run, model, solution, loss="mean squared error"
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
