"""What LiteRT runs has the signatures of the SavedModel, and their answers."""

import operator
import os
import tempfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from helpers.commands import ROOT, run_python
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
from helpers.tasks import classification, reconstruction

import zoo
from recipes.lab.export import litert

FILES = {"image_bytes": "it decodes files, which needs TensorFlow"}
TEXT = "it splits text, which needs TensorFlow"
DRAWS = "it draws from a seed, which needs TensorFlow"


def recurrent():
    return classification(), zoo.simple_rnn(hidden_units=(4,))


KINDS = {
    # the signatures of the file, and what is not in it
    classifier: (("serving_default", "probabilities"), FILES),
    recurrent: (("serving_default", "probabilities"), FILES),
    of_two_classes: (("serving_default", "columns", "probabilities"), {}),
    regression: (("serving_default", "columns"), {}),
    adder: (("serving_default",), {}),
    autoencoder: (("serving_default", "reconstruct", "encode", "decode"), {}),
    variational: (
        ("serving_default", "reconstruct", "encode", "decode"),
        {"sample": DRAWS},
    ),
    generator: (("decode",), {"serving_default": DRAWS, "sample": DRAWS}),
    conditional_generator: (
        ("decode",),
        {"serving_default": DRAWS, "sample": DRAWS},
    ),
    restorer: (("serving_default", "restore"), {}),
    several_heads: (("serving_default",), FILES),
    reader: (
        ("tokens", "probabilities"),
        {"serving_default": TEXT, "text": TEXT},
    ),
    genome: (
        ("bases", "probabilities"),
        {"serving_default": TEXT, "text": TEXT},
    ),
    driver: (("serving_default",), FILES),
    translator: (
        ("tokens",),
        {"serving_default": TEXT, "text": TEXT, "sample": TEXT},
    ),
    spelling: (("serving_default",), {**FILES, "sample": DRAWS}),
    letter_chain: (
        ("tokens", "probabilities"),
        {"serving_default": TEXT, "text": TEXT, "sample": DRAWS},
    ),
    counted_machine: (("serving_default", "complete"), {"sample": DRAWS}),
    copier: (("serving_default",), {}),
}
each_kind = pytest.mark.parametrize("kind", only_thorough(KINDS, (recurrent,)))


@each_kind
def test_a_file_answers_as_the_keras_model_does(kind):
    signatures, left_out = KINDS[kind]
    task, model = kind()
    converted = litert.convert(task, model)
    assert tuple(converted.signatures) == signatures
    assert converted.left_out == left_out
    joined = "it is joined from letters, which needs TensorFlow"
    writes = kind in (translator, spelling)
    assert converted.without == ({"text": joined} if writes else {})
    assert_same_answers(converted, task.inputs.examples(task.data.test, 64))


def assert_same_answers(converted, inputs):
    file = Interpreter(model_content=converted.model)
    assert file.get_signature_list().keys() == converted.signatures.keys()
    for name, signature in converted.signatures.items():
        ask = file.get_signature_runner(name)
        for count in (64, 1):
            cut = operator.itemgetter(slice(count))
            some = keras.tree.map_structure(cut, inputs)
            asked = signature.ask(some)
            given = {k: v["dtype"] for k, v in ask.get_input_details().items()}
            assert given == {k: v.dtype for k, v in asked.items()}
            found, expected = ask(**asked), signature.expect(some)
            assert found.keys() == expected.keys()
            for output, truth in expected.items():
                assert_close(found[output], truth)


def assert_close(found, truth):
    if truth.dtype.kind == "U":
        np.testing.assert_array_equal(found.astype(str), truth)
        return
    assert found.dtype == truth.dtype
    assert found.shape == truth.shape
    if truth.dtype == "uint8":  # a tie may be rounded either way
        assert np.max(np.abs(found.astype(int) - truth)) <= 1
    elif truth.dtype.kind == "f":
        scale = max(1.0, np.max(np.abs(truth)))
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-4 * scale)
    else:
        np.testing.assert_array_equal(found, truth)


def answers(file, name, **arguments):
    return Interpreter(model_content=file).get_signature_runner(name)(
        **arguments
    )


# --- the files ------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """A model with weights that are large enough to be rounded."""
    return zoo.softmax_regression()


@pytest.fixture(scope="module")
def softmax(model):
    """That, converted."""
    return litert.convert(classification(), model)


def test_int8_weights_take_a_quarter_and_answer_alike(softmax, scored):
    assert len(softmax.int8) < 0.4 * len(softmax.model)
    whole, small = (
        answers(file, "serving_default", image=scored)
        for file in (softmax.model, softmax.int8)
    )
    assert {k: v.dtype for k, v in small.items()} == {
        k: v.dtype for k, v in whole.items()
    }
    difference = np.abs(small["probabilities"] - whole["probabilities"])
    assert 0 < difference.max() < 0.02


@pytest.mark.thorough
def test_where_no_weights_are_large_the_files_are_one():
    converted = litert.convert(*regression())
    assert converted.int8 == converted.model


@pytest.mark.thorough
def test_signatures_share_their_weights():
    model = zoo.autoencoder()
    converted = litert.convert(reconstruction(), model)
    weights = 4 * model.count_params()
    assert weights < len(converted.model) < 1.1 * weights


def test_who_names_no_signature_gets_numbers(softmax, scored):
    """The first by the alphabet, which every runtime can read."""
    file = Interpreter(model_content=softmax.model)
    [given], [returned] = file.get_input_details(), file.get_output_details()
    file.allocate_tensors()
    file.set_tensor(given["index"], scored[:1])
    file.invoke()
    np.testing.assert_array_equal(
        file.get_tensor(returned["index"]),
        answers(softmax.model, "probabilities", image=scored[:1])[
            "probabilities"
        ],
    )


def test_the_same_model_makes_the_same_bytes(model, softmax):
    again = litert.convert(classification(), model)
    assert (again.model, again.int8) == (softmax.model, softmax.int8)


@pytest.mark.thorough
def test_another_process_makes_the_same_bytes_and_is_as_quiet(tmp_path):
    """How much C++ says is decided once in a process: in ours, little."""
    task, model = autoencoder()
    model.save(tmp_path / "model.keras")
    code = """if True:
        import sys
        from pathlib import Path

        import keras
        import zoo
        from helpers.tasks import reconstruction
        from recipes.lab.export import litert

        folder = Path(sys.argv[1])
        task = reconstruction()
        model = keras.saving.load_model(folder / "model.keras")
        print("now", file=sys.stderr, flush=True)
        converted = litert.convert(task, model)
        print("then", file=sys.stderr)
        (folder / "whole").write_bytes(converted.model)
        (folder / "small").write_bytes(converted.int8)
    """
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "TF_CPP_MIN_LOG_LEVEL": "0",
    }
    done = run_python("-c", code, tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.partition("now\n")[2] == "then\n"
    converted = litert.convert(task, model)
    assert (tmp_path / "whole").read_bytes() == converted.model
    assert (tmp_path / "small").read_bytes() == converted.int8


def test_nothing_is_said_and_nothing_left(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    litert.convert(*regression())
    assert capfd.readouterr() == ("", "")
    assert not [*tmp_path.iterdir()]


# --- what LiteRT does not have --------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Largest(keras.layers.Layer):
    """Leave the largest number of each row, which Keras finds by its bits."""

    def call(self, inputs):
        return keras.ops.one_hot(keras.ops.argmax(inputs, axis=-1), 10)


def test_an_unknown_operation_is_named():
    image = keras.Input((28, 28, 1))
    outputs = Largest()(keras.layers.Flatten()(image)[:, :10])
    converted = litert.convert(classification(), keras.Model(image, outputs))
    assert converted.left_out == {
        "serving_default": "it needs BitwiseAnd, which LiteRT does not have",
        **FILES,
    }
    assert converted.signatures == {}
    assert (converted.model, converted.int8) == (b"", b"")


def test_a_model_without_loops_is_not_copied():
    model = zoo.softmax_regression()
    assert litert.unrolled(model) is model


def test_loops_are_found_wherever_they_are():
    shape = (5, 5, 1)
    backbone = zoo.lstm(shape, hidden_units=(3, 2), bidirectional=True)
    model = zoo.transfer_classifier(shape, backbone=backbone)
    unrolled = litert.unrolled(model)
    both_ways = unrolled.get_layer("backbone").get_layer("both_ways2")
    assert both_ways.forward_layer.unroll and both_ways.backward_layer.unroll
    assert not backbone.get_layer("both_ways2").forward_layer.unroll
    images = np.full((2, *shape), 200, "uint8")
    np.testing.assert_allclose(unrolled(images), model(images), atol=1e-6)


def test_a_loop_of_many_steps_is_not_written_out():
    sizes = {"hidden_units": (4,), "bidirectional": True, "read": "pixels"}
    model = zoo.create_model("simple_rnn", **sizes)
    assert litert.unrolled(model) is model


# --- all models -----------------------------------------------------------


def of_images(name, **arguments):
    """A model of images with random weights, and its task."""
    from helpers.tasks import sample

    from recipes.lab import tasks
    from recipes.lab.data import captions

    task = {
        "classification": tasks.Classification,
        "reconstruction": tasks.Reconstruction,
        "generation": tasks.VariationalGeneration,
        "translation": lambda data: tasks.Translation(captions.spelled(data)),
    }[zoo.model_info(name).task](sample())
    return task, zoo.create_model(name, **arguments)


RECURRENT = {
    "stacked": ("lstm", {"hidden_units": (8, 4), "dropout": 0.5}),
    "both ways": ("simple_rnn", {"bidirectional": True}),
    "normalized": ("lstm", {"layer_norm": True}),
    "in a sub-model": ("transfer_classifier", {"backbone": "gru"}),
}


# The others have tasks that no other model of their kind has.
ANSWERING = [
    name
    for name in zoo.list_models(inputs="images")
    if name not in ("deblurring_gan", "rbm")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERING)
def test_every_model_of_images_can_be_had(name):
    task, model = of_images(name)
    converted = litert.convert(task, model)
    assert converted.left_out.keys() <= {"image_bytes", "sample"}
    assert_same_answers(converted, task.inputs.examples(task.data.test, 64))


@pytest.mark.slow
@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_networks_can_be_had(case):
    name, arguments = RECURRENT[case]
    task, model = of_images(name, **arguments)
    converted = litert.convert(task, model)
    assert_same_answers(converted, task.inputs.examples(task.data.test, 64))


@pytest.mark.slow
def test_a_network_of_keras_applications_can_be_had():
    task, model = of_images(
        "transfer_classifier", backbone="MobileNetV2", mode="full"
    )
    inputs = task.inputs.examples(task.data.test, 64)
    # With the statistics that it starts with it says the same of all images.
    for layer in model.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(inputs, training=True)
    assert np.std(model(inputs), axis=0).mean() > 0.01
    assert_same_answers(litert.convert(task, model), inputs)
