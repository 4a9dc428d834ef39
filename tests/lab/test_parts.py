"""A batch in parts has the outputs, gradients and statistics of the whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import only_thorough
from keras import layers

import zoo
from recipes.lab.training.parts import (
    compute_as_a_whole,
    compute_in_parts,
    paused,
)

ROWS = 12


def mixed():
    """A model in which examples meet in every way, and a model in it."""
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, use_bias=False)(image)
    x = layers.BatchNormalization(scale=False, momentum=0.8)(x)
    x = layers.ReLU()(x)
    x = layers.Dropout(0.3, seed=7)(x)
    inner = keras.Input((6, 6, 4))
    y = layers.BatchNormalization()(layers.MaxPooling2D()(inner))
    y = layers.Reshape((3, 12))(y)
    y = layers.Bidirectional(layers.LSTM(5))(y)
    x = keras.Model(inner, y, name="inner")(x)
    return keras.Model(
        image, layers.Dense(3, activity_regularizer=keras.regularizers.L1(1))(x)
    )


def frozen():
    """A backbone that does not learn, normalization included."""
    image = keras.Input((8, 8, 2))
    norm = layers.BatchNormalization()
    x = layers.Flatten()(norm(image))
    norm.trainable = False
    return keras.Model(image, layers.Dense(3)(x))


def two_outputs():
    """A dictionary out."""
    image = keras.Input((8, 8, 2))
    x = layers.Dense(4, activation="gelu")(layers.Flatten()(image))
    return keras.Model(image, {"a": layers.Dense(3)(x), "b": x})


def joined():
    """Maps joined by their channels, and examples behind examples."""
    image = keras.Input((8, 8, 2))
    x = layers.Concatenate()(
        [layers.Conv2D(3, 3, padding="same")(image), image]
    )
    x = zoo.imagenet.LocalResponseNormalization(3, alpha=0.5)(x)
    x = layers.Conv1D(4, 3)(layers.Reshape((8, 40))(x))
    return keras.Model(image, layers.Concatenate(axis=0)([x, x]))


def branches():
    """A HydraNet, whose examples go different ways."""
    return zoo.hydranet(
        (8, 8, 2), 3, branches=3, branch_filters=(4, 5), rescale=(9.0, 0.0)
    )


def random_inputs(model):
    random = np.random.default_rng(1)
    return random.integers(0, 256, (ROWS, *model.input_shape[1:])).astype(
        "float32"
    )


def trained_step(build, count, rows=ROWS):
    """Return outputs, losses, gradients and weights after a step forward."""
    keras.utils.set_random_seed(3)
    model = build()
    images = random_inputs(model)[:rows] / 255
    if count:
        compute_in_parts(model, count)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(model(images, training=True))
        loss = tf.add_n([tf.reduce_mean(tf.square(y)) for y in outputs])
        loss = tf.add_n([loss, *model.losses])
    gradients = tape.gradient(loss, model.trainable_variables)
    compute_as_a_whole(model)
    return [
        *(y.numpy() for y in outputs),
        loss.numpy(),
        *(np.zeros(1) if g is None else g.numpy() for g in gradients),
        *model.get_weights(),
    ]


@pytest.mark.parametrize("count", only_thorough([1, 2, 3], [2]))
@pytest.mark.parametrize(
    "build",
    only_thorough(
        [mixed, frozen, two_outputs, joined, branches], [mixed, branches]
    ),
)
def test_parts_compute_what_the_whole_does(build, count):
    whole = trained_step(build, 0)
    parts = trained_step(build, count)
    assert len(whole) == len(parts)
    for expected, found in zip(whole, parts, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def test_parts_are_computed_apart():
    """Each convolution and each recurrent layer appears once for each part."""
    model = mixed()

    def counts():
        graph = tf.function(model).get_concrete_function(
            tf.zeros((ROWS, 8, 8, 2)), training=True
        )
        kinds = [operation.type for operation in graph.graph.get_operations()]
        return kinds.count("Conv2D"), kinds.count("While")

    assert counts() == (1, 2)  # both ways
    compute_in_parts(model, 3)
    assert counts() == (3, 6)
    compute_as_a_whole(model)
    assert counts() == (1, 2)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "sparse_categorical_crossentropy"),
        ("sigmoid", "binary_crossentropy"),
    ],
)
def test_what_is_certain_and_wrong_is_learned_from(activation, loss):
    """Keras computes the loss from logits; probabilities of 0 say nothing."""

    def gradient(count):
        keras.utils.set_random_seed(3)
        features = keras.Input((4,))
        units = 3 if activation == "softmax" else 1
        outputs = layers.Dense(units, activation=activation)(features)
        model = keras.Model(features, outputs)
        if count:
            compute_in_parts(model, count)
        kernel = model.layers[-1].kernel.value
        inputs = 1_000 * np.random.default_rng(0).normal(size=(ROWS, 4))

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                answers = model(tf.constant(inputs, tf.float32))
                wrong = np.zeros((ROWS, 1), "int32")
                value = tf.reduce_mean(keras.losses.get(loss)(wrong, answers))
            return tape.gradient(value, kernel)

        return step().numpy()

    whole = gradient(0)
    assert np.abs(whole).max() > 10
    np.testing.assert_allclose(gradient(2), whole, rtol=1e-5, atol=1e-3)


def test_a_batch_that_cannot_be_shared_is_computed_as_a_whole():
    whole = trained_step(mixed, 0, rows=7)
    parts = trained_step(mixed, 2, rows=7)
    for expected, found in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_batch_of_unknown_size_is_shared_as_evenly_as_can_be():
    model = zoo.create_model("cnn")
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), "uint8")
    expected = model(images, training=False)
    compute_in_parts(model, 3)
    answer = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec((None, 28, 28, 1), "uint8")],
    )
    np.testing.assert_allclose(answer(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (layers.LSTM, {"units": 3, "dropout": 0.5}),
        (layers.GRU, {"units": 3, "recurrent_dropout": 0.5}),
        (layers.GaussianNoise, {"stddev": 0.5}),
    ],
)
def test_chance_belongs_to_the_example(layer, options):
    """Equal examples in two parts do not get the same random numbers."""
    rows = keras.Input((4, 2))
    model = keras.Model(rows, layers.Flatten()(layer(**options, seed=1)(rows)))
    compute_in_parts(model, 2)
    outputs = model(np.ones((4, 4, 2), "float32"), training=True).numpy()
    assert not np.allclose(outputs[:2], outputs[2:])


def test_a_model_is_keras_own_for_a_while():
    """A single example is too few for two parts."""
    model = joined()
    whole = model(random_inputs(model)[:1])
    compute_in_parts(model, 2)
    in_parts = model.call
    with paused(model):
        assert "call" not in vars(model)
        np.testing.assert_array_equal(model(random_inputs(model)[:1]), whole)
    assert model.call is in_parts
    compute_as_a_whole(model)
    with paused(model):
        pass
    assert "call" not in vars(model)
