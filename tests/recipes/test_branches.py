"""A HydraNet begins as the static network that it got its weights from."""

import numpy as np
from helpers.builders import build, noise, outputs
from helpers.seeds import set_seed

import zoo
from recipes.fashion_mnist_hydranet import _branched


def test_copied_branches_answer_as_the_only_one_did():
    donor = build("hydranet", branches=1, chosen=1)
    set_seed(1)
    images = noise(16, 28, 28, 1)
    for chosen in (1, 2):
        model = zoo.create_model("hydranet", branches=3, chosen=chosen)
        found = outputs(_branched(donor, model), images)
        np.testing.assert_allclose(found, outputs(donor, images), atol=1e-5)
