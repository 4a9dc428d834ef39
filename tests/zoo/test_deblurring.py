"""The generator of sharp pictures, and the discriminator of pairs."""

import numpy as np
import pytest
from helpers.builders import build, noise, outputs

import zoo


@pytest.fixture(scope="module")
def pixels():
    return noise(3, 28, 28, 1) / np.float32(255)


@pytest.mark.thorough
def test_a_deblurring_gan_is_its_generator_and_then_its_discriminator(pixels):
    model = build("deblurring_gan")
    pictures = outputs(model.get_layer("generator"), pixels)
    assert pictures.shape == pixels.shape
    assert 0 <= pictures.min() and pictures.max() <= 1
    discriminator = model.get_layer("discriminator")
    log_odds = outputs(discriminator, [pixels, pictures])
    expected = outputs(model, 255 * pixels)
    np.testing.assert_allclose(log_odds, expected, atol=1e-5)


@pytest.mark.thorough
def test_a_discriminator_sees_both_pictures(pixels):
    discriminator = build("deblurring_gan").get_layer("discriminator")
    one, other = pixels[:2], pixels[1:]
    log_odds = outputs(discriminator, [one, other])
    for pair in ([1 - one, other], [one, 1 - other]):
        assert not np.allclose(outputs(discriminator, pair), log_odds)


@pytest.mark.thorough
def test_what_the_generator_draws_depends_on_what_is_near(pixels):
    """It restores, and does not compose."""
    generator = build("deblurring_gan").get_layer("generator")
    other = pixels.copy()
    other[:, 24:] = 0
    one, another = (outputs(generator, x) for x in (pixels, other))
    np.testing.assert_allclose(one[:, :4], another[:, :4], atol=1e-6)
    assert not np.allclose(one[:, 24:], another[:, 24:])


@pytest.mark.thorough
def test_pictures_to_restore_may_be_larger_and_in_color():
    model = zoo.create_model(
        "deblurring_gan", input_shape=(16, 24, 3), filters=(4, 8, 8)
    )
    generator = zoo.feature_extractor(model, "generator")
    assert generator.output_shape == (None, 16, 24, 3)
    assert model.output_shape == (None, 4, 6, 1)


@pytest.mark.parametrize(
    "arguments", [{"filters": ()}, {"critic_filters": (4, 4, 4)}], ids=str
)
def test_sides_that_cannot_be_halved_are_refused(arguments):
    with pytest.raises(ValueError, match="must be divisible by"):
        zoo.create_model("deblurring_gan", **arguments)
