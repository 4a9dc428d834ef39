"""A number comes out: how such a model is scored, served, described, shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import MAE, MSE, R2, RMSE
from recipes.lab.report import quantities
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow


@dataclass(frozen=True)
class Regression(Task):
    """A model whose output is a number.

    Attributes:
        data: The data set; its `target` says what the number is.
    """

    data: Data

    # What Hugging Face calls it.
    hub_metric: ClassVar = "rmse"
    # The first is the one that counts.
    metrics: ClassVar = (RMSE, MAE, R2)
    # What training's loss is compared with: a metric, and a fact of the report.
    loss: ClassVar = (MSE, MSE.words)
    # The output of the signatures that says it all.
    answered: ClassVar = "prediction"

    @property
    def hub_task(self) -> str:
        """What Hugging Face calls the task."""
        return f"{self.data.inputs.hub_kind}-regression"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a model on a split, whole and in order.

        Args:
            model: A model of one output.
            split: Inputs and numbers, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The answers, float32 `(n,)`, and the metrics: the root of the mean
            squared error and the mean absolute error, both in the target's
            unit; R², the share of the targets' variance that is explained; and
            the mean squared error.
        """
        if not quiet:
            say_what_is_scored(split)
        return self.score_answers(predict(model, split.inputs)[:, 0], split)

    def score_answers(self, answers, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        errors = answers.astype("float64") - split.targets
        mse = float(np.mean(np.square(errors)))
        metrics = {
            RMSE.name: float(np.sqrt(mse)),
            MAE.name: float(np.mean(np.abs(errors))),
            R2.name: 1 - mse / float(np.var(split.targets, dtype="float64")),
            MSE.name: mse,
        }
        return Scores(split, answers, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model of more than one number.

        Raises:
            ValueError: If its output is not `(batch, 1)`.
        """
        if model.output_shape != (None, 1):
            raise ValueError(
                "A model that answers with a number must have an output of "
                f"shape (None, 1). Received: {model.output_shape}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a regression, one for each kind of input.

        All return `prediction` float32 `(batch,)`.
        """

        def answer(inputs):
            return {"prediction": model(inputs, training=False)[:, 0]}

        def expect(inputs):
            return {"prediction": model(inputs, training=False).numpy()[:, 0]}

        return self.data.inputs.endpoints(answer, expect)

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        They answer as the signatures do.
        """
        graph = new_graph()
        outputs = graph.add(model, self.inputs.into(graph))
        prediction = graph.node("Squeeze", outputs, [-1])
        graph.output("prediction", prediction, shape=())
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"target.txt": f"{self.data.target.title}\n"}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        name, unit, about = self.data.target
        return f"A number comes out: `{name}`, {about} ({unit or 'no unit'})."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        inputs = self.data.inputs
        given = f"{inputs.argument}={inputs.variable}"
        return f"""\
{loaded_by_tensorflow(name, version)}
{inputs.comment()}
answer = export.signatures["{inputs.signature}"]({given})
print(answer["prediction"])
```

{inputs.use(name)}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            f"It answers with a number, {self.data.inputs.strangeness}; beyond "
            f"the range of\n{self.data.facts.title} it continues its own "
            "curve, which may be far from the truth."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        target = self.data.target
        rmse, r2 = scores.metrics[RMSE.name], scores.metrics[R2.name]
        truth, answers = scores.split.targets, scores.outputs
        unit = f" {target.unit}".rstrip()
        facts = {
            metric.words: metric.write(scores.metrics[metric.name])
            for metric in (*self.metrics, MSE)
        }
        facts[RMSE.words] += (
            f"{unit}; always answering with the mean: {np.std(truth):.4g}{unit}"
        )
        headline = (
            f'<p class="number">{rmse:.4g}{unit}</p>\n'
            f"<p>is the typical error (RMSE) over the {len(truth):,} test "
            f"{self.data.inputs.plural}: {100 * r2:.0f} % of the variance is "
            "explained.</p>"
        )
        sections = [
            quantities.truth_section(plots, truth, answers, target.title),
            quantities.errors_section(plots, answers - truth, target.title),
        ]
        if weights := self.data.inputs.weights_section(
            plots, model, [target.name]
        ):
            sections.append(weights)
        return Parts(headline, facts, [], sections)
