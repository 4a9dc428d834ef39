"""Methods of scikit-learn beside ours: what is asked, and what is refused."""

import pytest
from helpers.commands import is_a_usage_error

from recipes import fashion_mnist_baselines as baselines
from recipes.lab.metrics import named


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (1_298, "--images must be at most the 1,297 training images"),
        (100, "--batch-size must be at most the 100 training examples"),
        (3, "--images must be between 10 and 60,000"),
    ],
)
def test_images_that_are_not_there_are_refused(images, reason, capsys):
    flags = ["--dry-run", "--images", images]
    name = "fashion_mnist_baselines"
    assert reason in is_a_usage_error(capsys, *flags, recipe=name)


def test_what_was_published_is_of_these_methods():
    class Run:
        config = baselines.Config(trees=7)
        options = config.run

    methods = baselines.estimators(Run)
    assert methods.keys() == baselines.PUBLISHED.keys()
    assert methods["random_forest"].n_estimators == 7
    # Else it sets images aside as soon as there are more than 10,000.
    assert methods["gradient_boosting"].early_stopping is False
    words = named("mlp_test_accuracy").words
    assert words == "MLP test accuracy"
