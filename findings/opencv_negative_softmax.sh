#!/usr/bin/env bash
# One would guess that a softmax of negative distances, which are some numbers
# times -1, is found as well as any: softmax subtracts the largest number first,
# so nothing overflows.
# In fact OpenCV 5 answers with NaN where the distances are 88 or more apart. It
# fuses a multiplication by one constant with the softmax after it, subtracts
# the largest number as it was before the multiplication, and after one by a
# negative constant that is the smallest: the exponentials overflow. The class is
# wrong then, too. The same network with a Neg instead of the multiplication is
# right, so is one whose product is an output, too, since it is not fused, and so
# are OpenCV 4 and ONNX Runtime.
# In OpenCV 5.0.0 (5.0.0.93 of the package), and not in 4.14.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > softmax.py <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper


def network(negation, product_too=False):
    """The softmax of negative numbers, as the bytes of an ONNX file."""
    one = helper.make_tensor("minus_one", TensorProto.FLOAT, [], [-1.0])
    inputs = ["x", "minus_one"] if negation == "Mul" else ["x"]
    nodes = [
        helper.make_node(negation, inputs, ["negative"]),
        helper.make_node("Softmax", ["negative"], ["y"], axis=-1),
    ]
    names = ["y", "negative"] if product_too else ["y"]
    x, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3])
        for name in ["x", *names]
    )
    initializers = [one] if negation == "Mul" else []
    graph = helper.make_graph(nodes, "softmax", [x], outputs, initializers)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def by_opencv(content, x):
    net = cv2.dnn.readNetFromONNX(np.frombuffer(content, "uint8"))
    net.setInput(x)
    return np.array(net.forward("y"))


def by_onnxruntime(content, x):
    session = onnxruntime.InferenceSession(content)
    return session.run(["y"], {"x": x})[0]


print(f"OpenCV {cv2.__version__}, onnxruntime {onnxruntime.__version__}")
networks = {
    "Mul by -1": network("Mul"),
    "Mul by -1, an output, too": network("Mul", product_too=True),
    "Neg": network("Neg"),
}
wrong = set()
for name, content in networks.items():
    for distances in ([1, 2, 3], [1, 50, 99]):
        x = np.array([distances], "float32")
        answers = by_opencv(content, x), by_onnxruntime(content, x)
        if not np.allclose(*answers, atol=1e-5):
            wrong.add((name, distances[-1]))
        opencv, other = (" ".join(f"{p:.2f}" for p in a[0]) for a in answers)
        print(f"  {name:26}{distances!s:13}OpenCV {opencv:15} other {other}")

expected = {("Mul by -1", 99)} if cv2.__version__.startswith("5.") else set()
if wrong != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
for version in 4.14.0.94 5.0.0.93; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install -qq onnx==1.23.2 onnxruntime==1.32.0 \
        "opencv-python-headless==$version"
    "venv-$version/bin/python" softmax.py
done
