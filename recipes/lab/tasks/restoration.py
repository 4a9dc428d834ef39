"""Sharp pictures come out of blurred ones: how that is scored and shown."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import PSNR, SHARPNESS, SSIM
from recipes.lab.report import encoded, page
from recipes.lab.tasks.generation import answer_in, drawing
from recipes.lab.tasks.reconstruction import psnr, squared_errors
from recipes.lab.tasks.scores import (
    BATCH,
    Parts,
    Scores,
    predict,
    say_what_is_scored,
)
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from recipes.lab.tasks.wiener import wiener_filter


@dataclass(frozen=True)
class Restoration(Task):
    """A model from degraded images to the images as they were.

    Attributes:
        data: Degraded images and what they were, see
            `recipes.lab.data.degradation.to_restore`.
        blur: Standard deviation of the point-spread function, in pixels.
        noise: Standard deviation of the noise; 1 is the range of a pixel.
    """

    data: Data
    blur: float
    noise: float

    # What Hugging Face calls them.
    hub_task: ClassVar = "image-to-image"
    hub_metric: ClassVar = "psnr"
    # The first is the one that counts.
    metrics: ClassVar = (PSNR, SSIM)
    loss: ClassVar = None  # training's are of a game, and of another error
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    @property
    def inputs(self) -> Images:
        """What goes into the model."""
        return self.data.inputs

    def score(self, model: keras.Model, split: Split) -> Scores:
        """Compare what a model makes of degraded images with the true ones.

        Args:
            model: A model from raw pixels to pictures in [0, 1].
            split: Degraded images and true ones, usually the test set's.

        Returns:
            The pictures, and the metrics, means over images:

            - `test_psnr`: peak signal-to-noise ratio in decibels.
            - `test_ssim`: structural similarity, see `ssim`.
            - `test_sharpness`: see `sharpness`; 1 for pictures as sharp as the
              true ones.
            - The same of the degraded images, as `degraded_test_psnr` and so
              on, and of what the Wiener filter makes of them, `wiener_...`.
        """
        say_what_is_scored(split)
        scores = self.score_answers(predict(model, split.inputs), split)
        for whose, pictures in self._others(split).items():
            of_others = self.score_answers(pictures, split).metrics
            for name, value in of_others.items():
                scores.metrics[f"{whose}_{name}"] = value
        return scores

    def score_answers(self, pictures, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        truth = in_unit_range(split.targets)
        metrics = {
            PSNR.name: psnr(pictures, truth),
            SSIM.name: ssim(pictures, truth),
            SHARPNESS.name: sharpness(pictures, truth),
        }
        return Scores(split, pictures, metrics)

    def _others(self, split: Split) -> dict[str, np.ndarray]:
        """Return pictures without a network: degraded, and by Wiener filter."""
        degraded = in_unit_range(split.inputs)
        by_wiener = np.clip(self._wiener(degraded), 0, 1)
        return {"degraded": degraded, "wiener": by_wiener}

    @functools.cached_property
    def _wiener(self):
        """The filter that has seen the training images."""
        return wiener_filter(self.data.train.targets, self.blur, self.noise)

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not make such images of such images.

        Raises:
            ValueError: If a shape does not fit.
        """
        shapes = model.input_shape, model.output_shape
        fitting = (None, *self.inputs.shape)
        if shapes != (fitting, fitting):
            raise ValueError(
                f"What restores images must go from {fitting} to the same. "
                f"Received: from {shapes[0]} to {shapes[1]}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a model that restores images.

        `serving_default` and `restore` take an `image`, and give a `picture`,
        float32 in [0, 1], and its uint8 `pixels`, which another model accepts.
        """
        restore = self.inputs.endpoint(*drawing(model))
        return {"serving_default": restore, "restore": restore}

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        `model` goes from `image` to `picture` and `pixels`.
        """
        graph = new_graph()
        answer_in(graph, graph.add(model, self.inputs.into(graph)))
        return {"model": graph}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return "Pictures come out in [0, 1], and as\nuint8 pixels."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        return f"""\
{loaded_by_tensorflow(name, version)}
{self.inputs.comment()}, blurred
answer = export.signatures["restore"](image=images)
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8
```

With the package installed, `zoo.load_model("{name}")` is the Keras model.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} behind a blur of {self.blur:g} pixels and "
            f"noise of {self.noise:g}, and\nnothing else. What it draws is "
            f"probable for {title}, and need not have been there."
        )

    def draw_few(self, model: keras.Model) -> np.ndarray:
        """Return what a model makes of a few validation images."""
        return predict(model, self.data.validation.inputs[: page.STRIP])

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        split, metrics = scores.split, scores.metrics
        truth = in_unit_range(split.targets)
        rows = {
            "as they were": truth,
            **dict(
                zip(
                    ("blurred, under noise", "by the Wiener filter"),
                    self._others(split).values(),
                    strict=True,
                )
            ),
            "by this network": scores.outputs,
        }
        shown = (*self.metrics, SHARPNESS)
        said = {
            whose: [
                metric.write(metrics[f"{whose}{metric.name}"])
                for metric in shown
            ]
            for whose in ("degraded_", "wiener_", "")
        }
        table = page.table(
            [
                (name, *numbers)
                for name, numbers in zip(
                    list(rows)[1:], said.values(), strict=True
                )
            ],
            ("", *(metric.words for metric in shown)),
        )
        facts = {
            "Blur": f"standard deviation {self.blur:g} pixels",
            "Noise": f"standard deviation {self.noise:g} of the range of a "
            "pixel",
        }
        decibels = said[""][0]
        headline = (
            f'<p class="number">{decibels}</p>\n'
            f"<p>is the PSNR of the {len(split):,} restored test images. "
            f"Blurred they have {said['degraded_'][0]}; the Wiener filter, "
            "which knows blur and noise, makes "
            f"{said['wiener_'][0]} of that.</p>"
        )
        errors = squared_errors(scores.outputs, truth)
        before = [encoded.restorations_section(plots, rows, errors, table)]
        return Parts(headline, facts, before, [])


def ssim(pictures: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean structural similarity of pictures in [0, 1].

    That is the index of Wang et al. 2004, in windows of 11 pixels that a
    Gaussian of 1.5 weighs: 1 for equal pictures, and near 0 for pictures that
    have nothing to do with each other.

    Args:
        pictures: `(n, height, width, channels)`, 11 pixels a side or more.
        truth: Of the same shape.
    """
    found = [
        tf.image.ssim(
            tf.constant(pictures[start : start + BATCH], tf.float32),
            tf.constant(truth[start : start + BATCH], tf.float32),
            max_val=1.0,
        )
        for start in range(0, len(truth), BATCH)
    ]
    return float(np.mean(np.concatenate(found)))


def sharpness(pictures: np.ndarray, truth: np.ndarray) -> float:
    """Return how steep the edges of pictures are, as a share of the true ones.

    That is the ratio of their total variations: 1 for pictures as sharp as the
    true ones, less for smoother ones, and more where there is noise.
    """

    def variation(images):
        down, across = (np.abs(np.diff(images, axis=i)) for i in (1, 2))
        return down.mean(dtype="float64") + across.mean(dtype="float64")

    return float(variation(pictures) / max(variation(truth), 1e-12))
