"""Networks in JavaScript compute what ONNX Runtime computes, layer by layer."""

import numpy as np
import onnx
import pytest
from helpers import javascript
from helpers.builders import build, examples
from helpers.marks import only_thorough
from helpers.onnx_files import answers, file_of
from helpers.tasks import sample
from onnx import helper

import zoo
from recipes.lab.export.onnx_layers import NotInOnnx
from zoo import _loading

pytestmark = javascript.needs_node

SHIPPED = [name.partition("/")[0] for name in _loading.shipped_exports()]
FILES = [
    f"{name}/{file.name}"
    for name in SHIPPED
    for file in sorted(_loading.find_export(f"{name}@shipped").glob("*.onnx"))
]
# One of each kind.
KEPT = ("mnist_lenet5/model.onnx", "mnist_vae/model.onnx")
RUN = "(file, given) => new Network(file).run(new Map(Object.entries(given)))"


def read(name):
    family, file = name.split("/")
    return (_loading.find_export(f"{family}@shipped") / file).read_bytes()


def with_all_outputs(content):
    """The same file, in which what each node gives is an output."""
    model = onnx.load_model_from_string(content)
    known = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in {*node.output} - known - {""}:
            value = helper.make_empty_tensor_value_info(name)
            model.graph.output.append(value)
    return model


def inputs_of(model):
    """Three examples of what a file takes, by name."""
    rng = np.random.default_rng(0)
    inputs = {}
    for value in model.graph.input:
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        kind = value.type.tensor_type.elem_type
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        inputs[value.name] = rng.normal(size=(3, *shape[1:])).astype("float32")
        if dtype == np.int32:  # numbers of words or letters
            inputs[value.name] = rng.integers(0, 6, (3, *shape[1:]), "int32")
        if dtype == np.uint8:
            inputs[value.name] = rng.integers(0, 256, (3, *shape[1:]), "uint8")
            if shape[1:] == [28, 28, 1]:  # two digits, and noise
                inputs[value.name][:2] = sample().test.inputs[:2]
    return inputs


def assert_same(found, expected):
    """Compare tensors, by what the largest number of each is."""
    for name, truth in expected.items():
        assert found[name].shape == truth.shape, name
        truth = truth.astype("float64")
        differences = np.abs(found[name] - truth)
        largest = max(1.0, np.max(np.abs(truth), initial=0))
        is_whole = largest > 1 and np.array_equal(truth, np.rint(truth))
        # A pixel may be in the middle between two whole numbers.
        most = 1 if is_whole else 1e-5 * largest
        assert np.max(differences, initial=0) <= most, name
        assert not is_whole or np.mean(differences > 0) < 1e-3, name


@pytest.mark.parametrize("name", only_thorough(FILES, KEPT))
def test_all_that_ships_computes_the_same_everywhere_inside(name):
    content = read(name)
    model = with_all_outputs(content)
    inputs = inputs_of(model)
    expected = answers(model.SerializeToString(), **inputs)
    assert len(expected) >= len(model.graph.node)
    found = javascript.run(RUN, content, inputs)
    assert_same(found, expected)


OF_IMAGES = [
    name
    for name in zoo.list_models()
    if zoo.model_info(name).inputs == "images"
]


@pytest.mark.thorough
@pytest.mark.parametrize("name", OF_IMAGES)
def test_networks_of_the_zoo_run_or_are_refused_by_name(name):
    model = build(name)
    try:
        content = file_of(model)
    except NotInOnnx as error:
        pytest.skip(str(error))
    said = javascript.run(
        "(file) => { try { new Network(file); return ''; } "
        "catch (error) { return error.message; } }",
        content,
    )
    if said:
        known = javascript.run("() => [...OPERATORS.keys()]")
        graph = onnx.load_model_from_string(content).graph
        unknown = {node.op_type for node in graph.node} - {*known}
        assert any(f"The operation {name} of" in said for name in unknown)
        pytest.skip(said)
    x = examples(name, 2).astype(model.inputs[0].dtype)
    found = javascript.run(RUN, content, {"x0": x})
    assert_same(found, answers(content, x0=x))


def test_layers_are_those_of_the_network_that_compute():
    found = javascript.run(
        "(file) => new Network(file).layers", read("mnist_lenet5/model.onnx")
    )
    layers = [layer.name for layer in build("lenet5").layers]
    paths = [layer["path"] for layer in found]
    moves = ("image", "padding", "flatten")
    assert paths == [name for name in layers if name not in moves]
    by_path = {layer["path"]: layer for layer in found}
    assert by_path["c3"]["channelsFirst"] is True
    assert by_path["f6"]["channelsFirst"] is False
    assert by_path["predictions"]["output"] == "probabilities"


def test_a_part_of_a_network_runs_alone():
    """From the code on, without an image; a decoder gives the same."""
    code = np.random.default_rng(0).normal(size=(4, 40)).astype("float32")
    found = javascript.run(
        "(file, code) => new Network(file).run("
        "new Map([['code', code]]), ['picture'])",
        *(read("mnist_vae/model.onnx"), code),
    )
    expected = answers(read("mnist_vae/decoder.onnx"), code=code)
    assert_same(found, {"picture": expected["picture"]})
    assert not [name for name in found if name.startswith("encoder/")]
    assert "pixels" not in found  # nobody asked


def test_an_lstm_can_be_asked_after_each_row():
    """The states of all rows, given as a batch, are as many images cut off."""
    image = sample().test.inputs[:1]
    name = "mnist_lstm/model.onnx"
    found = javascript.run(
        "(file, image) => {"
        "const network = new Network(file), layer = network.layers.find("
        "({sequence}) => sequence);"
        "const values = network.run(new Map([['image', image]]));"
        "const {shape: [rows, , , units], data} = values.get(layer.sequence);"
        "const states = {shape: [1, rows, units], data};"
        "return network.run(new Map([[layer.last, states]]), "
        "['probabilities']).get('probabilities'); }",
        *(read(name), image),
    )
    assert found.shape == (28, 10)
    truth = answers(read(name), image=image)["probabilities"]
    np.testing.assert_allclose(found[-1:], truth, atol=1e-5)
    # A layer that reads fewer rows ends in the state after them.
    lstm = zoo.load_model("mnist_lstm@shipped", verbose=False)
    cell, head = lstm.get_layer("lstm1"), lstm.get_layer("predictions")
    rows = image[..., 0].astype("float32") / 255
    for count in (1, 10, 20):
        expected = head(cell(rows[:, :count]))
        np.testing.assert_allclose(found[count - 1], expected[0], atol=1e-5)


def test_what_is_missing_is_said():
    with pytest.raises(AssertionError, match="There is no image"):
        javascript.run(
            "(file) => new Network(file).run(new Map())",
            read("mnist_vae/model.onnx"),
        )


def test_labels_are_those_of_the_export():
    content = read("fashion_mnist_lstm/model.onnx")
    labels = javascript.run("(file) => new Network(file).labels", content)
    assert (len(labels), labels[0], labels[9]) == (
        *(10, "T-shirt/top"),
        "Ankle boot",
    )
