"""What a network sees: what speaks for an answer, and what excites a unit.

Occlusion asks any function from images to probabilities. The others look into
a functional Keras classifier, of which they make a copy, and go by its scores:
what enters the softmax, or the sigmoid. All images are raw pixels, 0 to 255.

Reference: Zeiler and Fergus 2014 (occlusion); Simonyan, Vedaldi and Zisserman
2014 (saliency, activation maximization); Selvaraju et al. 2017 (Grad-CAM);
Yosinski et al. 2015 (pictures that are kept smooth); Ringach, Shapley and
Hawken 2002 (selectivity).
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo import _surgery

BATCH = 500  # images that are asked about at once

# Of activation maximization: in pixels of 255, and in shares of a step.
NOISE, RATE, DECAY, STEPS = 20.0, 24.0, 0.03, 48

ANGLES = np.arange(0, np.pi, np.pi / 12)  # of gratings
FREQUENCIES = np.linspace(0.1, 0.5, 9)  # periods a pixel


# --- what speaks for an answer ------------------------------------------------


def occlusion(
    answer: Callable,
    images: np.ndarray,
    classes: np.ndarray,
    *,
    patch: int | None = None,
    color=None,
) -> np.ndarray:
    """Return how much less likely a class is where an image is covered.

    Args:
        answer: Function from images to probabilities `(n, num_classes)`.
        images: uint8 `(n, height, width, channels)`.
        classes: The class of each image that is asked about, `(n,)`.
        patch: Side of the square that covers, in pixels; a quarter of the
            image's shorter side by default.
        color: Its color, `(channels,)`; by default the median of the images'.

    Returns:
        float32 `(n, height, width)`: at each pixel the mean, over the squares
        that cover it, of what the probability falls by.
    """
    count, height, width, _ = images.shape
    if patch is None:
        patch = max(1, min(height, width) // 4)
    if color is None:
        color = np.median(images, axis=(0, 1, 2))
    squares = [
        (slice(top, top + patch), slice(left, left + patch))
        for top in _places(height, patch)
        for left in _places(width, patch)
    ]
    covered = np.zeros((height, width), "float32")
    for square in squares:
        covered[square] += 1
    before = np.asarray(answer(images))[np.arange(count), classes]
    drops = np.zeros((count, height, width), "float32")
    at_once = max(1, BATCH // count)
    for start in range(0, len(squares), at_once):
        chosen = squares[start : start + at_once]
        hidden = np.stack([images] * len(chosen))
        for copies, square in zip(hidden, chosen, strict=True):
            copies[:, *square] = color
        found = np.asarray(answer(hidden.reshape(-1, *images.shape[1:])))
        found = found.reshape(len(chosen), count, -1)
        found = found[:, np.arange(count), classes]
        for square, probability in zip(chosen, found, strict=True):
            drops[:, *square] += (before - probability)[:, None, None]
    return drops / covered


def _places(side: int, patch: int) -> list[int]:
    """Return where squares begin: each third of one, and at the far end."""
    return sorted({*range(0, side - patch, max(1, patch // 3)), side - patch})


def saliency(model: keras.Model, images, classes) -> np.ndarray:
    """Return how much a class's score changes with each pixel.

    Args:
        model: A functional classifier.
        images: `(n, height, width, channels)`.
        classes: The class of each image that is asked about, `(n,)`.

    Returns:
        float32 `(n, height, width)`: the absolute value of the gradient, of the
        channel where that is largest.
    """
    scores, _ = _scoring(model)
    pixels = tf.convert_to_tensor(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        chosen = _of_classes(scores(pixels, training=False), classes)
    gradient = tape.gradient(chosen, pixels).numpy()
    return np.abs(gradient).max(axis=-1)


def grad_cam(model: keras.Model, images, classes) -> np.ndarray | None:
    """Return which places of the last convolution speak for a class.

    The maps of the last convolution with more than one place, as they are after
    its normalization and activation, are added up; each has as its weight the
    mean gradient of the class's score. What is negative becomes zero. It takes
    no global pooling in the network, and where there is one, this is what the
    weights of the classes after it say.

    Args:
        model: A functional classifier.
        images: `(n, height, width, channels)`.
        classes: The class of each image that is asked about, `(n,)`.

    Returns:
        float32 `(n, rows, columns)` of the maps; None if the network has no
        convolution in two dimensions.
    """
    scores, leaving = _scoring(model)
    if (name := _last_maps(scores, leaving)) is None:
        return None
    both = keras.Model(scores.inputs, [leaving[name], scores.output])
    pixels = tf.convert_to_tensor(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)  # or nothing is recorded of layers that are frozen
        maps, outputs = both(pixels, training=False)
        chosen = _of_classes(outputs, classes)
    gradient = tf.cast(tape.gradient(chosen, maps), tf.float32).numpy()
    weights = gradient.mean(axis=(1, 2))
    maps = tf.cast(maps, tf.float32).numpy()
    return np.maximum(0, np.einsum("nhwc,nc->nhw", maps, weights))


def _scoring(model: keras.Model):
    """Return a copy that gives scores, and what leaves each of its layers."""
    flat, leaving = _surgery.without_submodels(_surgery.functional(model))
    _make_linear(flat.layers[-1])
    return flat, leaving


def _make_linear(layer) -> None:
    """Leave out the activation of a layer of a copy, if it has its own."""
    if "activation" in vars(layer):
        layer.activation = keras.activations.linear


def _of_classes(outputs, classes):
    """Return the score of one class for each example."""
    outputs = tf.cast(outputs, tf.float32)
    if outputs.shape[-1] == 1:  # the log-odds of the second of two classes
        outputs = tf.concat([-outputs, outputs], -1)
    return tf.gather(outputs, classes, batch_dims=1)


def _multiplies(layer) -> bool:
    """Whether a layer has a kernel of any kind, and does not only scale."""
    return any(len(weight.shape) > 1 for weight in layer.weights)


def _last_maps(flat, leaving) -> str | None:
    """Return the layer that gives what Grad-CAM goes by, None if none does."""
    found = size = None
    for layer in flat.layers:
        maps = leaving.get(layer.name)
        if getattr(maps, "ndim", None) != 4 or maps.shape[1:3] == (1, 1):
            continue
        if _multiplies(layer):
            size = maps.shape[1:3]
        if size == maps.shape[1:3]:  # its normalization, its activation
            found = layer.name
    return found


# --- what excites a unit ------------------------------------------------------


class Maximized(NamedTuple):
    """Pictures that units answer most to.

    Attributes:
        images: uint8 `(units, height, width, channels)`.
        activations: Of the unit before each step and at the end,
            `(steps + 1, units)`.
    """

    images: np.ndarray
    activations: np.ndarray


def maximize(
    model: keras.Model,
    units,
    layer: str | None = None,
    *,
    color=None,
    jitter: int = 0,
    seed: int = 0,
    steps: int = STEPS,
) -> Maximized:
    """Return a picture for each unit that excites it, by gradient ascent.

    It begins with noise. Each step moves the pixels along the gradient of the
    unit's activation, which is averaged over neighboring pixels and has the
    same length for all units, and pulls them back a little to the color around
    which they began. The steps get shorter and shorter.

    Args:
        model: A functional model of images.
        units: Numbers of the units, or of the maps, of the layer.
        layer: Name of the layer; None for the class scores. Of maps, and of
            sequences, the unit in the middle counts. The activation function
            is left out, for it may give no gradient.
        color: Color that the noise is added to, `(channels,)`; grey by default.
        jitter: By how many pixels each step may move the picture first, so
            that what is found need not lie exactly where it lies.
        seed: Seed of the noise and of the movements.
        steps: Number of steps.
    """
    flat, leaving = _surgery.without_submodels(_surgery.functional(model))
    name = flat.layers[-1].name if layer is None else layer
    _make_linear(flat.get_layer(name))
    body = keras.Model(flat.inputs, leaving[name])
    random = np.random.default_rng(seed)
    shape = (len(units), *model.input_shape[1:])
    color = np.float32(127.5 if color is None else color)
    noise = random.normal(0, NOISE, shape).astype("float32")
    pixels = tf.clip_by_value(color + noise, 0, 255)

    def activations_of(pixels):
        outputs = body(pixels, training=False)
        while outputs.shape.rank > 2:
            outputs = outputs[:, outputs.shape[1] // 2]
        return _of_classes(outputs, units)

    @tf.function(autograph=False)
    def step(pixels, rate, shift):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            found = activations_of(tf.roll(pixels, shift, (1, 2)))
        gradient = tape.gradient(found, pixels)
        gradient = tf.nn.avg_pool2d(gradient, 3, 1, "SAME")
        length = tf.sqrt(
            tf.reduce_mean(tf.square(gradient), (1, 2, 3), keepdims=True)
        )
        pixels += DECAY * (color - pixels)
        pixels += rate * tf.math.divide_no_nan(gradient, length)
        return tf.clip_by_value(pixels, 0, 255), found

    history = []
    for i in range(steps):
        rate = tf.constant(RATE * (1 - i / steps), tf.float32)
        shift = tf.constant(random.integers(-jitter, jitter + 1, 2))
        pixels, found = step(pixels, rate, shift)
        history.append(found.numpy())
    images = tf.round(pixels)
    history.append(activations_of(images).numpy())
    return Maximized(images.numpy().astype("uint8"), np.stack(history))


def layers_to_excite(model: keras.Model, count: int = 3) -> dict[str, int]:
    """Return layers that have units to excite, and how many each has.

    Args:
        model: A functional classifier.
        count: How many layers at most, from the first to the one before the
            classes.
    """
    flat, leaving = _surgery.without_submodels(_surgery.functional(model))
    names = [
        layer.name
        for layer in flat.layers
        if _multiplies(layer) and hasattr(leaving[layer.name], "shape")
    ][:-1]
    chosen = np.linspace(0, len(names) - 1, min(count, len(names)))
    chosen = [names[i] for i in chosen.round().astype(int)]
    return {name: leaving[name].shape[-1] for name in chosen}


def orientation_selectivity(kernel: np.ndarray) -> np.ndarray:
    """Return how much each filter prefers lines of one direction to others.

    A filter is shown gratings of every direction; its answer to a direction is
    the largest over frequencies and phases. The answers are vectors at twice
    the angle of their direction, and the length of their sum over the sum of
    their lengths is the selectivity: 0 if all directions are the same to the
    filter, 1 if it sees a single one.

    Args:
        kernel: Filters `(height, width, channels, maps)`; gratings are grey.

    Returns:
        float64 `(maps,)`, between 0 and 1.
    """
    height, width = kernel.shape[:2]
    filters = np.asarray(kernel, "float64").sum(axis=2)
    y, x = np.mgrid[:height, :width]
    along = x[None] * np.cos(ANGLES)[:, None, None]
    along = along + y[None] * np.sin(ANGLES)[:, None, None]
    phases = 2 * np.pi * FREQUENCIES[:, None, None, None] * along
    waves = np.exp(1j * phases)  # (frequencies, angles, height, width)
    answers = np.abs(np.einsum("fahw,hwm->fam", waves, filters)).max(axis=0)
    total = answers.sum(axis=0)
    joint = np.abs(np.exp(2j * ANGLES) @ answers)
    return joint / np.where(total > 0, total, 1)
