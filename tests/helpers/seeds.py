"""Seeds for tests, which are set before each of them."""

from unittest import mock

import keras


def set_seed(seed):
    """Set all seeds, as Keras does.

    TensorFlow would forget its kernels as well, and each test would instantiate
    all functions anew. Only kernels with a state, that draw eagerly, need that,
    and nothing here draws so.
    """
    with mock.patch("tensorflow.python.pywrap_tfe.TFE_ContextClearCaches"):
        keras.utils.set_random_seed(seed)
