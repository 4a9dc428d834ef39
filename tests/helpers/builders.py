"""Models of the zoo, what they may be given and what they answer."""

import functools
import inspect
import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

import zoo
from helpers.marks import only_thorough
from helpers.seeds import set_seed

# These differ from another model in a cell, in sizes or in an output only, or
# are many layers of which others have a few; or they have tests of their own.
NEAR_COPIES = (
    *("autoencoder", "deep_cnn", "gru", "lecture_cnn", "linear_neuron"),
    *("simple_rnn", "residual_mlp", "alexnet", "vgg", "googlenet", "resnet"),
    *("hydranet", "multi_task_cnn", "table_mlp", "dbn", "deconvolution"),
    *("dcign", "gan", "conditional_gan", "deblurring_gan"),
    *("face_pose", "ising_phases", "irnn", "captioner", "sentiment"),
    *("radial_basis", "echo_state_regressor"),
)


def one_of_each_kind(names):
    """Return names of models of which the default run tries no near copies."""
    kept = [name for name in names if name not in NEAR_COPIES]
    return only_thorough(names, kept)


def arguments_of(name):
    """Return the names of a builder's arguments."""
    return [*inspect.signature(zoo.model_info(name).builder).parameters]


def build(name, **arguments):
    """Build a model; the same arguments give the same object again.

    Another precision gives another object: which test is the first to build a
    model must not matter.
    """
    return _build(name, keras.config.dtype_policy().name, **arguments)


@functools.cache
def _build(name, precision, **arguments):
    set_seed(0)
    return zoo.create_model(name, **arguments)


@functools.cache
def another(name):
    """Build a model with other weights, and with another name."""
    set_seed(1)
    return zoo.create_model(name, name="other")


def build_for_shapes(builder, **arguments):
    """Build a model whose weights have shapes, but no memory and no values.

    Keras lists such weights for the next scope to give them values, a list for
    each thread: hence a thread for them alone.
    """

    def build():
        with keras.StatelessScope(initialize_variables=False):
            return builder(**arguments)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(build).result()


def examples(name, count=4):
    """Return what a model may be given, by what its registry entry says."""
    kind, random = zoo.model_info(name).inputs, np.random.default_rng(0)

    def example(x):
        shape = (count, *x.shape[1:])
        if kind == "images":
            return noise(*shape)
        if "int" in x.dtype:  # numbers of words, or of the letters of DNA
            low, high = (1, 32) if kind == "tokens" else (0, 5)
            return random.integers(low, high, shape, "int32")
        return random.normal(size=shape).astype("float32")

    return keras.tree.map_structure(example, build(name).input)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def outputs(model, x, **arguments):
    """Return what a model answers; of several heads side by side."""
    answers = keras.tree.flatten(model(x, **arguments))
    arrays = [keras.ops.convert_to_numpy(answer) for answer in answers]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def with_weights_of(model, other):
    other.set_weights(model.get_weights())
    return other


def with_other_names(model, names):
    """Return a copy of a model; a dictionary renames layers, wherever."""
    config = model.to_json()
    for name, other in names.items():
        config = config.replace(f'"{name}"', f'"{other}"')
    return with_weights_of(model, keras.models.model_from_json(config))


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


LABELS = np.arange(8) % 3


def small_cnn(**arguments):
    """Build a network that takes no time, with everything that may move."""
    set_seed(0)
    sizes = {"filters": (4, 8), "hidden_units": 16, "dropout": 0.5}
    return zoo.create_model("cnn", **{**sizes, **arguments})


def classifier(backbone=None, **arguments):
    """Put a head for three classes on a backbone, the small network."""
    backbone = small_cnn() if backbone is None else backbone
    return zoo.transfer_classifier(
        num_classes=3, backbone=backbone, **arguments
    )


def train(model, x, y=LABELS, steps=3, optimizer=None):
    """Train for a few steps; return the weights after each."""
    model.compile(
        optimizer or keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        run_eagerly=True,  # a few steps do not pay for tracing a graph
    )
    after = []
    for _ in range(steps):
        model.train_on_batch(x, y)
        after.append(model.get_weights())
    return after


def assert_same_weights(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
