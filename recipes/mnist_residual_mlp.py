"""Fifty layers that learn, because every two of them add to their input.

    python -m recipes.mnist_residual_mlp
    python -m recipes.mnist_residual_mlp --blocks 2

Three networks of the same layers begin with the same weights. The plain one
hands on what its layers make of z; the residual one adds z, Res(z) = z +
s(T(s(T(z)))); and the last one also normalizes what enters each block.

In the plain one, signals shrink with every layer: those of the pixels on their
way forward, and the gradient on its way back. A layer's own gradient is the
product of what it gets from both sides, so nothing is left of it anywhere. In
the residual one they grow instead, and training begins with an enormous loss.
In the normalized one they do neither. It learns at once, and is exported:
expect 97.8 % after four passes, where the plain one has learned nothing.

The report shows the length of the gradient in every layer of each network,
before the training and after it, and how they fare. With the second command the
networks are shallow, and all of them learn.

Reference: He, Zhang, Ren and Sun 2016; Ba, Kiros and Hinton 2016; Glorot and
Bengio 2010 (gradients of deep networks).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "mnist"
TARGETS = (Target(ACCURACY, 0.97),)
NETWORKS = {
    "plain": {"residual": False},
    "residual": {"residual": True},
    "normalized": {"residual": True, "layer_norm": True},  # is exported
}
MEASURED = 512  # images that a gradient is of


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    blocks: Count = 25
    """Residual blocks, of two hidden layers each."""
    units: Count = 128
    """Width of all hidden layers."""
    epochs: Epochs = 4
    batch_size: BatchSize = 256
    learning_rate: Rate = 0.001
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)
        task, few = tasks.Classification(data), data.train[:MEASURED]
        kernels = {}  # what those of the first network are at the beginning
        before, after, histories, scores = {}, {}, {}, {}
        for name, kind in NETWORKS.items():
            with run.scope():
                model = training.create_model(
                    *(data, "residual_mlp"),
                    blocks=config.blocks,
                    units=config.units,
                    **kind,
                )
                rate = training.one_cycle(
                    config.learning_rate, steps, warmup=0.2
                )
                model.compile(
                    optimizer=keras.optimizers.Adam(rate),
                    loss="sparse_categorical_crossentropy",
                    metrics=["accuracy"],
                )
                for layer in training.layers_with_kernel(model):
                    kernel = kernels.setdefault(
                        layer.name, layer.kernel.numpy()
                    )
                    layer.kernel.assign(kernel)
            before[name] = training.gradient_lengths(model, few)
            histories[name] = training.fit(
                *(run, model, data.train),
                validation=data.validation,
                phase="train" if name == "normalized" else name,
            )
            after[name] = training.gradient_lengths(model, few)
            scores[name] = task.score(model, data.test)

        *others, (_, best) = scores.items()
        for name, other in others:
            metric = f"{name}_{ACCURACY.name}"
            best.metrics[metric] = other.metrics[ACCURACY.name]
        return run.finish(
            *(task, model, best, *reversed(histories.values())),
            sections=[_lengths(before, after, len(few)), _curves(histories)],
        )


def _lengths(before, after, count):
    """Return the report's section on the gradient of each layer."""
    from recipes.lab.report import comparisons

    panels = [
        comparisons.Panel(
            lines,
            x_label="layer, from the pixels to the classes",
            y_label="length of the gradient",
            title=title,
            log_y=True,
        )
        for title, lines in (
            ("before training", before),
            ("after training", after),
        )
    ]
    return lambda plots: comparisons.panels_section(
        plots,
        "gradients",
        heading="The gradient in every layer",
        caption="The length of the gradient of each layer's weights, over "
        f"{count} training images. It is the product of what comes forward "
        "from the pixels and what comes back from the loss.",
        panels=panels,
    )


def _curves(histories):
    """Return the report's section on how all of them fare."""
    from recipes.lab.report import comparisons

    kinds = {
        "loss": ("training loss in nats", 1),
        "val_accuracy": ("validation accuracy in %", 100),
    }
    panels = [
        comparisons.Panel(
            {
                name: comparisons.by_epoch([history], metric, factor)
                for name, history in histories.items()
            },
            x_label="epoch",
            y_label=label,
            log_y=metric == "loss",
        )
        for metric, (label, factor) in kinds.items()
    ]
    return lambda plots: comparisons.panels_section(
        plots,
        "fared",
        heading="How they fare",
        caption="The same layers, the same weights at the beginning, the same "
        "images in the same order.",
        panels=panels,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
