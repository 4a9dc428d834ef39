"""A network that was trained before learns other pictures, or says why not."""

import json

import keras
import numpy as np
import pytest
from helpers.commands import answer, is_a_usage_error, run_recipe
from helpers.folders import CLASSES, write_folder
from helpers.seeds import set_seed
from PIL import Image

import zoo
from recipes.__main__ import main

RECIPE = "mnist_transfer"
DIGITS = ["--backbone", "mnist_cnn@shipped"]
MODES = ("frozen", "partial", "full")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A folder of five classes, in colors and larger than digits."""
    return write_folder(tmp_path_factory.mktemp("own") / "shapes", 14, 64)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for a network of keras.applications, at random."""
    set_seed(0)
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    path = tmp_path_factory.mktemp("weights") / "mobile.weights.h5"
    network.save_weights(path)
    return path


def train(shapes, output_dir, *flags):
    """Train for an epoch; return the folder of the run."""
    flags = ["--dataset", shapes, "--dry-run", "--batch-size", 16, *flags]
    assert run_recipe(RECIPE, *flags, "--output-dir", output_dir) == 0
    return output_dir / "runs" / f"{RECIPE}-shapes-sample" / "1"


def exported(output_dir):
    return output_dir / "saved_models" / f"{RECIPE}-shapes-sample" / "1"


# --- what is trained ----------------------------------------------------


@pytest.mark.thorough
@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("mode", MODES[:2])
def test_digits_help_with_colored_shapes(mode, shapes, tmp_path):
    run = train(shapes, tmp_path, *DIGITS, "--mode", mode)
    record = json.loads((run / "metrics.json").read_text())
    assert record["settings"]["loaded"][0]["name"] == "mnist_cnn"
    trained = {"frozen": 645, "partial": 132_490 - 1_290 + 645}[mode]
    assert record["params"] == trained


@pytest.mark.thorough
def test_a_folder_comes_to_an_export_that_is_verified(
    shapes, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("recipes.mnist_transfer.DRAWS", 1)
    flags = [*DIGITS, "--mode", "full", "--labels-per-class", 10]
    run = train(shapes, tmp_path, *flags)
    assert "What transfer is for" in (run / "report.html").read_text()
    said = capsys.readouterr().out
    asked = "--mode full --labels-per-class 10 --batch-size 16 --dataset"
    assert f"{' '.join(DIGITS)} {asked} {shapes}" in said

    model = zoo.load_model(exported(tmp_path), verbose=False)
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, len(CLASSES))
    pixels = np.array(Image.open(shapes / "disc" / "000.png"))[np.newaxis]
    answers = zoo.load_predictor(exported(tmp_path))(pixels)
    np.testing.assert_allclose(
        answers["probabilities"], model.predict(pixels, verbose=0), atol=1e-4
    )
    best = np.argmax(answers["probabilities"][0])
    assert answers["class_name"][0] in (CLASSES[best], CLASSES[best].encode())

    verify = ["verify", str(exported(tmp_path))]
    assert main(verify) == 2
    assert "Say where they are: --dataset" in capsys.readouterr().err
    assert main([*verify, "--dataset", str(shapes)]) == 0
    assert "6 of 6 numbers agree" in capsys.readouterr().out


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(
            mode,
            marks=pytest.mark.thorough
            if mode == "frozen"
            else pytest.mark.slow,
        )
        for mode in MODES
    ],
)
def test_a_network_of_keras_applications_takes_a_file_of_weights(
    mode, shapes, weights, tmp_path
):
    flags = ["--backbone", "MobileNetV2", "--weights", weights]
    flags += ["--image-size", 32, "--mode", mode]
    run = train(shapes, tmp_path, *flags)
    record = json.loads((run / "metrics.json").read_text())
    assert record["settings"]["loaded"][0]["name"] == "mobile.weights.h5"


@pytest.mark.slow
def test_such_a_network_comes_to_an_export_that_is_verified(
    shapes, weights, tmp_path, capsys
):
    flags = ["--backbone", "MobileNetV2", "--weights", weights]
    train(shapes, tmp_path, *flags, "--image-size", 32, "--mode", "partial")
    verify = ["verify", str(exported(tmp_path)), "--dataset", str(shapes)]
    assert main(verify) == 0
    assert "numbers agree" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("no_export")
def test_grey_pictures_and_a_network_of_colors(shapes, weights, tmp_path):
    grey = tmp_path / "shapes"
    for file in shapes.rglob("*.png"):
        (grey / file.parent.name).mkdir(parents=True, exist_ok=True)
        copy = grey / file.relative_to(shapes)
        Image.open(file).convert("L").resize((20, 20)).save(copy)
    flags = ["--backbone", "MobileNetV2", "--weights", weights]
    train(grey, tmp_path, *flags, "--image-size", 32)


# --- what is refused ----------------------------------------------------


@pytest.mark.thorough
@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--backbone", "mnist_cn@shipped"], "Did you mean mnist_cnn"),
        (["--backbone", "iris_perceptron@shipped"], "does not take images"),
        (["--backbone", "mnist_gan@shipped"], "does not take images"),
        (["--backbone", ""], "Unknown backbone ''"),
        (
            ["--backbone", "MobileNetV3Small", "--image-size", 16],
            "for images of 16x16 pixels; choose another --image-size.",
        ),
        (["--backbone", "cnn"], "cnn has learned nothing yet. Give its --we"),
        (["--backbone", "VGG16", "--weights", "no.h5"], "There is no file of"),
        (["--weights", "some.h5"], "--weights goes with --backbone, which is"),
        (["--image-size", 64], "--image-size goes with --backbone, which is"),
        (
            [*DIGITS, "--image-size", 64],
            "28x28 pixels, to which the model resizes others without being "
            "told: leave --image-size out.",
        ),
        ([*DIGITS, "--thaw", "conv2"], "--thaw names the layers that mode="),
        (
            [*DIGITS, "--mode", "partial", "--thaw", "conv9"],
            "no layer 'conv9'. Did you mean conv2",
        ),
        (
            ["--backbone", "mnist_softmax_regression@shipped"]
            + ["--mode", "full"],
            "nothing of it to train: --mode must be 'frozen'",
        ),
        (
            [*DIGITS, "--labels-per-class", 5, 500],
            "--labels-per-class must be at most 10, for so many",
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if type(value) is list else "",
)
def test_what_cannot_be_is_refused_in_words(flags, said, shapes, capsys):
    flags = ["--dataset", shapes, "--batch-size", 16, *flags]
    assert said in is_a_usage_error(capsys, *flags, recipe=RECIPE)


@pytest.mark.thorough
@pytest.mark.usefixtures("empty_folder")
def test_weights_of_another_network_are_refused(weights, shapes, capsys):
    flags = ["--dataset", shapes, "--weights", weights, "--image-size", 32]
    flags += ["--backbone", "MobileNetV3Small", "--batch-size", 16]
    said = is_a_usage_error(capsys, *flags, recipe=RECIPE)
    assert "does not hold the weights of MobileNetV3Small without its" in said


@pytest.mark.usefixtures("empty_folder")
def test_a_folder_of_one_class_is_refused(tmp_path, capsys):
    folder = write_folder(tmp_path / "bars", 5, 20, classes=("bar",))
    code, said = answer(capsys, "--dataset", folder, *DIGITS, recipe=RECIPE)
    assert code == 3
    assert "has one class folder with pictures, bar" in said


@pytest.mark.usefixtures("empty_folder")
def test_without_a_network_imagenet_weights_are_refused(shapes, capsys):
    flags = ["--dataset", shapes, "--batch-size", 16, "--offline"]
    flags += ["--backbone", "VGG16", "--weights", "imagenet"]
    code, said = answer(capsys, *flags, recipe=RECIPE)
    assert code == 3
    assert "weights of VGG16 are not here and cannot be fetched" in said
    code, said = answer(capsys, *flags, *DIGITS, recipe=RECIPE)
    assert code == 2
    assert "--weights imagenet is for networks of keras.applications" in said
