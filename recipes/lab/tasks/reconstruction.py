"""The inputs come out again: how an autoencoder is scored, served and shown."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.signatures import Signature, signature
from recipes.lab.metrics import EXCESS_CROSS_ENTROPY, MSE, PSNR
from recipes.lab.report import encoded, seen
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow

SEED = 0  # of the noise of what is scored, the same for every run
# Of an image that PCA solves by the covariance of its pixels; and of all the
# images that it is fitted to, MNIST's being 43 million.
MOST_PIXELS, MOST_NUMBERS = 1_024, 100_000_000


@dataclass(frozen=True)
class Reconstruction(Task):
    """A model from images to the same images, through a code.

    It has two sub-models, `encoder` and `decoder`.

    Attributes:
        data: The data set.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "image-feature-extraction"
    hub_metric: ClassVar = "mse"
    # The first is the one that counts.
    metrics: ClassVar = (MSE, PSNR)
    # What training's loss is compared with: a metric, and a fact of the report.
    loss: ClassVar = (MSE, "Squared error")
    # The output of the signatures that says it all.
    answered: ClassVar = "reconstruction"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

    def score(
        self,
        model: keras.Model,
        split: Split,
        inputs: np.ndarray | None = None,
        quiet: bool = False,
    ) -> Scores:
        """Compare the images of a split with what a model makes of them.

        Args:
            model: A model from raw pixels to pictures in [0, 1].
            split: The images, usually the test set's.
            inputs: What the model gets to see instead of the images, of their
                shape and scale: with noise, for one that is to take it away.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The reconstructions, float32, of the images' shape and clipped to
            [0, 1], and the metrics, which are means over all pixels and images:

            - `test_mse`: squared error.
            - `test_excess_cross_entropy`: binary cross-entropy in nats, less
              the entropy of the images, which no model can undercut.
            - `test_psnr`: peak signal-to-noise ratio in decibels, the mean
              over images.
        """
        if not quiet:
            say_what_is_scored(split)
        shown = split.inputs if inputs is None else inputs
        pictures = np.clip(predict(model, shown), 0, 1)
        return replace(self.score_answers(pictures, split), inputs=inputs)

    def score_answers(self, pictures, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        truth = in_unit_range(split.inputs)
        metrics = {
            MSE.name: float(np.mean(squared_errors(pictures, truth))),
            EXCESS_CROSS_ENTROPY.name: _cross_entropy(truth, pictures)
            - _cross_entropy(truth, truth),
            PSNR.name: psnr(pictures, truth),
        }
        return Scores(split, pictures, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model without the two halves.

        Raises:
            ValueError: If there is no `encoder` or `decoder`.
        """
        for half in ("encoder", "decoder"):
            model.get_layer(half)

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of an autoencoder.

        - `serving_default` and `reconstruct`: `image` to `reconstruction` and
          `pixels`
        - `encode`: `image` to `code` float32 `(batch, latent_dim)`
        - `decode`: `code` to `reconstruction` and `pixels`

        A `reconstruction` is float32 in [0, 1]; `pixels` are the same as uint8,
        which another model accepts as its `image`. An output is never named
        like an input: ONNX has no such graph, and OpenVINO renames it.
        """
        encoder = zoo.feature_extractor(model)
        decoder = model.get_layer("decoder")

        def answer(pictures):
            pictures = tf.clip_by_value(pictures, 0.0, 1.0)
            pixels = tf.cast(tf.round(255 * pictures), tf.uint8)
            return {"reconstruction": pictures, "pixels": pixels}

        def expect(images):
            pictures = np.clip(model(images, training=False).numpy(), 0, 1)
            pixels = np.round(255 * pictures).astype("uint8")
            return {"reconstruction": pictures, "pixels": pixels}

        def codes_of(images):
            return {"code": encoder(images, training=False).numpy()}

        reconstruct = self.data.inputs.endpoint(
            lambda image: answer(model(image, training=False)), expect
        )
        encode = self.data.inputs.endpoint(
            lambda image: {"code": encoder(image, training=False)}, codes_of
        )

        @signature(code=tf.TensorSpec(decoder.input_shape, tf.float32))
        def decode(code):
            code = tf.debugging.check_numerics(code, "code must be finite")
            return answer(decoder(code, training=False))

        return {
            "serving_default": reconstruct,
            "reconstruct": reconstruct,
            "encode": encode,
            "decode": Signature(decode, codes_of, expect),
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        - `model`: `image` to `reconstruction`, `pixels` and `code`
        - `decoder`: `code` to `reconstruction` and `pixels`
        """

        def answer(graph, pictures):
            pictures = graph.node("Clip", pictures, 0.0, 1.0)
            graph.output("reconstruction", pictures)
            graph.output("pixels", pixels_in(graph, pictures))

        decoder = model.get_layer("decoder")
        whole, half = new_graph(), new_graph()
        answer(whole, whole.add(model, self.inputs.into(whole)))
        whole.output("code", whole.layers["encoder"])
        code = half.input("code", decoder.input_shape[1:])
        answer(half, half.add(decoder, code))
        return {"model": whole, "decoder": half}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return "Pictures come out in [0, 1], and as\nuint8 pixels."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        return f"""\
{loaded_by_tensorflow(name, version)}
{self.data.inputs.comment()}
code = export.signatures["encode"](image=images)["code"]
answer = export.signatures["decode"](code=code)
print(answer["reconstruction"])  # float32 in [0, 1]; "pixels" has it as uint8
```

The signature `reconstruct`, which is `serving_default` too, goes all the way.
With the package installed, `model = zoo.load_model("{name}")` is the
Keras model. `zoo.feature_extractor(model)` takes raw pixels as well and returns
codes, `model.get_layer("decoder")` takes codes. The layer `encoder` alone takes
pixels in [0, 1], for what rescales them comes before it.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} and nothing else: other pictures come out "
            f"as the nearest\nthing to {title} that it can draw."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        codes = predict(zoo.feature_extractor(model), scores.split.inputs)
        drawings = _unit_drawings(model.get_layer("decoder"), codes)
        return self.report_of_codes(scores, codes, drawings, plots)

    def report_of_codes(self, scores, codes, drawings, plots: Path) -> Parts:
        """Return what the report says, given what is in the model.

        Args:
            scores: The model's answers to the test set.
            codes: The codes of the test images, `(n, latent_dim)`.
            drawings: What each unit of the code draws, `(latent_dim, height,
                width, channels)`.
            plots: The folder of the figures.
        """
        test, pictures, metrics = scores.split, scores.outputs, scores.metrics
        truth = in_unit_range(test.inputs)
        rows = [truth, pictures]
        if scores.inputs is not None:
            rows.insert(1, scores.inputs / 255)
        errors = squared_errors(pictures, truth)
        labels = np.asarray(test.targets)
        names = [str(name) for name in self.data.class_names]
        excess = EXCESS_CROSS_ENTROPY.write(metrics[EXCESS_CROSS_ENTROPY.name])
        decibels = PSNR.write(metrics[PSNR.name])
        facts = {
            "Squared error": f"{MSE.write(metrics[MSE.name])} per pixel in "
            "[0, 1]",
            "Cross-entropy": f"{excess} per pixel above the entropy of the "
            "images, which is the floor",
            "PSNR": decibels,
            "Code": f"{codes.shape[1]} numbers for {test.inputs[0].size}, of "
            f"mean size {np.abs(codes).mean():.2g}; "
            f"{100 * np.mean(codes == 0):.0f} % are zero",
        }
        headline = (
            f'<p class="number">{errors.mean():.4f}</p>\n'
            "<p>is the mean squared error of a pixel, on a scale from 0 to 1, "
            f"over the {len(test):,} test images: {decibels}.</p>"
        )
        before = [encoded.strips_section(plots, rows, errors, labels)]
        after = [
            encoded.code_map_section(plots, codes, labels, names),
            seen.drawings_section(plots, drawings),
        ]
        return Parts(headline, facts, before, after)


@dataclass(frozen=True)
class Denoising(Reconstruction):
    """A model from noisy images to the images as they were, through a code.

    Attributes:
        noise: Standard deviation of the noise; 1 is the range of a pixel.
    """

    noise: float

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Compare the images of a split with what a model makes of noisy ones.

        Args:
            model: A model from raw pixels to pictures in [0, 1].
            split: The images, usually the test set's, without the noise. That
                is the same for every run.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            As of `Reconstruction`, and as `noisy_test_psnr` what the noise
            itself leaves of the images.
        """
        noisy = add_noise(split.inputs, self.noise, SEED)
        scores = super().score(model, split, noisy, quiet)
        before = psnr(noisy / 255, in_unit_range(split.inputs))
        scores.metrics[f"noisy_{PSNR.name}"] = before
        return scores


def squared_errors(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each picture's pixels, `(n,)`."""
    differences = (pictures - truth).reshape(len(truth), -1)
    return np.mean(np.square(differences), axis=1)


def psnr(pictures: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean peak signal-to-noise ratio of pictures, in decibels."""
    errors = np.maximum(squared_errors(pictures, truth), 1e-10)
    return float(np.mean(-10 * np.log10(errors)))


def pixels_in(graph, pictures):
    """Return pictures in [0, 1] as uint8 pixels, in a graph of another format.

    Args:
        graph: See `recipes.lab.export.onnx_graph`.
        pictures: A tensor of it.
    """
    pixels = graph.node("Round", graph.node("Mul", pictures, 255.0))
    return graph.cast(pixels, "uint8")


def add_noise(images: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """Return images with Gaussian noise, clipped to the range of pixels.

    Args:
        images: uint8 pixels.
        deviation: Standard deviation of the noise; 1 is the range of a pixel.
        seed: Seed of the noise.

    Returns:
        float32 pixels, 0 to 255.
    """
    random = np.random.default_rng(seed)
    noise = random.standard_normal(images.shape, "float32") * deviation
    return np.clip(images + 255 * noise, 0, 255)


def score_pca(data: Data, lengths) -> dict[int, float]:
    """Score principal component analysis as an autoencoder.

    It is fitted to the training images: as many as have `MOST_NUMBERS` pixels,
    and of large ones, by an approximation that takes no matrix of all pixels.
    Its reconstructions are clipped to [0, 1], which makes them better.

    Args:
        data: The data set.
        lengths: Numbers of components: lengths of the code. Those beyond the
            number of pixels, or of training images, get all there are.

    Returns:
        The mean squared error of the test images' pixels for each length.
    """

    def flatten(split):
        return in_unit_range(split.inputs).reshape(len(split), -1)

    pixels = data.train.inputs[0].size
    pca = fit_pca(flatten(data.train[: MOST_NUMBERS // pixels]), max(lengths))
    truth = flatten(data.test)
    codes = pca.transform(truth)
    errors = {}
    for length in lengths:
        axes = pca.components_[:length]
        pictures = np.clip(codes[:, :length] @ axes + pca.mean_, 0, 1)
        errors[length] = float(np.mean(squared_errors(pictures, truth)))
    return errors


def fit_pca(pixels: np.ndarray, length: int):
    """Return scikit-learn's PCA of images.

    Args:
        pixels: `(n, pixels)`.
        length: Number of components; fewer are found where there are fewer
            pixels or images.
    """
    from sklearn.decomposition import PCA

    is_small = pixels.shape[1] <= MOST_PIXELS
    solver = "covariance_eigh" if is_small else "randomized"
    pca = PCA(min(length, *pixels.shape), svd_solver=solver, random_state=0)
    return pca.fit(pixels)


def _unit_drawings(decoder: keras.Model, codes: np.ndarray) -> np.ndarray:
    """Return what each unit of the code adds to the mean picture.

    That is the picture of the mean code with one unit a standard deviation
    higher, less the picture with it as much lower.
    """
    steps = np.diag(codes.std(axis=0))
    ahead, behind = (
        predict(decoder, codes.mean(axis=0) + side * steps) for side in (1, -1)
    )
    return ahead - behind


def _cross_entropy(truth, pictures) -> float:
    pictures = np.clip(pictures, 1e-7, 1 - 1e-7)
    nats = truth * np.log(pictures) + (1 - truth) * np.log1p(-pictures)
    return -float(np.mean(nats, dtype="float64"))
