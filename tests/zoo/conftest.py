"""What tests of the zoo share."""

import pytest
from helpers.builders import noise


@pytest.fixture(scope="module")
def pixels():
    """Four images of noise, uint8 `(4, 28, 28, 1)`."""
    return noise(4, 28, 28, 1)
