"""A picture comes out of a row of numbers that says what to draw."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.signatures import Signature
from recipes.lab.inputs.tables import Tables
from recipes.lab.metrics import MSE, PSNR
from recipes.lab.report import encoded, generated, page
from recipes.lab.tasks.generation import answer_in, drawing
from recipes.lab.tasks.reconstruction import psnr, squared_errors
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow


@dataclass(frozen=True)
class Drawing(Task):
    """A model from a label, and numbers of style, to a picture.

    Attributes:
        data: Rows and the images that they describe, see
            `recipes.lab.data.styles`.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "unconditional-image-generation"
    hub_metric: ClassVar = "mse"
    # The first is the one that counts.
    metrics: ClassVar = (MSE, PSNR)
    # What training's loss is compared with: a metric, and a fact of the report.
    loss: ClassVar = (MSE, "Squared error")
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    @property
    def inputs(self) -> Tables:
        """What goes into the model."""
        return self.data.inputs

    def score(self, model: keras.Model, split: Split) -> Scores:
        """Compare what a model draws with the images that were described.

        Args:
            model: A model from rows to pictures in [0, 1].
            split: Rows and images, usually the test set's.

        Returns:
            The pictures, and the metrics:

            - `test_mse`: squared error of a pixel.
            - `test_psnr`: peak signal-to-noise ratio in decibels, the mean
              over images.
            - `class_mean_test_mse`: the error of the mean training image of the
              class, the best that one can draw from a label alone.
        """
        say_what_is_scored(split)
        scores = self.score_answers(predict(model, split.inputs), split)
        means = self._class_means()[self._labels(split)]
        error = squared_errors(means, in_unit_range(split.targets)).mean()
        scores.metrics[f"class_mean_{MSE.name}"] = float(error)
        return scores

    def score_answers(self, pictures, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        truth = in_unit_range(split.targets)
        metrics = {
            MSE.name: float(np.mean(squared_errors(pictures, truth))),
            PSNR.name: psnr(pictures, truth),
        }
        return Scores(split, pictures, metrics)

    def _labels(self, split: Split) -> np.ndarray:
        return split.inputs[:, : self.data.num_classes].argmax(axis=1)

    def _class_means(self) -> np.ndarray:
        """Return the mean training image of each class, in [0, 1]."""
        train = self.data.train
        labels = self._labels(train)
        return np.stack(
            [
                train.targets[labels == label].mean(axis=0) / 255
                for label in range(self.data.num_classes)
            ]
        )

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not draw the data's pictures from rows.

        Raises:
            ValueError: If a shape does not fit.
        """
        shapes = model.input_shape, model.output_shape
        fitting = (
            (None, *self.inputs.shape),
            (None, *self.data.test.targets.shape[1:]),
        )
        if shapes != fitting:
            raise ValueError(
                f"What draws must go from {fitting[0]} to {fitting[1]}. "
                f"Received: from {shapes[0]} to {shapes[1]}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a model that draws.

        `serving_default` takes whole rows, `columns` each number by its name.
        Both give a `picture`, float32 in [0, 1], and its uint8 `pixels`.
        """
        return self.inputs.endpoints(*drawing(model))

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        `model` goes from `features` to `picture` and `pixels`.
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
{self.inputs.comment()}
answer = export.signatures["serving_default"](features=features)
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8
```

{self.inputs.use(name)}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} and nothing else. It draws the mean of all "
            "images that a row\ndescribes: what the row leaves open is blurred."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        test, metrics = scores.split, scores.metrics
        labels, truth = self._labels(test), in_unit_range(test.targets)
        error, of_means = (
            MSE.write(metrics[f"{whose}{MSE.name}"])
            for whose in ("", "class_mean_")
        )
        facts = {
            "Squared error": f"{error} per pixel in [0, 1]; of the mean image "
            f"of each class {of_means}",
            "PSNR": PSNR.write(metrics[PSNR.name]),
        }
        headline = (
            f'<p class="number">{metrics[MSE.name]:.4f}</p>\n'
            "<p>is the mean squared error of a pixel that is drawn from the "
            f"label and {len(self._style())} numbers of style, over the "
            f"{len(test):,} test images. The mean image of the class has "
            f"{metrics[f'class_mean_{MSE.name}']:.4f}.</p>"
        )
        errors = squared_errors(scores.outputs, truth)
        of_labels, of_style = (
            predict(model, rows)
            for rows in (self._typical_rows(), self._rows_of_style())
        )
        before = [
            generated.labels_section(
                plots, of_labels, of_style, [c.title for c in self._style()]
            ),
            encoded.strips_section(
                plots, [truth, scores.outputs], errors, labels
            ),
        ]
        return Parts(headline, facts, before, [])

    def _style(self):
        return self.inputs.columns[self.data.num_classes :]

    def _typical_rows(self) -> np.ndarray:
        """Return the mean training row of each class."""
        rows, labels = self.data.train.inputs, self._labels(self.data.train)
        count = min(self.data.num_classes, page.STRIP)
        return np.stack([rows[labels == i].mean(axis=0) for i in range(count)])

    def _rows_of_style(self) -> np.ndarray:
        """Return rows of one label after another, with one number moved."""
        rows, typical = self.data.train.inputs, self._typical_rows()
        found = []
        for i in range(self.data.num_classes, rows.shape[1]):
            ends = np.quantile(rows[:, i], (0.02, 0.98))
            label = (i - self.data.num_classes) * 3 % len(typical)
            moved = np.tile(typical[label], (page.STRIP, 1))
            moved[:, i] = np.linspace(*ends, page.STRIP)
            found.append(moved)
        return np.concatenate(found).astype("float32")
