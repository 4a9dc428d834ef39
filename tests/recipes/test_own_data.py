"""Every recipe of images trains on the data that a user brings."""

import importlib

import pytest
from helpers.commands import RECIPES, is_a_usage_error, run_recipe
from helpers.folders import write_folder

from recipes.lab.data import sources

OF_IMAGES = [
    name
    for name in RECIPES
    if importlib.import_module(f"recipes.{name}").DATASET in sources.SOURCES
]
# It needs a trained network that knows such images, or asks about digits.
PARTICULAR = {
    "mnist_committee": "--members must take images of (20, 20, 3) and tell 5",
    "mnist_conditional_gan": "The judge must be a classifier of 5 classes",
    "mnist_gan": "The judge must be a classifier of 5 classes",
    "mnist_multi_task": "The tasks are about the digits 0 to 9",
}
# They share their network with another, or their way to train.
NEAR_COPIES = (
    *("fashion_mnist_deep_autoencoder", "fashion_mnist_lstm", "mnist_gru"),
    *("mnist_denoising_autoencoder", "mnist_lecture_cnn", "mnist_mlp"),
    *(
        "mnist_simple_rnn",
        "mnist_softmax_regression",
        "fashion_mnist_baselines",
        "fashion_mnist_mobilenet",
        "mnist_to_fashion_mnist",
    ),
    *("mnist_learning_curve", "mnist_optimizers", "mnist_regularization"),
    *("fashion_mnist_architectures", "fashion_mnist_resnet"),
    *("mnist_cnn_accurate", "mnist_mlp_augmented"),
    *("mnist_convolutional_autoencoder", "mnist_sparse_autoencoder"),
    *("mnist_autoencoder_2006", "mnist_energy_autoencoder", "mnist_iwae"),
    *("mnist_dcign", "fashion_mnist_deblurring_gan"),
    "mnist_bidirectional_lstm",
    "mnist_pixel_by_pixel",
    "mnist_echo_state",
    "mnist_liquid_state",
)
FEWER = {
    "mnist_radial_basis": ["--centers", 8],
    "mnist_echo_state": ["--units", 20],
    "mnist_liquid_state": ["--layers", 1],
    "mnist_dbn": ["--hidden-units", 16, 12],
    "mnist_pretraining": ["--hidden-units", 16, 12],
    "mnist_rbm": ["--hidden-units", 16],
    "mnist_residual_mlp": ["--blocks", 2],
    "mnist_dcign": ["--importance-samples", 5],
    "mnist_iwae": ["--importance-samples", 20],
    "mnist_vae": ["--importance-samples", 20],
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A folder of five classes, in colors and not square."""
    return write_folder(tmp_path_factory.mktemp("own") / "shapes", 14, 20)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.slow
            if name in NEAR_COPIES
            else pytest.mark.thorough,
        )
        for name in OF_IMAGES
        if name not in PARTICULAR
    ],
)
@pytest.mark.usefixtures("no_export")
def test_every_recipe_of_images_takes_a_folder(name, shapes, tmp_path):
    flags = ["--dataset", shapes, "--dry-run", "--output-dir", tmp_path]
    assert run_recipe(name, *flags, *FEWER.get(name, [])) == 0
    run = tmp_path / "runs" / f"{name}-shapes-sample" / "1"
    assert (run / "metrics.json").exists()


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("name", PARTICULAR)
def test_a_recipe_that_takes_some_images_only_says_which(name, shapes, capsys):
    flags = ["--dataset", shapes]
    if name != "mnist_committee":
        flags += ["--batch-size", 16]
    assert PARTICULAR[name] in is_a_usage_error(capsys, *flags, recipe=name)


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--images-per-class must be at most 10, for so many training im"),
        (["--images-per-class", 2], "--batch-size must be at most the 10 tr"),
    ],
    ids=["images", "batch"],
)
def test_a_subset_that_cannot_be_is_refused(flags, said, shapes, capsys):
    flags = ["--dataset", shapes, "--batch-size", 16, *flags]
    answer = is_a_usage_error(capsys, *flags, recipe="mnist_regularization")
    assert said in answer


@pytest.mark.parametrize("name", OF_IMAGES)
def test_no_recipe_knows_how_many_classes_there_are(name):
    recipe = importlib.import_module(f"recipes.{name}")
    with open(recipe.__file__) as file:
        text = file.read()
    for number in ("one_hot(10)", "num_classes=10", "np.eye(10)"):
        assert number not in text
