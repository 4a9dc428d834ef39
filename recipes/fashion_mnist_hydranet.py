"""A network that runs one of its three branches: better at the same cost?

    python -m recipes.fashion_mnist_hydranet
    python -m recipes.fashion_mnist_hydranet --also 2 3

A static network is trained first, like the HydraNet but of one branch, which is
so much wider that it has as many multiplications, with those of the gate. The
classes that it takes for each other are put into as many groups as there are
branches: clothes, shoes, and what is left. Then the HydraNet is trained, and
its gate learns which group an image is of. Each image goes through the most
probable branch; the others are not computed afterwards.

Expect 89.3 %, and 88.7 % of the static network, means of five seeds, the
HydraNet ahead in each. It is no more than level with the best of other shapes
of static networks that were tried: a stem of 6 maps, then 10 and 22, had 90.6 %
of the validation images in one run, the HydraNet 90.4 % in four. One
normalization for all branches cost it a point in one run. Cost is
multiplications. In time choosing does not pay here: of one image LiteRT takes
27 µs and 8 with the static network, for weights are gathered. The second
command trains such pairs with other numbers of branches for each image, too,
and draws accuracy against multiplications.

Reference: Mullapudi, Mark, Shazeer and Fatahalian 2018.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions, Share
from recipes.lab.metrics import ACCURACY

DATASET = "fashion_mnist"
TARGETS = (Target(ACCURACY, 0.885),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    branches: Count = 3
    """Number of branches."""
    chosen: Count = 1
    """Number of branches that an image goes through."""
    also: tuple[Count, ...] = ()
    """Further numbers of them to train pairs with, for the picture."""
    stem_filters: Count = 8
    """Number of maps that the branches share."""
    filters: tuple[Count, Count] = (8, 16)
    """Number of maps of the two convolutions of a branch."""
    gate_weight: Share = 0.1
    """Weight of what the gate learns beside the classes."""
    epochs: Epochs = 24
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a quarter of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.export import costs
    from recipes.lab.report import page

    with runs.open_run(config, DATASET) as run:
        _check(config)
        task = tasks.Classification(run.data)
        lines = {"HydraNet": {}, "static network": {}}
        groups = None

        def train_pair(chosen, which="", quiet=False):
            """Train two networks of one cost; note what they have reached."""
            nonlocal groups
            model = _create(run, config.branches, chosen)
            static = _of_the_cost_of(run, model)
            before = _fit(run, static, f"static{which}", quiet=quiet)
            if groups is None:
                groups = _groups_of_classes(run, static)
            history = _fit(run, model, f"train{which}", groups, quiet)
            scores = task.score(model, run.data.test, quiet=quiet)
            others = task.score(static, run.data.test, quiet=True)
            for line, network, found in zip(
                lines.values(), (model, static), (scores, others), strict=True
            ):
                cost = round(costs.multiplications(network) / 1000)
                line[cost] = 100 * found.metrics[ACCURACY.name]
            scores.metrics["static_test_accuracy"] = others.metrics[
                ACCURACY.name
            ]
            return model, static, scores, (history, before)

        model, static, scores, histories = train_pair(config.chosen)
        for chosen in config.also:
            train_pair(chosen, f"-{chosen}", quiet=True)
        sections = [_ways(run, model), _costs(run, task, model, static)]
        if config.also:
            sections.append(
                lambda plots: page.lines_section(
                    plots,
                    "multiplications",
                    heading="Accuracy against multiplications",
                    caption="Networks whose images go through different "
                    "numbers of branches, each beside a static one that costs "
                    "as much or a little more.",
                    x_label="thousand multiplications an image",
                    y_label="test accuracy in %",
                    lines=lines,
                )
            )
        return run.finish(task, model, scores, *histories, sections=sections)


def _check(config):
    """Refuse numbers of branches that there are not."""
    from recipes.lab.errors import UsageError

    if config.branches < 2:
        raise UsageError(
            "--branches must be at least 2, or there is nothing to choose. "
            f"Received: {config.branches}"
        )
    for flag, numbers in (("chosen", [config.chosen]), ("also", config.also)):
        if numbers and max(numbers) > config.branches:
            raise UsageError(
                f"--{flag} must be at most the {config.branches} --branches. "
                f"Received: {max(numbers)}"
            )


def _create(run, branches, chosen, filters=None):
    """Build a HydraNet; of one branch it is a static network."""
    from recipes.lab import training

    with run.scope():
        return training.create_model(
            *(run.data, "hydranet"),
            branches=branches,
            chosen=chosen,
            stem_filters=run.config.stem_filters,
            branch_filters=filters or run.config.filters,
        )


def _of_the_cost_of(run, model):
    """Build a static network that costs what a HydraNet does, or a bit more.

    Both convolutions grow by the branch's shape while that costs less than the
    HydraNet and its gate; what is left goes to maps of the second.
    """
    import itertools

    from recipes.lab.export import costs

    def static(maps):
        return _create(run, 1, 1, maps)

    goal = costs.multiplications(model)
    first, second = run.config.filters
    shapes = (
        (first + more, second + round(more * second / first))
        for more in itertools.count(1)
    )
    fitting = itertools.takewhile(
        lambda maps: costs.multiplications(static(maps)) < goal, shapes
    )
    *_, (first, second) = ((first, second), *fitting)
    while costs.multiplications(static((first, second))) < goal:
        second += 1
    return static((first, second))


def _fit(run, model, phase, groups=None, quiet=False):
    """Train a network, and its gate if there are groups; return the history."""
    from dataclasses import replace

    import keras
    import tensorflow as tf

    from recipes.lab import training
    from recipes.lab.data import augmentation

    outputs = {"predictions": model.output}
    if groups is not None:
        outputs["gate"] = model.get_layer("gate").output

    def targets(images, labels):
        found = {"predictions": labels}
        if groups is not None:
            found["gate"] = tf.gather(groups, labels)
        return images, found

    def augment(images, draw):
        images = augmentation.random_flip(images, draw)
        return augmentation.random_shift(images, draw)

    steps = training.steps(run)
    rate = training.one_cycle(run.config.learning_rate, steps, warmup=0.25)
    with run.scope():
        trained = keras.Model(model.input, outputs, name=model.name)
        trained.compile(
            optimizer=keras.optimizers.Adam(rate, beta_1=0.7, beta_2=0.9),
            loss=dict.fromkeys(outputs, "sparse_categorical_crossentropy"),
            loss_weights={
                name: run.config.gate_weight if name == "gate" else 1.0
                for name in outputs
            },
            metrics=dict.fromkeys(outputs, "accuracy"),
        )
    return training.fit(
        *(run, trained, replace(run.data.train, prepare=targets)),
        validation=replace(run.data.validation, prepare=targets),
        augment=augment,
        phase=phase,
        quiet=quiet,
    )


def _groups_of_classes(run, model):
    """Return the group of each class, int32: those taken for others share it.

    The two groups are joined whose classes are confused the most, until there
    are as many as branches. None grows larger than one and a half fair shares
    if others can be joined: else one branch would have all the clothes, and
    each shoe its own.

    Args:
        run: Whose training images are asked for.
        model: A static network, trained.
    """
    import itertools

    import numpy as np

    from recipes.lab.tasks.scores import predict

    train, count = run.data.train, run.data.num_classes
    answers = predict(model, train.inputs)
    confused = np.stack(
        [answers[train.targets == label].mean(axis=0) for label in range(count)]
    )
    most = -(-3 * count // (2 * run.config.branches))
    groups = [[label] for label in range(count)]

    def cost(pair):
        one, other = pair
        too_large = max(0, len(one) + len(other) - most)
        mutual = confused[np.ix_(one, other)], confused[np.ix_(other, one)]
        return too_large, -np.mean(mutual[0]) - np.mean(mutual[1])

    while len(groups) > run.config.branches:
        pair = min(itertools.combinations(groups, 2), key=cost)
        groups = [g for g in groups if g not in pair] + [sum(pair, [])]
    found = np.zeros(count, "int32")
    for number, group in enumerate(groups):
        found[group] = number
    return found


def _ways(run, model):
    """Return the report's section on which images go through which branches."""
    import numpy as np

    import zoo
    from recipes.lab.report import page
    from recipes.lab.tasks.scores import predict

    validation = run.data.validation
    gate = zoo.feature_extractor(model, "choice")
    choice = predict(gate, validation.inputs)
    rows = []
    for label, name in enumerate(run.data.class_names):
        chosen = choice[validation.targets == label]
        shares = [
            np.mean(np.any(chosen == branch, axis=1)) if len(chosen) else 0
            for branch in range(run.config.branches)
        ]
        rows.append((name, *(f"{100 * share:.0f} %" for share in shares)))
    numbers = range(1, run.config.branches + 1)
    header = ("class", *(f"branch {number}" for number in numbers))
    caption = (
        "Of each class, how many of the validation images go through each "
        "branch. The gate was taught to send classes that the static network "
        "takes for each other the same way."
    )
    return lambda plots: (
        "Which branches see which classes",
        caption,
        page.table(rows, header),
    )


def _costs(run, task, model, static):
    """Return the report's section on what each chosen branch costs."""
    from recipes.lab.export import costs
    from recipes.lab.report import page

    validation, branches = run.data.validation, run.config.branches
    networks = {}
    for chosen in range(1, branches + 1):
        other = _create(run, branches, chosen)
        other.set_weights(model.get_weights())
        networks[f"{chosen} of {branches}"] = other
    rows = []
    for name, network in {**networks, "static network": static}.items():
        scores = task.score(network, validation, quiet=True)
        tensorflow, litert = costs.microseconds(network, validation.inputs)
        rows.append(
            (
                name,
                f"{costs.multiplications(network):,}",
                f"{tensorflow:,.0f} µs",
                f"{litert:,.0f} µs",
                ACCURACY.write(scores.metrics[ACCURACY.name]),
            )
        )
    header = ("branches", "multiplications", "TensorFlow", "LiteRT", "accuracy")
    caption = (
        "The network that was trained with "
        f"{run.config.chosen}, asked with other numbers of branches, and the "
        "static network. Times are of one image, the accuracy is that of the "
        "validation images."
    )
    return lambda plots: (
        "What a branch costs",
        caption,
        page.table(rows, header),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
