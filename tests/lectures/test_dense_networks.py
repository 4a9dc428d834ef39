"""Lectures: feed-forward networks, their parameters and their shortcuts."""

import keras
import numpy as np
import tensorflow as tf
from helpers.builders import build, count, outputs
from helpers.facts import Facts

import zoo

fact = Facts()


def ann_parameters(inputs, hidden, outputs):
    """Parameters of a network with one hidden layer, as lecture 0 has it."""
    return hidden * (inputs + 1) + outputs * (hidden + 1)


@fact("A9", 0, "Parameters of an ANN: M (P + 1) and K (M + 1)")
def parameters_of_one_hidden_layer():
    for inputs, hidden, classes in [(784, 500, 10), (3, 1, 2), (1, 7, 5)]:
        model = zoo.create_model(
            "mlp",
            input_shape=(inputs, 1, 1),
            hidden_units=(hidden,),
            num_classes=classes,
        )
        expected = ann_parameters(inputs, hidden, classes)
        assert count(model.trainable_weights) == expected
    assert ann_parameters(784, 500, 10) == 397_510


@fact("A31", 4, "Dense 512, dropout .2, Dense 512, dropout .2, softmax")
def lecture_mlp_has_669706_parameters():
    model = build("mlp")
    dense = [x for x in model.layers if isinstance(x, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [512, 512, 10]
    dropout = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert [layer.rate for layer in dropout] == [0.2, 0.2]
    assert count(model.trainable_weights) == 669_706


@fact("A42", 3, "400 x 400 x 3, fully connected: approximately 230 billion")
def hidden_layer_as_wide_as_a_photograph():
    pixels = 400 * 400 * 3
    assert pixels == 480_000
    assert round(ann_parameters(pixels, pixels, 1) / 1e9) == 230


@fact("A42", 3, "480000 x 1000 + 1000 + 1 = approximately 480 million")
def hidden_layer_of_a_thousand_on_a_photograph():
    # The lecture leaves out the 1000 weights of the output.
    assert ann_parameters(480_000, 1000, 1) == 480_002_001


# --- jumps ---------------------------------------------------------------


def two_three_one(name, **arguments):
    """Build the lecture's network: two inputs, three hidden units, one output.

    g is the sigmoid.
    """
    return zoo.create_model(
        name,
        input_shape=(2, 1, 1),
        num_classes=1,
        hidden_units=(3,),
        activation="sigmoid",
        dropout=0.0,
        rescale=(1.0, 0.0),
        **{"classifier_activation": "sigmoid", **arguments},
    )


def points():
    """Return 64 pairs of numbers."""
    return np.random.default_rng(0).normal(size=(64, 2)).astype("float32")


def as_images(pairs):
    return pairs.reshape(-1, 2, 1, 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@fact("A11", 4, "Out = g(sum of w_0k x_k + sum of W_k v_k)")
def jump_connections_add_the_inputs():
    model = two_three_one("jump_mlp")
    w, bias, outer, outer_bias = model.get_weights()
    x = points()
    v = sigmoid(x @ w + bias)
    w_0, big_w = outer[:2], outer[2:]
    np.testing.assert_allclose(
        outputs(model, as_images(x)),
        sigmoid(x @ w_0 + v @ big_w + outer_bias),
        atol=1e-6,
    )


@fact("A11", 4, "A jump has one weight more for each input")
def jump_connections_have_a_weight_for_each_input():
    plain, jump = two_three_one("mlp"), two_three_one("jump_mlp")
    assert (plain.count_params(), jump.count_params()) == (13, 13 + 2)


@fact("A11", 4, "Where W is 0, it is the logistic neuron")
def jump_connections_alone_are_a_neuron():
    model = two_three_one("jump_mlp")
    outer, bias = model.get_layer("predictions").get_weights()
    outer[2:] = 0
    model.get_layer("predictions").set_weights([outer, bias + 0.3])
    neuron = zoo.create_model("logistic_neuron", input_shape=(2,))
    neuron.layers[-1].set_weights([outer[:2], bias + 0.3])
    x = points()
    np.testing.assert_allclose(
        outputs(model, as_images(x)), outputs(neuron, x), atol=1e-6
    )


@fact("A11", 4, "The jump solves what is linear, and the hidden units rest")
def linear_target_needs_no_hidden_units():
    model = two_three_one("jump_mlp", classifier_activation=None)
    x = points()
    target = tf.constant(x @ [[2.0], [-3.0]] + 1, "float32")
    w, bias, _, _ = model.get_weights()
    outer = np.array([[2], [-3], [0], [0], [0]])
    model.set_weights([w, bias, outer, np.ones(1)])
    with tf.GradientTape() as tape:
        error = model(as_images(x)) - target
        loss = tf.reduce_sum(tf.square(error))
    np.testing.assert_allclose(error, 0, atol=1e-5)
    weights = [weight.value for weight in model.trainable_weights]
    for gradient in tape.gradient(loss, weights):
        np.testing.assert_allclose(gradient, 0, atol=1e-3)


# --- residual blocks -----------------------------------------------------


@fact("A34", 1, "Res(z) = z + sigma(T(sigma(T(z))))")
def residual_blocks_add_what_two_layers_make():
    for activation, sigma in (("tanh", np.tanh), ("sigmoid", sigmoid)):
        model = zoo.create_model(
            "residual_mlp", units=7, blocks=3, activation=activation
        )
        images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
        _, *weights = weights_by_layer(model)
        z = outputs(zoo.feature_extractor(model, "projection"), images)
        for number in range(3):
            t = z
            for kernel, bias in weights[2 * number : 2 * number + 2]:
                t = sigma(t @ kernel + bias)
            z = z + t
        found = outputs(zoo.feature_extractor(model), images)
        np.testing.assert_allclose(found, z, atol=1e-5)


def weights_by_layer(model):
    """Return kernel and bias of each dense layer, in order."""
    weights = iter(model.get_weights())
    return list(zip(weights, weights, strict=True))


@fact("A34", 1, "With weights of zero a residue layer changes nothing")
def residual_blocks_start_at_the_identity():
    model = zoo.create_model("residual_mlp", units=16, blocks=5)
    for layer in model.layers:
        if "_hidden" in layer.name:
            layer.set_weights([0 * weight for weight in layer.get_weights()])
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
    np.testing.assert_array_equal(
        outputs(zoo.feature_extractor(model), images),
        outputs(zoo.feature_extractor(model, "projection"), images),
    )


@fact("A34", 1, "Each residue layer: two affine maps T from n to n")
def residual_block_has_two_n_times_n_plus_one_parameters():
    for n in (5, 16):
        sizes = [
            zoo.create_model(
                "residual_mlp", units=n, blocks=blocks, layer_norm=norm
            ).count_params()
            for norm in (False, True)
            for blocks in (3, 4)
        ]
        assert sizes[1] - sizes[0] == 2 * n * (n + 1)
        assert sizes[3] - sizes[2] == 2 * n * (n + 1) + 2 * n  # A35


@fact("A34", 1, "It makes it easier to train networks with many layers")
def gradients_reach_the_first_of_fifty_layers():
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1))
    labels = np.arange(16) % 10

    def gradient(residual):
        """Return how long the first layer's gradient is."""
        keras.utils.set_random_seed(0)
        model = zoo.create_model(
            "residual_mlp", units=32, blocks=25, residual=residual
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    labels, model(images)
                )
            )
        first = model.get_layer("projection").kernel.value
        return float(tf.norm(tape.gradient(loss, first)))

    assert gradient(residual=False) < 1e-4 < 1e-1 < gradient(residual=True)


@fact("A35", 1, "LN(z) = beta + gamma (z - mean) / sqrt(variance + epsilon)")
def layer_normalization_is_the_lectures():
    layer = zoo.create_model(
        "residual_mlp", units=6, blocks=1, layer_norm=True
    ).get_layer("block1_norm")
    random = np.random.default_rng(0)
    gamma, beta, z = random.normal(size=(3, 6)).astype("float32")
    layer.set_weights([gamma, beta])
    assert layer.count_params() == 2 * 6
    variance = np.mean((z - z.mean()) ** 2)  # divided by n
    expected = beta + gamma * (z - z.mean()) / np.sqrt(variance + layer.epsilon)
    np.testing.assert_allclose(layer(z[None])[0], expected, atol=1e-5)
    for other in (z + 5, 40 * z):
        np.testing.assert_allclose(layer(other[None])[0], expected, atol=1e-2)


test_lecture = fact.test()
