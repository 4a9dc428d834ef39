"""The table of models: a name, the function that builds it, and its facts.

A family file decorates its builders with `@register_model`. The registry name
is the function's name, so `grep "def lenet5"` finds what
`create_model("lenet5")` calls.
"""

import difflib
import fnmatch
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, overload

import keras
import numpy as np

from zoo import _pixels, _settings
from zoo._chart import CHARTS, SHORT_NAMES, ChartNetwork

TASKS = (
    *("classification", "regression", "multi_task", "steering"),
    *("reconstruction", "generation", "translation"),
)
INPUTS = ("images", "tables", "tokens", "time_series", "sites", "noise")


@dataclass(frozen=True)
class ModelInfo:
    """What the registry knows of a model without building it.

    Attributes:
        name: Registry name; also the name of the function and of the model.
        task: What comes out, one of `TASKS`.
        inputs: What goes in, one of `INPUTS`.
        builder: The function that returns the uncompiled `keras.Model`.
        lecture: Where an introductory course meets this network.
        reference: The paper that introduced it.
        chart: Short names of the networks of the chart that it is, see
            `list_models`.
    """

    name: str
    task: str
    inputs: str
    builder: Callable[..., keras.Model]
    lecture: str
    reference: str
    chart: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring."""
        return inspect.getdoc(self.builder).partition("\n")[0]


_models: dict[str, ModelInfo] = {}


def register_model(
    *,
    task: str,
    inputs: str,
    lecture: str,
    reference: str,
    chart: tuple[str, ...] = (),
):
    """Enter the decorated builder into the registry under its own name.

    Args:
        task: What comes out of the model, one of `TASKS`.
        inputs: What goes in, one of `INPUTS`: raw pixels, rows of a table,
            numbers of words, sequences of numbers, what is known of sites of a
            genome, or random numbers.
        lecture: Where an introductory course meets this network.
        reference: Authors and year of the paper, with a link if there is one.
        chart: Short names of the networks that it is, of van Veen's chart.

    Returns:
        The decorator. The builder that it returns takes no half precision and
        no other order of channels from Keras' settings, and a model of images
        that this returns warns of pixels that were divided by 255.

    Raises:
        ValueError: If the task, the inputs or a network of the chart are
            unknown, or the name is already taken.
    """
    _check_is_one_of(TASKS, task=task)
    _check_is_one_of(INPUTS, inputs=inputs)
    for short in chart:
        _check_is_one_of(SHORT_NAMES, chart=short)

    def register(builder):
        name = builder.__name__
        if name in _models:
            raise ValueError(f"A model named {name!r} is already registered.")

        @functools.wraps(builder)
        def build(*arguments, **options):
            arguments, options = _without_numpy((arguments, options))
            with _settings.for_building():
                return _pixels.watch(builder(*arguments, **options))

        _models[name] = ModelInfo(
            *(name, task, inputs, build, lecture, reference, chart)
        )
        return build

    return register


def _without_numpy(value):
    """Return Python's numbers for NumPy's, which Keras takes for no numbers."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(_without_numpy, value))
    if type(value) is dict:
        return {key: _without_numpy(part) for key, part in value.items()}
    return value


@overload
def list_models(
    pattern: str = "*",
    *,
    task: str | None = None,
    inputs: str | None = None,
    chart: None = None,
) -> list[str]: ...


@overload
def list_models(
    pattern: str = "*",
    *,
    task: str | None = None,
    inputs: str | None = None,
    chart: Literal["2016"],
) -> list[ChartNetwork]: ...


def list_models(pattern="*", *, task=None, inputs=None, chart=None):
    """List the names of the registered models, in teaching order.

    Args:
        pattern: Shell-style wildcard, for example `"lenet*"`.
        task: Keep only the models for this task.
        inputs: Keep only the models that take these.
        chart: A chart of networks: `"2016"`, that of F. van Veen with 27.

    Returns:
        The names that match; an empty list if none does. Of a chart all of its
        networks, in its order: each has a `name`, a `short` one, the `cells`
        that it is made of, and as `models` the names that match.

    Raises:
        ValueError: If the task, the inputs or the chart are unknown.

    Example:
    >>> zoo.list_models("lenet*")
    ['lenet5']
    >>> len(zoo.list_models(chart="2016"))
    27
    """
    if task is not None:
        _check_is_one_of(TASKS, task=task)
    if inputs is not None:
        _check_is_one_of(INPUTS, inputs=inputs)
    names = [
        name
        for name, info in _models.items()
        if fnmatch.fnmatchcase(name, pattern)
        and task in (None, info.task)
        and inputs in (None, info.inputs)
    ]
    if chart is None:
        return names
    _check_is_one_of((*CHARTS,), chart=chart)
    return [
        replace(
            network,
            models=tuple(n for n in names if network.short in _models[n].chart),
        )
        for network in CHARTS[chart]
    ]


def _check_is_one_of(choices: tuple[str, ...], **argument):
    [(name, value)] = argument.items()
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {value!r}"
        )


def model_info(name: str) -> ModelInfo:
    """Return what the registry knows of a model, without building it.

    Raises:
        ValueError: If no model has this name.
    """
    if name not in _models:
        from zoo import _loading  # which imports this file

        if re.split("[@:]", str(name))[0] in _loading.families():
            raise ValueError(
                f"{name!r} is a trained model: zoo.load_model({name!r}) loads "
                "it. Models to build are listed by `python -m zoo`."
            )
        close = difflib.get_close_matches(str(name), _models)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(
            f"Unknown model {name!r}.{hint} "
            f"`python -m zoo` lists all {len(_models)}."
        )
    return _models[name]


def create_model(name: str, /, **arguments) -> keras.Model:
    """Build a model by its name.

    These arguments mean the same wherever a builder has them:

    - `input_shape`: Height, width and channels of an image.
    - `num_classes`: Number of classes.
    - `classifier_activation`: `"softmax"` for probabilities, `None` for logits.
    - `rescale`: Scale and offset that the first layer applies to raw pixels.
    - `name`: Name of the model; its builder's by default.

    `python -m zoo NAME` describes the others.

    Args:
        name: One of `list_models()`.
        **arguments: Handed to the builder as they are.

    Returns:
        An uncompiled `keras.Model`. Of images it takes raw pixels, 0 to 255,
        and warns once of pixels that were divided by 255.

    Raises:
        ValueError: If no model has this name.
        TypeError: If the builder has no such argument.

    Example:
    >>> model = zoo.create_model("mlp", hidden_units=(128, 64))
    """
    return model_info(name).builder(**arguments)
