"""Images go in: as raw pixels, or as PNG and JPEG files."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.inputs import image_files
from recipes.lab.inputs.signatures import (
    DRAWN_BY,
    DRAWN_BY_ASKED,
    Signature,
    signature,
)
from recipes.lab.report import page, seen


@dataclass(frozen=True)
class Images:
    """Raw pixels, 0 to 255, uint8 `(batch, height, width, channels)`.

    Attributes:
        shape: Height, width and channels of an image.
        polarity: What is bright, such as `"white on black"`.
        preparation: What the card says of how to make other pictures alike.
    """

    shape: tuple[int, int, int]
    polarity: str
    preparation: str = ""

    # What examples are called, here and by Hugging Face; what a model answers
    # to, all the same.
    plural: ClassVar = "images"
    hub_kind: ClassVar = "image"
    # How an example on the card asks, with which argument and variable.
    signature: ClassVar = "serving_default"
    argument: ClassVar = "image"
    variable: ClassVar = "images"
    in_javascript: ClassVar = ("uint8", "Uint8Array")
    strangeness: ClassVar = "whatever the picture shows"

    def endpoint(self, answer, expect) -> Signature:
        """Return the signature that takes `image`, raw pixels.

        Args:
            answer: Function from a batch of float32 pixels to a dictionary of
                tensors.
            expect: Function from the inputs of a split to the same dictionary
                of arrays, as the Keras model and NumPy have them.
        """

        @signature(image=tf.TensorSpec((None, *self.shape), tf.uint8))
        def of_pixels(image):
            return answer(tf.cast(image, tf.float32))

        return Signature(of_pixels, lambda images: {"image": images}, expect)

    def endpoints(self, answer, expect) -> dict[str, Signature]:
        """Return the signatures `serving_default` and `image_bytes`.

        - `serving_default`: `image` uint8 `(batch, height, width, channels)`
        - `image_bytes`: `image_bytes` string `(batch,)`, PNG or JPEG files

        See `endpoint`.
        """

        @signature(image_bytes=tf.TensorSpec((None,), tf.string))
        def of_files(image_bytes):
            images = tf.map_fn(
                lambda contents: image_files.decode(contents, self.shape),
                image_bytes,
                fn_output_signature=tf.TensorSpec(self.shape, tf.uint8),
            )
            return answer(tf.cast(images, tf.float32))

        return {
            "serving_default": self.endpoint(answer, expect),
            "image_bytes": Signature(of_files, _png_files, expect),
        }

    def drawn(self, answer, expect) -> Signature:
        """Return the signature that takes `image`, `seed` and `temperature`.

        Args:
            answer: Function from a batch of float32 pixels, the seed and the
                temperature to a dictionary of tensors.
            expect: Function from the inputs of a split, the seed and the
                temperature to the same dictionary of arrays.
        """

        @signature(
            image=tf.TensorSpec((None, *self.shape), tf.uint8), **DRAWN_BY
        )
        def of_pixels(image, seed, temperature):
            return answer(tf.cast(image, tf.float32), seed, temperature)

        return Signature(
            of_pixels,
            lambda images: {"image": images, **DRAWN_BY_ASKED},
            lambda images: expect(images, **DRAWN_BY_ASKED),
        )

    def into(self, graph):
        """Add the input `image`, raw pixels, to a graph of another format.

        Args:
            graph: See `recipes.lab.export.onnx_graph`.

        Returns:
            The pixels, as floats.
        """
        about = f"raw pixels, 0 to 255, {self.polarity}"
        image = graph.input("image", self.shape, "uint8", about)
        return graph.cast(image, "float32")

    def assets(self) -> dict[str, str]:
        """Return the files that an export keeps beside the graph: none."""
        return {}

    def examples(self, split, count: int) -> np.ndarray:
        """Return real images to verify a model with."""
        return split.inputs[:count]

    def card(self) -> str:
        """Return the paragraph of the card on what goes in."""
        height, width, channels = self.shape
        preparation = f"\n{self.preparation}" if self.preparation else ""
        return (
            f"Raw pixels, 0 to 255, `({height}, {width}, {channels})`, "
            f"**{self.polarity}**.\n"
            f"Do not divide by 255: the model does that.{preparation}"
        )

    def comment(self) -> str:
        """Return what an example on the card says of its `images`."""
        height, width, channels = self.shape
        return f"# images: uint8, (n, {height}, {width}, {channels})"

    def use(self, name: str) -> str:
        """Return what the card says of the signature `image_bytes`.

        Args:
            name: Name of the export.
        """
        grey = self.shape[-1] == 1
        colors = "grey" if grey else "RGB"
        ink = (
            "; ink of one\n"
            "tone on a transparent sheet becomes white, in any color"
            if grey
            else ""
        )
        return f"""\
The signature `image_bytes` takes PNG or JPEG files instead, in any size up to
{image_files.LARGEST_SIDE:,} pixels a side. It turns them upright as their \
EXIF says, makes
them {colors} and resizes them. What is transparent becomes black{ink}.
It refuses transparent pictures too dark to be seen on black, PNG files of 16
bits that use less than half of their range, and JPEG files for print (CMYK).

With the package installed, `zoo.load_model("{name}")` returns the Keras model,
and `zoo.load_predictor("{name}")` a fast function from images to answers;
`python -m zoo predict {name} FILES...` answers to picture files.

With TensorFlow Serving watching `saved_models/{name}`, for a file:

```sh
printf '{{"signature_name": "image_bytes", "instances": [{{"b64": "%s"}}]}}' \\
  "$(base64 < image.png | tr -d '\\n')" |
  curl -s -d @- http://localhost:8501/v1/models/{name}:predict
```
"""

    def gallery(self, path: Path, images, texts: list[str], alt: str) -> str:
        """Return some examples as a part of a page, each with its text.

        Args:
            path: Where a figure goes.
            images: The examples.
            texts: What to say of each, in a few short lines.
            alt: What is to be seen, for those who cannot.
        """
        figure = page.tiles(
            np.asarray(images), texts, columns=6, cmap="gray", limits=(0, 255)
        )
        return page.figure_html(path, figure, alt)

    def weights_section(self, plots: Path, model, names: list[str]):
        """Return the section with what the first layer looks for, or None.

        Args:
            plots: The folder of the figures.
            model: The trained model.
            names: Names of its outputs.
        """
        layer = seen.first_with_kernel(model)
        if layer is None:
            return None
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        if kernel.ndim == 2 and len(kernel) == np.prod(self.shape):
            if layer.output is not model.output:
                names = []  # these are the weights of hidden neurons
            kernel = kernel.reshape(*self.shape, -1)
        if kernel.ndim != 4:
            return None
        return seen.filters_section(plots, kernel, names, self.shape[:2])


def _png_files(images) -> dict[str, np.ndarray]:
    files = [tf.io.encode_png(image).numpy() for image in images]
    return {"image_bytes": np.array(files)}
