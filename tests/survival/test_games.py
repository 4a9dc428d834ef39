"""Models that draw are killed, and lose neither an optimizer nor a seed."""

import chaos
import pytest


@pytest.mark.faults
@pytest.mark.parametrize(
    "recipe", ["mnist_gan", pytest.param("mnist_vae", marks=pytest.mark.slow)]
)
def test_a_recipe_that_is_killed_ends_with_the_same_bits(recipe, capsys):
    flags = ["--recipe", recipe, "--kills", "3", "--epochs", "3", "--offline"]
    assert chaos.main(flags) == 0, capsys.readouterr()
