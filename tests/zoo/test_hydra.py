"""A few of many branches are computed; many heads share one backbone."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from helpers.builders import build, count, noise, outputs, with_weights_of
from helpers.marks import only_thorough
from helpers.onnx_files import assert_same_answers
from helpers.seeds import set_seed

import zoo
from recipes.lab.export import costs

# --- branches -----------------------------------------------------------

SMALL = {"branches": 4, "stem_filters": 4, "branch_filters": (4, 6)}
STEM, BRANCH = 82_960, 188_672  # multiplications, as the docstring states


@pytest.fixture
def small():
    """A HydraNet with a gate that sends images to all of its branches."""
    set_seed(0)
    model = zoo.create_model("hydranet", chosen=2, **SMALL)
    for weight in model.weights:  # statistics and biases, too
        low = 0.5 if "variance" in weight.path else -0.5
        draws = np.random.default_rng(0).uniform(low, 1, weight.shape)
        if not weight.path.endswith(("kernel", "kernels")):
            weight.assign(draws)
    gate = model.get_layer("gate")
    seen = outputs(
        zoo.feature_extractor(model, "flatten"), noise(64, 28, 28, 1)
    )
    gate.bias.assign(-np.mean(seen @ np.asarray(gate.kernel), axis=0))
    return model


def gate_of(model, images):
    return outputs(zoo.feature_extractor(model, "gate"), images)


def with_chosen(model, chosen):
    other = zoo.create_model("hydranet", **{**SMALL, "chosen": chosen})
    return with_weights_of(model, other)


def dense_features(model, images):
    """Compute what every branch says, by Keras' own layers."""

    def normalized(x, number, branch):
        layer = model.get_layer(f"norm{number}")
        plain = keras.layers.BatchNormalization(scale=False)
        plain.build(x.shape)
        for name in ("beta", "moving_mean", "moving_variance"):
            of_branches = np.reshape(getattr(layer, name), (4, -1))
            getattr(plain, name).assign(of_branches[branch])
        return keras.ops.relu(plain(x, training=False))

    stem = zoo.feature_extractor(model, "relu")(images)
    convolutions = [model.get_layer(f"branch_conv{i}") for i in (1, 2)]
    features = []
    of_dense = np.asarray(model.get_layer("branch_dense").kernels)
    for branch, dense in enumerate(of_dense):
        x = stem
        for number, layer in enumerate(convolutions, start=1):
            kernel = keras.ops.reshape(
                layer.kernels[branch], (3, 3, x.shape[-1], layer.filters)
            )
            x = keras.ops.conv(x, kernel, strides=layer.strides, padding="same")
            x = normalized(x, number, branch)
        x = keras.ops.mean(x, axis=(1, 2)) @ dense
        features.append(normalized(x, 3, branch))
    return np.stack(features, axis=1)  # (batch, branches, units)


@pytest.mark.parametrize("chosen", only_thorough([1, 2, 4], [2]))
def test_the_chosen_branches_are_those_of_the_dense_network(small, chosen):
    """All of them are the dense network; of a few the others are zeros."""
    images = noise(32, 28, 28, 1)
    model = with_chosen(small, chosen)
    gate = gate_of(model, images)
    best = np.argsort(-gate, axis=1)[:, :chosen]
    assert len(np.unique(best[:, 0])) > 1  # images go different ways
    np.testing.assert_array_equal(
        np.sort(outputs(zoo.feature_extractor(model, "choice"), images)),
        np.sort(best),
    )
    features = dense_features(model, images)
    kept = np.take_along_axis(features, best[..., None], axis=1)
    np.testing.assert_allclose(
        outputs(zoo.feature_extractor(model, "combiner"), images),
        kept.mean(axis=1),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_answer_to_an_image_does_not_depend_on_its_batch(small):
    images = noise(8, 28, 28, 1)
    whole = outputs(small, images)
    single = np.concatenate([outputs(small, x[None]) for x in images])
    np.testing.assert_allclose(single, whole, rtol=1e-4, atol=1e-6)


def test_training_computes_all_branches_and_keeps_the_chosen_ones(small):
    """So do the gradients of the weights."""
    images = noise(16, 28, 28, 1)
    stem, choice = (
        zoo.feature_extractor(small, name)(images)
        for name in ("relu", "choice")
    )
    of_branches = [
        small.get_layer(f"branch_{name}")
        for name in ("conv1", "conv2", "dense")
    ]

    def said(training):
        x = stem
        for layer in of_branches:
            x = layer(x, choice, training=training)
        return x

    found = []
    for training in (True, False):
        with tf.GradientTape() as tape:
            features = said(training)
            loss = tf.reduce_sum(features**2)
        kernels = [layer.kernels for layer in of_branches]
        found.append([features, *tape.gradient(loss, kernels)])
    for pair in zip(*found, strict=True):
        in_training, afterwards = map(tf.convert_to_tensor, pair)
        np.testing.assert_allclose(
            in_training, afterwards, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("chosen", [1, 2])
def test_each_branch_is_normalized_by_what_goes_through_it(chosen):
    """As a layer of Keras would be that saw nothing else."""
    random = np.random.default_rng(0)
    maps = random.normal(size=(12, chosen, 5, 4, 3)).astype("f4")
    draws = [random.permutation(3)[:chosen] for _ in range(12)]  # never the 4th
    choice = np.array(draws, "int32")
    maps += 2 * choice[:, :, None, None, None]
    layer = zoo.hydra.BranchNormalization(4, momentum=0.8)
    found = np.asarray(layer(maps, choice, training=True))
    afterwards = np.asarray(layer(maps, choice, training=False))
    averages = [
        np.reshape(x, (4, 3))
        for x in (layer.moving_mean, layer.moving_variance)
    ]
    for branch in range(3):
        plain = keras.layers.BatchNormalization(scale=False, momentum=0.8)
        own = maps[choice == branch]
        np.testing.assert_allclose(
            found[choice == branch], plain(own, training=True), atol=1e-5
        )
        np.testing.assert_allclose(
            afterwards[choice == branch], plain(own, training=False), atol=1e-5
        )
        expected = plain.moving_mean, plain.moving_variance
        for average, value in zip(averages, expected, strict=True):
            np.testing.assert_allclose(average[branch], value, rtol=1e-5)
    np.testing.assert_array_equal(averages[0][3], 0)
    np.testing.assert_array_equal(averages[1][3], 1)


def test_multiplications_are_those_of_the_chosen_branches():
    for chosen in (1, 2, 5):
        model = build("hydranet", chosen=chosen)
        assert costs.multiplications(model) == STEM + chosen * BRANCH
    static = build("hydranet", branches=1, chosen=1, branch_filters=(32, 32))
    gate_and_dense = 784 * 5 + 32 * 64
    expected = STEM + 2 * BRANCH - gate_and_dense
    assert costs.multiplications(static) == expected


@pytest.mark.thorough
def test_litert_multiplies_for_the_chosen_branches_only(small):
    """Counted from the shapes of the tensors in the file, for one image."""
    found = [multiplications_in_litert(with_chosen(small, k)) for k in (1, 4)]
    expected = [costs.multiplications(with_chosen(small, k)) for k in (1, 4)]
    assert found == expected


def multiplications_in_litert(model):
    file = Interpreter(
        model_content=costs.litert_file(model),
        experimental_op_resolver_type=(
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    file.allocate_tensors()  # of the first signature, for one image
    shapes = {t["index"]: t["shape"] for t in file.get_tensor_details()}
    total = 0
    for operation in file._get_ops_details():
        if operation["op_name"] not in (
            *("CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"),
        ):
            continue
        first, second = (shapes[i] for i in operation["inputs"][:2])
        [output] = (shapes[i] for i in operation["outputs"])
        if operation["op_name"] == "BATCH_MATMUL":
            total += math.prod(output) * first[-1]
        else:
            total += math.prod(output[:-1]) * math.prod(second)
    return int(total)


@pytest.mark.slow
def test_time_grows_with_the_chosen_branches_by_equal_steps():
    wide = {"branches": 8, "branch_filters": (64, 64), "stem_filters": 32}
    chosen = (1, 2, 4, 8)
    for times in zip(
        *(
            costs.microseconds(
                build("hydranet", chosen=k, **wide), noise(1, 28, 28, 1)
            )
            for k in chosen
        ),
        strict=True,
    ):
        slope, start = np.polyfit(chosen, times, 1)
        assert slope > 0
        np.testing.assert_allclose(
            times, start + slope * np.array(chosen), rtol=0.25
        )


@pytest.mark.thorough
def test_onnx_answers_alike(small):
    for chosen in (1, 3):
        model = with_chosen(small, chosen)
        assert_same_answers(model, noise(64, 28, 28, 1))


@pytest.mark.thorough
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_a_branch_pads_as_keras_does(strides, kernel_size):
    maps = np.random.default_rng(0).normal(size=(3, 8, 7, 2)).astype("f4")
    layer = zoo.hydra.BranchConv2D(2, 4, kernel_size, strides)
    layer.build(maps.shape, (None, 1))
    found = layer(maps, np.ones((3, 1), "int32"))
    plain = keras.layers.Conv2D(4, kernel_size, strides, padding="same")
    plain.build(maps.shape)
    plain.kernel.assign(keras.ops.reshape(layer.kernels[1], plain.kernel.shape))
    np.testing.assert_allclose(found[:, 0], plain(maps), atol=1e-5)


def test_new_branches_start_as_a_convolution_of_their_size_does():
    kernels = build("hydranet", branches=5).get_layer("branch_conv2").kernels
    deviations = np.std(kernels, axis=(1, 2))
    np.testing.assert_allclose(deviations, np.sqrt(2 / 144), rtol=0.1)


@pytest.mark.parametrize("chosen", [0, 6])
def test_more_branches_than_there_are_cannot_be_chosen(chosen):
    with pytest.raises(ValueError, match=f"the 5 branches.*{chosen}"):
        zoo.create_model("hydranet", chosen=chosen)


# --- heads --------------------------------------------------------------

HEADS = {"digit": 10, "parity": 2, "slant": (3.0, 12.0)}


def test_parameters_are_those_of_the_backbone_and_the_heads():
    model = build("multi_task_cnn")
    backbone = count(zoo.feature_extractor(model).weights)
    body = zoo.feature_extractor(build("cnn"))
    assert backbone == count(body.weights)
    heads = sum((128 + 1) * outputs for outputs in (10, 2, 1))
    assert count(model.weights) == backbone + heads


def test_heads_may_be_a_dictionary_and_answer_in_their_units(images):
    set_seed(0)
    model = zoo.create_model("multi_task_cnn", heads=HEADS)
    answers = model.predict(images, verbose=0)
    assert {k: v.shape for k, v in answers.items()} == {
        "digit": (8, 10),
        "parity": (8, 2),
        "slant": (8, 1),
    }
    for name in ("digit", "parity"):
        np.testing.assert_allclose(answers[name].sum(axis=1), 1, atol=1e-5)
    inner = zoo.feature_extractor(model, "slant_standardized")
    np.testing.assert_allclose(
        answers["slant"], 3 + 12 * outputs(inner, images), rtol=1e-4
    )


def test_features_are_what_all_heads_share_and_heads_can_be_replaced(images):
    model = build("multi_task_cnn")
    features = outputs(zoo.feature_extractor(model), images)
    np.testing.assert_array_equal(
        features, outputs(zoo.feature_extractor(model, "relu3"), images)
    )
    new = zoo.replace_head(model, 4)
    assert new.output_shape == (None, 4)
    np.testing.assert_array_equal(
        features, outputs(zoo.feature_extractor(new), images)
    )


@pytest.mark.parametrize(
    ("heads", "reason"),
    [({}, "must have a head"), ({"parity": 1}, "'parity' must have two")],
)
def test_no_heads_and_heads_of_one_class_are_refused(heads, reason):
    with pytest.raises(ValueError, match=reason):
        zoo.create_model("multi_task_cnn", heads=heads)
