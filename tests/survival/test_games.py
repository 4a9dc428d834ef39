"""Models that draw are killed again and again, and lose nothing."""

import chaos
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["mnist_gan", "mnist_vae"])
def test_a_recipe_that_is_killed_ends_with_the_same_bits(recipe, capsys):
    flags = ["--recipe", recipe, "--kills", "3", "--epochs", "3", "--offline"]
    assert chaos.main(flags) == 0, capsys.readouterr()
