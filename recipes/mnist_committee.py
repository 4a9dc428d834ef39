"""A committee on MNIST: what finished networks say, averaged, errs on fewer.

    python -m recipes.mnist_committee
    python -m recipes.mnist_committee --members mnist_cnn mnist_elm mnist_lstm

Networks that were trained apart err on digits of their own, the more so if one
reads rows and another looks for shapes. The members are exports: of your own
runs, or the ones that come with this package, a small CNN, LeNet-5, an LSTM and
a GRU. Expect 99.56 % of these four, of which the best has 99.54: the better the
others, the more they help. Their weights stay. All that is learned is two
numbers for each, on the validation images: how much surer, or less sure, it
ought to be than it says, and its share of the vote. One that knows nothing gets
no say. The committee is exported as one network.

Reference: Hansen and Salamon 1990 (ensembles); Guo et al. 2017 (how sure a
network ought to be); Smyth and Wolpert 1999 (shares of the vote).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.9950),)
MEMBERS = tuple(
    f"mnist_{name}@shipped" for name in ("cnn", "lenet5", "lstm", "gru")
)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    members: tuple[str, ...] = MEMBERS
    """Exports whose answers are averaged: names, or paths of their folders."""
    equal_shares: bool = False
    """Average what they say as it is: of those that learned from the
    validation images nothing can be learned there."""
    run: RunOptions = RunOptions(strategy="none")


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import numpy as np

    from recipes.lab import runs, tasks
    from recipes.lab.errors import UsageError
    from recipes.lab.training import closed_form, normal_equations
    from zoo import multicolumn

    if not config.members:
        raise UsageError("--members must name one export or more.")
    with runs.open_run(config, DATASET, loads=config.members) as run:
        task = tasks.Classification(run.data)
        members = [_loaded(name, run.data) for name in config.members]
        model = multicolumn.committee(members)
        average = model.get_layer("average")
        validation = run.data.validation

        def solution():
            """Compute sharpness and share of each; return the metrics."""
            labels = validation.targets
            answers = [task.answer(member, validation) for member in members]
            logs = np.log(np.maximum(answers, 1e-7), dtype="float64")
            if not config.equal_shares:
                sharpness = np.array(
                    [normal_equations.sharpness(of, labels) for of in logs]
                )
                shares = _shares(logs, sharpness, labels)
                average.set_weights([sharpness, shares])
            found = task.score(model, validation, quiet=True).metrics
            return {
                "loss": found["test_loss"],
                "val_accuracy": found["test_accuracy"],
            }

        history = closed_form.solve(
            run, model, solution, loss="cross-entropy of the validation images"
        )

        scores = task.score(model, run.data.test)
        answers = [task.answer(member, run.data.test) for member in members]
        section = _members_section(config, answers, scores, average)
        return run.finish(task, model, scores, history, sections=[section])


def _loaded(name, data):
    """Return a member, or refuse what cannot be one."""
    import zoo
    from recipes.lab.errors import UsageError

    try:
        model = zoo.load_model(name)
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"--members: {error}") from error
    shapes = [(None, *data.inputs.shape), (None, data.num_classes)]
    if [model.input_shape, model.output_shape] != shapes:
        raise UsageError(
            f"--members must take images of {shapes[0][1:]} and tell "
            f"{data.num_classes} classes apart. Received: {name}, from "
            f"{model.input_shape[1:]} to {model.output_shape[1:]}"
        )
    return model


def _shares(logs, sharpness, labels):
    """Return the shares for which the true classes are the most probable.

    Each step gives a member the mean of its part in what the committee says of
    the true classes; none makes them less probable.
    """
    import numpy as np

    powers = np.exp(sharpness[:, np.newaxis, np.newaxis] * logs)
    powers /= powers.sum(axis=2, keepdims=True)
    of_the_truth = powers[:, np.arange(len(labels)), labels]
    shares = np.full(len(logs), 1 / len(logs))
    for _ in range(200):
        parts = shares[:, np.newaxis] * of_the_truth
        shares = np.mean(parts / parts.sum(axis=0), axis=1)
    return shares


def _members_section(config, answers, scores, average):
    """Return the report's section on each member, and on their vote."""
    import numpy as np

    from recipes.lab.report import page

    labels = scores.split.targets
    wrong = np.array([found.argmax(axis=1) != labels for found in answers])
    rows = [
        (name, f"{sharp:.2f}", f"{share:.2f}", f"{100 * missed.mean():.2f} %")
        for name, sharp, share, missed in zip(
            config.members, *average.get_weights(), wrong, strict=True
        )
    ]
    voted = scores.outputs.argmax(axis=1) != labels
    rows.append(("committee", "", "", f"{100 * voted.mean():.2f} %"))
    table = page.table(rows, ("member", "sharpness", "share", "test error"))
    some, all_of_them = wrong.any(axis=0).sum(), wrong.all(axis=0).sum()
    caption = (
        f"On {some:,} test images some member errs, on {all_of_them:,} all of "
        f"them do, and the committee errs on {voted.sum():,}. A sharpness "
        "above 1 makes a member surer than it said; the shares are those of "
        "the vote."
    )
    return lambda plots: ("Members and their vote", caption, table)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
