"""An ONNX file takes what the signatures take, and answers as they do."""

import numpy as np
import onnx
import pytest
from helpers.kinds import (
    adder,
    autoencoder,
    classifier,
    conditional_generator,
    copier,
    counted_machine,
    driver,
    generator,
    genome,
    letter_chain,
    of_two_classes,
    reader,
    regression,
    restorer,
    several_heads,
    spelling,
    translator,
    variational,
)
from helpers.marks import only_thorough
from helpers.onnx_files import answers, opened

import zoo
from recipes.lab.data import digit_tasks
from recipes.lab.export import onnx_graph


@pytest.fixture(scope="module")
def file():
    """The file of a classifier."""
    return onnx_graph.write(*classifier())["model.onnx"]


LETTERS = {"letters": "int32", "letter_probabilities": "float32"}
PICTURES = {"picture": "float32", "pixels": "uint8"}
KINDS = {
    # the files, and the types of what comes out of them
    classifier: {
        "model": {"probabilities": "float32", "class_id": "int64"},
    },
    of_two_classes: {
        "model": {"probabilities": "float32", "class_id": "int64"},
    },
    regression: {"model": {"prediction": "float32"}},
    adder: {"model": {"prediction": "float32"}},
    autoencoder: {
        "model": {
            "reconstruction": "float32",
            "pixels": "uint8",
            "code": "float32",
        },
        "decoder": {"reconstruction": "float32", "pixels": "uint8"},
    },
    variational: {
        "model": {**PICTURES, "code": "float32", "log_variance": "float32"},
        "decoder": PICTURES,
    },
    generator: {"model": PICTURES},
    conditional_generator: {"model": PICTURES},
    reader: {"model": {"probabilities": "float32", "class_id": "int64"}},
    genome: {"model": {"probabilities": "float32", "class_id": "int64"}},
    driver: {"model": {"direction": "float32", "probabilities": "float32"}},
    restorer: {"model": PICTURES},
    translator: {"model": LETTERS},
    spelling: {"model": LETTERS},
    letter_chain: {"model": {"probabilities": "float32"}},
    counted_machine: {"model": PICTURES},
    copier: {"model": {"probabilities": "float32"}},
    several_heads: {
        "model": {head.name: "float32" for head in digit_tasks.HEADS}
    },
}


@pytest.mark.parametrize(
    "kind",
    only_thorough(
        KINDS,
        {*KINDS} - {adder, conditional_generator, driver, restorer, translator},
    ),
)
def test_a_file_answers_as_the_signatures_do(kind):
    task, model = kind()
    files = onnx_graph.write(task, model)
    assert [*files] == [f"{name}.onnx" for name in KINDS[kind]]
    signatures = task.signatures(model).values()
    inputs = task.inputs.examples(task.data.test, 64)
    for name, types in KINDS[kind].items():
        file = files[f"{name}.onnx"]
        names = {argument.name for argument in opened(file).get_inputs()}
        # What an input gives may be in several signatures.
        asked, expected = {}, {}
        for signature in signatures:
            arguments = signature.ask(inputs)
            if arguments.keys() == names:
                asked |= arguments
                expected |= signature.expect(inputs)
        for text in ("class_name", "letter", "text"):
            expected.pop(text, None)
        for count in (1, 64):
            found = answers(file, **{k: v[:count] for k, v in asked.items()})
            assert {k: v.dtype for k, v in found.items()} == types
            assert found.keys() == expected.keys()
            for output, truth in expected.items():
                assert_close(found[output], truth[:count])


def assert_close(found, truth):
    assert found.shape == truth.shape
    if truth.dtype == "float32":
        tolerance = 1e-5 * max(1, np.max(np.abs(truth)))
        np.testing.assert_allclose(found, truth, rtol=0, atol=tolerance)
    elif truth.dtype == "uint8":
        assert np.max(np.abs(found.astype(int) - truth)) <= 1
    else:
        np.testing.assert_array_equal(found, truth)


def test_the_same_model_gives_the_same_bytes_and_stays_as_it_was():
    task, model = autoencoder()
    before = model.to_json()
    assert onnx_graph.write(task, model) == onnx_graph.write(task, model)
    assert model.to_json() == before


def test_the_versions_are_those_that_browsers_read(file):
    model = onnx.load_from_string(file)
    [opset] = model.opset_import
    assert (opset.domain, opset.version, model.ir_version) == ("", 18, 8)
    assert model.graph.name == "cnn"
    assert model.producer_name == "keras-zoo-recipes"
    assert model.producer_version == zoo.__version__


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (classifier, {"labels": "0\n1\n2\n3\n4\n5\n6\n7\n8\n9"}),
        (regression, {"target": "progression (points)", "columns": ...}),
    ],
)
def test_a_file_says_what_its_numbers_are(kind, texts):
    task, model = kind()
    [file] = onnx_graph.write(task, model).values()
    found = opened(file).get_modelmeta().custom_metadata_map
    assert found.keys() == texts.keys()
    if "columns" in texts:
        header, *rows = found.pop("columns").splitlines()
        assert header == "name,unit,about"
        assert [row.split(",")[0] for row in rows] == task.inputs.names
        texts = {"target": texts["target"]}
    assert found == texts


def test_an_input_says_what_it_takes(file):
    [image] = onnx.load_from_string(file).graph.input
    assert image.doc_string == "raw pixels, 0 to 255, white on black"


@pytest.mark.parametrize("kind", [classifier, autoencoder, variational])
def test_every_layer_may_be_an_output(kind):
    task, model = kind()
    images = task.inputs.examples(task.data.test, 3)
    files = onnx_graph.write(task, model)
    with_layers = onnx_graph.write(task, model, every_layer=True)
    file = with_layers["model.onnx"]
    assert len(file) - len(files["model.onnx"]) < 4_000
    found = answers(file, image=images)
    plain = answers(files["model.onnx"], image=images)
    for name in plain:
        # What is an output cannot be computed in one with what follows it.
        np.testing.assert_allclose(found.pop(name), plain[name], atol=1e-6)
    expected = zoo.feature_extractor(model, [*found])(images, training=False)
    for layer, features in expected.items():
        np.testing.assert_allclose(found[layer], features, atol=2e-6)
    paths = {"encoder/hidden1", "decoder/hidden1", "conv1", "encoder/mean"}
    assert paths & found.keys()


REFUSED = {
    # what is sent, what the message says
    "floats": (np.zeros((2, 28, 28, 1), "f4"), "expected: .*uint8"),
    "other height": (np.zeros((2, 27, 28, 1), "u1"), "Expected: 28"),
    "color": (np.zeros((2, 28, 28, 3), "u1"), "Expected: 1"),
    "no channel": (np.zeros((2, 28, 28), "u1"), "rank"),
    "rows of pixels": (np.zeros((2, 784), "u1"), "rank"),
    "no images": (np.zeros((0, 28, 28, 1), "u1"), "cannot be reshaped"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_batch_of_images_is_refused(file, case):
    images, reason = REFUSED[case]
    with pytest.raises(Exception, match=reason):
        answers(file, image=images)


@pytest.mark.parametrize(
    ("kind", "name", "inputs"),
    [
        (regression, "model", {"features": np.zeros((0, 10), "f4")}),
        (autoencoder, "decoder", {"code": np.zeros((0, 3), "f4")}),
    ],
)
def test_no_rows_and_no_codes_are_refused(kind, name, inputs):
    file = onnx_graph.write(*kind())[f"{name}.onnx"]
    with pytest.raises(Exception, match="cannot be reshaped"):
        answers(file, **inputs)
