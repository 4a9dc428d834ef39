"""Each operation in JavaScript gives what ONNX Runtime gives."""

import numpy as np
import onnx
from helpers import javascript
from helpers.onnx_files import answers
from onnx import TensorProto, helper, numpy_helper

pytestmark = javascript.needs_node

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def ints(*numbers):
    return np.array(numbers, "int64")


X = normal(2, 3, 4)
WIDE = np.linspace(-7, 7, 1_001, dtype="float32")
HALVES = np.arange(-4, 4.5, 0.5, "float32")
IMAGES = normal(2, 4, 9, 8)
NORMAL = [normal(4) ** 2 + 0.1 for _ in range(4)]
STEPS = normal(6, 2, 5)  # steps, batch, inputs


def recurrent(gates, directions=1, units=3):
    """Weights of the inputs, of the states, and both kinds of biases."""
    return [
        normal(directions, gates * units, 5),
        normal(directions, gates * units, units),
        normal(directions, 2 * gates * units),
    ]


# An operation, its inputs and its attributes. None leaves an input out.
CASES = [
    *(("Abs", [X], {}), ("Neg", [X], {}), ("Identity", [X], {})),
    *((name, [WIDE], {}) for name in ("Erf", "Exp", "Tanh", "Sigmoid")),
    *((name, [WIDE], {}) for name in ("Softplus", "Softsign", "Mish")),
    *((name, [WIDE], {}) for name in ("Relu", "HardSwish", "Selu", "Elu")),
    *((name, [WIDE], {}) for name in ("Celu", "LeakyRelu", "HardSigmoid")),
    ("Elu", [WIDE], {"alpha": 0.3}),
    ("Celu", [WIDE], {"alpha": 2.5}),
    ("Selu", [WIDE], {"alpha": 1.5, "gamma": 1.2}),
    ("LeakyRelu", [WIDE], {"alpha": 0.0}),
    ("LeakyRelu", [WIDE], {"alpha": 0.2}),
    ("HardSigmoid", [WIDE], {"alpha": 1 / 6, "beta": 0.5}),
    *(("Log", [X**2 + 0.01], {}), ("Sqrt", [X**2], {})),
    ("Round", [HALVES], {}),
    ("Cast", [HALVES], {"to": TensorProto.INT32}),
    ("Cast", [HALVES], {"to": TensorProto.INT64}),
    ("Cast", [np.abs(HALVES)], {"to": TensorProto.UINT8}),
    ("Cast", [np.arange(250, 256, dtype="uint8")], {"to": TensorProto.FLOAT}),
    ("Clip", [X, np.float32(-0.5), np.float32(0.25)], {}),
    ("Clip", [X, None, np.float32(0.25)], {}),
    *((name, [X, normal(3, 1)], {}) for name in ("Add", "Sub", "Mul", "Div")),
    *((name, [normal(4), X], {}) for name in ("Add", "Sub", "Mul", "Div")),
    ("Add", [normal(2, 1, 4), normal(3, 1)], {}),
    ("Mul", [X, np.float32(3)], {}),
    ("Mul", [X, X], {}),
    *(("Min", [X, normal(4)], {}), ("Max", [X, np.float32(0.1)], {})),
    ("Greater", [HALVES, np.float32(1)], {}),
    ("GreaterOrEqual", [HALVES, np.float32(1)], {}),
    ("Reshape", [X, ints(0, -1)], {}),
    ("Reshape", [X, ints(4, 3, 2)], {}),
    ("Squeeze", [normal(2, 1, 3, 1)], {}),
    ("Squeeze", [normal(2, 1, 3, 1), ints(-1)], {}),
    ("Unsqueeze", [X, ints(0, -1)], {}),
    ("Shape", [X], {}),
    ("Shape", [X], {"start": -2, "end": -1}),
    ("Expand", [normal(3, 1), ints(2, 1, 4)], {}),
    ("Expand", [X, ints(3, 1)], {}),
    ("Transpose", [IMAGES], {"perm": [0, 2, 3, 1]}),
    ("Transpose", [X], {}),
    ("Concat", [X, normal(2, 5, 4)], {"axis": 1}),
    ("Concat", [X, X, normal(2, 3, 1)], {"axis": -1}),
    ("Slice", [X, ints(1), ints(3), ints(1), ints(1)], {}),
    ("Slice", [X, ints(0, -3), ints(99, -1), ints(0, 2)], {}),
    ("Slice", [X, ints(-1), ints(-(2**62)), ints(1), ints(-1)], {}),
    ("Slice", [IMAGES, ints(1, 0), ints(9, 7), ints(2, 3), ints(2, 3)], {}),
    ("Gather", [X, ints(1, 0, -1)], {}),
    ("Gather", [X, np.array([[2, 0], [1, 1]])], {"axis": 1}),
    ("Pad", [IMAGES, ints(0, 0, 2, 1, 0, 0, 1, 3)], {}),
    ("Pad", [X, ints(0, 1, 0, 0, 0, 2), np.float32(-1)], {}),
    *(
        (f"Reduce{what}", [X, ints(*axes)], {"keepdims": keepdims})
        for what in ("Sum", "Mean", "Max", "Prod")
        for axes, keepdims in [((-1,), 1), ((0, 2), 0), ((1,), 0)]
    ),
    ("ReduceSum", [X], {}),
    ("ArgMax", [X], {"axis": -1, "keepdims": 0}),
    ("ArgMax", [X], {"axis": 1}),
    ("ArgMax", [np.ones((2, 3), "float32")], {"axis": 1}),  # the first
    ("TopK", [X, ints(2)], {}),
    ("TopK", [np.round(X), ints(3)], {"axis": 2}),  # some are equal
    ("LRN", [IMAGES], {"size": 3, "alpha": 0.3, "beta": 0.5, "bias": 2.0}),
    ("LRN", [IMAGES], {"size": 5}),
    ("Softmax", [30 * X], {"axis": -1}),
    ("Softmax", [X], {"axis": 1}),
    ("LogSoftmax", [30 * X], {"axis": -1}),
    ("BatchNormalization", [IMAGES, *NORMAL], {"epsilon": 1e-3}),
    ("BatchNormalization", [normal(5, 4), *NORMAL], {}),
    ("LayerNormalization", [X, normal(4), normal(4)], {"epsilon": 1e-3}),
    ("LayerNormalization", [X, normal(4)], {"axis": -1}),
    ("MatMul", [X, normal(4, 5)], {}),
    ("MatMul", [X, normal(2, 4, 5)], {}),
    ("MatMul", [normal(2, 1, 3, 4), normal(5, 4, 2)], {}),
    ("Gemm", [normal(2, 3), normal(4, 3), normal(4)], {"transB": 1}),
    ("Gemm", [normal(2, 3), normal(3, 4)], {}),
    ("Conv", [IMAGES, normal(6, 4, 3, 2), normal(6)], {}),
    (
        *("Conv", [IMAGES, normal(6, 4, 3, 3)]),
        {"strides": [2, 3], "pads": [1, 0, 2, 1]},
    ),
    (
        *("Conv", [IMAGES, normal(6, 2, 3, 3), normal(6)]),
        {"group": 2, "dilations": [2, 1], "pads": [2, 2, 2, 2]},
    ),
    ("Conv", [IMAGES, normal(4, 1, 5, 5)], {"group": 4, "pads": [2] * 4}),
    ("Conv", [IMAGES, normal(2, 4, 1, 1)], {"strides": [4, 4]}),
    ("Conv", [X, normal(5, 3, 2), normal(5)], {}),
    (
        *("Conv", [normal(2, 4, 9), normal(6, 2, 3)]),
        {"strides": [2], "pads": [1, 2], "dilations": [2], "group": 2},
    ),
    ("ConvTranspose", [IMAGES, normal(4, 3, 2, 3), normal(3)], {}),
    (
        *("ConvTranspose", [IMAGES, normal(4, 3, 4, 4)]),
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [0, 1]},
    ),
    (
        *("ConvTranspose", [IMAGES, normal(4, 3, 2, 2)]),
        {"strides": [3, 3], "pads": [0, 0, 1, 0]},
    ),
    *(
        (f"{kind}Pool", [IMAGES], {"kernel_shape": size, **options})
        for kind in ("Max", "Average")
        for size, options in [
            ([2, 2], {"strides": [2, 2]}),
            ([3, 2], {"strides": [1, 3], "pads": [1, 0, 1, 1]}),
            ([2, 2], {}),
        ]
    ),
    ("RNN", [STEPS, *recurrent(1)], {"hidden_size": 3}),
    (
        *("RNN", [STEPS, *recurrent(1)]),
        {"hidden_size": 3, "activations": ["Relu"], "direction": "reverse"},
    ),
    (
        *("GRU", [STEPS, *recurrent(3)]),
        {"hidden_size": 3, "linear_before_reset": 1},
    ),
    (
        *("GRU", [STEPS, *recurrent(3, 2)]),
        {
            "hidden_size": 3,
            "linear_before_reset": 1,
            "direction": "bidirectional",
            "activations": ["Sigmoid", "Tanh", "Softsign", "Softplus"],
        },
    ),
    (
        *("GRU", [STEPS, *recurrent(3, 2), None, normal(2, 2, 3)]),
        {
            "hidden_size": 3,
            "linear_before_reset": 1,
            "direction": "bidirectional",
        },
    ),
    ("LSTM", [STEPS, *recurrent(4)], {"hidden_size": 3}),
    ("LSTM", [STEPS, *recurrent(4)[:2]], {"hidden_size": 3}),
    (
        *("LSTM", [STEPS, *recurrent(4, 2)]),
        {"hidden_size": 3, "direction": "bidirectional"},
    ),
]


OF_TWO = ("RNN", "GRU", "LSTM", "TopK")  # outputs


def file_of(operation, inputs, attributes, opset=18):
    """A file of one operation; what is given to it are constants, but for x."""
    names = [f"i{i}" if x is not None else "" for i, x in enumerate(inputs)]
    names[0] = "x"
    outputs = ["y", "y2"] if operation in OF_TWO else ["y"]
    graph = helper.make_graph(
        [helper.make_node(operation, names, outputs, "layer/it", **attributes)],
        "one",
        [
            helper.make_tensor_value_info(
                "x",
                helper.np_dtype_to_tensor_dtype(inputs[0].dtype),
                inputs[0].shape,
            )
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [
            numpy_helper.from_array(np.asarray(x), name)
            for x, name in zip(inputs[1:], names[1:], strict=True)
            if x is not None
        ],
    )
    model = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]
    )
    return model.SerializeToString()


def test_each_gives_what_onnx_runtime_gives():
    files = [file_of(*case) for case in CASES]
    found = javascript.run(
        "(files, inputs) => files.map((file, i) => "
        "new Network(file).run(new Map([['x', inputs[i]]])))",
        files,
        [inputs[0] for _, inputs, _ in CASES],
    )
    for case, file, values in zip(CASES, files, found, strict=True):
        operation, inputs, attributes = case
        for name, truth in answers(file, x=inputs[0]).items():
            what = f"{operation} {attributes} {name}"
            assert values[name].shape == truth.shape, what
            np.testing.assert_allclose(
                values[name].astype("float64"),
                truth.astype("float64"),
                rtol=2e-6,
                atol=2e-6,
                err_msg=what,
            )


def test_every_operation_is_tried():
    known = javascript.run("() => [...OPERATORS.keys()]")
    assert sorted(known) == sorted({operation for operation, *_ in CASES})


def refusal(file):
    """What is said of a file."""
    return javascript.run(
        "(file) => { try { new Network(file); return ''; } "
        "catch (error) { return error.message; } }",
        file,
    )


def test_what_is_not_known_is_refused_by_its_name():
    x = normal(1, 1, 4, 4)
    assert refusal(file_of("Einsum", [x], {"equation": "nchw->nc"})) == (
        "The operation Einsum of layer/it is not known here."
    )
    pooling = {"kernel_shape": [2, 2], "ceil_mode": 1}
    assert refusal(file_of("MaxPool", [x], pooling)) == (
        "The attribute ceil_mode of MaxPool, which layer/it has, is not known "
        "here."
    )
    assert "version 21 of the operations of ONNX; version 18" in refusal(
        file_of("Relu", [x], {}, opset=21)
    )


# Operations that are known, in ways that are not, and what is said of them.
REFUSED = [
    ("Pad", [X, ints(*[1] * 6)], {"mode": "edge"}, "The mode edge of Pad is"),
    (
        *("LSTM", [STEPS, *recurrent(4), None, None, normal(1, 2, 3)]),
        *({"hidden_size": 3}, "LSTM with cells from before is not known here"),
    ),
    (
        *("GRU", [STEPS, *recurrent(3)], {"hidden_size": 3}),
        "GRU without linear_before_reset is not known here",
    ),
    (
        *("RNN", [STEPS, *recurrent(1)]),
        {"hidden_size": 3, "activations": ["Affine"]},
        "The activation Affine of RNN is not known here",
    ),
    ("Cast", [X], {"to": TensorProto.DOUBLE}, "Cast to type 11 is not known"),
    ("MatMul", [X, normal(3, 4)], {}, "[2,3,4] cannot be multiplied by [3,4]"),
    ("Add", [X, normal(3)], {}, "Shapes [2,3,4] and [3] do not fit together"),
    ("Reshape", [X, ints(5, 5)], {}, "[2,3,4] cannot have the shape [5,5]"),
]


def test_what_it_cannot_do_is_refused_when_it_is_run():
    said = javascript.run(
        "(files, inputs) => files.map((file, i) => { "
        "try { new Network(file).run(new Map([['x', inputs[i]]])); return ''; }"
        "catch (error) { return error.message; } })",
        [file_of(*case) for *case, _ in REFUSED],
        [inputs[0] for _, inputs, *_ in REFUSED],
    )
    for found, (*_, words) in zip(said, REFUSED, strict=True):
        assert words in found


# --- the file ------------------------------------------------------------


def test_what_a_file_says_is_read():
    file = file_of("Gather", [X, ints(-1, 2**40)], {"axis": 1})
    found = javascript.run("readOnnx", file)
    assert found["inputs"] == [{"name": "x", "shape": [2, 3, 4]}]
    [node] = found["nodes"]
    assert node == {
        "name": "layer/it",
        "operation": "Gather",
        "inputs": ["x", "i1"],
        "outputs": ["y"],
        "attributes": {"axis": 1},
    }
    np.testing.assert_array_equal(found["constants"]["i1"], [-1, 2**40])


def test_damage_is_said():
    file = file_of("Add", [X, X], {})
    everywhere = javascript.run(
        "(file) => Array.from(file, (_, end) => { "
        "try { readOnnx(file.subarray(0, end)); return null; } "
        "catch (error) { return error.message; } })",
        file,
    )
    # A file that ends between two fields is whole, as far as it goes.
    said = {*everywhere} - {None}
    assert said <= {
        "The file is damaged, or it is no ONNX file.",
        "The file has no graph.",
    }
    assert everywhere.count(None) < 20
    assert refusal(b"\x89PNG\r\n\x1a\n") in said
    missing = onnx.load_model_from_string(file)
    missing.graph.initializer[0].ClearField("raw_data")
    assert "numbers of i1 are not in the file" in refusal(
        missing.SerializeToString()
    )
    missing.graph.initializer[0].raw_data = bytes(8)
    assert "i1 has 2 numbers instead of 24" in refusal(
        missing.SerializeToString()
    )
