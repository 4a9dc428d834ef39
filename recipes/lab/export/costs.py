"""What an answer costs: multiplications counted, and seconds measured.

Multiplications are counted in the graph that TensorFlow runs, by the shapes of
what it multiplies. So what a layer does not compute does not count, whatever
its weights.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from recipes.lab.export import formats, litert


def multiplications(model: keras.Model) -> int:
    """Count the multiplications that a model makes of one example.

    They are those of convolutions and of products of matrices, which are nearly
    all there are.

    Args:
        model: A model of one input.
    """
    graph = _answering(model).get_concrete_function().graph
    return sum(map(_multiplications_of, graph.get_operations()))


def microseconds(
    model: keras.Model, examples: np.ndarray
) -> tuple[float, float]:
    """Measure how long TensorFlow and LiteRT take for one example at a time.

    Args:
        model: A model of one input.
        examples: Real ones: what is asked may decide what is computed.
    """
    model = formats.in_float32(model)  # as both are exported
    answer = _answering(model)
    one = examples[:1].astype("float32")
    with tf.device("CPU:0"):
        tensor = {"batch": tf.constant(one)}
        in_tensorflow = formats.seconds_of_one(answer, tensor)
    file = litert_file(model)
    with litert.quiet():
        asked = Interpreter(model_content=file, num_threads=1)
        asked = asked.get_signature_runner()
        in_litert = formats.seconds_of_one(asked, {"batch": one})
    return 1e6 * in_tensorflow, 1e6 * in_litert


def litert_file(model: keras.Model) -> bytes:
    """Return a float32 model for LiteRT that takes one example, `batch`."""
    function = _answering(model).get_concrete_function()
    return litert.converted(model, {"serving_default": function})[0]


def _answering(model):
    """Return a TensorFlow function of one example."""
    shape = (1, *model.input_shape[1:])

    @tf.function(
        input_signature=[tf.TensorSpec(shape, tf.float32, name="batch")],
        autograph=False,
    )
    def answer(batch):
        return model(batch, training=False)

    return answer


def _multiplications_of(operation) -> int:
    """Return how many an operation of TensorFlow makes."""
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        kernel = operation.inputs[1].shape
        places = operation.outputs[0].shape[:-1]
        return math.prod(places) * math.prod(kernel)
    if operation.type in ("MatMul", "BatchMatMulV2"):
        transposed = "transpose_a" if operation.type == "MatMul" else "adj_x"
        axis = -2 if operation.get_attr(transposed) else -1
        terms = operation.inputs[0].shape[axis]
        return math.prod(operation.outputs[0].shape) * terms
    return 0
