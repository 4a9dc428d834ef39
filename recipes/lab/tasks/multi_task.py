"""Several answers come out, one of each head: classes and numbers."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from recipes.lab.data.splits import Data, Head, Split
from recipes.lab.errors import RecipeError
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import ACCURACY, MEAN_SCORE, R2, named
from recipes.lab.report import page, quantities
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow

SHOWN = 12  # examples with all of their answers
TOLD = 5  # classes that a card names


@dataclass(frozen=True)
class MultiTask(Task):
    """A model that returns a dictionary, from each head's name to its answer.

    Of a head with classes the answer is their probabilities; of another one a
    number in the unit of its targets.

    Attributes:
        data: The data set, whose `heads` say what the tasks are.
    """

    data: Data

    # What Hugging Face calls it.
    hub_metric: ClassVar = "accuracy"
    # The first is the one that counts.
    metrics: ClassVar = (MEAN_SCORE,)
    loss: ClassVar = None  # training's is a sum of many: nothing to remark

    @property
    def hub_task(self) -> str:
        """What Hugging Face calls the task."""
        return f"{self.data.inputs.hub_kind}-classification"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

    @property
    def answered(self) -> str:
        """The output that examples show, that of the first head."""
        return self.data.heads[0].name

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score all heads on a split, whole and in order.

        Args:
            model: A model with these heads.
            split: Inputs and a dictionary of targets, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The answers, a dictionary, and the metrics: of each head its score,
            which is the accuracy, or R² of a number; and the mean of them.
        """
        if not quiet:
            say_what_is_scored(split)
        outputs = predict(model, split.inputs)
        return self.score_answers(self._answers_of(outputs), split)

    def score_answers(self, answers, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        metrics = {
            name_of_score(head): _score(
                head, answers[head.name], split.targets[head.name]
            )
            for head in self.data.heads
        }
        mean = float(np.mean([*metrics.values()]))
        return Scores(split, answers, {MEAN_SCORE.name: mean} | metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model without these heads.

        Raises:
            ValueError: If it has other outputs, or one has another size.
        """
        expected = {
            head.name: (None, len(head.class_names) or 1)
            for head in self.data.heads
        }
        found = keras.tree.map_structure(lambda x: x.shape, model.output)
        if found != expected:
            raise ValueError(
                f"A model of these tasks must have the outputs {expected}. "
                f"Received: {found}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures, one for each kind of input.

        All return an output for each head, by its name: float32
        `(batch, classes)`, or `(batch,)` of one that predicts a number.
        """

        def answer(inputs):
            return self._answers_of(model(inputs, training=False))

        def expect(inputs):
            answers = {k: v.numpy() for k, v in answer(inputs).items()}
            for head in filter(_has_classes, self.data.heads):
                sums = answers[head.name].sum(axis=1)
                if not np.allclose(sums, 1, atol=1e-3):
                    raise RecipeError(
                        f"The outputs of the head {head.name!r} are no "
                        "probabilities: they do not sum to 1."
                    )
            return answers

        return self.inputs.endpoints(answer, expect)

    def _answers_of(self, outputs: dict) -> dict:
        """Return what a model says as the signatures return it."""
        return {
            head.name: outputs[head.name]
            if _has_classes(head)
            else outputs[head.name][:, 0]
            for head in self.data.heads
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        They answer as the signatures do.
        """
        graph = new_graph()
        outputs = keras.tree.flatten(graph.add(model, self.inputs.into(graph)))
        outputs = keras.tree.pack_sequence_as(model.output, outputs)
        for head in self.data.heads:
            x, shape = outputs[head.name], (len(head.class_names),)
            if not _has_classes(head):
                x, shape = graph.node("Squeeze", x, [-1]), ()
            graph.output(head.name, x, shape=shape)
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("head", "unit", "about", "classes"))
        writer.writerows(
            (head.name, head.unit, head.about, "|".join(head.class_names))
            for head in self.data.heads
        )
        return {"heads.csv": text.getvalue()}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        rows = "\n".join(
            f"| `{head.name}` | {_kind_of(head)} | {head.about} |"
            for head in self.data.heads
        )
        return (
            f"Out comes an answer of each of {len(self.data.heads)} heads, by "
            "its name.\n\n| output | what it holds | meaning |\n"
            f"| --- | --- | --- |\n{rows}"
        )

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        inputs = self.inputs
        given = f"{inputs.argument}={inputs.variable}"
        return f"""\
{loaded_by_tensorflow(name, version)}
{inputs.comment()}
answer = export.signatures["serving_default"]({given})
for head, values in answer.items():
    print(head, values)
```

The signature `image_bytes` takes PNG or JPEG files instead. With the package
installed, `zoo.load_model("{name}")` returns the Keras model, and
`zoo.load_predictor("{name}")` a fast function from images to answers.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        inputs, title = self.inputs, self.data.facts.title
        return (
            f"Every head answers, {inputs.strangeness}; {inputs.plural} "
            f"unlike {title}\nget confident nonsense from all of them."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        heads, targets = self.data.heads, scores.split.targets
        mean = MEAN_SCORE.write(scores.metrics[MEAN_SCORE.name])
        facts = {
            named(name).words: named(name).write(scores.metrics[name])
            for name in map(name_of_score, heads)
        }
        headline = (
            f'<p class="number">{mean}</p>\n'
            f"<p>is the mean score of {len(heads)} heads on the "
            f"{len(scores.split):,} test {self.inputs.plural}: of classes the "
            "share of right answers, of numbers the share of the variance that "
            "is explained. All come from one pass.</p>"
        )
        sections = [_answers_section(self, plots, scores)]
        numbers = [head for head in heads if not _has_classes(head)]
        if numbers:
            sections.append(
                quantities.truths_section(
                    plots,
                    {
                        f"{head.name}, {head.unit}": (
                            targets[head.name],
                            scores.outputs[head.name],
                        )
                        for head in numbers
                    },
                )
            )
        if weights := self.inputs.weights_section(plots, model, []):
            sections.append(weights)
        return Parts(headline, facts, [], sections)


def name_of_score(head: Head) -> str:
    """Return what the metric of a head is called: `digit_test_accuracy`."""
    metric = ACCURACY if _has_classes(head) else R2
    return f"{head.name}_{metric.name}"


def _has_classes(head: Head) -> bool:
    return bool(head.class_names)


def _score(head: Head, answers, targets) -> float:
    """Return the accuracy of a head, or R² if it predicts a number."""
    if _has_classes(head):
        return float(np.mean(answers.argmax(axis=1) == targets))
    errors = answers.astype("float64") - targets
    return 1 - float(np.mean(errors**2) / np.var(targets, dtype="float64"))


def _kind_of(head: Head) -> str:
    """Return in words what the output of a head holds."""
    if not _has_classes(head):
        return f"a number, in {head.unit}" if head.unit else "a number"
    names = ", ".join(head.class_names[:TOLD])
    more = len(head.class_names) - TOLD
    return f"probabilities of {names}{f' and {more} more' * (more > 0)}"


def _answers_section(task, plots, scores):
    """Return the section with some examples, and all answers to each."""
    texts = []
    for i in range(min(SHOWN, len(scores.split))):
        lines = []
        for head in task.data.heads:
            answer = scores.outputs[head.name][i]
            truth = scores.split.targets[head.name][i]
            if _has_classes(head):
                names = page.short(head.class_names[answer.argmax()])
                wrong = " (wrong)" * bool(answer.argmax() != truth)
                lines.append(f"{head.name}: {names}{wrong}")
            else:
                lines.append(f"{head.name}: {answer:.1f} ({truth:.1f})")
        texts.append("\n".join(lines))
    caption = (
        f"The first test {task.inputs.plural}, and what each head answers; "
        "behind a number the truth."
    )
    alt = "; ".join(" ".join(text.split()) for text in texts)
    images = scores.split.inputs[: len(texts)]
    html = task.inputs.gallery(plots / "answers.png", images, texts, alt)
    return "All answers to an image", caption, html
