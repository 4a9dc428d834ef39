"""Sites of a genome go in: the DNA around each, and what cells have nearby."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.inputs.signatures import Argument, Signature, signature
from recipes.lab.report import page
from zoo.genomics import BASES

UNKNOWN = len(BASES)  # the number of a letter that is none of these
LETTERS = BASES + "N"
SHOWN_BASES, SHOWN_SITES = 10, 4  # on each side of a site, on a page


@dataclass(frozen=True)
class Sites:
    """Sites that may be methylated, as a dictionary of two arrays.

    - `dna`: int32 `(batch, length)`, the letters around a site, which is in the
      middle, as their places in `BASES`
    - `cpg`: float32 `(batch, cells, neighbors, 2)`, the nearest sites that were
      measured in each cell, in their order, as many on the left as on the
      right: 1 if it is methylated, else 0, and its distance in letters

    Attributes:
        length: Number of letters.
        cells: Number of cells.
        neighbors: Number of sites that are known of each cell.
        about: What the cells are, for the card.
    """

    length: int
    cells: int
    neighbors: int
    about: str

    plural: ClassVar = "sites"
    hub_kind: ClassVar = "tabular"
    # The signature that every runtime can have; LiteRT and ONNX know no text.
    signature: ClassVar = "bases"
    strangeness: ClassVar = "whatever the letters say"

    @property
    def shape(self) -> dict[str, tuple[int, ...]]:
        """The shape of what is known of a site, by name."""
        return {"dna": (self.length,), "cpg": (self.cells, self.neighbors, 2)}

    @property
    def arguments(self) -> list[Argument]:
        """What the signature `bases` takes."""
        shape = self.shape
        return [
            Argument("dna", "letters", shape["dna"], ("int32", "Int32Array")),
            Argument(
                *("cpg", "known", shape["cpg"], ("float32", "Float32Array"))
            ),
        ]

    @property
    def sizes(self) -> dict[str, int]:
        """The arguments of a builder that are the data's."""
        return {
            "dna_length": self.length,
            "cells": self.cells,
            "neighbors": self.neighbors,
        }

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `dna`, numbers of letters, and `cpg`.

        Args:
            answer: Function from a dictionary of batches, as a model takes it,
                to a dictionary of tensors.
            expect: Function from the inputs of a split to the same dictionary
                of arrays, as the Keras model and NumPy have them.
        """

        @signature(
            dna=tf.TensorSpec((None, self.length), tf.int32), cpg=self._spec()
        )
        def of_bases(dna, cpg):
            message = f"dna must be from 0 to {UNKNOWN}"
            checks = [
                tf.debugging.assert_non_negative(dna, message),
                tf.debugging.assert_less_equal(dna, UNKNOWN, message),
            ]
            with tf.control_dependencies(checks):
                return answer({"dna": tf.identity(dna), "cpg": _known(cpg)})

        return Signature(of_bases, dict, expect)

    def endpoints(self, answer, expect) -> dict[str, Signature]:
        """Return the signatures `serving_default`, `text` and `bases`.

        - `serving_default` and `text`: `text` string `(batch,)`, letters; `cpg`
          float32 `(batch, cells, neighbors, 2)`
        - `bases`: `dna` int32 `(batch, length)`, and `cpg`

        See `endpoint`.
        """
        letters = tf.constant(list(LETTERS))

        @signature(text=tf.TensorSpec((None,), tf.string), cpg=self._spec())
        def of_text(text, cpg):
            found = tf.strings.bytes_split(tf.strings.upper(text))
            same = found.flat_values[:, tf.newaxis] == letters
            checks = [
                tf.debugging.assert_equal(
                    found.row_lengths(),
                    tf.constant(self.length, tf.int64),
                    f"text must have {self.length} letters",
                ),
                tf.debugging.assert_equal(
                    tf.reduce_any(same, axis=1),
                    True,
                    f"text must have no letters but {', '.join(LETTERS)}",
                ),
            ]
            with tf.control_dependencies(checks):
                numbers = tf.argmax(same, axis=1, output_type=tf.int32)
            dna = tf.reshape(numbers, (-1, self.length))
            return answer({"dna": dna, "cpg": _known(cpg)})

        text = Signature(
            of_text,
            lambda sites: {
                "text": np.array(self.write(sites["dna"])),
                "cpg": sites["cpg"],
            },
            expect,
        )
        return {
            "serving_default": text,
            "text": text,
            "bases": self.endpoint(answer, expect),
        }

    def _spec(self):
        return tf.TensorSpec((None, *self.shape["cpg"]), tf.float32)

    def read(self, texts) -> np.ndarray:
        """Return the numbers of the letters of texts, int32 `(n, length)`.

        Raises:
            ValueError: If a text has another length or other letters.
        """
        rows = []
        for text in texts:
            row = [LETTERS.find(letter) for letter in text.upper()]
            if len(row) != self.length or min(row) < 0:
                raise ValueError(
                    f"A text must be {self.length} of the letters {LETTERS}. "
                    f"Received: {text!r}"
                )
            rows.append(row)
        return np.array(rows, "int32")

    def write(self, dna) -> list[str]:
        """Return the letters of numbers `(n, length)` as texts."""
        return ["".join(row) for row in np.array([*LETTERS])[dna]]

    def examples(self, split, count: int) -> dict[str, np.ndarray]:
        """Return real sites to verify a model with."""
        return keras.tree.map_structure(lambda x: x[:count], split.inputs)

    def into(self, graph) -> dict:
        """Add the inputs `dna` and `cpg` to a graph of another format.

        Args:
            graph: See `recipes.lab.export.onnx_graph`.

        Returns:
            Both, as a model takes them.
        """
        about = {
            "dna": f"places of the letters in {LETTERS}",
            "cpg": "1 if methylated, else 0; and the distance in letters",
        }
        types = {"dna": "int32", "cpg": "float32"}
        return {
            name: graph.input(name, self.shape[name], types[name], words)
            for name, words in about.items()
        }

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph: none."""
        return {}

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        middle = self.length // 2
        return (
            f"Two inputs for each site. `text`: {self.length} letters of DNA, "
            f"the C of the site with\n{middle} of them before it; N is a "
            f"letter that nobody knows. `cpg`, float32 `(n, {self.cells}, "
            f"{self.neighbors}, 2)`:\nof each cell the {self.neighbors} "
            "nearest sites that were measured, half of them on each side, in\n"
            "the order of the genome: 1 if it is methylated, else 0, and its "
            f"distance in letters.\n{self.about}\n"
            f"Or, instead of `text`, `dna`, int32 `(n, {self.length})`: the "
            f"places of the letters in `{LETTERS}`,\nfrom 0."
        )

    def comment(self) -> str:
        """Return what an example says of its `letters`, and what is `known`."""
        sizes = f"{self.cells}, {self.neighbors}, 2"
        return (
            f"# letters: int32, (n, {self.length})\n"
            f"# known: float32, (n, {sizes})"
        )

    def use(self, name: str) -> str:
        """Return what the card says of the signature `text`.

        Args:
            name: Name of the export.
        """
        return f"""\
The signature `text` takes letters instead; it is the default of a server:

```python
text = tf.constant(["N" * {self.length}])
cpg = tf.zeros((1, {self.cells}, {self.neighbors}, 2))
answer = export.signatures["text"](text=text, cpg=cpg)
```

With the package installed, `zoo.load_model("{name}")` returns the Keras model,
which takes a dictionary of `dna` and `cpg`.
"""

    def gallery(self, path: Path, sites, texts: list[str], alt: str) -> str:
        """Return some sites as a part of a page; see `Images.gallery`."""
        del path, alt  # text needs no figure
        middle = self.length // 2
        letters = self.write(sites["dna"])
        cells = [[""] * self.cells for _ in letters]
        half = self.neighbors // 2
        for row, states in zip(cells, sites["cpg"][..., 0], strict=True):
            for i, cell in enumerate(states):
                dots = ["○●"[int(state)] for state in cell]
                left = "".join(dots[half - SHOWN_SITES : half])
                row[i] = f"{left}·{''.join(dots[half : half + SHOWN_SITES])}"
        rows = [
            (
                " ".join(text.split()),
                f"{dna[middle - SHOWN_BASES : middle].lower()}"
                f"{dna[middle : middle + 2]}"
                f"{dna[middle + 2 : middle + 2 + SHOWN_BASES].lower()}",
                "  ".join(row),
            )
            for text, dna, row in zip(texts, letters, cells, strict=True)
        ]
        header = ("", "DNA", "nearest sites of each cell, ● methylated")
        return page.table(rows, header)

    def weights_section(self, plots: Path, model, names: list[str]):
        """Return None: what the first layer looks for is for the recipe."""
        del plots, model, names


def _known(cpg):
    """Refuse a number that is missing: it would get an answer."""
    return tf.debugging.check_numerics(cpg, "cpg must be finite")
