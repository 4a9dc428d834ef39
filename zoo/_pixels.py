"""Warn of pixels on the wrong scale: divided by 255, or not where they must be.

Pixels of mean 0 and deviation 1 count among those that were divided.

The watch is kept by the object that this package hands out. It is in no graph,
in no file and in no copy of the model.
"""

import functools
import warnings

import keras
import numpy as np

METHODS = (
    *("call", "fit", "evaluate", "predict"),
    *("train_on_batch", "test_on_batch", "predict_on_batch"),
)
LOOKED_AT = 64  # images of each call
# No pixel of a standardized image is as many standard deviations from the mean.
STANDARDIZED = 16


def watch(model):
    """Have a model warn, once, of images on the wrong scale; return the model.

    Models that do not rescale raw pixels are left as they are. Nothing is said
    of data sets and generators, which would have to be read for it.
    """
    scales = _scales(model)
    if not scales and not _preprocesses(model):
        return model

    def divided(images):
        if images.dtype.kind != "f" or not images.any():
            return None
        if images.max() <= (STANDARDIZED if images.min() < 0 else 1):
            return (
                f"{model.name} takes raw pixels, 0 to 255, and got floats from "
                f"{images.min():.3g} to {images.max():.3g}. Do not divide by "
                "255: the model does that."
            )

    _show_first(model, divided)
    encoder = {layer.name: layer for layer in model.layers}.get("encoder")
    if scales and isinstance(encoder, keras.Model) and not _scales(encoder):
        largest = max(255 * scale + offset for scale, offset in scales)

        def raw(images):
            if images.max() > largest + 0.01:  # for rounding
                return (
                    f"The encoder of {model.name} takes rescaled pixels, at "
                    f"most {largest:.3g}, and got {images.max():.3g}. Raw "
                    "pixels go into zoo.feature_extractor(model)."
                )

        _show_first(encoder, raw)
    return model


def _scales(model):
    """Return scale and offset of each layer that rescales raw pixels."""
    return [
        (np.max(layer.scale), np.max(layer.offset))
        for layer in _layers_for_images(model)
        if isinstance(layer, keras.layers.Rescaling)
        and np.max(np.abs(layer.scale)) < 0.1
    ]


def _preprocesses(model):
    """Say whether a layer of ours takes raw pixels in another way."""
    return any(
        getattr(layer, "preprocesses", False)
        for layer in _layers_for_images(model)
    )


def _layers_for_images(model):
    takes_images = len(model.inputs or ()) == 1 and model.inputs[0].ndim == 4
    return list(model._flatten_layers()) if takes_images else []


def _show_first(model, complaint):
    """Show `complaint` what a model gets, until it has something to say."""

    def shown(method):
        @functools.wraps(method)
        def look_and_call(*arguments, **options):
            given = arguments[0] if arguments else options.get("x")
            images = _first_images(given)
            if images is not None and (message := complaint(images)):
                for name in METHODS:
                    vars(model).pop(name, None)
                warnings.warn(message, stacklevel=2)
            return method(*arguments, **options)

        return look_and_call

    for name in METHODS:
        if name not in vars(model):
            vars(model)[name] = shown(getattr(model, name))


def _first_images(given):
    """Return the first images as an array; None where there are none to see."""
    if not hasattr(given, "dtype"):
        return None
    try:
        if not len(given):
            return None
        return keras.ops.convert_to_numpy(given[:LOOKED_AT])
    # Each backend has errors of its own for a tensor that has no values yet.
    except Exception:
        return None
