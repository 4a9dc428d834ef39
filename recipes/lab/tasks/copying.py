"""Bits come out, step by step: how what gives them back is scored and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.signatures import Signature
from recipes.lab.inputs.time_series import TimeSeries
from recipes.lab.metrics import BIT_ERROR, WHOLE_SEQUENCES
from recipes.lab.report import matrices
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from zoo import neural_turing


@dataclass(frozen=True)
class Copying(Task):
    """A model that answers the bits that it was shown, when it is asked.

    Attributes:
        data: The data set; targets below 0 are of steps that do not count.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "other"
    hub_metric: ClassVar = "bit-error-rate"
    # The first is the one that counts.
    metrics: ClassVar = (BIT_ERROR, WHOLE_SEQUENCES)
    loss: ClassVar = None  # training's is of probabilities
    # The output of the signatures that says it all.
    answered: ClassVar = "probabilities"

    @property
    def inputs(self) -> TimeSeries:
        """What goes into the model."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a model on a split, whole and in order.

        Args:
            model: A model as of `zoo.neural_turing_machine`.
            split: Sequences and the bits that are asked for.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The probability of each bit to be 1, float32 `(n, steps, bits)`;
            the share of the bits that are wrong, and that of the sequences of
            which none is.
        """
        if not quiet:
            say_what_is_scored(split)
        return self.score_answers(predict(model, split.inputs), split)

    def score_answers(self, probabilities, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        wrong, asked = wrong_bits(probabilities, split.targets)
        metrics = {
            BIT_ERROR.name: float(wrong.sum() / asked.sum()),
            WHOLE_SEQUENCES.name: float(np.mean(~wrong.any(axis=(1, 2)))),
        }
        return Scores(split, probabilities, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not answer such bits at each step.

        Raises:
            ValueError: If a shape does not fit.
        """
        expected = (None, *self.data.test.targets.shape[1:])
        if model.output_shape != expected:
            raise ValueError(
                f"What copies must have an output of shape {expected}. "
                f"Received: {model.output_shape}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signature `serving_default`.

        It takes `sequence` and returns `probabilities` float32 `(batch, steps,
        bits)`, of each bit to be 1.
        """

        def answer(sequences):
            return {"probabilities": model(sequences, training=False)}

        def expect(sequences):
            return {"probabilities": model(sequences, training=False).numpy()}

        return self.inputs.endpoints(answer, expect)

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`."""
        graph = new_graph()
        probabilities = graph.add(model, self.inputs.into(graph))
        graph.output("probabilities", probabilities)
        return {"model": graph}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        bits = self.data.test.targets.shape[-1]
        return (
            f"Out come `probabilities`, float32 `(n, {self.inputs.steps}, "
            f"{bits})`: of each\nbit to be 1, at each step. Those after the "
            "end mark count, one row at each step."
        )

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        return f"""\
{loaded_by_tensorflow(name, version)}
{self.inputs.comment()}
answer = export.signatures["serving_default"](sequence=sequences)
print(answer["probabilities"])
```

{self.inputs.use(name)}
Its weights fit a machine for longer sequences, which
`zoo.create_model("neural_turing_machine", input_shape=...)` makes.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            "It copies, and does nothing else. Of more rows than its memory "
            "has it forgets the first."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        error = scores.metrics[BIT_ERROR.name]
        headline = (
            f'<p class="number">{BIT_ERROR.write(error)}</p>\n'
            "<p>of the bits that are asked for are wrong, in "
            f"{len(scores.split):,} test sequences. Who guesses is wrong in "
            "half of them.</p>"
        )
        facts = {
            metric.words: metric.write(scores.metrics[metric.name])
            for metric in self.metrics
        }
        cell = model.get_layer("machine").cell
        facts["Memory"] = f"{cell.locations} rows of {cell.width} numbers"
        asked = (scores.split.targets >= 0).any(axis=2).sum(axis=1)
        longest = scores.split[[int(asked.argmax())]]
        rows = int(asked.max())
        section = addresses_section(
            plots,
            "addresses",
            model,
            longest,
            heading=f"The memory, step by step: {rows} rows",
        )
        return Parts(headline, facts, [section], [])


def addresses_section(plots, name: str, model, split: Split, *, heading: str):
    """Return a section with what a machine does with one sequence.

    Args:
        plots: The folder of the figures.
        name: The figure's file name, without suffix.
        model: The machine.
        split: The sequence, and what it asks for.
        heading: Heading of the section.
    """
    reads, writes = neural_turing.addresses_of(model, split.inputs)
    answers = predict(model, split.inputs)[0]
    asked = (split.targets[0] >= 0).all(axis=1)
    html = matrices.stacked_html(
        plots / f"{name}.png",
        {
            "shown": split.inputs[0].T,
            "answered": (answers * asked[:, np.newaxis]).T,
            "writes to": writes[0].T,
            "reads from": reads[0].T,
        },
        column="step",
    )
    caption = (
        "From left to right the steps. Above is what is shown, the bits and "
        "the two marks, and what is answered when it is asked. Below is where "
        "the heads are: each row is a location of the memory, and the darker, "
        "the more of it is written or read."
    )
    return heading, caption, html


def wrong_bits(probabilities, targets):
    """Return which bits are wrong, and which are asked for at all."""
    asked = targets >= 0
    return ((probabilities > 0.5) != (targets > 0.5)) & asked, asked


@keras.saving.register_keras_serializable(package="recipes")
def asked_cross_entropy(targets, probabilities):
    """Return the cross-entropy of the bits that are asked for, `(batch,)`.

    Args:
        targets: Bits, below 0 at steps that do not count.
        probabilities: Of each bit to be 1.
    """
    asked = ops.cast(targets >= 0, probabilities.dtype)
    nats = asked * ops.binary_crossentropy(
        ops.maximum(targets, 0.0), probabilities
    )
    return ops.sum(nats, axis=(1, 2)) / ops.sum(asked, axis=(1, 2))
