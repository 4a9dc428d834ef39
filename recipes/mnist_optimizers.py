"""Seven optimizers train one network, each at the learning rate that suits it.

    python -m recipes.mnist_optimizers
    python -m recipes.mnist_optimizers --dataset fashion_mnist

Plain SGD, SGD with momentum and with Nesterov's, RMSprop, Adam, AdamW and Muon
train a multi-layer perceptron. A comparison is worth what its learning rates
are worth. So each optimizer first tries five of them, a factor of about three
apart, and keeps the one that is best on the validation images; the rate stays
the same from the first step to the last. Then further seeds train with it. For
each seed all optimizers begin with the same weights and see the same batches.
Expect 98.1 % from Muon, the best of them; the others have 97.5 to 98.0 %.

The report shows training and validation by epoch, the validation error by
learning rate, and what all end with on the test images, with mean and standard
deviation over the seeds. What is exported is the optimizer that is best on the
validation images.

Reference: Polyak 1964 (momentum); Nesterov 1983; Tieleman and Hinton 2012
(RMSprop); Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (AdamW); Jordan
et al. 2024 (Muon).
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Between, Count, Epochs, RunOptions
from recipes.lab.metrics import ACCURACY, CROSS_ENTROPY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.975),)
# To be tried, the usual one first.
RATES = {
    "SGD": (0.3, 0.1, 1.0, 0.03, 0.01),
    "momentum": (0.03, 0.01, 0.1, 0.003, 0.001),
    "Nesterov": (0.03, 0.01, 0.1, 0.003, 0.001),
    "RMSprop": (0.001, 0.0003, 0.003, 0.0001, 0.01),
    "Adam": (0.001, 0.0003, 0.003, 0.0001, 0.01),
    "AdamW": (0.001, 0.0003, 0.003, 0.0001, 0.01),
    "Muon": (0.001, 0.0003, 0.003, 0.0001, 0.01),
}
Name = Literal[
    "SGD", "momentum", "Nesterov", "RMSprop", "Adam", "AdamW", "Muon"
]


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    optimizers: tuple[Name, ...] = ()
    """Which of them to compare, instead of all."""
    tries: Annotated[int, Between(1, 5)] = 5
    """Learning rates to try for each, with the first seed."""
    repeats: Count = 3
    """Seeds to train with at the best rate."""
    epochs: Epochs = 10
    batch_size: BatchSize = 128
    run: RunOptions = RunOptions()


def optimizer(name: Name, rate: float):
    """Return one of the optimizers; what is not said is as Keras has it."""
    from keras import optimizers

    match name:
        case "SGD":
            return optimizers.SGD(rate)
        case "momentum":
            return optimizers.SGD(rate, momentum=0.9)
        case "Nesterov":
            return optimizers.SGD(rate, momentum=0.9, nesterov=True)
        case "RMSprop":
            return optimizers.RMSprop(rate)
        case "Adam":
            return optimizers.Adam(rate)
        case "AdamW":
            return optimizers.AdamW(rate, weight_decay=0.1)
        case "Muon":
            # Muon is for the matrices between hidden layers. The biases and the
            # last layer, whose rows are classes, are Adam's.
            return optimizers.Muon(
                rate, weight_decay=0.1, exclude_layers=["predictions"]
            )


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from statistics import mean

    from recipes.lab import runs, tasks

    with runs.open_run(config, DATASET) as run:
        data, task = run.data, tasks.Classification(run.data)
        trained = {}  # model and history, by optimizer, rate and seed

        def fit(name, rate, repeat):
            """Train the network, unless it has been; return its history."""
            if (name, rate, repeat) not in trained:
                trained[name, rate, repeat] = _fit(run, name, rate, repeat)
            return trained[name, rate, repeat][1]

        # The rates are tried with the first seed, and one is kept.
        tried, rates = {}, {}
        for name in config.optimizers or RATES:
            tried[name] = {
                rate: fit(name, rate, 0) for rate in RATES[name][: config.tries]
            }
            rates[name] = max(tried[name], key=lambda r: _last(tried[name][r]))

        # All seeds train with it, and are tested once.
        histories, scores = {}, {}
        for name, rate in rates.items():
            seeds = range(config.repeats)
            histories[name] = [fit(name, rate, repeat) for repeat in seeds]
            scores[name] = [
                task.score(trained[name, rate, i][0], data.test, quiet=True)
                for i in seeds
            ]

        # The best on the validation images is exported, with its first seed.
        best = max(rates, key=lambda name: mean(map(_last, histories[name])))
        first = scores[best][0]
        for name, all_seeds in scores.items():
            tested = [one.metrics[ACCURACY.name] for one in all_seeds]
            first.metrics[f"{name}_{ACCURACY.name}"] = mean(tested)
        model, history = trained[best, rates[best], 0]
        others = [h for _, h in trained.values() if h is not history]
        sections = [_comparison(rates, histories, scores, best, config.tries)]
        if config.tries > 1:
            sections.append(_search(tried, rates))
        return run.finish(
            *(task, model, first, history, *others), sections=sections
        )


def _fit(run, name, rate, repeat):
    """Train the network with an optimizer; return it and its history."""
    from recipes.lab import training

    seed = training.seed_repeat(run, repeat)
    with run.scope():
        model = training.create_model(
            run.data, "mlp", hidden_units=(128, 128, 128), dropout=0.0
        )
        model.compile(
            optimizer=optimizer(name, rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, run.data.train),
        validation=run.data.validation,
        phase=f"{name}-{rate:g}-{repeat}",
        seed=seed,
        quiet=True,
    )
    return model, history


def _last(history):
    """Return the accuracy on the validation images in the end."""
    return history["val_accuracy"][-1]


def _errors(history):
    """Return the validation error of each epoch in percent."""
    return {"error": [100 * (1 - share) for share in history["val_accuracy"]]}


def _comparison(rates, histories, scores, best, tries):
    """Return the report's section with all optimizers at their best rates."""
    from statistics import mean

    from recipes.lab.report import comparisons, page

    training, validation = (
        comparisons.Panel(
            {
                name: comparisons.by_epoch([*map(curves, seeds)], metric)
                for name, seeds in histories.items()
            },
            x_label="epoch",
            y_label=label,
            log_y=True,
        )
        for curves, metric, label in (
            (dict, "loss", "training loss in nats"),
            (_errors, "error", "validation error in %"),
        )
    )
    write = comparisons.write_spread
    rows = [
        (
            name,
            f"{rate:g}",
            write(CROSS_ENTROPY, [h["loss"][-1] for h in histories[name]]),
            write(ACCURACY, [*map(_last, histories[name])]),
            write(ACCURACY, [s.metrics["test_accuracy"] for s in scores[name]]),
            # The first epoch traces the graph.
            f"{mean(h['seconds'][-1] for h in histories[name]):.2f} s",
        )
        for name, rate in rates.items()
    ]
    header = (
        *("", "learning rate", "training loss"),
        *("validation", "test accuracy", "an epoch"),
    )
    of_each = "the learning rate that is best for it"
    if tries == 1:
        of_each = "a learning rate that is usual for it"
    caption = (
        "All begin with the same weights and see the same batches, and each "
        f"has {of_each}. {best} is exported: it is best on the validation "
        "images."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "optimizers"),
        heading="Optimizers side by side",
        caption=caption,
        panels=(training, validation),
        html=page.table(rows, header),
    )


def _search(tried, rates):
    """Return the report's section on the learning rates that were tried."""
    from recipes.lab.report import comparisons

    lines = {
        name: {
            rate: _errors(history)["error"][-1:]
            for rate, history in histories.items()
        }
        for name, histories in tried.items()
    }
    panel = comparisons.Panel(
        lines,
        x_label="learning rate",
        y_label="validation error in %",
        log_x=True,
        log_y=True,
        chosen=rates,
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "learning_rates"),
        heading="What the learning rate decides",
        caption="After all epochs, with the first seed. The rate that is "
        "ringed was kept. How wide a valley is says how much care an optimizer "
        "needs.",
        panels=(panel,),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
