"""Models of an introductory deep-learning course, as Keras 3 builders.

>>> import zoo
>>> zoo.list_models()
>>> model = zoo.create_model("lenet5", num_classes=10)
>>> trained = zoo.load_model("mnist_cnn")

Every image model takes raw pixels, 0 to 255: do not divide by 255.
"""

import sys


def _is_command() -> bool:
    """Say whether Python is on its way to `zoo/__main__.py`.

    That imports the rest where it needs it: to import Keras takes seconds.
    """
    options = sys.orig_argv
    if sys.argv[:1] != ["-m"] or "-m" not in options:
        return False
    return options[options.index("-m") + 1] == "zoo"


if not _is_command():
    import zoo._keras  # noqa: F401  # imports Keras, before all that need it
    from zoo._loading import load_model
    from zoo._registry import (
        create_model,
        list_models,
        model_info,
        register_model,
    )

    # The families register themselves in this order, the order of teaching.
    # isort: off
    from zoo.linear import softmax_regression
    from zoo.mlp import mlp
    from zoo.lenet import lenet5
    from zoo.cnn import lecture_cnn, cnn
    from zoo.transfer import (
        transfer_classifier,
        feature_extractor,
        classifier_head,
        replace_head,
    )
    from zoo.autoencoder import (
        autoencoder,
        deep_autoencoder,
        convolutional_autoencoder,
    )
    from zoo.recurrent import simple_rnn, lstm, gru
    # isort: on

__version__ = "0.1.0"

__all__ = [
    "autoencoder",
    "classifier_head",
    "cnn",
    "convolutional_autoencoder",
    "create_model",
    "deep_autoencoder",
    "feature_extractor",
    "gru",
    "lecture_cnn",
    "lenet5",
    "list_models",
    "load_model",
    "lstm",
    "mlp",
    "model_info",
    "register_model",
    "replace_head",
    "simple_rnn",
    "softmax_regression",
    "transfer_classifier",
]
