"""Each layer answers in ONNX as it does in Keras, or is refused by name."""

import keras
import numpy as np
import pytest
from helpers.builders import build, examples, noise
from helpers.marks import only_thorough
from helpers.onnx_files import (
    assert_same_answers,
    assert_written,
    file_of,
)
from keras import layers

import zoo
from recipes.lab.export import onnx_layers
from recipes.lab.export.onnx_layers import NotInOnnx
from zoo import associative

# --- the models of the zoo -----------------------------------------------


@pytest.mark.parametrize(
    "name",
    only_thorough(
        zoo.list_models(),
        # Most others are those of tasks, in test_onnx_graph.py.
        [
            *("mcculloch_pitts", "perceptron", "lenet5", "gru"),
            *("convolutional_autoencoder", "mcdnn", "radial_basis", "svm"),
            *("kohonen", "hopfield", "echo_state_regressor"),
        ],
    ),
)
def test_every_model_of_the_zoo(name):
    assert_same_answers(build(name), examples(name, 64))


VARIANTS = {
    "softmax regression without rescaling": (
        "softmax_regression",
        {"rescale": (1.0, 0.0)},
    ),
    "colors": ("cnn", {"input_shape": (32, 30, 3)}),
    "no hidden layer": ("cnn", {"hidden_units": None, "dropout": 0.1}),
    "logits": ("mlp", {"classifier_activation": None}),
    "LeNet-5 in modern dress": (
        "lenet5",
        {
            "connections": "full",
            "subsampling": "average",
            "activation": "relu",
            "output": "softmax",
        },
    ),
    "LeNet-5 with maxima, on odd sides": (
        "lenet5",
        {"subsampling": "max", "input_shape": (29, 31, 1)},
    ),
    "strides of three": (
        "deep_cnn",
        {"filters": (4, 8), "kernel_sizes": (5, 4), "strides": (3, 2)},
    ),
    "columns' logits": (
        "mcdnn",
        {"widths": (9, None), "classifier_activation": None, "dropout": 0.1},
    ),
    "noise": ("autoencoder", {"noise": 0.3, "sparsity": 1e-3}),
    "linear pictures": ("autoencoder", {"output_activation": "linear"}),
    "one convolution": (
        "convolutional_autoencoder",
        {"filters": (4,), "kernel_size": 3},
    ),
    "several codes in training": (
        "vae",
        {"hidden_units": (8,), "latent_dim": 3, "importance_samples": 4},
    ),
    "no choices": ("dcgan", {"choices": 0, "filters": (8, 4)}),
    "choices only": ("dcgan", {"choices": 6, "latent_dim": 6, "filters": (4,)}),
    "AlexNet as published, but for its sizes": (
        "alexnet",
        {
            "input_shape": (67, 67, 3),
            "width": 1 / 16,
            "groups": 2,
            "imagenet_stem": True,
        },
    ),
    "GoogLeNet with local normalizations": (
        "googlenet",
        {"width": 0.125, "batch_norm": False, "imagenet_stem": True},
    ),
    "three stages of bottlenecks": (
        "resnet",
        {
            "blocks": (1, 1, 1),
            "width": 0.125,
            "bottleneck": True,
            "imagenet_stem": True,
            "use_bias": True,
        },
    ),
    "normalized residues": ("residual_mlp", {"layer_norm": True}),
    "rows without zeros": ("conv1d", {"padding": "valid"}),
    "three outputs": ("ann", {"num_outputs": 3, "hidden_units": 5}),
    "OR": ("mcculloch_pitts", {"threshold": 1}),
    "resized": (
        "transfer_classifier",
        {"backbone": "cnn", "image_size": 40, "input_shape": (20, 33, 1)},
    ),
    "backbone of an autoencoder": (
        "transfer_classifier",
        {"backbone": "deep_autoencoder"},
    ),
    "a decoder that does not attend": (
        "seq2seq",
        {"attention": False, "input_shape": (9,), "hidden_units": 8},
    ),
    "echoes from all sides, in windows that differ": (
        "echo_state",
        {
            "input_shape": (10, 7, 3),
            "units": 12,
            "windows": 3,
            "readings": ("down", "up", "right", "left"),
        },
    ),
    "echoes without a leak": (
        "echo_state",
        {"units": 12, "leak": 1.0, "readings": ("left",)},
    ),
    "spikes of rows in color": (
        "liquid_state",
        {
            "input_shape": (9, 7, 3),
            "grid": (2, 4, 3),
            "windows": 2,
            "repeats": 3,
            "strength": 0.25,
        },
    ),
    "backbone with a loop": ("transfer_classifier", {"backbone": "gru"}),
    "linear recurrence of pixels": (
        "lru",
        {
            "input_shape": (6, 4, 1),
            "hidden_units": (8, 8, 8, 4),
            "state_units": 4,
            "stride": 2,
            "read": "permuted_pixels",
        },
    ),
} | {
    f"{kind}, {words}": (
        kind,
        {"input_shape": (6, 4, 1), "hidden_units": (16, 8), **arguments},
    )
    for kind in ("simple_rnn", "irnn", "lstm", "gru")
    for words, arguments in {
        "normalized": {"layer_norm": True},
        "both ways": {"bidirectional": True, "dropout": 0.2},
        "unrolled": {"unroll": True},
    }.items()
}


@pytest.mark.parametrize(
    "variant",
    only_thorough(
        VARIANTS,
        [
            *("noise", "resized", "lstm, both ways"),
            "echoes from all sides, in windows that differ",
            "spikes of rows in color",
            "linear recurrence of pixels",
        ],
    ),
)
def test_variants_of_the_models(variant):
    name, arguments = VARIANTS[variant]
    model = build(name, **arguments)
    shape = (64, *model.input_shape[1:])
    x = noise(*shape)
    if zoo.model_info(name).inputs != "images":
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
    assert_same_answers(model, x)


# --- layer by layer ------------------------------------------------------


@pytest.mark.parametrize("activation", [
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu",
    "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
    zoo.lenet.scaled_tanh, zoo.neurons.step, associative.signs,
    associative.ink,
])  # fmt: skip
def test_activations(activation):
    assert_written(layers.Activation(activation), (30,))


def test_every_activation_is_tried():
    [mark] = test_activations.pytestmark
    tried = {keras.activations.get(name) for name in mark.args[1]}
    known = {*onnx_layers.OPERATIONS, *onnx_layers._ACTIVATIONS}
    assert known == tried


LAYERS = {
    "batch norm": lambda: layers.BatchNormalization(),
    "batch norm, plain": lambda: layers.BatchNormalization(
        scale=False, center=False
    ),
    "layer norm": lambda: layers.LayerNormalization(epsilon=0.01),
    "layer norm, plain": lambda: layers.LayerNormalization(
        scale=False, center=False
    ),
    "dense": lambda: layers.Dense(5, activation="elu"),
    "zeros around": lambda: layers.ZeroPadding2D(((1, 0), (2, 3))),
    "negated": lambda: layers.Rescaling(-1.0),
    "rescaled by channel": lambda: layers.Rescaling(
        [1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3]
    ),
    "reshaped": lambda: layers.Reshape((8, -1)),
    "ReLU with a slope": lambda: layers.ReLU(1.5, negative_slope=0.1),
    "leaky ReLU": lambda: layers.LeakyReLU(),
    "ELU": lambda: layers.ELU(0.5),
    "softmax": lambda: layers.Softmax(),
    "dropout by map": lambda: layers.SpatialDropout2D(0.5),
    "resized": lambda: zoo.transfer.SquareResizing(12),
    "local responses": lambda: zoo.imagenet.LocalResponseNormalization(
        size=3, alpha=0.2, bias=1.0
    ),
}


@pytest.mark.parametrize(
    "kind",
    only_thorough(
        LAYERS,
        [
            "batch norm",
            "layer norm, plain",
            "dense",
            "reshaped",
            "rescaled by channel",
            "ReLU with a slope",
            "local responses",
        ],
    ),
)
def test_layers(kind):
    assert_written(LAYERS[kind](), (7, 8, 4))


def test_each_member_is_as_sharp_as_it_ought_to_be():
    assert_written(zoo.multicolumn.AveragedProbabilities(3), (12,))


@pytest.mark.parametrize("width", [5, None])
def test_black_that_is_not_zero_stays_black(width):
    layer = zoo.multicolumn.WidthNormalization(width, black=-1.0)
    assert_written(layer, (7, 8, 1))


def test_a_digit_is_stretched_as_far_as_is_allowed():
    layer = zoo.multicolumn.WidthNormalization(8, max_stretch=1.5)
    image = keras.Input((7, 8, 1))
    thin = noise(4, 7, 8, 1)
    thin[:, :, :3] = thin[:, :, 5:] = 0
    assert_same_answers(keras.Model(image, layer(image)), thin)


@pytest.mark.parametrize("black", [0.0, -1.0])
def test_digits_are_set_upright(black):
    layer = zoo.multicolumn.Deslanting(0.5, black=black)
    assert_written(layer, (7, 8, 1))


def test_grey_of_colors():
    assert_written(zoo.transfer.Grey(), (7, 8, 3))


@pytest.mark.parametrize("axis", [-1, 1, 3])
def test_maps_are_joined_in_the_order_that_they_have(axis):
    image = keras.Input((8, 8, 2))
    convolved = layers.Conv2D(2, 3, padding="same")(image)
    joined = layers.Concatenate(axis)([convolved, image])
    model = keras.Model(image, layers.MaxPooling2D()(joined))
    assert_same_answers(model, noise(4, 8, 8, 2) / 255)


@pytest.mark.thorough
@pytest.mark.parametrize("network", ["MobileNetV2", "VGG16"])
def test_networks_of_keras_applications(network):
    """They are preprocessed by two of the three ways that Keras has."""
    model = zoo.transfer_classifier(backbone=network, image_size=32)
    assert_same_answers(model, noise(4, 28, 28, 1))


def test_a_layer_that_is_used_twice():
    image = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 3, padding="same", activation="tanh")
    once = shared(image)
    twice = layers.Add()([shared(once), image, once])
    both = layers.Concatenate()([twice, once])
    model = keras.Model(image, [both, layers.Flatten()(once)])
    assert_same_answers(model, noise(4, 8, 8, 2) / 255)


def test_a_sequential_model_with_models_in_it():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    assert_same_answers(model, np.ones((3, 4), "float32"))


# --- what is refused -----------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Doubling(layers.Dense):
    """A layer that is not what it inherits from."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def after(layer, shape=(4, 4, 2), **options):
    x = keras.Input(shape)
    return keras.Model(x, layer(x, **options))


REFUSED = {
    "a type": (
        lambda: after(Doubling(3, name="twice")),
        r"`twice` .*: layers of the type Doubling are not known",
    ),
    "an activation": (
        lambda: after(layers.Dense(3, activation="glu", name="gated")),
        r"`gated` .*: the activation glu is not known",
    ),
    "of Keras' operations": (
        lambda: after(keras.layers.Lambda(lambda x: x, name="any")),
        r"`any` .*: layers of the type Lambda are not known",
    ),
    "an option": (
        lambda: after(layers.Conv2DTranspose(3, 3, 2, output_padding=1)),
        r"`output_padding` is \(1, 1\)",
    ),
    "zeros before the first step only": (
        lambda: after(layers.Conv1D(3, 2, padding="causal"), (4, 2)),
        "its `padding` is 'causal'",
    ),
    "normalization of what is no image": (
        lambda: after(zoo.imagenet.LocalResponseNormalization(), (4,)),
        "what it normalizes are no images",
    ),
    "statistics over another axis": (
        lambda: after(layers.BatchNormalization(axis=1)),
        "its `axis` is 1",
    ),
    "a gate's activation": (
        lambda: after(layers.LSTM(3, activation="gelu"), (4, 2)),
        "gates have the activation gelu",
    ),
    "a state in hand": (
        lambda: after(layers.GRU(3, return_state=True), (4, 2)),
        "`return_state` is True",
    ),
    "two directions apart": (
        lambda: after(
            layers.Bidirectional(layers.GRU(3), merge_mode=None), (4, 2)
        ),
        "`merge_mode` is None",
    ),
    "training": (
        lambda: after(layers.Dropout(0.5, name="always"), training=True),
        "`always` .*: it is called with `training`",
    ),
    "from keras.applications": (
        lambda: after(layers.SeparableConv2D(4, 3, name="conv")),
        "`conv` .*SeparableConv2D",
    ),
    "in a sub-model": (
        lambda: after(after(layers.UpSampling2D(name="up"))),
        r"`functional\w*/up` .*UpSampling2D",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_by_name(case):
    model, reason = REFUSED[case]
    with pytest.raises(NotInOnnx, match=reason):
        file_of(model())


def test_an_operation_without_a_layer_is_refused():
    x = keras.Input((4,))
    with pytest.raises(NotInOnnx, match="of the type (Add|Multiply) are not"):
        file_of(keras.Model(x, 2 * x + 1))


def test_a_model_without_a_graph_is_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(NotInOnnx, match="no functional model"):
        file_of(after(Own(name="own")))
