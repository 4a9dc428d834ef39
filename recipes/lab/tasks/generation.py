"""Pictures come out of codes: how a generator is scored, served and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.errors import UsageError
from recipes.lab.inputs.noise import Noise
from recipes.lab.inputs.signatures import Signature, signature
from recipes.lab.metrics import (
    CLASSES_DRAWN,
    CLASSIFIER_SCORE,
    FID,
    REAL_FID,
)
from recipes.lab.report import generated, page
from recipes.lab.tasks.frechet import frechet_distance
from recipes.lab.tasks.reconstruction import pixels_in
from recipes.lab.tasks.scores import Parts, Scores, predict
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from zoo import _loading

SEED = 0  # of the codes that are judged, the same for every run
WAYS = 6  # between two codes, at most, that a report shows


@dataclass(frozen=True)
class Generation(Task):
    """A model from codes to pictures, which a classifier judges.

    Attributes:
        data: The data set whose images it has learned to draw.
        inputs: What goes into the model.
        judge: A classifier of the data set's classes, from raw pixels.
    """

    data: Data
    inputs: Noise
    judge: keras.Model

    # What Hugging Face calls them.
    hub_task: ClassVar = "unconditional-image-generation"
    hub_metric: ClassVar = "classifier-score"
    # What the card says, the most important first.
    metrics: ClassVar = (CLASSIFIER_SCORE, CLASSES_DRAWN, FID, REAL_FID)
    loss: ClassVar = None  # neither of training's says how good pictures are
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    def __post_init__(self):
        classes = self.data.num_classes
        if self.judge.output_shape != (None, classes):
            raise UsageError(
                f"The judge must be a classifier of {classes} classes. "
                f"Received: {self.judge.name}, with an output of shape "
                f"{self.judge.output_shape}"
            )
        if self.judge.input_shape[1:] != self.data.inputs.shape:
            raise UsageError(
                "The judge must take images of shape "
                f"{self.data.inputs.shape}. Received: {self.judge.name}, which "
                f"takes {self.judge.input_shape[1:]}"
            )
        try:
            zoo.feature_extractor(self.judge)
        except ValueError as error:
            raise UsageError(
                "What the judge sees in pictures must be one tensor. "
                f"Received: {self.judge.name}. {error}"
            ) from error

    def score(self, model: keras.Model, split: Split) -> Scores:
        """Draw as many pictures as a split has images, and have them judged.

        The judge's temperature is fitted to the validation images first (see
        `temperature_of`): a classifier of smoothed labels is never
        sure, and its plain probabilities are no measure of anything.

        Args:
            model: A model from codes to pictures in [0, 1].
            split: The images to compare with, usually the test set's.

        Returns:
            The pictures, and the metrics:

            - `test_classifier_score`: how sure the judge is of each picture,
              and how evenly it spreads them over the classes (see
              `classifier_score`).
            - `real_test_classifier_score`: the same of the split's images.
            - `test_classes_drawn`: number of classes that the judge takes at
              least a tenth of their fair share of the pictures for.
            - `test_fid`: the squared Fréchet distance of the pictures from the
              split's images, in what the judge's last layer gets to see.
            - `real_test_fid`: that of as many training images, if there are so
              many: no pictures can be expected to be nearer.
        """
        print(f"drawing and judging {len(split):,} pictures", flush=True)
        codes = self._codes_for(split)
        pictures = predict(model, codes)
        temperature = temperature_of(self.judge, self.data.validation)
        probabilities = self._judge(in_bytes(pictures), temperature)
        real = self._judge(split.inputs, temperature)
        shares = shares_of(probabilities)
        metrics = {
            CLASSIFIER_SCORE.name: classifier_score(probabilities),
            CLASSES_DRAWN.name: float(np.sum(shares >= 0.1 / len(shares))),
            f"real_{CLASSIFIER_SCORE.name}": classifier_score(real),
            **self._distances(in_bytes(pictures), split),
            "judge_temperature": temperature,
        }
        return Scores(split, pictures, metrics, codes)

    def _codes_for(self, split: Split) -> np.ndarray:
        """Return the codes of as many pictures as a split has images."""
        return self.inputs.draw(SEED, len(split)).numpy()

    def _distances(self, images, split: Split) -> dict[str, float]:
        """Return how far drawn and training images are from a split's."""
        extractor = zoo.feature_extractor(self.judge)
        # From all of them: a folder's may be in the order of their classes.
        train = self.data.train.inputs
        count = min(len(split), len(train))
        train = train[np.linspace(0, len(train) - 1, count).astype(int)]
        drawn, known, real = (
            predict(extractor, x) for x in (images, train, split.inputs)
        )
        return {
            FID.name: frechet_distance(real, drawn),
            REAL_FID.name: frechet_distance(real, known),
        }

    def score_answers(self, pictures, split: Split) -> None:
        """Return that a format of an export is not scored by itself.

        Its pictures are compared, and that is enough: chance is in the codes.
        """
        return None

    def _judge(self, images, temperature):
        return sharpened(predict(self.judge, images), temperature)

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not draw the data's pictures from codes.

        Raises:
            ValueError: If a shape does not fit.
        """
        shapes = model.input_shape, model.output_shape
        fitting = (
            (None, *self.inputs.shape),
            (None, *self.data.inputs.shape),
        )
        if shapes != fitting:
            raise ValueError(
                f"A generator must go from {fitting[0]} to {fitting[1]}. "
                f"Received: from {shapes[0]} to {shapes[1]}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a generator.

        - `serving_default` and `sample`: `seed` and `count`, int64, to
          `picture` and `pixels`
        - `decode`: `code` float32 `(batch, latent_dim)` to the same

        A `picture` is float32 in [0, 1]; `pixels` are the same as uint8, which
        another model accepts.
        """
        sample = self.inputs.endpoint(*drawing(model))
        return {
            "serving_default": sample,
            "sample": sample,
            "decode": decoding(model),
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        `model` goes from `code` to `picture` and `pixels`: who uses it draws
        the codes, from a standard normal distribution.
        """
        return {"model": drawing_in(new_graph(), model)}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return "Pictures come out\nin [0, 1], and as uint8 pixels."

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        return f"""\
{loaded_by_tensorflow(name, version)}
number = lambda value: tf.constant(value, tf.int64)
answer = export.signatures["sample"](seed=number(7), count=number(16))
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8
```

The signature `decode` takes codes of one's own: `code`, float32 \
`(n, {self.inputs.latent_dim})`.
With the package installed, `zoo.load_model("{name}")` is the Keras model, which
takes codes, too.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} and nothing else. The seed decides what it "
            "draws: nobody can\nask it for one class, and some of its pictures "
            "are of none."
        )

    def draw_few(self, model: keras.Model) -> np.ndarray:
        """Return what a model draws of a few codes, always the same ones."""
        few = self.data.validation[: page.STRIP]
        return predict(model, self._codes_for(few))

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        pictures, codes, metrics = scores.outputs, scores.inputs, scores.metrics
        names = [str(name) for name in self.data.class_names]
        temperature = metrics["judge_temperature"]
        probabilities = self._judge(in_bytes(pictures), temperature)
        score, real = (
            CLASSIFIER_SCORE.write(metrics[f"{whose}{CLASSIFIER_SCORE.name}"])
            for whose in ("", "real_")
        )
        drawn, distance, floor = (
            metric.write(metrics[metric.name])
            for metric in (CLASSES_DRAWN, FID, REAL_FID)
        )
        facts = {
            CLASSIFIER_SCORE.words: f"{score}; of the test images {real}",
            CLASSES_DRAWN.words: f"{drawn} of {len(names)}",
            FID.words: f"{distance}; of training images {floor}",
            "Judge": f"{self.judge.name}, at the temperature that suits the "
            "validation images",
            "Code": f"{codes.shape[1]} numbers",
        }
        headline = (
            f'<p class="number">{score}</p>\n'
            f"<p>is the classifier score of {len(pictures):,} drawn pictures; "
            f"of the test images it is {real}.</p>\n"
            '<p class="caption">It is high if a classifier is sure of each '
            "picture and takes them for all classes alike: "
            f"{len(names)} at most.</p>"
        )
        nearest = nearest_images(pictures[: page.STRIP], self.data.train)
        before = [
            generated.samples_section(plots, pictures[: 10 * page.STRIP]),
            generated.shares_section(
                *(names, shares_of(probabilities)),
                np.bincount(self.data.train.targets, minlength=len(names)),
            ),
        ]
        after = [
            self._between_section(model, codes, plots),
            generated.nearest_section(
                plots, pictures[: page.STRIP], in_unit_range(nearest)
            ),
        ]
        return Parts(headline, facts, before, after)

    def _between_section(self, model, codes, plots):
        between = between_codes(*ends_of(codes), spherical=True)
        return generated.between_section(
            plots, predict(model, between), "two codes, on a great circle"
        )


def load_judge(name: str, data: Data) -> keras.Model:
    """Load the classifier that is to judge pictures of a data set.

    Args:
        name: Name or path of its export.
        data: The data set.

    Raises:
        UsageError: If it cannot be loaded, or has learned other classes.
    """
    try:
        judge = zoo.load_model(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    file = _loading.find_export(name) / "assets" / "labels.txt"
    names = file.read_text("utf-8").splitlines() if file.exists() else ()
    # Of another number of classes the task says what is wrong.
    fits = len(names) != data.num_classes or (*names,) == data.class_names
    # A sample takes the place of other data, whose classes the judge knows.
    if not fits and not data.is_sample:
        raise UsageError(
            f"--judge must name a classifier of {data.name}: "
            f"{', '.join(data.class_names[:3])} ... Received: {name}, of "
            f"{', '.join(names[:3])} ..."
        )
    return judge


def drawing(decoder: keras.Model):
    """Return what makes an answer of codes, as a graph and as NumPy has it."""

    def answer(codes):
        pictures = decoder(codes, training=False)
        pixels = tf.cast(tf.round(255 * pictures), tf.uint8)
        return {"picture": pictures, "pixels": pixels}

    def expect(codes):
        pictures = decoder(codes, training=False).numpy()
        return {"picture": pictures, "pixels": in_bytes(pictures)}

    return answer, expect


def decoding(decoder: keras.Model, codes_of=lambda codes: codes) -> Signature:
    """Return the signature that draws pictures of given codes.

    Args:
        decoder: A model from codes to pictures in [0, 1].
        codes_of: Function from the inputs of a split to codes, as arrays.
    """
    answer, expect = drawing(decoder)

    @signature(code=tf.TensorSpec(decoder.input_shape, tf.float32))
    def decode(code):
        return answer(tf.debugging.check_numerics(code, "code must be finite"))

    return Signature(
        decode,
        lambda inputs: {"code": codes_of(inputs)},
        lambda inputs: expect(codes_of(inputs)),
    )


def drawing_in(graph, decoder: keras.Model):
    """Return a graph of another format from `code` to `picture` and `pixels`.

    Args:
        graph: An empty one, see `recipes.lab.export.onnx_graph`.
        decoder: A model from codes to pictures in [0, 1].
    """
    code = graph.input("code", decoder.input_shape[1:])
    answer_in(graph, graph.add(decoder, code))
    return graph


def answer_in(graph, pictures) -> None:
    """Make pictures in [0, 1] the outputs `picture` and `pixels` of a graph."""
    graph.output("picture", pictures)
    graph.output("pixels", pixels_in(graph, pictures))


def in_bytes(pictures: np.ndarray) -> np.ndarray:
    """Return pictures in [0, 1] as uint8 pixels."""
    return np.round(255 * pictures).astype("uint8")


def temperature_of(judge: keras.Model, split: Split) -> float:
    """Return the temperature at which a classifier is as sure as it is right.

    That is where the cross-entropy of a split is lowest (Guo et al. 2017).
    """
    probabilities = predict(judge, split.inputs)
    chosen = np.arange(len(split)), split.targets

    def cross_entropy(temperature):
        right = sharpened(probabilities, temperature)[chosen]
        return -np.mean(np.log(np.maximum(right, 1e-30)))

    return float(min(np.geomspace(0.1, 10, 201), key=cross_entropy))


def sharpened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the softmax of logits that are divided by a temperature."""
    logits = np.log(np.maximum(probabilities.astype("float64"), 1e-30))
    logits /= temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def classifier_score(probabilities: np.ndarray) -> float:
    """Return the exponential of the mean information on the class, in nats.

    That is the Inception score of Salimans et al. 2016 with a classifier of
    one's own: exp of the mean of KL(p(class | picture) || p(class)). It is the
    number of classes if all are drawn equally often and each picture is of one
    for sure, and 1 if the pictures say nothing of their class.

    Args:
        probabilities: Of each class for each picture, `(n, classes)`.
    """
    of_each, of_all = (
        np.log(np.maximum(p, 1e-30))
        for p in (probabilities, probabilities.mean(axis=0))
    )
    ratios = of_each - of_all
    return float(np.exp(np.mean(np.sum(probabilities * ratios, axis=1))))


def shares_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the share of the pictures that is taken for each class."""
    classes = probabilities.shape[1]
    taken_for = np.bincount(probabilities.argmax(axis=1), minlength=classes)
    return taken_for / len(probabilities)


def ends_of(codes: np.ndarray) -> list[np.ndarray]:
    """Return the codes of a report's ways: those they begin and end with.

    A small test set has fewer codes than there are ways to show.
    """
    ways = min(WAYS, len(codes) // 2)
    return np.split(codes[: 2 * ways], 2)


def between_codes(ones, others, steps: int = 10, *, spherical=False):
    """Return codes on the way from some to others, `(n * steps, latent_dim)`.

    Args:
        ones: Codes, `(n, latent_dim)`.
        others: As many.
        steps: Number of codes on each way, both ends included.
        spherical: Whether to go along a great circle, on which the codes stay
            as long as those that were drawn: the middle of two codes is nearer
            to zero than almost any code of a normal distribution.
    """
    ones, others = ones[:, np.newaxis], others[:, np.newaxis]
    share = np.linspace(0, 1, steps)[:, np.newaxis]
    weights = 1 - share, share
    if spherical:
        dots = [
            np.sum(one * other, axis=2, keepdims=True)
            for one, other in ((ones, others), (ones, ones), (others, others))
        ]
        angle = np.arccos(dots[0] / np.sqrt(dots[1] * dots[2]))
        weights = [np.sin(weight * angle) / np.sin(angle) for weight in weights]
    codes = weights[0] * ones + weights[1] * others
    return codes.reshape(-1, ones.shape[-1]).astype("float32")


def nearest_images(pictures: np.ndarray, split: Split) -> np.ndarray:
    """Return the image of a split that is most like each picture, as bytes.

    Args:
        pictures: In [0, 1], `(n, height, width, channels)`.
        split: Images to search.
    """
    images = in_unit_range(split.inputs).reshape(len(split), -1)
    pictures = pictures.reshape(len(pictures), -1)
    # The squares of the pictures are the same for all images.
    distances = np.sum(images**2, axis=1) - 2 * pictures @ images.T
    return split.inputs[distances.argmin(axis=1)]
