"""Weights brought from PyTorch compute in Keras what they computed there."""

import hashlib

import keras
import numpy as np
import port_mobilenet
import pytest
import tensorflow as tf

# Factor of the middle, maps, repetitions and stride: table 2 of the paper.
STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
GRAY = (0.5 - port_mobilenet.MEAN) / port_mobilenet.DEVIATION


@pytest.fixture(scope="module")
def state():
    """Draw weights with the names, shapes and order of torchvision's."""
    random = np.random.default_rng(0)
    state = {}

    def add(name, norm, maps, inputs, side):
        shape = (maps, inputs, side, side)
        spread = np.sqrt(2 / (inputs * side**2))
        state[f"{name}.weight"] = random.normal(0, spread, shape)
        state[f"{norm}.weight"] = random.uniform(0.8, 1.2, maps)
        state[f"{norm}.bias"] = random.normal(0, 0.1, maps)
        state[f"{norm}.running_mean"] = random.normal(0, 0.1, maps)
        # Some so small that it counts what is added to them.
        state[f"{norm}.running_var"] = random.uniform(0.02, 2, maps)
        state[f"{norm}.num_batches_tracked"] = np.array(1)

    add("features.0.0", "features.0.1", 32, 3, 3)
    inputs, number = 32, 1
    for factor, maps, repetitions, _ in STAGES:
        for _ in range(repetitions):
            name, middle = f"features.{number}.conv", factor * inputs
            at = 0
            if factor > 1:
                add(f"{name}.0.0", f"{name}.0.1", middle, inputs, 1)
                at = 1
            add(f"{name}.{at}.0", f"{name}.{at}.1", middle, 1, 3)
            add(f"{name}.{at + 1}", f"{name}.{at + 2}", maps, middle, 1)
            inputs, number = maps, number + 1
    add("features.18.0", "features.18.1", 1280, 320, 1)
    state["classifier.1.weight"] = random.normal(size=(1000, 1280))
    state["classifier.1.bias"] = random.normal(size=1000)
    return state


def as_in_torchvision(state, pixels):
    """Compute the maps as PyTorch does, with padding on both sides."""
    names = [
        name.removesuffix(".weight")
        for name in state
        if name.startswith("features.") and name.endswith(".weight")
    ]
    names = iter(names)

    def step(x, stride=1, activation=True, beyond=0.0):
        kernel = state[f"{next(names)}.weight"]
        outputs, inputs, side, _ = kernel.shape
        if side == 3:  # a pixel on each side, of the color beyond the edge
            edge = [[0, 0], [1, 1], [1, 1], [0, 0]]
            x = tf.pad(x - beyond, edge) + beyond
        strides = [1, stride, stride, 1]
        if inputs == 1:
            kernel = kernel.transpose(2, 3, 0, 1)
            x = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID")
        else:
            kernel = kernel.transpose(2, 3, 1, 0)
            x = tf.nn.conv2d(x, kernel, strides, "VALID")
        norm = next(names)
        mean, variance = (
            state[f"{norm}.running_{part}"] for part in ("mean", "var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-5) * state[f"{norm}.weight"]
        x += state[f"{norm}.bias"]
        return tf.clip_by_value(x, 0, 6) if activation else x

    normal = (pixels / 255 - port_mobilenet.MEAN) / port_mobilenet.DEVIATION
    # Beyond the edge torchvision has its mean color, and Keras gray.
    x = step(tf.constant(normal), 2, beyond=GRAY)
    for factor, _, repetitions, stride in STAGES:
        for repetition in range(repetitions):
            y = step(x) if factor > 1 else x
            y = step(y, stride if repetition == 0 else 1)
            y = step(y, activation=False)
            x = y if repetition == 0 else x + y
    x = step(x)
    assert next(names, None) is None
    return x.numpy()


@pytest.mark.parametrize(
    ("side", "low", "high"), [(33, 0.9999, 1.01), (32, -1.0, 0.9)]
)
def test_the_features_are_those_of_torchvision(state, side, low, high):
    random = np.random.default_rng(1)
    pixels = random.uniform(0, 255, (2, side, side, 3))
    model = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(side, side, 3)
    )
    model.set_weights(port_mobilenet.ported(state).get_weights())
    x = (pixels / 127.5 - 1).astype("float32")
    found, expected = model(x).numpy(), as_in_torchvision(state, pixels)
    assert found.shape == expected.shape
    correlation = np.corrcoef(found.ravel(), expected.ravel())[0, 1]
    assert low < correlation <= high


def test_weights_of_another_network_are_refused(state):
    fewer = {name: state[name] for name in list(state)[:-20]}
    with pytest.raises(SystemExit, match="not the weights of mobilenet_v2"):
        port_mobilenet.ported(fewer)
    wider = {**state, "features.0.0.weight": np.zeros((64, 3, 3, 3))}
    with pytest.raises(SystemExit, match="not the weights of mobilenet_v2"):
        port_mobilenet.ported(wider)


def test_a_file_that_was_cut_is_refused(tmp_path):
    whole = hashlib.sha256(b"all of it").hexdigest()[:8]
    path = tmp_path / f"mobilenet_v2-{whole}.pth"
    path.write_bytes(b"all of it")
    port_mobilenet.check_is_whole(path)
    path.write_bytes(b"some of it")
    with pytest.raises(SystemExit, match="the first 8 digits of its hash"):
        port_mobilenet.check_is_whole(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["no_such.pth", "new.weights.h5"], "there is no file no_such.pth"),
        ([__file__, "new.h5"], "must end in .weights.h5. It is new.h5"),
    ],
)
def test_a_wrong_file_is_refused_in_words(files, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        port_mobilenet.main(files)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
