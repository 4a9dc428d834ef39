"""Lecture 4: how do methods scale with the amount of data?"""

import pytest

from recipes.lab.flags import RunOptions
from recipes.mnist_learning_curve import NETWORKS, Config, train


@pytest.mark.slow
@pytest.mark.usefixtures("no_export")
def test_with_all_images_the_larger_network_wins(tmp_path):
    options = RunOptions(output_dir=tmp_path)
    metrics = train(Config(images=(), repeats=1, epochs=5, run=options))
    if not (tmp_path / "runs" / "mnist_learning_curve").exists():
        pytest.skip("needs the real data")
    accuracies = [metrics[f"{name}_test_accuracy"] for name in NETWORKS]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > accuracies[0] + 0.05
