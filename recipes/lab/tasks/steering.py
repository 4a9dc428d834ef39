"""A direction comes out: how what steers is scored, served and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import CENTROID_ERROR
from recipes.lab.report import quantities
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow


@dataclass(frozen=True)
class Steering(Task):
    """A model whose outputs are the probabilities of directions, side by side.

    Its answer is their centroid, the mean direction. Directions are counted in
    units: the first output is 0, the next one 1.

    Attributes:
        data: The data set; its targets are directions in units.
    """

    data: Data

    # What Hugging Face calls it, and its metric.
    hub_task: ClassVar = "image-classification"
    hub_metric: ClassVar = "mae"
    # The first is the one that counts.
    metrics: ClassVar = (CENTROID_ERROR,)
    loss: ClassVar = None  # training compares whole hills of probability
    # The output of the signatures that says it all.
    answered: ClassVar = "direction"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a model on a split, whole and in order.

        Args:
            model: A model of one output for each direction.
            split: Images and directions, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The answers, float32 `(n,)`, and the mean of how far each is from
            its target, in units.
        """
        if not quiet:
            say_what_is_scored(split)
        return self.score_answers(centroid(predict(model, split.inputs)), split)

    def score_answers(self, directions, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        error = np.abs(directions.astype("float64") - split.targets)
        metrics = {CENTROID_ERROR.name: float(error.mean())}
        return Scores(split, directions, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model without a row of outputs.

        Raises:
            ValueError: If its output is not `(batch, directions)`.
        """
        if len(model.output_shape) != 2 or model.output_shape[1] < 2:
            raise ValueError(
                "What steers must have an output of shape (None, directions). "
                f"Received: {model.output_shape}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of what steers, one for each kind of input.

        All return `direction` float32 `(batch,)`, in units, and the
        `probabilities` of all directions, float32 `(batch, directions)`.
        """

        def answer(inputs):
            probabilities = model(inputs, training=False)
            units = tf.range(probabilities.shape[1], dtype=tf.float32)
            direction = tf.linalg.matvec(probabilities, units)
            return {"direction": direction, "probabilities": probabilities}

        def expect(inputs):
            probabilities = model(inputs, training=False).numpy()
            direction = centroid(probabilities)
            return {"direction": direction, "probabilities": probabilities}

        return self.inputs.endpoints(answer, expect)

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`."""
        graph = new_graph()
        outputs = graph.add(model, self.inputs.into(graph))
        units = np.arange(outputs.shape[-1], dtype="float32")[:, np.newaxis]
        direction = graph.node("MatMul", outputs, units)
        direction = graph.node("Squeeze", direction, [-1])
        graph.output("direction", direction, shape=())
        graph.output("probabilities", outputs)
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"target.txt": f"{self.data.target.title}\n"}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        name, _, about = self.data.target
        return f"A number comes out: `{name}`, {about}."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        inputs = self.inputs
        given = f"{inputs.argument}={inputs.variable}"
        return f"""\
{loaded_by_tensorflow(name, version)}
{inputs.comment()}
answer = export.signatures["{inputs.signature}"]({given})
print(answer["direction"])
```

{inputs.use(name)}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            f"It always steers somewhere, {self.inputs.strangeness}. It has "
            f"seen\n{self.data.facts.title} and nothing else: nobody should "
            "sit in what it drives."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        error = scores.metrics[CENTROID_ERROR.name]
        truth, answers = scores.split.targets, scores.outputs
        always = np.abs(truth - np.median(truth)).mean()
        title = self.data.target.title
        facts = {
            CENTROID_ERROR.words: f"{CENTROID_ERROR.write(error)}; always "
            f"straight on: {CENTROID_ERROR.write(always)}"
        }
        headline = (
            f'<p class="number">{CENTROID_ERROR.write(error)}</p>\n'
            f"<p>is the mean error over {len(truth):,} test "
            f"{self.inputs.plural}, of {model.output_shape[1]} directions side "
            "by side.</p>"
        )
        sections = [quantities.truth_section(plots, truth, answers, title)]
        names = [f"direction {i}" for i in range(model.output_shape[1])]
        if weights := self.inputs.weights_section(plots, model, names):
            sections.append(weights)
        return Parts(headline, facts, [], sections)


def centroid(probabilities: np.ndarray) -> np.ndarray:
    """Return the mean direction, in units.

    Args:
        probabilities: Of each direction, `(n, directions)`.
    """
    return probabilities @ np.arange(probabilities.shape[1], dtype="float32")
