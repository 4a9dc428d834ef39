"""Classes come out: how a classifier is scored, served, described and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.errors import RecipeError
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import ACCURACY, CROSS_ENTROPY
from recipes.lab.report import figures
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored


@dataclass(frozen=True)
class Classification:
    """A model whose outputs are the probabilities of classes.

    Attributes:
        data: The data set; its `class_names` name the outputs.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "image-classification"
    hub_metric: ClassVar = "accuracy"
    # The first is the one that counts.
    metrics: ClassVar = (ACCURACY, CROSS_ENTROPY)
    # What training's loss is compared with: a metric, and a fact of the report.
    loss: ClassVar = (CROSS_ENTROPY, CROSS_ENTROPY.words)

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a classifier on a split, whole and in order.

        Args:
            model: A model whose outputs are probabilities.
            split: Inputs and labels, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            Accuracy, cross-entropy in nats, and the probabilities, float32
            `(n, num_classes)`.
        """
        if not quiet:
            say_what_is_scored(split)
        probabilities = predict(model, split.inputs)
        chosen = probabilities[np.arange(len(split)), split.targets]
        accuracy = np.mean(probabilities.argmax(axis=1) == split.targets)
        loss = -np.mean(np.log(np.clip(chosen, 1e-7, 1.0)))
        metrics = {
            ACCURACY.name: float(accuracy),
            CROSS_ENTROPY.name: float(loss),
        }
        return Scores(split, probabilities, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model whose outputs do not fit the classes.

        Raises:
            ValueError: If it has another number of outputs than the data has
                classes.
        """
        class_names = self.data.class_names
        if model.output_shape != (None, len(class_names)):
            raise ValueError(
                f"A classifier of {len(class_names)} classes must have an "
                f"output of shape {(None, len(class_names))}. "
                f"Received: {model.output_shape}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a classifier, one for each kind of input.

        All return `probabilities` float32 `(batch, num_classes)`, `class_id`
        int64 `(batch,)` and `class_name` string `(batch,)`.
        """
        class_names = self.data.class_names
        names = tf.constant(class_names)

        def answer(inputs):
            probabilities = model(inputs, training=False)
            class_id = tf.argmax(probabilities, axis=-1)
            return {
                "probabilities": probabilities,
                "class_id": class_id,
                "class_name": tf.gather(names, class_id),
            }

        def expect(inputs):
            probabilities = model(inputs, training=False).numpy()
            if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
                raise RecipeError(
                    "The outputs of the model are no probabilities: they do "
                    "not sum to 1. Was it built without its "
                    "classifier_activation?"
                )
            class_id = probabilities.argmax(axis=1)
            return {
                "probabilities": probabilities,
                "class_id": class_id,
                "class_name": np.array(class_names)[class_id],
            }

        return self.data.inputs.endpoints(answer, expect)

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"labels.txt": "\n".join(self.data.class_names) + "\n"}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return f"Classes: {', '.join(self.data.class_names)}."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export.

        Args:
            name: Name of the export.
            version: Its number.
        """
        inputs = self.data.inputs
        return f"""\
With TensorFlow alone:

```python
import tensorflow as tf

export = tf.saved_model.load("saved_models/{name}/{version}")
{inputs.comment()}
answer = export.signatures["serving_default"](image=images)
print(answer["class_name"], answer["probabilities"])
```

{inputs.use_of_files(name)}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            "It always answers with one of its classes, whatever the picture "
            f"shows; images\nunlike {self.data.facts.title} get confident "
            "nonsense."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model.

        Args:
            model: The trained model, for its first layer.
            scores: Its answers to the test set.
            plots: The folder of the figures.
        """
        labels = np.asarray(scores.split.targets, "int64")
        probabilities = np.asarray(scores.outputs)
        predicted = probabilities.argmax(axis=1)
        confidences = probabilities.max(axis=1)
        names = [str(name) for name in self.data.class_names]
        counts = figures.count_confusions(labels, predicted, len(names))
        facts = {
            metric.words: metric.write(scores.metrics[metric.name])
            for metric in self.metrics
        }
        sections = [
            figures.confusion_section(plots, counts, names),
            figures.classes_section(counts, names),
            figures.mistakes_section(
                *(plots, scores.split.inputs, labels, predicted, confidences),
                names,
            ),
        ]
        filters = figures.first_kernels(model)
        if filters is not None:
            size = scores.split.inputs.shape[1:3]
            sections.append(
                figures.filters_section(plots, filters, names, size)
            )
        headline = figures.headline(labels == predicted, confidences)
        return Parts(headline, facts, [], sections)
