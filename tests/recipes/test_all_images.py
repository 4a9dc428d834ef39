"""Once everything is chosen, the validation images are learned from, too."""

import importlib

import pytest
from helpers.tasks import sample

from recipes.lab import training
from recipes.lab.flags import RunOptions


class Seen(Exception):
    """What a recipe has given to `fit`."""


@pytest.mark.parametrize("name", ["mnist_cnn_accurate", "mnist_mcdnn"])
def test_all_images_are_learned_from_and_none_are_watched(
    name, tmp_path, monkeypatch
):
    def fit(run, model, train, *, validation, **others):
        raise Seen(len(train), train.passes, validation)

    monkeypatch.setattr(training, "fit", fit)
    recipe = importlib.import_module(f"recipes.{name}")
    options = RunOptions(dry_run=True, output_dir=tmp_path)
    with pytest.raises(Seen) as seen:
        recipe.train(recipe.Config(all_images=True, run=options))
    data = sample()
    everything = len(data.train) + len(data.validation)
    assert seen.value.args == (everything, data.train.passes, None)
