"""A predictor answers as the model, and refuses what runtimes would not."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.marks import only_thorough
from helpers.tasks import sample

import zoo
from zoo import _loading, _predictor, _runtimes

FORMATS = [*_runtimes.FORMATS]
DIGITS = "mnist_transfer"


@pytest.fixture(scope="module")
def images():
    return sample().test.inputs[:200]


@pytest.fixture(scope="module")
def predict():
    return zoo.load_predictor(DIGITS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("count", [1, 64, 200])
def test_it_answers_as_the_keras_model(format, count, images):
    predict = zoo.load_predictor(DIGITS, format=format)
    answer = predict(images[:count])
    model = zoo.load_model(DIGITS, verbose=False)
    expected = model(images[:count], training=False)
    if format == "litert-int8":  # nearly always the same class
        same = answer["class_id"] == np.argmax(expected, axis=1)
        assert np.mean(same) > 0.97
    else:
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    chosen = answer["probabilities"].argmax(axis=1)
    np.testing.assert_array_equal(answer["class_id"], chosen)


def test_names_of_classes_are_text(predict, images):
    answer = predict(images[:100])
    assert answer["class_name"].dtype.kind == "U"
    labels = _loading.find_export(DIGITS) / "assets" / "labels.txt"
    names = np.array(labels.read_text().split())
    np.testing.assert_array_equal(
        answer["class_name"], names[answer["class_id"]]
    )


def test_answers_of_parts_are_in_order(predict, images):
    many = np.concatenate([images] * 5)
    whole = predict(many)["probabilities"]
    for number in (0, 63, 64, 999):
        one = predict(many[number : number + 1])["probabilities"]
        np.testing.assert_allclose(whole[number], one[0], atol=1e-5)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_threads_may_share_it(format, images):
    predict = zoo.load_predictor(DIGITS, format=format)
    ones = [images[i : i + 1 + i % 3] for i in range(40)]
    expected = [predict(one)["probabilities"] for one in ones]
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda one: predict(one)["probabilities"], ones * 5)]
    for value, other in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_views_are_taken(format, images):
    predict = zoo.load_predictor(DIGITS, format=format)
    views = images[::2, ::-1]
    found = predict(views)["probabilities"]
    expected = predict(views.copy())["probabilities"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_the_decoder_of_an_autoencoder_is_asked_by_its_name(format):
    name = "mnist_autoencoder"
    decode = zoo.load_predictor(name, format=format, signature="decode")
    codes = np.random.default_rng(0).random((3, 32), "float32")
    decoder = zoo.load_model(name, verbose=False).get_layer("decoder")
    expected = decoder(codes, training=False)
    found = decode(code=codes)
    np.testing.assert_allclose(found["reconstruction"], expected, atol=1e-5)
    assert found["pixels"].dtype == np.uint8


def test_lists_of_integers_are_pixels(predict, images):
    found = predict(images[:2].astype(int).tolist())
    expected = predict(images[:2])
    np.testing.assert_array_equal(
        found["probabilities"], expected["probabilities"]
    )


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda x: x / 255, TypeError, "must be uint8. Received: float64"),
        (lambda x: x[0], ValueError, r"image\[np.newaxis\] is a batch of it"),
        (lambda x: x[:, 1:], ValueError, r"shape \(n, 28, 28, 1\)"),
        (lambda x: x.reshape(-1, 784), ValueError, r"Received: \(200, 784\)"),
        (lambda x: x[:0], ValueError, "image is empty"),
        (lambda x: x.astype(int) + 1, ValueError, "from 0 to 255"),
        (lambda x: x.astype(str), TypeError, "must be uint8"),
    ],
)
def test_what_a_runtime_would_misread_is_refused(
    predict, images, change, error, words
):
    with pytest.raises(error, match=words):
        predict(change(images))


def test_numbers_that_are_not_finite_are_refused():
    predict = zoo.load_predictor("diabetes_linear")
    [argument] = predict.arguments.values()
    rows = np.zeros((2, *argument.shape[1:]), "float32")
    assert predict(rows)["prediction"].shape == (2,)
    rows[1, 0] = np.nan
    with pytest.raises(ValueError, match="features has numbers that are not"):
        predict(rows)


def test_columns_of_a_table_have_one_length():
    predict = zoo.load_predictor("diabetes_linear", signature="columns")
    row = dict.fromkeys(predict.arguments, [0.5, 1])
    assert predict(**row)["prediction"].shape == (2,)
    with pytest.raises(ValueError, match="has 1 examples"):
        predict(**{**row, [*row][-1]: [0.5]})
    with pytest.raises(TypeError, match="Give the arguments by their names"):
        predict([0.5])


def test_unknown_arguments_are_refused(predict, images):
    with pytest.raises(TypeError, match="The arguments are image"):
        predict(picture=images)


def test_unknown_signatures_and_formats_are_refused():
    with pytest.raises(ValueError, match="signatures are serving_default"):
        zoo.load_predictor(DIGITS, format="onnx", signature="encode")
    with pytest.raises(ValueError, match="formats are litert, litert-int8"):
        zoo.load_predictor(DIGITS, format="tflite")


def test_a_format_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no model.onnx.*none of"):
        _runtimes.open_format(tmp_path, "onnx")


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ModuleNotFoundError, match="pip install onnxruntime"):
        zoo.load_predictor(DIGITS, format="onnx")


def test_a_changed_file_is_not_opened(tmp_path):
    import shutil

    shutil.copytree(_loading.find_export(DIGITS), tmp_path / "1")
    with open(tmp_path / "1" / "model.tflite", "ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="model.tflite was changed"):
        zoo.load_predictor(tmp_path / "1")


@pytest.mark.parametrize("format", only_thorough(_runtimes.FORMATS, ["litert"]))
def test_what_reads_text_is_asked_for_the_numbers_of_its_words(format):
    predict = zoo.load_predictor("sentences_sentiment@shipped", format=format)
    [tokens] = predict.arguments
    assert tokens == "tokens"
    answer = predict(np.ones((3, 13), "int32"))
    assert answer["probabilities"].shape == (3, 2)
    assert answer["class_id"].shape == (3,)


def test_a_file_of_codes_alone_is_asked_for_pictures():
    predict = zoo.load_predictor("mnist_gan@shipped", format="onnx")
    [(name, argument)] = predict.arguments.items()
    assert name == "code"
    codes = np.zeros((2, *argument.shape[1:]), "float32")
    pictures = predict(codes)["picture"]
    assert pictures.shape == (2, 28, 28, 1)


def test_every_format_that_is_shipped_is_described():
    for export in _loading.shipped_exports():
        folder = _loading.SHIPPED / export
        record = json.loads((folder / "metrics.json").read_text())
        files = {
            format: file
            for format, (file, _) in _runtimes.FORMATS.items()
            if (folder / file).exists()
        }
        described = {k: v["file"] for k, v in record["formats"].items()}
        assert described == {"saved_model": "saved_model.pb", **files}
        for file in {file for file, _ in _runtimes.FORMATS.values()}:
            assert (folder / file).exists() or f"`{file}`" in record["absent"]


def test_no_more_examples_than_fit_are_asked_at_once(monkeypatch):
    asked = []

    class Runtime:
        signatures = {
            "serving_default": {
                "x": _runtimes.Argument((None, 2), np.dtype("float32"))
            }
        }
        outputs = {"serving_default": ["y"]}

        def start(self, _):
            def answer(x):
                asked.append(len(x))
                return {"y": x.sum(axis=1)}

            return answer

    predict = _predictor.Predictor(Runtime(), "serving_default")
    rows = np.arange(2_000, dtype="float32").reshape(-1, 2)
    np.testing.assert_array_equal(predict(rows)["y"], rows.sum(axis=1))
    assert max(asked) == _predictor.AT_ONCE and sum(asked) == 1_000
