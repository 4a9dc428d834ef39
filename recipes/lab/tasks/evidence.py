"""What a classifier of images looks at, as sections of its report."""

from collections.abc import Callable
from html import escape
from pathlib import Path

import keras
import numpy as np

from recipes.lab.report import explaining, page, seen
from recipes.lab.tasks.scores import Scores

FEW_PIXELS = 96 * 96  # larger images take their time: fewer are looked at
LOOKED_AT = 1_000  # images that say what color is usual
UNITS = 8  # of each layer

# What the report says of Grad-CAM where it shows nothing.
NO_CONVOLUTION = (
    " It is left out, for this network has no convolution in two dimensions."
)
NOTHING_RAISES = (
    " Where it is empty, or left out, no map of that convolution raises the "
    "score in the mean over its places: so it happens where the network has no "
    "global pooling, and looks at each place by itself."
)


def sections(
    model: keras.Model,
    answer: Callable,
    scores: Scores,
    names: list[str],
    plots: Path,
    seed: int,
) -> list:
    """Return the sections on what speaks for answers, and what excites units.

    Args:
        model: The trained classifier.
        answer: Function from images to the probabilities of all classes.
        scores: The answers to the test set.
        names: Short names of the classes.
        plots: The folder of the figures.
        seed: Seed of the noise that pictures are made from.
    """
    try:
        layers = explaining.layers_to_excite(model)
    except ValueError as error:  # it is none of Keras' functional models
        caption = f"Nobody can tell. {escape(str(error))}"
        return [("What the answers come from", caption, "")]
    images = scores.split.inputs
    columns = page.STRIP if max(map(len, names)) <= seen.SHORT else 8
    if np.prod(images.shape[1:3]) > FEW_PIXELS:
        columns = 5
    # What is usual is no evidence: black around digits, not in photos.
    color = np.median(images[:LOOKED_AT], axis=(0, 1, 2))
    return [
        _evidence(model, answer, scores, names, plots, columns, color),
        _classes(model, answer, names, plots, columns, color, seed),
        *_units(model, layers, plots, seed),
    ]


def _evidence(model, answer, scores, names, plots, columns, color):
    """Explain a right answer of each class, and the surest mistakes."""
    found, sure = scores.outputs.argmax(axis=1), scores.outputs.max(axis=1)
    truth, images = scores.split.targets, scores.split.inputs
    right, wrong = (np.flatnonzero(w) for w in (found == truth, found != truth))
    _, firsts = np.unique(found[right], return_index=True)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")]
    right, wrong = right[firsts][:columns], worst[:columns]
    chosen = np.concatenate([right, wrong])
    given = images[chosen], found[chosen]
    maps = {
        "occlusion": explaining.occlusion(answer, *given, color=color),
        "gradient": explaining.saliency(model, *given),
        "Grad-CAM": explaining.grad_cam(model, *given),
    }
    places = maps["Grad-CAM"]
    remark = ""
    if places is None:
        remark = NO_CONVOLUTION
    elif not places.any(axis=(1, 2)).all():
        remark = NOTHING_RAISES
    if places is None or not places.any():
        del maps["Grad-CAM"]
    texts = [
        f"{names[found[i]]}\n{sure[i]:.1%}"
        if found[i] == truth[i]
        else f"{names[truth[i]]}\n→ {names[found[i]]}\n{sure[i]:.1%}"
        for i in chosen
    ]
    strips = {}
    for name, part in {
        "right_answers": slice(len(right)),
        "mistaken_answers": slice(len(right), None),
    }.items():
        if len(chosen[part]):
            shown = {label: values[part] for label, values in maps.items()}
            strips[name] = given[0][part], texts[part], shown
    return seen.evidence_section(plots, strips, remark)


def _classes(model, answer, names, plots, columns, color, seed):
    """Show what the first classes answer most to."""
    shown = np.arange(min(len(names), 2 * columns))
    pictures = explaining.maximize(
        model, shown, color=color, jitter=1, seed=seed
    ).images
    sure = answer(pictures)[shown, shown]
    texts = [f"{names[i]}\n{sure[i]:.1%}" for i in shown]
    return seen.preferred_section(plots, pictures, texts, columns)


def _units(model, layers, plots, seed):
    """Show what the first units of some layers answer most to."""
    if not layers:
        return []
    shown = np.arange(min(UNITS, *layers.values()))
    pictures = {
        name: explaining.maximize(model, shown, name, seed=seed).images
        for name in layers
    }
    layer = seen.first_with_kernel(model)
    selectivity = None
    kernel = layer and keras.ops.convert_to_numpy(layer.kernel)
    if layer and kernel.ndim == 4 and min(kernel.shape[:2]) > 1:
        random = np.random.default_rng(seed).normal(size=(*kernel.shape, 20))
        random = random.reshape(*kernel.shape[:3], -1)
        selectivity = tuple(
            explaining.orientation_selectivity(filters).mean()
            for filters in (kernel, random)
        )
    return [seen.units_section(plots, pictures, selectivity)]
