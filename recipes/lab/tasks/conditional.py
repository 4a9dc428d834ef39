"""Pictures come out of labels and codes: who draws is told what."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from recipes.lab.data.splits import Split
from recipes.lab.inputs.noise import LabeledNoise
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import (
    ACCURACY_FROM_DRAWN,
    DRAWN_AS_ASKED,
    FID,
    REAL_FID,
)
from recipes.lab.report import classified, generated, page
from recipes.lab.tasks.generation import (
    SEED,
    Generation,
    between_codes,
    ends_of,
    in_bytes,
)
from recipes.lab.tasks.scores import Parts, Scores, predict
from recipes.lab.tasks.task import loaded_by_tensorflow


@dataclass(frozen=True)
class ConditionalGeneration(Generation):
    """A model from labels and codes to pictures, which a classifier judges."""

    inputs: LabeledNoise

    hub_metric: ClassVar = "accuracy"
    # A recipe measures the first: it takes another classifier.
    metrics: ClassVar = (ACCURACY_FROM_DRAWN, DRAWN_AS_ASKED, FID, REAL_FID)

    def _codes_for(self, split: Split) -> np.ndarray:
        return self.inputs.draw(SEED, len(split), split.targets).numpy()

    def score(self, model: keras.Model, split: Split) -> Scores:
        """Draw a picture for the label of each image, and have them judged.

        Args:
            model: A model from codes to pictures in [0, 1].
            split: The images to compare with, usually the test set's.

        Returns:
            As of `Generation`, and as `test_drawn_as_asked` the share of the
            pictures that the judge takes for what was to be drawn.
        """
        scores = super().score(model, split)
        right = self._taken_for(scores.outputs) == split.targets
        scores.metrics[DRAWN_AS_ASKED.name] = float(np.mean(right))
        return scores

    def _taken_for(self, pictures) -> np.ndarray:
        """Return the class that the judge takes each picture for."""
        return predict(self.judge, in_bytes(pictures)).argmax(axis=1)

    def draw(self, model: keras.Model, split: Split) -> Split:
        """Return a split with a drawn picture in the place of each image.

        The labels stay. The codes are others than those that are judged.

        Args:
            model: A model from codes to pictures in [0, 1].
            split: Images with labels.
        """
        codes = self.inputs.draw(SEED + 1, len(split), split.targets)
        pictures = predict(model, codes.numpy())
        return Split(
            in_bytes(pictures), split.targets, split.prepare, split.passes
        )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a generator that is told what to draw.

        - `serving_default` and `sample`: `seed`, `count` and `label`, int64, to
          `picture` and `pixels`
        - `decode`: `code` float32 `(batch, classes + latent_dim)` to the same;
          the largest of its first numbers is the label

        A `picture` is float32 in [0, 1]; `pixels` are the same as uint8, which
        another model accepts.
        """
        return super().signatures(model)

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"labels.txt": "\n".join(self.data.class_names) + "\n"}

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        classes = self.data.num_classes
        return f"""\
{loaded_by_tensorflow(name, version)}
asked = {{"seed": 7, "count": 16, "label": 3}}
asked = {{k: tf.constant(number, tf.int64) for k, number in asked.items()}}
answer = export.signatures["sample"](**asked)
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8
```

The signature `decode` takes codes of one's own: `code`, float32 \
`(n, {classes + self.inputs.latent_dim})`.
The largest of the first {classes} numbers is the label. With the package
installed, `zoo.load_model("{name}")` is the Keras model, which
takes codes, too.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            f"It has seen {self.data.facts.title} and nothing else. A few of "
            "its pictures are not of the\nclass that was asked for, or of none."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        parts = super().report(model, scores, plots)
        metrics, labels = scores.metrics, scores.split.targets
        names = [str(name) for name in self.data.class_names]
        accuracy, as_asked = (
            metric.write(metrics[metric.name])
            for metric in (ACCURACY_FROM_DRAWN, DRAWN_AS_ASKED)
        )
        facts = {
            ACCURACY_FROM_DRAWN.words: accuracy,
            DRAWN_AS_ASKED.words: f"{as_asked}, says the judge",
            **parts.facts,
        }
        headline = (
            f'<p class="number">{accuracy}</p>\n'
            "<p>of the real test images are recognized by a classifier that "
            "has seen drawn pictures only.</p>"
        )
        shown = {
            names[label]: np.flatnonzero(labels == label)[: page.STRIP]
            for label in np.unique(labels)[: page.STRIP]
        }
        _, _, table = classified.classes_section(
            labels, self._taken_for(scores.outputs), names, "pictures drawn"
        )
        caption = (
            "Of the pictures that were to be of a class, how many the judge "
            "takes for it (recall); of those that it takes for a class, how "
            "many were to be of it (precision)."
        )
        before = [
            generated.labeled_samples_section(
                plots,
                [*shown],
                [scores.outputs[chosen] for chosen in shown.values()],
            ),
            ("Drawn as asked", caption, table),
        ]
        return parts._replace(headline=headline, facts=facts, before=before)

    def _between_section(self, model, codes, plots):
        classes = self.data.num_classes
        ones, others = ends_of(codes)
        labels, styles = np.split(ones, [classes], axis=1)
        ways = between_codes(styles, others[:, classes:], spherical=True)
        steps = len(ways) // len(ones)
        codes = np.hstack([np.repeat(labels, steps, axis=0), ways])
        return generated.between_section(
            plots, predict(model, codes), "two codes of one label"
        )
