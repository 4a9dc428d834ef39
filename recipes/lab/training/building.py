"""Models of the zoo for the images and the classes of a data set."""

import inspect

import keras

import zoo
from recipes.lab.data.splits import Data
from recipes.lab.errors import UsageError
from recipes.lab.inputs.letters import Letters

LARGEST_SIDE = 128  # of the images that a network may be found to need


def create_model(data: Data, name: str, /, **arguments) -> keras.Model:
    """Build a model by its name, as `zoo.create_model`, for a data set.

    `input_shape`, and of a classifier `num_classes`, are those of the data; so
    are the letters that are read and written.

    Args:
        data: The data set.
        name: One of `zoo.list_models()`.
        **arguments: Handed to the builder as they are.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        UsageError: If the builder takes no such images, so many classes, or
            arguments.
    """
    builder = zoo.model_info(name).builder
    shape = data.inputs.shape
    known = {"input_shape": shape, "num_classes": data.num_classes}
    taken = inspect.signature(builder).parameters.keys()
    if isinstance(data.inputs, Letters):
        known["alphabet"] = data.inputs.alphabet
    if data.writing:
        known["target_alphabet"] = data.writing.alphabet
        known["target_length"] = data.writing.length
    known = {key: known[key] for key in known.keys() & taken} | arguments
    try:
        return builder(**known)
    except ValueError as error:
        side = _smallest_side(builder, known)
        if side is None:
            raise UsageError(f"{name} cannot be built: {error}") from error
        raise UsageError(
            f"{name} takes images of at least {side}x{side} pixels, and those "
            f"of {data.name} have {shape[0]}x{shape[1]}. Add --resize {side}, "
            "or choose another recipe."
        ) from error


def _smallest_side(builder, arguments) -> int | None:
    """Return the side of the smallest larger images that a builder takes."""
    shape = arguments.get("input_shape", ())
    if len(shape) < 2:  # a row of a table, or no single shape
        return None
    *sides, channels = shape
    for side in range(min(sides) + 1, LARGEST_SIDE + 1):
        try:
            builder(**{**arguments, "input_shape": (side, side, channels)})
            return side
        except ValueError:
            continue
    return None
