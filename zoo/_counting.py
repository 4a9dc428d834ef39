"""What a network costs: the multiplications of one answer."""

import math

import keras
from keras import layers

from zoo._surgery import functional


def count_multiplications(model):
    """Count how often a model multiplies with a weight, for one example.

    Those of kernels count: of dense layers, convolutions and recurrent cells.
    What is done number by number, as in normalizations, is little beside them.

    Args:
        model: A functional model of inputs of known shapes.

    Returns:
        The number of multiplications, an integer.

    Raises:
        ValueError: If the model is not functional, or the size of what a layer
            gives is not known.

    Example:
    >>> zoo.count_multiplications(zoo.create_model("cnn"))
    542464
    """
    return sum(map(multiplications_of, functional(model).layers))


def multiplications_of(layer):
    """Count the multiplications of a layer, or of a model in a model."""
    if isinstance(layer, keras.Model):
        return count_multiplications(layer)
    if hasattr(layer, "multiplications"):  # it knows better
        return layer.multiplications
    if isinstance(layer, layers.Bidirectional):
        both = layer.forward_layer, layer.backward_layer
        return sum(_of_steps(layer, half.cell) for half in both)
    if isinstance(layer, layers.RNN):
        return _of_steps(layer, layer.cell)
    kernels = [w.shape for w in layer.weights if w.name == "kernel"]
    if not kernels:
        return 0
    # A kernel is applied at each place of what comes out; a transposed one at
    # each place of what comes in.
    transposed = isinstance(layer, layers.Conv2DTranspose)
    shape = (layer.input if transposed else layer.output).shape
    return _places(layer, shape[1:-1]) * sum(map(math.prod, kernels))


def _of_steps(layer, cell):
    shapes = [w.shape for w in cell.weights if w.name.endswith("kernel")]
    return _places(layer, layer.input.shape[1:2]) * sum(map(math.prod, shapes))


def _places(layer, sides):
    if None in sides:
        raise ValueError(
            f"How often {layer.name!r} multiplies depends on the size of what "
            f"comes in: {layer.input.shape}. Build the model for one size."
        )
    return math.prod(sides)
