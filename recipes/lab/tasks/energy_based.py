"""Units are on or off: how a Boltzmann machine is scored, served and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab import terminal
from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.noise import ASKED, drawn_from_seed
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import MSE, PSEUDO_LIKELIHOOD
from recipes.lab.report import encoded, generated, page, seen
from recipes.lab.tasks.generation import answer_in, drawing
from recipes.lab.tasks.reconstruction import squared_errors
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from recipes.lab.tasks.variational import SEED, binarized
from zoo import restricted_boltzmann

AT_ONCE = 20  # images whose pixels are flipped together
STEPS = 1_000  # of a chain, from noise to the picture that it gives
SHOWN = (0, 1, 3, 10, 30, 100, 200, 300, 500, 1_000)  # steps, in the report
CHAINS = 8  # in the report


@dataclass(frozen=True)
class EnergyBasedGeneration(Task):
    """A restricted Boltzmann machine of pixels, the model's layer `machine`.

    Attributes:
        data: The data set.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "unconditional-image-generation"
    hub_metric: ClassVar = "pseudo-log-likelihood"
    # What the card says, the most important first.
    metrics: ClassVar = (PSEUDO_LIKELIHOOD, MSE)
    loss: ClassVar = None  # training's says nothing by itself
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    @property
    def inputs(self) -> Images:
        """What goes into the model."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Measure what the machine knows of the images, in black and white.

        Chance makes them so, the same for every run: see `binarized`.

        Args:
            model: A model as of `zoo.rbm`.
            split: The images, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            What the model makes of the black and white images, and the metrics,
            means over images:

            - `test_pseudo_log_likelihood`: the sum over the pixels of the log
              of the probability of each, given all others, in nats.
            - `test_mse`: squared error of a pixel.
        """
        if not quiet:
            say_what_is_scored(split)
        ink = binarized(split.inputs, SEED)
        pictures = predict(model, ink)
        nats = pseudo_log_likelihoods(model.get_layer("machine"), ink, quiet)
        errors = squared_errors(pictures, in_unit_range(ink))
        metrics = {
            PSEUDO_LIKELIHOOD.name: float(np.mean(nats)),
            MSE.name: float(np.mean(errors)),
        }
        return Scores(split, pictures, metrics, ink)

    def score_answers(self, pictures, split: Split) -> None:
        """Return that a format of an export is not scored by itself.

        Its answers are compared: what counts is the machine behind them.
        """
        return None

    def check(self, model: keras.Model) -> None:
        """Refuse a model without a machine that takes and gives its pixels.

        Raises:
            ValueError: If there is none.
        """
        machine = model.get_layer("machine")
        if not isinstance(machine, restricted_boltzmann.RestrictedBoltzmann):
            raise ValueError(
                "The layer `machine` must be a RestrictedBoltzmann. Received: "
                f"{type(machine).__name__}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a restricted Boltzmann machine.

        - `serving_default` and `reconstruct`: `image` to `picture` and `pixels`
        - `encode`: `image` to `code`, float32 `(batch, units)`, the
          probabilities that hidden units are on
        - `sample`: `seed` and `count`, int64, to `picture` and `pixels`: the
          probability of ink after 1,000 steps of so many chains

        A `picture` is float32 in [0, 1]; `pixels` are the same as uint8, which
        another model accepts.
        """
        machine = model.get_layer("machine")
        encoder = zoo.feature_extractor(model, "machine")

        def code_of(images):
            hidden, _ = encoder(images, training=False)
            return {"code": hidden}

        def expect_code(images):
            return {"code": code_of(images)["code"].numpy()}

        reconstruct = self.inputs.endpoint(*drawing(model))
        shape = (-1, *self.inputs.shape)

        def draw(seed, count):
            pictures, _ = run_chains(machine, seed, count)
            pictures = tf.reshape(pictures, shape)
            pixels = tf.cast(tf.round(255 * pictures), tf.uint8)
            return {"picture": pictures, "pixels": pixels}

        def expect():
            drawn = draw(**ASKED)
            return {name: value.numpy() for name, value in drawn.items()}

        return {
            "serving_default": reconstruct,
            "reconstruct": reconstruct,
            "encode": self.inputs.endpoint(code_of, expect_code),
            "sample": drawn_from_seed(draw, expect),
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        `model` goes from `image` to `picture`, `pixels` and `code`.
        """
        graph = new_graph()
        answer_in(graph, graph.add(model, self.inputs.into(graph)))
        hidden, _ = graph.layers["machine"]
        graph.output("code", hidden)
        return {"model": graph}

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
```

A `seed` and a `count`, at most 10,000, stand for chains of states that begin at
noise; the same two give the same pictures in every call. The signature
`reconstruct`, which is `serving_default` too, goes from images to pictures.
With the package installed, `model = zoo.load_model("{name}")` is the Keras
model, and `model.get_layer("machine")` the machine, which has a `free_energy`.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        title = self.data.facts.title
        return (
            f"It has seen {title} in black and white and nothing else. A chain "
            "seldom goes from\none kind of picture to another: many chains "
            "show what the machine draws, and one\nlong chain does not."
        )

    def draw_few(self, model: keras.Model) -> np.ndarray:
        """Return where a few chains come to that begin at the same noise."""
        machine = model.get_layer("machine")
        pictures, _ = run_chains(machine, SEED, page.STRIP)
        return pictures.numpy().reshape(-1, *self.inputs.shape)

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        test, metrics = scores.split, scores.metrics
        machine = model.get_layer("machine")
        codes, _ = predict_pair(model, scores.inputs)
        labels = np.asarray(test.targets)
        names = [str(name) for name in self.data.class_names]
        nats = PSEUDO_LIKELIHOOD.write(metrics[PSEUDO_LIKELIHOOD.name])
        facts = {
            PSEUDO_LIKELIHOOD.words: f"{nats}, for "
            f"{test.inputs[0].size} pixels",
            "Squared error": f"{MSE.write(metrics[MSE.name])} per pixel in "
            "[0, 1], of the black and white images",
            "Hidden units": f"{codes.shape[1]}, of which "
            f"{100 * codes.mean():.0f} % are on in the mean",
        }
        headline = (
            f'<p class="number">{nats}</p>\n'
            "<p>is the pseudo-log-likelihood of a test image: what the machine "
            "knows of each pixel, given all others.</p>"
        )
        shape = (-1, *self.inputs.shape)
        drawn, _ = run_chains(machine, SEED, 10 * page.STRIP)
        chains = [
            run_chains(machine, SEED + 1, CHAINS, steps)[0] for steps in SHOWN
        ]
        chains = np.stack([x.numpy() for x in chains], axis=1)
        rows = [
            *(in_unit_range(test.inputs), in_unit_range(scores.inputs)),
            scores.outputs,
        ]
        errors = squared_errors(scores.outputs, in_unit_range(scores.inputs))
        kernel = np.reshape(machine.kernel, (*self.inputs.shape, -1))
        before = [
            generated.samples_section(plots, drawn.numpy().reshape(shape)),
            generated.chains_section(plots, chains.reshape(shape), SHOWN),
            encoded.strips_section(plots, rows, errors, labels),
        ]
        after = [
            seen.filters_section(plots, kernel, [], ()),
            encoded.code_map_section(plots, codes, labels, names),
        ]
        return Parts(headline, facts, before, after)


def predict_pair(model: keras.Model, images):
    """Return the probabilities of hidden and visible units, as arrays."""
    return predict(zoo.feature_extractor(model, "machine"), images)


def pseudo_log_likelihoods(machine, images, quiet: bool = False):
    """Return what a machine knows of the pixels of images, in nats, `(n,)`.

    Args:
        machine: A `zoo.restricted_boltzmann.RestrictedBoltzmann`.
        images: Images of pixels 0 and 255.
        quiet: Show no bar.
    """
    states = in_unit_range(images).reshape(len(images), -1)
    spec = tf.TensorSpec((None, states.shape[1]), tf.float32)

    @tf.function(input_signature=[spec], autograph=False)
    def of_batch(batch):
        return restricted_boltzmann.pseudo_log_likelihood(machine, batch)

    shows = terminal.shows_bars() and not quiet
    bar = keras.utils.Progbar(len(states)) if shows else None
    found = []
    for start in range(0, len(states), AT_ONCE):
        batch = states[start : start + AT_ONCE]
        found.append(of_batch(batch).numpy())
        if bar:
            bar.add(len(batch))
    return np.concatenate(found)


def run_chains(machine, seed, count, steps: int = STEPS):
    """Run Gibbs chains that depend on nothing but the arguments.

    They begin with every pixel on or off as a coin falls. All is float64: one
    draw that falls otherwise changes all that follow, and float32 rounds in
    another way in each graph, so once in a few thousand steps one would.

    Args:
        machine: A `zoo.restricted_boltzmann.RestrictedBoltzmann`.
        seed: An integer, or a tensor of one.
        count: Number of chains; likewise.
        steps: How often hidden and visible units are drawn, in turns.

    Returns:
        The probabilities that visible units are on after the last step, and
        their states, both float32 `(count, visible)`.
    """
    visible, hidden = machine.kernel.shape
    seed, count = tf.cast(seed, tf.int64), tf.cast(count, tf.int32)

    def drawn(probabilities, units, step, half):
        # Each row has its own numbers: fewer chains are the first of more.
        chance = tf.random.stateless_uniform(
            *((count, units), tf.stack([seed, 2 * step + half])),
            dtype=tf.float64,
            alg="philox",
        )
        return tf.cast(chance < probabilities, tf.float64)

    @tf.function(autograph=False)  # a loop of TensorFlow, not of Python
    def run():
        kernel, bias, visible_bias = (
            tf.cast(weight.value, tf.float64)
            for weight in (machine.kernel, machine.bias, machine.visible_bias)
        )

        def step_on(step, probabilities, states):
            units = drawn(
                *(tf.sigmoid(states @ kernel + bias), hidden, step, 0)
            )
            probabilities = tf.sigmoid(
                tf.matmul(units, kernel, transpose_b=True) + visible_bias
            )
            return (
                step + 1,
                probabilities,
                drawn(probabilities, visible, step, 1),
            )

        coins = tf.fill((count, visible), tf.constant(0.5, tf.float64))
        start = tf.constant(1, tf.int64)
        states = drawn(coins, visible, tf.constant(0, tf.int64), 1)
        shape = tf.TensorShape((None, visible))
        found = tf.while_loop(
            lambda step, *_: step <= steps,
            step_on,
            (start, coins, states),
            (start.shape, shape, shape),
        )[1:]
        return [tf.cast(value, tf.float32) for value in found]

    return run()
