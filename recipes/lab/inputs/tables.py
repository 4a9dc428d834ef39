"""Rows of a table go in: one number for each named column, in raw units."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.inputs.signatures import Signature, signature
from recipes.lab.report import page, seen

NOT_STATED = "not stated"  # a unit that the source of the data does not give


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: Its name, a Python identifier: signatures have arguments of it.
        unit: What its numbers count, such as `"cm"`; "" if it has no unit.
        about: What it is, in words.
    """

    name: str
    unit: str = ""
    about: str = ""

    @property
    def title(self) -> str:
        """Its name, with the unit if that is known: `petal_length (cm)`."""
        if self.unit in ("", NOT_STATED):
            return self.name
        return f"{self.name} ({self.unit})"


@dataclass(frozen=True)
class Tables:
    """Rows of numbers in their raw units, float32 `(batch, columns)`.

    Attributes:
        columns: The columns, in order.
    """

    columns: tuple[Column, ...]

    plural: ClassVar = "rows"
    hub_kind: ClassVar = "tabular"
    # How an example on the card asks, with which argument and variable.
    signature: ClassVar = "serving_default"
    argument: ClassVar = "features"
    variable: ClassVar = "features"
    in_javascript: ClassVar = ("float32", "Float32Array")
    strangeness: ClassVar = "whatever the row says"

    @property
    def shape(self) -> tuple[int]:
        """The shape of a row."""
        return (len(self.columns),)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `features`, whole rows.

        Args:
            answer: Function from a batch of float32 rows to a dictionary of
                tensors.
            expect: Function from the inputs of a split to the same dictionary
                of arrays, as the Keras model and NumPy have them.
        """

        @signature(features=tf.TensorSpec((None, *self.shape), tf.float32))
        def of_rows(features):
            return answer(_finite(features))

        return Signature(of_rows, lambda rows: {"features": rows}, expect)

    def endpoints(self, answer, expect) -> dict[str, Signature]:
        """Return the signatures `serving_default` and `columns`.

        - `serving_default`: `features` float32 `(batch, columns)`, in order
        - `columns`: each column by its name, float32 `(batch,)`, in any order

        See `endpoint`.
        """
        specs = {
            name: tf.TensorSpec((None,), tf.float32) for name in self.names
        }

        @signature(**specs)
        def of_columns(*columns):
            return answer(_finite(tf.stack(columns, axis=1)))

        def ask(rows):
            return dict(zip(self.names, np.transpose(rows), strict=True))

        return {
            "serving_default": self.endpoint(answer, expect),
            "columns": Signature(of_columns, ask, expect),
        }

    def examples(self, split, count: int) -> np.ndarray:
        """Return real rows to verify a model with."""
        return split.inputs[:count]

    def into(self, graph):
        """Add the input `features`, whole rows, to a graph of another format.

        Args:
            graph: See `recipes.lab.export.onnx_graph`.

        Returns:
            The rows.
        """
        about = f"{', '.join(self.names)}, in raw units"
        return graph.input("features", self.shape, about=about)

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Column._fields)
        writer.writerows(self.columns)
        return {"columns.csv": text.getvalue()}

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        rows = "\n".join(
            f"| `{name}` | {unit or '–'} | {about} |"
            for name, unit, about in self.columns
        )
        return (
            f"| column | unit | meaning |\n| --- | --- | --- |\n{rows}\n\n"
            f"Rows of {len(self.columns)} numbers in raw units, in this order; "
            "`assets/columns.csv` has it, too.\n"
            "Do not standardize them: the model does that. Every number must "
            "be there."
        )

    def comment(self) -> str:
        """Return what an example on the card says of its `features`."""
        return f"# features: float32, (n, {len(self.columns)}), in raw units"

    def use(self, name: str) -> str:
        """Return what the card says of the signature `columns`.

        Args:
            name: Name of the export.
        """
        example = ", ".join(f'"{column}": 1.0' for column in self.names)
        return f"""\
The signature `columns` takes each column by its name instead, in any order.

With the package installed, `zoo.load_model("{name}")` returns the Keras model.

With TensorFlow Serving watching `saved_models/{name}`, a row is an object:

```sh
printf '%s' '{{"signature_name": "columns", "instances": [{{{example}}}]}}' |
  curl -s -d @- http://localhost:8501/v1/models/{name}:predict
```
"""

    def gallery(self, path: Path, rows, texts: list[str], alt: str) -> str:
        """Return some rows as a part of a page; see `Images.gallery`."""
        del path, alt  # a table needs no figure
        body = [
            [" ".join(text.split()), *(f"{value:.4g}" for value in row)]
            for text, row in zip(texts, rows, strict=True)
        ]
        header = ["", *(column.title for column in self.columns)]
        return page.table(body, header)

    def weights_section(self, plots: Path, model, names: list[str]):
        """Return the section with the weights of the first layer, if any."""
        layer = seen.first_with_kernel(model)
        if layer is None or layer.kernel.shape[0] != len(self.columns):
            return None
        return seen.bars_section(
            plots / "weights.png",
            heading="The weights of the first layer",
            caption="What a standard deviation more of a column adds to the "
            "weighted sum.",
            labels=[column.title for column in self.columns],
            bars=keras.ops.convert_to_numpy(layer.kernel),
        )


def _finite(rows):
    """Refuse a row in which a number is missing: it would get an answer."""
    return tf.debugging.check_numerics(rows, "features must be finite")
