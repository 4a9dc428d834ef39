"""Text goes in, as a sequence of letters."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from recipes.lab.inputs.tokens import PADDING, Tokens
from zoo import encoder_decoders


@dataclass(frozen=True)
class Letters(Tokens):
    """Letters as their numbers in an alphabet, int32 `(batch, length)`.

    The vocabulary is the alphabet: a letter is whatever character it has.
    Capital letters are read as small ones, and blanks around a text are left
    out. What is empty, too long, or has another character is refused.

    Attributes:
        example: A text that the card may ask with.
    """

    example: str

    @property
    def alphabet(self) -> str:
        """The letters that are known, in the order of their numbers."""
        return "".join(self.vocabulary)

    def read(self, texts) -> np.ndarray:
        """Return the numbers of the letters of texts, int32 `(n, length)`.

        Raises:
            ValueError: If a text is empty or too long, or has a character that
                is not in the alphabet.
        """
        return encoder_decoders.read_letters(texts, self.alphabet, self.length)

    def write(self, tokens) -> list[str]:
        """Return the texts of numbers `(n, length)`."""
        letters = np.array(["", *self.vocabulary])
        return ["".join(letters[row]) for row in tokens]

    def numbers_of(self, text):
        """Return the numbers of the letters of texts, a tensor; see `read`."""
        if self.alphabet == self.alphabet.lower():
            text = tf.strings.lower(text, encoding="utf-8")
        text = tf.strings.strip(text)
        lengths = tf.strings.length(text, unit="UTF8_CHAR")
        checks = [
            tf.debugging.assert_positive(
                lengths, "a text is empty; it needs a letter or more"
            ),
            tf.debugging.assert_less_equal(
                *(lengths, self.length),
                f"a text may have {self.length} characters, and one has more",
            ),
        ]
        with tf.control_dependencies(checks):
            found = tf.strings.unicode_split(text, "UTF-8")
        same = found.flat_values[:, tf.newaxis] == tf.constant(self.vocabulary)
        checks = [
            tf.debugging.assert_equal(
                tf.reduce_any(same, axis=1),
                True,
                "a character of a text is not known; there are: "
                f"{self.alphabet!r}",
            )
        ]
        with tf.control_dependencies(checks):
            numbers = 1 + tf.argmax(same, axis=1, output_type=tf.int32)
        return self._from_the_end(found.with_flat_values(numbers))

    def _checks(self, tokens) -> list:
        """Return what refuses numbers that stand for no text."""
        is_text = tf.reduce_any(tokens != PADDING, axis=1)
        message = "the tokens of a text are all 0; it needs a letter or more"
        return [
            *super()._checks(tokens),
            tf.debugging.assert_equal(is_text, True, message),
        ]

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        return f"""\
{self.about}: 1 to {self.length} of the characters
`{self.alphabet}`,
in capital or in small letters; blanks around a text are left out. What is
empty, too long, or has another character is refused. Or `tokens`, int32
`(n, {self.length})`: the numbers of the characters, by their lines in
`assets/vocabulary.txt`; the first is 1, with zeros before the first
character."""

    def use(self, name: str) -> str:
        """Return what the card says of the signature `text`.

        Args:
            name: Name of the export.
        """
        return f"""\
With TensorFlow Serving watching `saved_models/{name}`, whose default it is:

```sh
printf '%s' '{{"instances": ["{self.example}"]}}' |
  curl -s -d @- http://localhost:8501/v1/models/{name}:predict
```
"""
