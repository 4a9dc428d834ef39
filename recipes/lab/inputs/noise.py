"""Noise goes in: codes, which a seed and a count stand for."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from recipes.lab.inputs.signatures import Signature

MOST = 10_000  # pictures that are drawn at once
ASKED = {"seed": np.int64(7), "count": np.int64(5)}  # in the verification


@dataclass(frozen=True)
class Noise:
    """Codes from a standard normal distribution, float32 `(batch, latent_dim)`.

    Attributes:
        latent_dim: Length of a code.
    """

    latent_dim: int

    # How an example on the card asks with codes of one's own.
    signature: ClassVar = "decode"
    argument: ClassVar = "code"
    variable: ClassVar = "codes"
    in_javascript: ClassVar = ("float32", "Float32Array")

    def draw(self, seed, count):
        """Return codes that depend on nothing but the arguments.

        Args:
            seed: An integer, or a tensor of one.
            count: How many; likewise.
        """
        seed = tf.cast(seed, tf.int64)
        return tf.random.stateless_normal(
            (count, self.latent_dim), tf.stack([seed, 0]), alg="philox"
        )

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph: none."""
        return {}

    def examples(self, split, count: int) -> np.ndarray:
        """Return codes to verify a model with, whatever the split."""
        return self.draw(0, count).numpy()

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `seed` and `count`, integers.

        The same two give the same pictures, in every call and process.

        Args:
            answer: Function from codes to a dictionary of tensors.
            expect: Function from codes to the same dictionary of arrays.
        """

        def draw(seed, count):
            return answer(self.draw(seed, count))

        return drawn_from_seed(draw, lambda: expect(self.draw(**ASKED)))

    @property
    def shape(self) -> tuple[int]:
        """The shape of a code."""
        return (self.latent_dim,)

    def comment(self) -> str:
        """Return what an example on the card says of its `codes`."""
        return (
            f"# codes: float32, (n, {self.latent_dim}), from a standard normal "
            "distribution"
        )

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        return (
            f"A `seed` and a `count`, 1 to {MOST:,}, both int64. They stand "
            f"for `count` codes of\n{self.latent_dim} numbers from a standard "
            "normal distribution; the same two give the same\npictures in "
            "every call."
        )


def drawn_from_seed(draw, expect) -> Signature:
    """Return the signature that takes `seed` and `count` and nothing else.

    Args:
        draw: Function from the two, tensors of an integer, to a dictionary of
            tensors. It may have no other source of chance.
        expect: Function of nothing, to the same dictionary of arrays for the
            seed and the count that are `ASKED`.
    """
    number = tf.TensorSpec((), tf.int64)

    @tf.function(input_signature=[number, number], autograph=False)
    def sample(seed, count):
        checks = [
            tf.debugging.assert_positive(
                count, message="count must be 1 or more"
            ),
            tf.debugging.assert_less_equal(
                *(count, tf.constant(MOST, tf.int64)),
                message=f"count must be at most {MOST:,}",
            ),
        ]
        with tf.control_dependencies(checks):
            return draw(seed, tf.identity(count))

    return Signature(sample, lambda inputs: ASKED, lambda inputs: expect())
