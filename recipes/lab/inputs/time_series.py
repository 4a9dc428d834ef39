"""Time series go in: at each step one for each named column."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from recipes.lab.inputs.signatures import Signature, signature
from recipes.lab.inputs.tables import Column
from recipes.lab.report import page


@dataclass(frozen=True)
class TimeSeries:
    """Numbers in their raw units, float32 `(batch, steps, columns)`.

    Attributes:
        steps: The number of steps.
        columns: What the numbers of a step are, in order.
    """

    steps: int
    columns: tuple[Column, ...]

    plural: ClassVar = "sequences"
    hub_kind: ClassVar = "tabular"
    # How an example on the card asks, with which argument and variable.
    signature: ClassVar = "serving_default"
    argument: ClassVar = "sequence"
    variable: ClassVar = "sequences"
    in_javascript: ClassVar = ("float32", "Float32Array")
    strangeness: ClassVar = "whatever the numbers say"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a sequence."""
        return self.steps, len(self.columns)

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `sequence`.

        Args:
            answer: Function from a batch of float32 sequences to a dictionary
                of tensors.
            expect: Function from the inputs of a split to the same dictionary
                of arrays, as the Keras model and NumPy have them.
        """

        @signature(sequence=tf.TensorSpec((None, *self.shape), tf.float32))
        def of_sequences(sequence):
            message = "sequence must be finite"
            return answer(tf.debugging.check_numerics(sequence, message))

        return Signature(of_sequences, lambda x: {"sequence": x}, expect)

    def endpoints(self, answer, expect) -> dict[str, Signature]:
        """Return the signature `serving_default`; see `endpoint`.

        It takes `sequence` float32 `(batch, steps, columns)`.
        """
        return {"serving_default": self.endpoint(answer, expect)}

    def examples(self, split, count: int) -> np.ndarray:
        """Return real sequences to verify a model with."""
        return split.inputs[:count]

    def into(self, graph):
        """Add the input `sequence` to a graph of another format.

        Args:
            graph: See `recipes.lab.export.onnx_graph`.

        Returns:
            The sequence.
        """
        names = ", ".join(column.title for column in self.columns)
        return graph.input(
            "sequence", self.shape, about=f"{names} at each step"
        )

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph: none."""
        return {}

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        rows = "\n".join(
            f"| `{name}` | {unit or '–'} | {about} |"
            for name, unit, about in self.columns
        )
        return (
            f"| column | unit | meaning |\n| --- | --- | --- |\n{rows}\n\n"
            f"{self.steps:,} steps of {len(self.columns)} numbers each, in "
            "this order and in raw units."
        )

    def comment(self) -> str:
        """Return what an example on the card says of its `sequences`."""
        steps, columns = self.shape
        return f"# sequences: float32, (n, {steps}, {columns}), in raw units"

    def use(self, name: str) -> str:
        """Return what else the card says of using the export.

        Args:
            name: Name of the export.
        """
        return (
            f'With the package installed, `zoo.load_model("{name}")` returns '
            "the Keras model.\n"
        )

    def gallery(self, path: Path, sequences, texts: list[str], alt: str) -> str:
        """Return some sequences as a part of a page; see `Images.gallery`."""
        from matplotlib.figure import Figure

        height = 1.3 * len(texts)
        figure = Figure(figsize=(8.8, height), layout="constrained")
        plots = figure.subplots(len(texts), squeeze=False, sharex=True)
        for axes, sequence, text in zip(
            plots.flat, sequences, texts, strict=True
        ):
            for column, values in zip(self.columns, sequence.T, strict=True):
                axes.plot(values, linewidth=1, label=column.title)
            axes.set_title(" ".join(text.split()), fontsize="medium")
            axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("step")
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=len(self.columns),
            frameon=False,
        )
        return page.figure_html(path, figure, alt)

    def weights_section(self, plots: Path, model, names: list[str]):
        """Return None: a first layer that is repeated is no picture."""
        del plots, model, names
