"""What the lectures say, checked: a table of facts that grows with the zoo.

A row is a lecture's statement and the check that proves it. `@fact` enters it
into the table; the number before the statement is that of the lecture:

0. PQHS 471, lecture 11: Neural Network, Deep Learning
1. Deep learning, from linear to non-linear models
2. PLPTH813: Introduction of Deep Learning
3. Costa Rica Big Data School: Introduction to Deep Learning
4. Neural networks, ending with Keras
"""

import functools
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import zoo
from zoo import lenet

FACTS = []


def fact(number, lecture, statement, marks=()):
    """Enter a check into the table, with the statement that it proves."""

    def enter(check):
        name = check.__name__.replace("_", " ")
        row = lecture, statement, check
        FACTS.append(pytest.param(*row, id=f"{number} {name}", marks=marks))
        return check

    return enter


build = functools.cache(zoo.create_model)


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def ann_parameters(inputs, hidden, outputs):
    """Parameters of a network with one hidden layer, as lecture 0 has it."""
    return hidden * (inputs + 1) + outputs * (hidden + 1)


def image(rows):
    """Turn rows of numbers into a batch of one image with one channel."""
    return np.array(rows, "float32")[None, :, :, None]


def plain(tensor):
    return ops.convert_to_numpy(tensor)[0, :, :, 0]


def convolve(rows, kernel, **options):
    kernel = np.array(kernel, "float32")[:, :, None, None]
    return plain(ops.conv(image(rows), kernel, **options))


# The data


@fact(
    *("A29", 2, "The first image of Fashion-MNIST, as numbers: label = 9"),
    marks=pytest.mark.thorough,
)
def fashion_mnist_holds_the_printed_boot():
    from recipes.lab import errors
    from recipes.lab.data import sources
    from recipes.lab.flags import RunOptions

    try:
        data = sources.load("fashion_mnist", RunOptions(offline=True))
    except errors.DataError:
        pytest.skip("Fashion-MNIST is not on this machine (TFDS_DATA_DIR)")
    # Rows 16 to 19 and columns 1 to 14, which the lecture counts from one.
    printed = [
        [0, 3, 0, 0, 0, 0, 0, 0, 0, 62, 145, 204, 228, 207],
        [0, 0, 0, 0, 18, 44, 82, 107, 189, 228, 220, 222, 217, 226],
        [0, 57, 187, 208, 224, 221, 224, 208, 204, 214, 208, 209, 200, 159],
        [3, 202, 228, 224, 221, 211, 211, 214, 205, 205, 205, 220, 240, 80],
    ]
    labels = [
        label
        for split in (data.train, data.validation)
        for label, same in zip(
            split.targets,
            (split.inputs[:, 15:19, :14, 0] == printed).all(axis=(1, 2)),
            strict=True,
        )
        if same
    ]
    assert labels == [9]
    assert data.class_names[9] == "Ankle boot"


# Single neurons and their activations


@fact("A6", 2, "softmax(.02, .16, .10, .13, .99) = .1431069 .1646121 ...")
def softmax_of_five_numbers():
    z = np.array([0.02, 0.16, 0.10, 0.13, 0.99], "float32")
    printed = [0.1431069, 0.1646121, 0.1550259, 0.1597471, 0.3775080]
    np.testing.assert_allclose(ops.softmax(z), printed, atol=1e-7)


@fact("A6", 2, "each component will be in (0, 1), and all add up to 1")
def softmax_makes_probabilities_of_any_numbers():
    z = np.random.default_rng(0).normal(0, 3, (50, 7)).astype("float32")
    p = ops.convert_to_numpy(ops.softmax(z))
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@fact("A6", 3, "Tanh is a scaled sigmoid")
def tanh_is_a_scaled_sigmoid():
    x = np.linspace(-5, 5, 101, dtype="float32")
    np.testing.assert_allclose(
        ops.tanh(x), 2 * ops.sigmoid(2 * x) - 1, atol=1e-6
    )


@fact("A6", 4, "sigmoid'(x) = sigmoid(x) (1 - sigmoid(x))")
def derivative_of_the_sigmoid():
    x = tf.linspace(-5.0, 5.0, 101)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.sigmoid(x)
    np.testing.assert_allclose(tape.gradient(y, x), y * (1 - y), atol=1e-6)


# Feed-forward networks: how many parameters?


@fact("A9", 0, "Parameters of an ANN: M (P + 1) and K (M + 1)")
def parameters_of_one_hidden_layer():
    for inputs, hidden, outputs in [(784, 500, 10), (3, 1, 2), (1, 7, 5)]:
        model = zoo.create_model(
            "mlp",
            input_shape=(inputs, 1, 1),
            hidden_units=(hidden,),
            num_classes=outputs,
        )
        expected = ann_parameters(inputs, hidden, outputs)
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


# Convolution


@fact("A36", 1, "y_i = sum_j w_j z_(i+j-1): six inputs, four outputs")
def convolution_in_one_dimension():
    z, w = np.random.default_rng(0).normal(size=(2, 6)).astype("float32")
    w = w[:3]
    y = ops.conv(z[None, :, None], w[:, None, None])[0, :, 0]
    expected = [sum(w[j] * z[i + j] for j in range(3)) for i in range(4)]
    np.testing.assert_allclose(y, expected, rtol=1e-5)


@fact("A37", 1, "Convolution with zero padding is a banded 6 x 6 matrix")
def convolution_is_multiplication_by_a_banded_matrix():
    z, w = np.random.default_rng(1).normal(size=(2, 6)).astype("float32")
    w = w[:3]
    matrix = sum(np.diag([w[1 + k]] * (6 - abs(k)), k) for k in (-1, 0, 1))
    assert np.count_nonzero(matrix) == 16
    y = ops.conv(z[None, :, None], w[:, None, None], padding="same")
    np.testing.assert_allclose(y[0, :, 0], matrix @ z, rtol=1e-4)


@fact("A38", 4, "Stride: the jump of the filter; padding: zeros around")
def size_after_convolution():
    for n, k, s, p in itertools.product((7, 28), (1, 3, 5), (1, 2, 3), (0, 2)):
        padded = np.pad(np.ones((n, n)), p)
        side = (n + 2 * p - k) // s + 1
        y = convolve(padded, np.ones((k, k)), strides=s)
        assert y.shape == (side, side), (n, k, s, p)


@fact("A38", 3, "Output aw + bx + ey + fz, ...: 3 x 4 input, 2 x 2 kernel")
def convolution_of_letters():
    z = np.arange(1, 13).reshape(3, 4)
    (a, b, c, d), (e, f, g, h), (i, j, k, m) = z
    w, x, y, v = 2, 3, 5, 7
    expected = [
        [
            a * w + b * x + e * y + f * v,
            b * w + c * x + f * y + g * v,
            c * w + d * x + g * y + h * v,
        ],
        [
            e * w + f * x + i * y + j * v,
            f * w + g * x + j * y + k * v,
            g * w + h * x + k * y + m * v,
        ],
    ]
    np.testing.assert_array_equal(convolve(z, [[w, x], [y, v]]), expected)


@fact("A40", 3, "5 x 5 input, 3 x 3 kernel: 12 12 17 / 10 17 19 / 9 6 14")
def convolution_of_five_by_five():
    rows = [
        [3, 3, 2, 1, 0],
        [0, 0, 1, 3, 1],
        [3, 1, 2, 2, 3],
        [2, 0, 0, 2, 2],
        [2, 0, 0, 0, 1],
    ]
    kernel = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
    printed = [[12, 12, 17], [10, 17, 19], [9, 6, 14]]
    np.testing.assert_array_equal(convolve(rows, kernel), printed)


@fact("A41", 0, "Emboss: the new pixel value is -8")
def emboss_gives_minus_eight():
    kernel = [[4, 0, 0], [0, 0, 0], [0, 0, -4]]
    source = [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
    np.testing.assert_array_equal(convolve(source, kernel), [[-8]])


@fact("A41", 3, "Filter 0 1 0 / 1 -4 1 / 0 1 0")
def laplacian_sees_curvature_only():
    kernel = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    y, x = np.mgrid[:6, :8]
    np.testing.assert_array_equal(convolve(3 * x + 2 * y + 1, kernel), 0)
    np.testing.assert_array_equal(convolve(x**2, kernel), 2)


@fact("A41", 3, "Kernel {-1, 1}: 320 x 280 gives 319 x 280")
def edge_filter_on_a_photograph():
    rows = np.zeros((280, 320))
    rows[:, 100:] = 1
    edges = convolve(rows, [[-1, 1]])
    assert edges.shape == (280, 319)
    np.testing.assert_array_equal(np.unique(edges.nonzero()[1]), [99])


@fact("A41", 3, "319 x 280 x 3 ops against 320 x 280 x 319 x 280")
def convolution_is_cheap():
    height, width = convolve(np.zeros((280, 320)), [[-1, 1]]).shape
    convolution = width * height * 3  # two products and a sum
    connected = 320 * 280 * width * height
    assert (convolution, connected) == (267_960, 8_003_072_000)


# Pooling


@fact("A39", 3, "Max pooling, 2 x 2, stride 2: 4 5 / 3 4")
def max_pooling_of_four_by_four():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    pooled = plain(ops.max_pool(image(rows), 2, 2))
    np.testing.assert_array_equal(pooled, [[4, 5], [3, 4]])


@fact("A39", 0, "2 x 2 filters retain only 25 % of the data")
def pooling_retains_a_quarter():
    pool = build("lecture_cnn").get_layer("pool")
    before, after = pool.input.shape[1:], pool.output.shape[1:]
    assert math.prod(after) == 0.25 * math.prod(before)


@fact("A39", 0, "One only routes the gradient to the highest value")
def gradient_of_max_pooling_goes_to_the_maximum():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    x = tf.constant(image(rows))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.max_pool(x, 2, 2) * image([[10, 20], [30, 40]])
    expected = [[0, 0, 20, 0], [10, 0, 0, 0], [30, 0, 0, 0], [0, 0, 0, 40]]
    np.testing.assert_array_equal(plain(tape.gradient(y, x)), expected)


@fact("A39", 3, "Average pooling: the average of a neighbourhood")
def average_pooling_of_four_by_four():
    rows = [[1, 3, 5, 3], [4, 2, 3, 1], [3, 1, 1, 3], [0, 1, 0, 4]]
    pooled = plain(ops.average_pool(image(rows), 2, 2))
    np.testing.assert_array_equal(pooled, [[2.5, 3], [1.25, 2]])


@fact("A39", 3, "Pooling: invariance to local translation")
def max_pooling_hides_a_step_within_its_window():
    x = np.zeros((8, 8))
    x[2, 4] = 1
    pooled = plain(ops.max_pool(image(x), 2, 2))
    moved = plain(ops.max_pool(image(np.roll(x, (1, 1), (0, 1))), 2, 2))
    np.testing.assert_array_equal(pooled, moved)
    assert pooled.sum() == 1


@fact("A45", 4, "Conv 32, conv 64, pool, .25, dense 128, .5, softmax")
def lecture_cnn_has_1199882_parameters():
    model = build("lecture_cnn")
    kinds = [type(layer).__name__ for layer in model.layers[2:]]
    assert (
        kinds
        == (
            "Conv2D Conv2D MaxPooling2D Dropout Flatten Dense Dropout Dense"
        ).split()
    )
    assert model.get_layer("conv1").kernel.shape == (3, 3, 1, 32)
    assert model.get_layer("conv2").kernel.shape == (3, 3, 32, 64)
    assert model.get_layer("dropout1").rate == 0.25
    assert model.get_layer("hidden").units == 128
    assert model.get_layer("dropout2").rate == 0.5
    assert count(model.trainable_weights) == 1_199_882


# LeNet-5


def lenet_parameters():
    layers = build("lenet5").layers
    return {x.name: count(x.trainable_weights) for x in layers if x.weights}


def lenet_connections():
    """Count the connections of each layer from its shapes and weights.

    A unit has a connection for every input that it sees, and one for its bias.
    """
    connections = {}
    for layer in build("lenet5").layers:
        places = math.prod(layer.output.shape[1:-1])
        if isinstance(layer, lenet.TrainableSubsampling2D):
            seen = math.prod(layer.input.shape[1:]) // places
            maps = layer.output.shape[-1]
            connections[layer.name] = places * (seen + maps)
        elif layer.weights:  # every place has each weight once
            connections[layer.name] = places * count(layer.weights)
    return connections


@fact("A44", 3, "LeNet-5: how many parameters to be trained in total?")
def lenet5_trains_60000_parameters():
    assert lenet_parameters() == {
        "c1": 156,
        "s2": 12,
        "c3": 1_516,
        "s4": 32,
        "c5": 48_120,
        "f6": 10_164,
        "distances": 0,
    }
    assert sum(lenet_parameters().values()) == 60_000


@fact("A44", 3, "LeNet-5 (Fig. 2); the paper counts its connections")
def lenet5_has_340908_connections():
    assert lenet_connections() == {
        "c1": 122_304,
        "s2": 5_880,
        "c3": 151_600,
        "s4": 2_000,
        "c5": 48_120,
        "f6": 10_164,
        "distances": 840,
    }
    assert sum(lenet_connections().values()) == 340_908


@fact("A44", 3, "Table I: which maps of S2 are combined in each map of C3")
def connection_table_has_sixty_crosses():
    table = build("lenet5").get_layer("c3").table
    # The rows as printed, for the S2 maps 0 to 5: an X for each C3 map.
    printed = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
    """.split()
    rows = [
        "".join("X" if s2 in seen else "." for seen in table) for s2 in range(6)
    ]
    assert rows == printed
    assert [row.count("X") for row in rows] == [10] * 6


@fact("A44", 3, "The first six C3 maps see three neighbours, and so on")
def connection_table_has_the_pattern_of_the_paper():
    sizes = [len(seen) for seen in lenet.C3_TABLE]
    assert sizes == [3] * 6 + [4] * 9 + [6]
    neighbours = [{(first + i) % 6 for i in range(3)} for first in range(6)]
    assert [set(seen) for seen in lenet.C3_TABLE[:6]] == neighbours
    assert len({frozenset(seen) for seen in lenet.C3_TABLE}) == 16


@fact("A44", 3, "Table I decides what C3 computes")
def table_convolution_equals_a_loop_over_the_crosses():
    layer = lenet.TableConv2D(lenet.C3_TABLE)
    x = np.random.default_rng(0).normal(size=(2, 8, 7, 6)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    layer.bias.assign(np.arange(16))
    biased = ops.convert_to_numpy(layer(x))

    kernels = iter(ops.convert_to_numpy(layer.kernel).T.reshape(-1, 5, 5))
    expected = np.zeros((2, 4, 3, 16))
    for c3, seen in enumerate(lenet.C3_TABLE):
        for s2 in seen:
            kernel = next(kernels)
            for row, column in np.ndindex(4, 3):
                window = x[:, row : row + 5, column : column + 5, s2]
                total = (window * kernel).sum(axis=(1, 2))
                expected[:, row, column, c3] += total
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(biased, expected + np.arange(16), atol=1e-5)


@fact("A44", 3, "S2 adds four inputs, times a coefficient, plus a bias")
def trainable_subsampling_equals_numpy():
    layer = lenet.TrainableSubsampling2D(activation=lenet.scaled_tanh)
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    layer.build(x.shape)
    layer.bias.assign([0.1, -0.2, 0.3])
    total = x.reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    weighted = total * ops.convert_to_numpy(layer.coefficient)
    expected = 1.7159 * np.tanh(2 / 3 * (weighted + [0.1, -0.2, 0.3]))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@fact("A44", 3, "F6: 1.7159 tanh(2x/3), which maps 1 to 1 and -1 to -1")
def scaled_tanh_keeps_plus_and_minus_one():
    x = np.array([-1, 0, 1], "float32")
    np.testing.assert_allclose(lenet.scaled_tanh(x), [-1, 0, 1], atol=1e-4)


@fact("A44", 3, "Output: the squared distance to the bitmap of each digit")
def distances_equal_numpy():
    layer = lenet.DigitCodeDistances()
    codes = lenet.digit_codes()
    x = np.random.default_rng(0).normal(size=(5, 84)).astype("float32")
    expected = ((x[:, None, :] - codes[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    between = ops.convert_to_numpy(layer(codes))
    np.testing.assert_array_equal(between.diagonal(), 0)
    assert (between + 999 * np.eye(10)).min() >= 4  # no two bitmaps alike


@fact("A44", 3, "The class with the nearest bitmap is the most probable")
def predictions_are_the_softmax_of_negative_distances():
    model = build("lenet5")
    both = keras.Model(
        model.input, [model.get_layer("distances").output, model.output]
    )
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1))
    distances, probabilities = both(images.astype("uint8"))
    np.testing.assert_allclose(
        probabilities, ops.softmax(-distances), atol=1e-6
    )


@fact("A44", 4, "LeNet in today's dress: dense C3, softmax")
def modern_lenet5_has_61706_parameters():
    model = build(
        "lenet5",
        connections="full",
        subsampling="average",
        activation="relu",
        output="softmax",
    )
    assert model.get_layer("c3").kernel.shape == (5, 5, 6, 16)
    assert count(model.trainable_weights) == 61_706


# Autoencoders


def rank_two_points():
    """Return points on the lecture's line, Y = 2 X, around their mean."""
    x = np.random.default_rng(0).uniform(-1, 1, 200).astype("float32")
    return np.stack([x, 2 * x], axis=1)[:, None, :, None]


def fit_all_at_once(autoencoder, points, steps):
    whole = tf.data.Dataset.from_tensors((points, points)).repeat(steps)
    autoencoder.fit(whole, shuffle=False, verbose=0)


@functools.cache
def linear_autoencoder(latent_dim):
    """Return the data and a linear autoencoder that was trained on it."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    # Eight directions of falling variance, and a mean that is not zero.
    axes, _ = np.linalg.qr(random.normal(size=(20, 8)))
    strengths = np.array([3, 2.5, 2, 1, 0.8, 0.6, 0.4, 0.2])
    points = random.normal(size=(512, 8)) * strengths @ axes.T + 1
    points = points.astype("float32").reshape(512, 4, 5, 1)
    model = zoo.create_model(
        "autoencoder",
        input_shape=(4, 5, 1),
        latent_dim=latent_dim,
        code_activation="linear",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.02, 800)
        ),
        loss="mse",
    )
    fit_all_at_once(model, points, steps=800)
    return points, model


@fact("A52", 3, "Y = 2X? We could just retain values of X and compute Y")
def one_number_tells_two_on_a_line():
    points = rank_two_points()
    model = zoo.create_model(
        "autoencoder",
        input_shape=(1, 2, 1),
        latent_dim=1,
        code_activation="linear",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    fit_all_at_once(model, points, steps=200)
    assert model.evaluate(points, points, verbose=0) < 1e-5
    direction = model.get_layer("decoder").get_layer("pixels").kernel[0]
    direction = np.abs(direction) / np.linalg.norm(direction)
    np.testing.assert_allclose(direction, [5**-0.5, 2 * 5**-0.5], atol=1e-2)


@fact("A53", 3, "L(X, Z; W*) < L(X, Z; W): infer the codes, then learn")
def energy_falls_when_codes_and_weights_take_turns():
    points = rank_two_points()
    model = zoo.create_model(
        "autoencoder",
        input_shape=(1, 2, 1),
        latent_dim=1,
        code_activation="tanh",
        output_activation="linear",
        rescale=(1.0, 0.0),
    )
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    codes = tf.Variable(tf.random.stateless_normal((200, 1), (0, 0)))
    weights = [weight.value for weight in model.trainable_weights]
    energies = []
    for turn in range(40):
        with tf.GradientTape() as tape:
            encoding = tf.reduce_sum((codes - encoder(points)) ** 2)
            decoding = tf.reduce_sum((points - decoder(codes)) ** 2)
            energy = (0.5 * encoding + decoding) / len(points)
        energies.append(float(energy))
        learned = [codes] if turn % 2 == 0 else weights
        rate = 10.0 if turn % 2 == 0 else 0.1
        gradients = tape.gradient(energy, learned)
        for variable, gradient in zip(learned, gradients, strict=True):
            variable.assign_sub(rate * gradient)
    assert (np.diff(energies) < 0).all()
    assert energies[-1] < 0.2 * energies[0]


@fact("A54", 3, "784-32-784: 25120 + 25872 = 50,992; 24.5 times compression")
def parameters_of_the_autoencoder():
    model = build("autoencoder")
    halves = [model.get_layer(half) for half in ("encoder", "decoder")]
    counts = [count(half.trainable_weights) for half in halves]
    assert counts == [25_120, 25_872]
    assert count(model.trainable_weights) == 50_992
    assert math.prod(model.input_shape[1:]) / 32 == 24.5


@fact("A55", 3, "Sparsity can be introduced through an activity regularizer")
def sparsity_is_an_l1_penalty_on_the_code():
    model = zoo.create_model("autoencoder", sparsity=0.25)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1))
    model(images.astype("uint8"))
    codes = model.get_layer("encoder")(images.astype("float32") / 255)
    penalty = 0.25 * np.abs(codes).sum(axis=1).mean()
    # The encoder was called twice, with the same images.
    np.testing.assert_allclose(model.losses[0], penalty, rtol=1e-5)


@fact("A56", 3, "784-128-64-32-64-128-784: 222,384")
def parameters_of_the_deep_autoencoder():
    model = build("deep_autoencoder")
    counts = [
        layer.count_params()
        for half in ("encoder", "decoder")
        for layer in model.get_layer(half).layers
        if layer.weights
    ]
    assert counts == [100_480, 8_256, 2_080, 2_112, 8_320, 101_136]
    assert count(model.trainable_weights) == 222_384


@fact("A57", 3, "How does this method differ from PCA?")
def linear_autoencoder_finds_what_pca_finds():
    from sklearn.decomposition import PCA

    points, model = linear_autoencoder(3)
    flat = points.reshape(len(points), -1)
    pca = PCA(3).fit(flat)
    by_pca = pca.inverse_transform(pca.transform(flat))
    error = np.mean((model.predict(points, verbose=0) - points) ** 2)
    np.testing.assert_allclose(error, np.mean((by_pca - flat) ** 2), rtol=0.01)
    # The same subspace: the cosines of all principal angles are one.
    kernel = model.get_layer("decoder").get_layer("pixels").kernel
    ours, _ = np.linalg.qr(np.transpose(kernel))
    cosines = np.linalg.svd(pca.components_ @ ours, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


# Transfer learning


def changed_by_training(mode, thaw=()):
    """Return the layers of a backbone that training in a mode changes."""
    keras.utils.set_random_seed(0)
    donor = zoo.create_model("cnn", num_classes=5)
    model = zoo.create_model(
        "transfer_classifier", backbone=donor, mode=mode, thaw=thaw
    )
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (32, 28, 28, 1)).astype("uint8")
    model.fit(images, np.arange(32) % 10, verbose=0)
    return {
        layer.name
        for layer in model.get_layer("backbone").layers
        for before, after in zip(
            donor.get_layer(layer.name).get_weights(),
            layer.get_weights(),
            strict=True,
        )
        if not np.array_equal(before, after)
    }


BODY = {"conv1", "norm1", "conv2", "norm2", "hidden1", "norm3"}


@fact("A48", 0, "Only retrain the last layer; the others extract features")
def frozen_layers_stay_as_they_are():
    assert changed_by_training("frozen") == set()


@fact("A48", 0, "Train some layers while freeze others")
def thawed_layers_change_and_no_others():
    changed = changed_by_training("partial", thaw=("hidden1", "norm3"))
    assert changed == {"hidden1", "norm3"}


@fact("A48", 0, "As the initial values and retrain the whole network")
def all_layers_change_from_the_weights_given():
    assert changed_by_training("full") == BODY


# Recurrent networks


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unrolled(name, images, kernel, recurrent_kernel, bias):
    """Return the last state of a recurrent layer, step by step in NumPy."""
    rows = images[..., 0].astype("float64") / 255
    units = recurrent_kernel.shape[0]
    h = c = np.zeros((len(images), units))
    for x in rows.transpose(1, 0, 2):
        if name == "simple_rnn":
            h = np.tanh(x @ kernel + h @ recurrent_kernel + bias)
        elif name == "lstm":
            gates = x @ kernel + h @ recurrent_kernel + bias
            i, f, candidate, o = np.split(gates, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
            h = sigmoid(o) * np.tanh(c)
        else:
            xz, xr, xh = np.split(x @ kernel + bias[0], 3, axis=1)
            hz, hr, hh = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            h = z * h + (1 - z) * np.tanh(xh + r * hh)
    return h


def with_random_biases(model):
    """Replace the zeros, which would hide a bias in the wrong place."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "bias" in weight.path:
            weight.assign(random.normal(size=weight.shape))
    return model


@fact("A60", 3, "RNN rolled over time")
def unrolled_by_hand_is_the_layer():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))
    for name in ("simple_rnn", "lstm", "gru"):
        model = with_random_biases(zoo.create_model(name, hidden_units=(16,)))
        found = zoo.feature_extractor(model)(images.astype("uint8"))
        weights = model.get_layer(f"{name}1").get_weights()
        expected = unrolled(name, images, *weights)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)


@fact("A60", 3, "A simple RNN: h (d + h + 1) parameters")
def parameters_of_recurrent_layers():
    d = 28
    for h in (7, 128):
        for name, formula in {
            "simple_rnn": h * (d + h + 1),
            "lstm": 4 * h * (d + h + 1),
            "gru": 3 * h * (d + h + 2),
        }.items():
            model = zoo.create_model(name, hidden_units=(h,))
            assert model.get_layer(f"{name}1").count_params() == formula


@fact("A60", 3, "Back-propagation through time: one W for all the steps")
def gradient_of_shared_weights_is_the_sum_over_the_steps():
    layer = build("simple_rnn", hidden_units=(8,)).get_layer("simple_rnn1")
    kernel, recurrent, bias = (tf.constant(w) for w in layer.get_weights())
    rows = np.random.default_rng(0).normal(size=(4, 5, 28)).astype("float32")
    with tf.GradientTape(persistent=True) as tape:
        copies = [tf.identity(kernel) for _ in range(5)]
        tape.watch(copies)
        h = tf.zeros((4, 8))
        for step, copy in enumerate(copies):
            h = tf.tanh(rows[:, step] @ copy + h @ recurrent + bias)
        by_hand = tf.reduce_sum(h**2)
        by_layer = tf.reduce_sum(layer(rows) ** 2)
    np.testing.assert_allclose(by_layer, by_hand, rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(by_layer, layer.cell.kernel.value),
        sum(tape.gradient(by_hand, copies)),
        atol=1e-4,
    )


@fact("A62", 3, "Many to one: a sequence goes in, one answer comes out")
def what_is_classified_is_the_state_after_the_last_row():
    model = build("lstm", hidden_units=(8, 4))
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1))
    assert model.get_layer("rows").output.shape == (None, 28, 28)
    states = zoo.feature_extractor(model)(images.astype("uint8"))
    assert states.shape == (3, 4)
    np.testing.assert_allclose(
        model.get_layer("predictions")(states), model(images), atol=1e-6
    )


@fact("A64", 4, "Recurrent neural networks, LSTM")
def open_gates_carry_a_memory_through_every_step():
    """With f = 1 and i = 0 nothing is forgotten; a plain RNN's state fades."""
    cell = keras.layers.LSTMCell(1)
    cell.build((None, 28))
    wide = np.array([-50, 50, 0, 50], "float32")  # i, f, candidate, o
    cell.kernel.assign(np.zeros((28, 4)))
    cell.recurrent_kernel.assign(np.zeros((1, 4)))
    cell.bias.assign(wide)
    h, c = np.zeros((1, 1), "float32"), np.full((1, 1), 0.7, "float32")
    for _ in range(200):
        _, (h, c) = cell(np.ones((1, 28), "float32"), (h, c))
    np.testing.assert_allclose(c, 0.7, rtol=1e-5)


@pytest.mark.parametrize(("lecture", "statement", "check"), FACTS)
def test_lecture(lecture, statement, check):
    try:
        check()
    except AssertionError as error:
        error.add_note(f"Lecture {lecture} says: {statement}")
        raise
