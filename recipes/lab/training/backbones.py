"""Classifiers that start from a trained network, for the data of a run."""

import os
import re
from pathlib import Path

import keras

import zoo
from recipes.lab.data import sources
from recipes.lab.data.splits import Data
from recipes.lab.errors import DataError, UsageError

WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_HOW = (
    "Without a network give a file of them, without the network's top: "
    f"--weights FILE. It is at {WEIGHTS_URL}"
)


def create_transfer_model(
    run, data: Data, backbone: str | keras.Model, *, weights=None, **arguments
) -> keras.Model:
    """Build a classifier of a data set upon what was trained before.

    Args:
        run: The open run; its options say whether weights may be downloaded.
        data: The data set: shape and number of classes.
        backbone: See `zoo.transfer_classifier`.
        weights: Likewise.
        **arguments: Further ones of `zoo.transfer_classifier`.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        UsageError: If the backbone is none, or the arguments do not fit it.
        DataError: If the ImageNet weights are not here and cannot be fetched.
    """
    has_imagenet = weights == "imagenet" and backbone in dir(keras.applications)
    if has_imagenet and not (
        _is_downloaded(backbone) or sources.can_fetch(WEIGHTS_URL, run.options)
    ):
        raise DataError(
            f"The ImageNet weights of {backbone} are not here and cannot be "
            f"fetched. {_HOW}"
        )
    try:
        return zoo.create_model(
            "transfer_classifier",
            input_shape=data.inputs.shape,
            num_classes=data.num_classes,
            backbone=backbone,
            weights=weights,
            **arguments,
        )
    except ConnectionError as error:
        raise DataError(f"{error} {_HOW}") from error
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(_with_flags(str(error))) from error


def _is_downloaded(backbone) -> bool:
    """Whether Keras seems to have fetched the weights of a network before."""
    home = Path(os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras")))
    names = (path.name for path in home.glob("models/*no_top*"))
    return any(str(backbone).lower() in name.replace("_", "") for name in names)


def _with_flags(message: str) -> str:
    """Call the arguments of a function what the command calls them."""
    return re.sub(
        r"`(backbone|weights|mode|thaw|image_size)(?:='(\w+)')?`",
        lambda found: (
            f"--{found[1].replace('_', '-')} {found[2] or ''}".strip()
        ),
        message,
    )
