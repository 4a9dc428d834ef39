"""Classes come out: how a classifier is scored, served, described and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.errors import RecipeError
from recipes.lab.inputs.signatures import Signature, in_a_call
from recipes.lab.metrics import ACCURACY, CROSS_ENTROPY
from recipes.lab.report import classified, page
from recipes.lab.tasks import evidence
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow

LISTED = 100  # classes that a card names; labels.txt has all


@dataclass(frozen=True)
class Classification(Task):
    """A model whose outputs are the probabilities of classes.

    One output is enough for two classes: it is the probability of the second.

    Attributes:
        data: The data set; its `class_names` name the outputs.
    """

    data: Data

    # What Hugging Face calls it.
    hub_metric: ClassVar = "accuracy"
    # The first is the one that counts.
    metrics: ClassVar = (ACCURACY, CROSS_ENTROPY)
    # What training's loss is compared with: a metric, and a fact of the report.
    loss: ClassVar = (CROSS_ENTROPY, CROSS_ENTROPY.words)
    # The output of the signatures that says it all.
    answered: ClassVar = "probabilities"

    @property
    def hub_task(self) -> str:
        """What Hugging Face calls the task."""
        return f"{self.data.inputs.hub_kind}-classification"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

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
        return self.score_answers(self.answer(model, split), split)

    def answer(self, model: keras.Model, split: Split) -> np.ndarray:
        """Return the probabilities of the classes, `(n, num_classes)`."""
        return of_every_class(predict(model, split.inputs))

    def score_answers(self, probabilities, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        chosen = probabilities[np.arange(len(split)), split.targets]
        accuracy = np.mean(probabilities.argmax(axis=1) == split.targets)
        loss = -np.mean(np.log(np.clip(chosen, 1e-7, 1.0)))
        metrics = {
            ACCURACY.name: float(accuracy),
            CROSS_ENTROPY.name: float(loss) + 0.0,  # and not -0.0
        }
        return Scores(split, probabilities, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model whose outputs do not fit the classes.

        Raises:
            ValueError: If it has another number of outputs than the data has
                classes.
        """
        class_names = self.data.class_names
        fitting = [(None, len(class_names))]
        if len(class_names) == 2:
            fitting.append((None, 1))
        if model.output_shape not in fitting:
            raise ValueError(
                f"A classifier of {len(class_names)} classes must have an "
                f"output of shape {' or '.join(map(str, fitting))}. "
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
            probabilities = of_every_class(model(inputs, training=False))
            class_id = tf.argmax(probabilities, axis=-1)
            return {
                "probabilities": probabilities,
                "class_id": class_id,
                "class_name": tf.gather(names, class_id),
            }

        def expect(inputs):
            probabilities = of_every_class(model(inputs, training=False))
            probabilities = probabilities.numpy()
            problem = None
            if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
                problem = "they do not sum to 1"
            elif probabilities.min() < 0:
                problem = "they do not lie in [0, 1]"
            if problem:
                raise RecipeError(
                    f"The outputs of the model are no probabilities: {problem}."
                    " Was it built without its classifier_activation?"
                )
            class_id = probabilities.argmax(axis=1)
            return {
                "probabilities": probabilities,
                "class_id": class_id,
                "class_name": np.array(class_names)[class_id],
            }

        return self.data.inputs.endpoints(answer, expect)

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return the model as graphs of another format, by the files' names.

        Its answers are those of the signatures but for `class_name`: runtimes
        for small devices know no strings.

        Args:
            model: The model.
            new_graph: Function that returns an empty graph, see
                `recipes.lab.export.onnx_graph`.
        """
        graph = new_graph()
        inputs = keras.tree.flatten(self.inputs.into(graph))
        outputs = graph.add(model, *inputs)
        if outputs.shape == (1,):  # the probability of the second class
            others = graph.node("Sub", 1.0, outputs)
            outputs = graph.node("Concat", others, outputs, axis=-1)
        class_id = graph.node("ArgMax", outputs, axis=-1, keepdims=0)
        count = len(self.data.class_names)
        graph.output("probabilities", outputs, shape=(count,))
        graph.output("class_id", class_id, shape=(), dtype="int64")
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"labels.txt": "\n".join(self.data.class_names) + "\n"}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        names = self.data.class_names
        if len(names) > LISTED:
            names = (*names[:LISTED], f"and {len(names) - LISTED:,} more")
        return f"Classes: {', '.join(names)}."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export.

        Args:
            name: Name of the export.
            version: Its number.
        """
        inputs = self.data.inputs
        return f"""\
{loaded_by_tensorflow(name, version)}
{inputs.comment()}
answer = export.signatures["{inputs.signature}"]({in_a_call(inputs)})
print(answer["class_name"], answer["probabilities"])
```

{inputs.use(name)}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        inputs = self.data.inputs
        return (
            f"It always answers with one of its classes, {inputs.strangeness}; "
            f"{inputs.plural}\nunlike {self.data.facts.title} get confident "
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
        inputs, examples = self.data.inputs, self.data.inputs.plural
        facts = {
            metric.words: metric.write(scores.metrics[metric.name])
            for metric in self.metrics
        }
        sections = [
            classified.classes_section(labels, predicted, names, examples),
            classified.mistakes_section(
                *(plots, inputs, scores.split.inputs),
                *(labels, predicted, confidences, names),
            ),
        ]
        if len(names) <= classified.DRAWN_CLASSES:
            counts = classified.count_confusions(labels, predicted, len(names))
            sections.insert(
                0, classified.confusion_section(plots, counts, names, examples)
            )
        if weights := inputs.weights_section(plots, model, names):
            sections.append(weights)
        headline = classified.headline(
            labels == predicted, confidences, examples
        )
        return Parts(headline, facts, [], sections)

    def explain(
        self, model: keras.Model, scores: Scores, plots: Path, seed: int
    ) -> list:
        """Return the report's sections on what the model looks at in images.

        Args:
            model: The trained model.
            scores: Its answers to the test set.
            plots: The folder of the figures.
            seed: Seed of the noise that pictures are made from.
        """

        def answer(images):
            outputs = model(images, training=False).numpy()
            return of_every_class(outputs.astype("float32"))

        names = [page.short(str(name)) for name in self.data.class_names]
        return evidence.sections(model, answer, scores, names, plots, seed)


def of_every_class(outputs):
    """Return the probability of each class, `(n, num_classes)`.

    Args:
        outputs: What a model says, as a tensor or an array: that, or `(n, 1)`,
            the probability of the second of two classes.
    """
    if outputs.shape[-1] > 1:
        return outputs
    join = np.concatenate if isinstance(outputs, np.ndarray) else tf.concat
    return join([1 - outputs, outputs], -1)
