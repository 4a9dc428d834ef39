"""Text goes in, as a sequence of known words."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from recipes.lab.inputs.signatures import (
    DRAWN_BY,
    DRAWN_BY_ASKED,
    Signature,
    signature,
)
from recipes.lab.report import page

PADDING = 0  # what comes before the first word of a short text
TEXT = tf.TensorSpec((None,), tf.string)


@dataclass(frozen=True)
class Tokens:
    """Words as their numbers in a vocabulary, int32 `(batch, length)`.

    The first word of the vocabulary has the number 1. A text that is shorter
    than `length` has zeros before its first word, so that what a recurrent
    network reads last is a word; of a longer one the last words count.

    Attributes:
        vocabulary: The words.
        length: How many a model reads.
        plural: What examples are called.
        about: What the words are, for the card.
    """

    vocabulary: tuple[str, ...]
    length: int
    plural: str
    about: str

    hub_kind: ClassVar = "text"
    # How an example on the card asks, with which argument and variable.
    signature: ClassVar = "tokens"
    argument: ClassVar = "tokens"
    variable: ClassVar = "tokens"
    in_javascript: ClassVar = ("int32", "Int32Array")
    strangeness: ClassVar = "whatever the text says"

    @property
    def shape(self) -> tuple[int]:
        """The shape of a text."""
        return (self.length,)

    def read(self, texts) -> np.ndarray:
        """Return the numbers of the words of texts, int32 `(n, length)`.

        Raises:
            ValueError: If a word is not in the vocabulary.
        """
        numbers = {word: i for i, word in enumerate(self.vocabulary, start=1)}
        rows = np.full((len(texts), self.length), PADDING, "int32")
        for row, text in zip(rows, texts, strict=True):
            words = text.split()[-self.length :]
            if unknown := [word for word in words if word not in numbers]:
                raise ValueError(f"Unknown word: {unknown[0]}")
            if words:
                row[-len(words) :] = [numbers[word] for word in words]
        return rows

    def write(self, tokens) -> list[str]:
        """Return the texts of numbers `(n, length)`, a blank between words."""
        words = np.array(["", *self.vocabulary])
        return [" ".join(words[row[row != PADDING]]) for row in tokens]

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `tokens`, numbers of words.

        Args:
            answer: Function from a batch of int32 numbers to a dictionary of
                tensors.
            expect: Function from the inputs of a split to the same dictionary
                of arrays, as the Keras model and NumPy have them.
        """

        @signature(tokens=tf.TensorSpec((None, self.length), tf.int32))
        def of_tokens(tokens):
            checks = self._checks(tokens)
            with tf.control_dependencies(checks):
                return answer(tf.identity(tokens))

        return Signature(of_tokens, lambda tokens: {"tokens": tokens}, expect)

    def _checks(self, tokens) -> list:
        """Return what refuses numbers that stand for no text."""
        last = len(self.vocabulary)
        message = f"tokens must be from 0 to {last}"
        return [
            tf.debugging.assert_non_negative(tokens, message),
            tf.debugging.assert_less_equal(tokens, last, message),
        ]

    def endpoints(self, answer, expect) -> dict[str, Signature]:
        """Return the signatures `serving_default`, `text` and `tokens`.

        - `serving_default` and `text`: `text` string `(batch,)`, words with
          blanks between them
        - `tokens`: `tokens` int32 `(batch, length)`

        See `endpoint`.
        """

        @signature(text=TEXT)
        def of_text(text):
            return answer(self.numbers_of(text))

        text = Signature(
            of_text,
            lambda tokens: {"text": self._texts(tokens)},
            expect,
        )
        return {
            "serving_default": text,
            "text": text,
            "tokens": self.endpoint(answer, expect),
        }

    def drawn(self, answer, expect) -> Signature:
        """Return the signature that takes `text`, `seed` and `temperature`.

        Args:
            answer: Function from numbers of words, the seed and the temperature
                to a dictionary of tensors.
            expect: Function from the inputs of a split, the seed and the
                temperature to the same dictionary of arrays.
        """

        @signature(text=TEXT, **DRAWN_BY)
        def of_text(text, seed, temperature):
            return answer(self.numbers_of(text), seed, temperature)

        return Signature(
            of_text,
            lambda tokens: {"text": self._texts(tokens), **DRAWN_BY_ASKED},
            lambda tokens: expect(tokens, **DRAWN_BY_ASKED),
        )

    def _texts(self, tokens) -> np.ndarray:
        return np.array(self.write(tokens))

    def numbers_of(self, text):
        """Return the numbers of the words of a tensor of texts; see `read`."""
        words = tf.constant(self.vocabulary)
        found = tf.strings.split(text)
        # The number of a word is its place among the known ones.
        same = found.flat_values[:, tf.newaxis] == words
        checks = [
            tf.debugging.assert_equal(
                tf.reduce_any(same, axis=1),
                True,
                "a word of the text is not in the vocabulary",
            )
        ]
        with tf.control_dependencies(checks):
            numbers = 1 + tf.argmax(same, axis=1, output_type=tf.int32)
        return self._from_the_end(found.with_flat_values(numbers))

    def _from_the_end(self, numbers):
        """Return the last of ragged numbers, with zeros before the first."""
        backwards = tf.reverse(numbers, [1]).to_tensor(
            PADDING, shape=(None, self.length)
        )
        return backwards[:, ::-1]

    def examples(self, split, count: int) -> np.ndarray:
        """Return real texts to verify a model with."""
        return split.inputs[:count]

    def into(self, graph):
        """Add the input `tokens` to a graph of another format.

        Args:
            graph: See `recipes.lab.export.onnx_graph`.

        Returns:
            The numbers of the words.
        """
        about = "numbers of words, see vocabulary.txt; 0 before the first one"
        return graph.input("tokens", self.shape, "int32", about)

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph."""
        return {"vocabulary.txt": "\n".join(self.vocabulary) + "\n"}

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        return (
            f"{self.about}: up to {self.length} words with blanks between "
            f"them, of the {len(self.vocabulary)}\nthat "
            "`assets/vocabulary.txt` lists. Of more words the last ones count; "
            "one that is not\nlisted is refused. Or `tokens`, int32 `(n, "
            f"{self.length})`: the numbers of the lines there, the\nfirst is "
            "1, with zeros before the first word."
        )

    def comment(self) -> str:
        """Return what an example on the card says of its `tokens`."""
        return f"# tokens: int32, (n, {self.length}), zeros first"

    def use(self, name: str) -> str:
        """Return what the card says of the signature `text`.

        Args:
            name: Name of the export.
        """
        example = " ".join(self.vocabulary[:3])
        return f"""\
The signature `text` takes words instead; it is the default of a server:

```python
answer = export.signatures["text"](text=tf.constant(["{example}"]))
```

With the package installed, `zoo.load_model("{name}")` returns the Keras model.

With TensorFlow Serving watching `saved_models/{name}`:

```sh
printf '%s' '{{"instances": ["{example}"]}}' |
  curl -s -d @- http://localhost:8501/v1/models/{name}:predict
```
"""

    def gallery(self, path: Path, tokens, texts: list[str], alt: str) -> str:
        """Return some texts as a part of a page; see `Images.gallery`."""
        del path, alt  # text needs no figure
        rows = [
            (" ".join(text.split()), words)
            for text, words in zip(texts, self.write(tokens), strict=True)
        ]
        return page.table(rows, ("", "text"))

    def weights_section(self, plots: Path, model, names: list[str]):
        """Return None: a first layer of words is no picture."""
        del plots, model, names
