"""Codes have distributions: how such a model is scored, served and shown."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab import terminal
from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.noise import Noise
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import KL, NEGATIVE_ELBO, NLL
from recipes.lab.report import encoded, generated, page
from recipes.lab.tasks.generation import (
    answer_in,
    between_codes,
    decoding,
    drawing,
    drawing_in,
)
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow

SEED = 0  # of the ink and the codes that are scored, the same for every run
AT_ONCE = 1_000  # codes of an image that go through the decoder together
SAID = 1_000  # images, where no bar can show how far it is
ACTIVE = 0.01  # variance of the mean of a unit that says something


@dataclass(frozen=True)
class Likelihoods(Scores):
    """Scores with what they are made of.

    Attributes:
        bounds: Number of codes to the lower bound on each image's
            log-likelihood that so many give, in nats, `(n,)`.
    """

    bounds: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class VariationalGeneration(Task):
    """A model from images to distributions of codes, and on to pictures.

    Its `encoder` gives the mean and the logarithm of the variance of a code,
    its `decoder` the probability of ink at each pixel; the decoder's layer
    `logits` has the log-odds.

    Attributes:
        data: The data set.
        importance_samples: Codes of each image that its likelihood is estimated
            from.
    """

    data: Data
    importance_samples: int = 5_000

    # What Hugging Face calls them.
    hub_task: ClassVar = "unconditional-image-generation"
    hub_metric: ClassVar = "nll"
    # What the card says, the most important first.
    metrics: ClassVar = (NLL, NEGATIVE_ELBO)
    loss: ClassVar = None  # training's is one of them: nothing to remark
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    @property
    def inputs(self) -> Images:
        """What goes into the model."""
        return self.data.inputs

    def score(self, model: keras.Model, split: Split) -> Likelihoods:
        """Estimate how likely the images of a split are, in black and white.

        Chance makes them so, the same for every run: see `binarized`.

        Args:
            model: A variational autoencoder.
            split: The images, usually the test set's.

        Returns:
            What the model makes of the black and white images, the bounds, and
            the metrics, in nats and means over images:

            - `test_negative_elbo`: the negative evidence lower bound, which
              training minimises.
            - `test_nll`: the negative logarithm of the likelihood, estimated
              by importance sampling, which errs on the high side.
            - `test_kl`: the part of the first that the codes take: how far
              their distributions are from a standard normal one.
        """
        say_what_is_scored(split)
        ink = binarized(split.inputs, SEED)
        mean, log_variance = (
            predict(zoo.feature_extractor(model, f"encoder/{name}"), ink)
            for name in ("mean", "log_variance")
        )
        bounds = likelihood_bounds(
            *(model.get_layer("decoder"), ink, mean, log_variance),
            self.importance_samples,
        )
        excess = np.square(mean) + np.exp(log_variance) - 1 - log_variance
        metrics = {
            NLL.name: -float(np.mean(bounds[self.importance_samples])),
            NEGATIVE_ELBO.name: -float(np.mean(bounds[1])),
            KL.name: 0.5 * float(np.mean(np.sum(excess, axis=1))),
        }
        return Likelihoods(split, predict(model, ink), metrics, ink, bounds)

    def score_answers(self, pictures, split: Split) -> None:
        """Return that a format of an export is not scored by itself.

        Its likelihood needs both halves of the model, and minutes.
        """
        return None

    def check(self, model: keras.Model) -> None:
        """Refuse a model without the two halves, or without log-odds.

        Raises:
            ValueError: If a layer is missing.
        """
        for layer in ("mean", "log_variance"):
            model.get_layer("encoder").get_layer(layer)
        model.get_layer("decoder").get_layer("logits")

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a variational autoencoder.

        - `serving_default` and `reconstruct`: `image` to `picture` and `pixels`
        - `encode`: `image` to `code`, which is the mean of the distribution,
          and `log_variance`, float32 `(batch, latent_dim)`
        - `decode`: `code` to `picture` and `pixels`
        - `sample`: `seed` and `count`, int64, to `picture` and `pixels`

        A `picture` is float32 in [0, 1]; `pixels` are the same as uint8, which
        another model accepts.
        """
        encoder = zoo.feature_extractor(model, "encoder")
        decoder = model.get_layer("decoder")

        def code_of(images):
            mean, log_variance = encoder(images, training=False)
            return {"code": mean, "log_variance": log_variance}

        def expect_code(images):
            return {k: v.numpy() for k, v in code_of(images).items()}

        reconstruct = self.inputs.endpoint(*drawing(model))
        return {
            "serving_default": reconstruct,
            "reconstruct": reconstruct,
            "encode": self.inputs.endpoint(code_of, expect_code),
            "decode": decoding(decoder, lambda x: expect_code(x)["code"]),
            "sample": Noise(decoder.input_shape[-1]).endpoint(
                *drawing(decoder)
            ),
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        - `model`: `image` to `picture`, `pixels`, `code` and `log_variance`
        - `decoder`: `code` to `picture` and `pixels`
        """
        graph = new_graph()
        answer_in(graph, graph.add(model, self.inputs.into(graph)))
        mean, log_variance = graph.layers["encoder"]
        graph.output("code", mean)
        graph.output("log_variance", log_variance)
        decoder = model.get_layer("decoder")
        return {"model": graph, "decoder": drawing_in(new_graph(), decoder)}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return (
            "Pictures come out in [0, 1],\nthe probability of ink at each "
            "pixel, and as uint8 pixels."
        )

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        return f"""\
{loaded_by_tensorflow(name, version)}
seed, count = tf.constant(7, tf.int64), tf.constant(16, tf.int64)
answer = export.signatures["sample"](seed=seed, count=count)
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8

{self.inputs.comment()}
code = export.signatures["encode"](image=images)["code"]
answer = export.signatures["decode"](code=code)
```

A `seed` and a `count`, at most 10,000, stand for codes from a standard normal
distribution; the same two give the same pictures in every call. The signature
`reconstruct`, which is `serving_default` too, goes from images to pictures.
With the package installed, `model = zoo.load_model("{name}")` is the Keras
model: `zoo.feature_extractor(model)` takes raw pixels as well and returns
codes, `model.get_layer("decoder")` takes codes.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} in black and white and nothing else: other "
            f"pictures come out as\nthe nearest thing to {title} that it can "
            "draw."
        )

    def draw_few(self, model: keras.Model) -> np.ndarray:
        """Return what a model draws of a few codes, always the same ones."""
        decoder = model.get_layer("decoder")
        codes = Noise(decoder.input_shape[1]).draw(SEED, page.STRIP)
        return predict(decoder, codes.numpy())

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        test, metrics, bounds = scores.split, scores.metrics, scores.bounds
        decoder = model.get_layer("decoder")
        codes = predict(zoo.feature_extractor(model), scores.inputs)
        labels = np.asarray(test.targets)
        names = [str(name) for name in self.data.class_names]
        activity = codes.var(axis=0)
        nll, elbo, kl = (
            metric.write(metrics[metric.name])
            for metric in (NLL, NEGATIVE_ELBO, KL)
        )
        facts = {
            NLL.words: f"{nll}, from {self.importance_samples:,} codes for "
            "each image",
            NEGATIVE_ELBO.words: f"{elbo}, of which {kl} for the codes",
            "Code": f"{codes.shape[1]} numbers, "
            f"{np.sum(activity > ACTIVE)} of which say something",
        }
        headline = (
            f'<p class="number">{nll}</p>\n'
            "<p>is the negative log-likelihood of a test image, estimated from "
            f"{self.importance_samples:,} codes. The bound that training "
            f"improves is {elbo}.</p>"
        )
        drawn = Noise(codes.shape[1]).draw(SEED, 10 * page.STRIP).numpy()
        rows = [
            *(in_unit_range(test.inputs), in_unit_range(scores.inputs)),
            scores.outputs,
        ]
        _, firsts = np.unique(labels, return_index=True)
        ends = codes[firsts], codes[np.roll(firsts, -1)]
        if codes.shape[1] == 2:
            whole = generated.plane_section(plots, predict(decoder, plane()))
        else:
            most = np.argsort(-activity, kind="stable")[: page.STRIP]
            whole = generated.traversal_section(
                plots, predict(decoder, traversal(codes, most)), codes.shape[1]
            )
        before = [
            generated.samples_section(plots, predict(decoder, drawn)),
            encoded.strips_section(plots, rows, -bounds[1], labels),
        ]
        after = [
            _bounds_section(plots, bounds),
            generated.between_section(
                *(plots, predict(decoder, between_codes(*ends))),
                "the codes of two test images, on a straight line",
            ),
            whole,
            encoded.code_map_section(plots, codes, labels, names),
        ]
        return Parts(headline, facts, before, after)


def binarized(images: np.ndarray, seed: int) -> np.ndarray:
    """Return images whose pixels chance has made ink, 255, or paper, 0.

    A pixel is ink with the probability that its brightness says.

    Args:
        images: uint8 pixels.
        seed: Seed of the chance.
    """
    random = np.random.default_rng(seed)
    chance = random.random(images.shape, "float32")
    return np.where(255 * chance < images, 255, 0).astype("uint8")


def likelihood_bounds(
    decoder: keras.Model, ink, mean, log_variance, samples: int
) -> dict[int, np.ndarray]:
    """Bound the log-likelihood of images from below, by importance sampling.

    With codes z1 ... zk from the encoder's distribution q of an image x the
    bound is E[log mean p(x, zi) / q(zi)] (Burda et al. 2016). With one code it
    is the ELBO, and it rises with k to the likelihood.

    Args:
        decoder: The model from codes to the probability of ink; its layer
            `logits` has the log-odds.
        ink: Images of pixels 0 and 255.
        mean: Means of the codes, `(n, latent_dim)`.
        log_variance: Logarithms of their variances.
        samples: Number of codes that are drawn for each image.

    Returns:
        For 1, 10, 100 ... codes and for all of them the bounds, `(n,)`. Each is
        a mean over as many groups as the codes make.
    """
    log_odds = zoo.feature_extractor(decoder, "logits")
    latent_dim = mean.shape[1]
    parts = [
        min(AT_ONCE, samples - start) for start in range(0, samples, AT_ONCE)
    ]
    sizes = [10**i for i in range(math.ceil(math.log10(samples)))] + [samples]

    def log_weights(pixels, mean, log_variance, count, seed):
        noise = tf.random.stateless_normal((count, latent_dim), seed)
        codes = mean + tf.exp(0.5 * log_variance) * noise
        odds = tf.cast(log_odds(codes, training=False), tf.float32)
        # log p(x | z) = x log p + (1 - x) log(1 - p), with p = sigmoid(odds)
        of_pixels = tf.linalg.matvec(odds, pixels) - tf.reduce_sum(
            tf.nn.softplus(odds), axis=1
        )
        # log p(z) - log q(z)
        of_code = tf.square(codes) - tf.square(noise) - log_variance
        return of_pixels - 0.5 * tf.reduce_sum(of_code, axis=1)

    @tf.function(autograph=False)
    def bounds_of(number, pixels, mean, log_variance):
        found = [
            log_weights(pixels, mean, log_variance, count, [number, part])
            for part, count in enumerate(parts)
        ]
        found = tf.concat(found, 0)
        means = []
        for size in sizes:
            groups = tf.reshape(found[: samples // size * size], (-1, size))
            sums = tf.reduce_logsumexp(groups, axis=1)
            means.append(tf.reduce_mean(sums) - math.log(size))
        return tf.stack(means)

    pixels = in_unit_range(ink).reshape(len(ink), -1)
    print(f"estimating likelihoods from {samples:,} codes an image", flush=True)
    bar = keras.utils.Progbar(len(ink)) if terminal.shows_bars() else None
    found = []
    for number in range(len(ink)):
        image = pixels[number], mean[number], log_variance[number]
        found.append(bounds_of(tf.constant(number), *image).numpy())
        if bar:
            bar.add(1)
        elif (number + 1) % SAID == 0:
            print(f"{number + 1:,} of {len(ink):,} images", flush=True)
    return dict(zip(sizes, np.stack(found, axis=1), strict=True))


def traversal(codes: np.ndarray, units, steps: int = 10) -> np.ndarray:
    """Return the mean code with one unit moved, `(len(units) * steps, ...)`.

    Each goes from three standard deviations of a normal distribution below
    zero to as many above.
    """
    moved = np.tile(codes.mean(axis=0), (len(units), steps, 1))
    for row, unit in zip(moved, units, strict=True):
        row[:, unit] = np.linspace(-3, 3, steps)
    return moved.reshape(-1, codes.shape[1])


def plane(side: int = 20) -> np.ndarray:
    """Return codes of two numbers, spread as a normal distribution has them."""
    shares = (np.arange(side) + 0.5) / side
    quantiles = [NormalDist().inv_cdf(share) for share in shares]
    x, y = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([x.ravel(), y.ravel()], axis=1).astype("float32")


def _bounds_section(plots: Path, bounds):
    """Return the section with the bound against the number of codes."""
    return page.lines_section(
        plots,
        "bounds",
        heading="How much a better bound is worth",
        caption="Log-likelihood of a test image, in nats, is at least this. "
        "With one code it is the ELBO; the more codes each image gets, the "
        "nearer the bound is to the likelihood.",
        x_label="codes an image",
        y_label="nats",
        lines={"bound": {k: float(np.mean(b)) for k, b in bounds.items()}},
    )
