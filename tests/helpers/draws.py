"""What random layers draw for the examples of a batch, on some devices.

As a command it saves them: `draws.py FOLDER STRATEGY COUNT`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops, random

from recipes.lab.flags import RunOptions
from recipes.lab.training import workers
from recipes.lab.training.devices import numerics, set_up
from recipes.lab.training.distributed import draw_for_whole_batch

BATCH, STEPS, FEATURES = 16, 2, (4, 6)


@dataclass(frozen=True)
class Config:
    batch_size: int = BATCH
    run: RunOptions = RunOptions()


class Draw(layers.Layer):
    """Returns what a function draws, given a number of each example."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.seed_generator = random.SeedGenerator()

    def call(self, inputs):
        return self.function(*inputs, self.seed_generator)


class DrawingCell(layers.Layer):
    """A cell that draws anew in each step of its loop."""

    state_size = output_size = FEATURES[-1]

    def __init__(self):
        super().__init__()
        self.seed_generator = random.SeedGenerator()

    def call(self, inputs, states):
        inputs = random.dropout(inputs, 0.5, seed=self.seed_generator)
        return inputs, [inputs]


class Recurrent(layers.SimpleRNN):
    """One that only adds up what its masks let through, without rounding."""

    def __init__(self, **options):
        super().__init__(
            FEATURES[-1],
            activation="linear",
            kernel_initializer="identity",
            recurrent_initializer="identity",
            dropout=0.5,
            recurrent_dropout=0.5,
            **options,
        )


def layer(kind, *arguments, **options):
    """Return a function that puts a new layer on the examples."""
    return lambda x, each: kind(*arguments, **options)(x)


def image_layer(kind, *arguments, **options):
    """Return a function that puts a new layer on images with a gradient."""

    def build(x, each):
        images = ops.reshape(x * ops.arange(6.0), (-1, *FEATURES, 1))
        return kind(*arguments, **options, value_range=(0, 9))(images)

    return build


def draw(function):
    """Return a function that puts a new `Draw` on the examples."""
    return lambda x, each: Draw(function)([x, each])


def attention(x, each):
    return layers.Attention(dropout=0.5)([x, x])


def rows(x, *sizes):
    return (ops.shape(x)[0], *sizes)


PER_EXAMPLE = {
    "dropout": layer(layers.Dropout, 0.5),
    "dropout in float16": layer(layers.Dropout, 0.5, dtype="float16"),
    "dropout in bfloat16": layer(layers.Dropout, 0.5, dtype="mixed_bfloat16"),
    "dropout of steps": layer(layers.Dropout, 0.3, (None, 4, 1)),
    "dropout in time": layer(
        lambda: layers.TimeDistributed(layers.Dropout(0.5))
    ),
    "spatial dropout": layer(layers.SpatialDropout1D, 0.3),
    "Gaussian noise": layer(layers.GaussianNoise, 1.0),
    "Gaussian dropout": layer(layers.GaussianDropout, 0.5),
    "alpha dropout": layer(layers.AlphaDropout, 0.5),
    "attention": attention,
    "recurrent": layer(Recurrent),
    "unrolled": layer(Recurrent, unroll=True),
    "in a loop": layer(lambda: layers.RNN(DrawingCell())),
    "brightness": image_layer(layers.RandomBrightness, 0.5),
    "normal": draw(lambda x, each, seed: random.normal(rows(x, 9), seed=seed)),
    "normal around each": draw(
        lambda x, each, seed: random.normal(rows(x, 9), each, seed=seed)
    ),
    "normal of a tensor's shape": draw(
        lambda x, each, seed: random.normal(tf.shape(x), seed=seed)
    ),
    "normal, four rows for each": draw(
        lambda x, each, seed: ops.reshape(
            random.normal((4 * ops.shape(x)[0], 6), seed=seed), (-1, 24)
        )
    ),
    "truncated normal": draw(
        lambda x, each, seed: random.truncated_normal(rows(x, 9), seed=seed)
    ),
    "uniform": draw(lambda x, each, seed: random.uniform(rows(x), seed=seed)),
    "integers": draw(
        lambda x, each, seed: random.randint(rows(x, 9), 0, 99, seed=seed)
    ),
    "gamma": draw(
        lambda x, each, seed: random.gamma(rows(x, 1), each, seed=seed)
    ),
    "beta": draw(
        lambda x, each, seed: random.beta(rows(x, 9), each, 2.0, seed=seed)
    ),
    "binomial": draw(
        lambda x, each, seed: random.binomial(rows(x, 9), 99, 0.5, seed=seed)
    ),
    "categorical": draw(
        lambda x, each, seed: random.categorical(
            each * ops.arange(6.0) / 9, 24, seed=seed
        )
    ),
}
FOR_THE_BATCH = {
    "dropout": layer(layers.Dropout, 0.5, (1, 4, 6)),
    "a number": draw(lambda x, each, seed: x * random.normal((), seed=seed)),
    "a row": draw(lambda x, each, seed: x * random.normal((1, 6), seed=seed)),
    "some rows": draw(
        lambda x, each, seed: x * random.normal((7, 6), seed=seed)[:1]
    ),
    "order of features": draw(
        lambda x, each, seed: random.shuffle(
            x * ops.arange(6.0), axis=2, seed=seed
        )
    ),
}
OF_EACH_REPLICA = {
    "order of the examples": draw(
        lambda x, each, seed: random.shuffle(
            ops.arange(ops.shape(x)[0]), seed=seed
        )
    ),
    "elastic": image_layer(layers.RandomElasticTransform, 1.0),
    "as many rows as half the batch": draw(
        lambda x, each, seed: x * random.normal((BATCH // 2, 6), seed=seed)[:1]
    ),
}
GROUPS = {
    "per example": PER_EXAMPLE,
    "for the batch": FOR_THE_BATCH,
    "of each replica": OF_EACH_REPLICA,
}
ALL = [(group, name) for group, builds in GROUPS.items() for name in builds]


def draws_of(strategy="none", count=1, names=ALL, wrap=draw_for_whole_batch):
    """Return what this process draws in the last step, and the seeds after it.

    Args:
        strategy: That of the run.
        count: Number of its CPU devices.
        names: What to draw, pairs of group and name.
        wrap: What makes a step of the model one for several replicas.

    Returns:
        For each name what the examples got, in order; of each replica here the
        states of all seeds.
    """
    options = RunOptions(strategy=strategy, cpu_devices=count)
    with numerics(options):
        devices = set_up(Config(run=options))
        strategy, share = devices.strategy, BATCH // devices.replicas
        with devices.scope():
            inputs = keras.Input(FEATURES), keras.Input((1,))
            outputs = [GROUPS[group][name](*inputs) for group, name in names]
            model = keras.Model(inputs, outputs)

        def batch_of(replica):
            each = 1.0 + share * replica + tf.range(share, dtype=tf.float32)
            return tf.ones((share, *FEATURES)), each[:, tf.newaxis]

        def step(batch):
            return model(batch, training=True)

        def copies(value):
            parts = [value]
            if strategy is not None:
                parts = strategy.experimental_local_results(value)
            return [part.numpy().astype(float) for part in parts]

        if strategy is None:
            batch, run = batch_of(0), tf.function(step)
        else:
            batch = strategy.experimental_distribute_values_from_function(
                lambda context: batch_of(context.replica_id_in_sync_group)
            )
            replicated = wrap(step)
            run = tf.function(lambda x: strategy.run(replicated, args=(x,)))
        for _ in range(STEPS):
            outputs = run(batch)
        draws = [np.concatenate(copies(value)) for value in outputs]
        seeds = [
            copies(variable.value)
            for variable in model.variables
            if variable.path.endswith("seed_generator_state")
        ]
    return dict(zip(names, draws, strict=True)), np.swapaxes(seeds, 0, 1)


if __name__ == "__main__":
    folder, strategy, count = sys.argv[1:]
    drawn, seeds = draws_of(strategy, int(count))
    cluster = workers.find()
    file = Path(folder, f"{cluster.index if cluster else 0}.npz")
    np.savez(file, *drawn.values(), seeds=seeds)
