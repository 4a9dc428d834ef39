"""ONNX files: of any model, and what they answer."""

import keras
import numpy as np
import onnxruntime

from recipes.lab.export.onnx_graph import Graph


def opened(file):
    """Open a file as a user would, but quietly: refusals are expected."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(file, options)


def answers(file, **inputs):
    """Return what a file answers, by the outputs' names."""
    session = opened(file)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def file_of(model):
    """Write a model without a task: `x0`, `x1` ... to `y0`, `y1` ..."""
    graph = Graph()
    inputs = [
        graph.input(f"x{i}", x.shape[1:], x.dtype)
        for i, x in enumerate(model.inputs)
    ]
    outputs = graph.add(model, *inputs)
    for i, y in enumerate(keras.tree.flatten(outputs)):
        graph.output(f"y{i}", y)
    return graph.to_bytes(model.name, {})


def assert_same_answers(model, x, tolerance=1e-5):
    """Compare a model with its file, in batches of 1 and all."""
    session = opened(file_of(model))
    expected = keras.tree.flatten(model(x, training=False))
    given = [
        array.astype(tensor.dtype)
        for array, tensor in zip(
            keras.tree.flatten(x), model.inputs, strict=True
        )
    ]
    for count in (1, len(given[0])):
        found = session.run(
            None, {f"x{i}": array[:count] for i, array in enumerate(given)}
        )
        for y, truth in zip(found, map(np.asarray, expected), strict=True):
            assert y.shape == (count, *truth.shape[1:])
            scale = max(1.0, np.max(np.abs(truth)))
            assert np.max(np.abs(y - truth[:count])) <= tolerance * scale


def assert_written(layer, shape):
    """Compare a layer with weights of chance, biases and statistics, too."""
    x = keras.Input(shape)
    model = keras.Model(x, layer(x))
    random = np.random.default_rng(0)
    for weight in model.weights:
        low = 0.1 if "variance" in weight.path else -0.5
        weight.assign(random.uniform(low, 0.8, weight.shape))
    assert_same_answers(model, random.normal(size=(64, *shape)).astype("f4"))
