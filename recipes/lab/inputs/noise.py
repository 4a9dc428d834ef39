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


@dataclass(frozen=True)
class LabeledNoise(Noise):
    """Codes that begin with a label, float32 `(batch, classes + latent_dim)`.

    The label is a one among zeros; a standard normal distribution has the rest.

    Attributes:
        class_names: Name of each label.
    """

    class_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int]:
        """The shape of a code."""
        return (len(self.class_names) + self.latent_dim,)

    def draw(self, seed, count, label):
        """Return codes that depend on nothing but the arguments.

        Args:
            seed: An integer, or a tensor of one.
            count: How many; likewise.
            label: The label of all, likewise; or one for each.
        """
        labels = tf.broadcast_to(label, (count,))
        labels = tf.one_hot(labels, len(self.class_names))
        return tf.concat([labels, super().draw(seed, count)], axis=1)

    def examples(self, split, count: int) -> np.ndarray:
        """Return codes of one label after another, whatever the split."""
        labels = np.arange(count) % len(self.class_names)
        return self.draw(0, count, labels).numpy()

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `seed`, `count` and `label`.

        All are integers. The same three give the same pictures, in every call
        and process.

        Args:
            answer: Function from codes to a dictionary of tensors.
            expect: Function from codes to the same dictionary of arrays.
        """
        last = len(self.class_names) - 1
        asked = ASKED | {"label": np.int64(last)}

        def draw(seed, count, label):
            message = f"label must be from 0 to {last}"
            checks = [
                tf.debugging.assert_non_negative(label, message),
                tf.debugging.assert_less_equal(
                    label, tf.constant(last, tf.int64), message
                ),
            ]
            with tf.control_dependencies(checks):
                return answer(self.draw(seed, count, tf.identity(label)))

        return drawn_from_seed(draw, lambda: expect(self.draw(**asked)), asked)

    def comment(self) -> str:
        """Return what an example on the card says of its `codes`."""
        classes = len(self.class_names)
        return (
            f"# codes: float32, (n, {classes + self.latent_dim}), a one among "
            f"{classes} zeros for the label,\n"
            f"# then {self.latent_dim} numbers from a standard normal "
            "distribution"
        )

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        return (
            f"A `seed`, a `count`, 1 to {MOST:,}, and a `label`, 0 to "
            f"{len(self.class_names) - 1}, all int64. They\nstand for `count` "
            f"codes of the label and {self.latent_dim} numbers from a standard "
            "normal\ndistribution; the same three give the same pictures in "
            "every call.\n`assets/labels.txt` has the name of each label in a "
            "line."
        )


def drawn_from_seed(draw, expect, asked=ASKED) -> Signature:
    """Return the signature that takes `seed` and `count`, and maybe more.

    Args:
        draw: Function from these, tensors of an integer, to a dictionary of
            tensors. It may have no other source of chance.
        expect: Function of nothing, to the same dictionary of arrays for what
            is `asked`.
        asked: A number for each argument, to verify the signature with.
    """
    specs = [tf.TensorSpec((), tf.int64, name=name) for name in asked]

    @tf.function(input_signature=specs, autograph=False)
    def sample(seed, count, *others):
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
            return draw(seed, tf.identity(count), *others)

    return Signature(sample, lambda inputs: asked, lambda inputs: expect())
