"""Pictures so small that all can be counted: a Boltzmann machine of few units.

What a larger machine is asked by chains of states is exact here: the
probability of each picture is a sum over all states of the hidden units.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split, in_unit_range
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.noise import ASKED, drawn_from_seed
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import DIVERGENCE, LOG_LIKELIHOOD, MARGINALS
from recipes.lab.report import matrices, page
from recipes.lab.tasks.generation import answer_in, drawing
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from zoo import boltzmann

SEED = 0  # of what the report shows
CHAINS, SWEEPS = 500, 500  # in the report
SHOWN = 20  # pictures in the report


@dataclass(frozen=True)
class CountedGeneration(Task):
    """A Boltzmann machine of few pixels, the model's layer `machine`.

    Attributes:
        data: The data set, of images in black and white.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "unconditional-image-generation"
    hub_metric: ClassVar = "kl-divergence"
    # What the card says, the most important first.
    metrics: ClassVar = (DIVERGENCE, LOG_LIKELIHOOD, MARGINALS)
    loss: ClassVar = None  # that of training is of other images
    # The output of the signatures that says it all.
    answered: ClassVar = "picture"

    @property
    def inputs(self) -> Images:
        """What goes into the model."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Compare the distribution of a machine with that of some images.

        Args:
            model: A model as of `zoo.boltzmann_machine`.
            split: The images, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            What the model makes of the images, and the metrics:

            - `test_divergence`: the KL divergence of the images' distribution
              from the machine's, in nats.
            - `test_log_likelihood`: the mean logarithm of the probability of an
              image.
            - `marginals_error`: the largest difference of a probability that
              one pixel is on, or two are together.
        """
        if not quiet:
            say_what_is_scored(split)
        found = boltzmann.distribution(model.get_layer("machine"))
        truth = self.distribution_of(split)
        some = truth > 0
        likelihood = float(np.sum(truth[some] * np.log(found[some])))
        entropy = -float(np.sum(truth[some] * np.log(truth[some])))
        off = self._together(found) - self._together(truth)
        metrics = {
            DIVERGENCE.name: -entropy - likelihood,
            LOG_LIKELIHOOD.name: likelihood,
            MARGINALS.name: float(np.abs(off).max()),
        }
        return Scores(split, predict(model, split.inputs), metrics)

    def distribution_of(self, split: Split) -> np.ndarray:
        """Return the share of each picture that could be in some images."""
        states = in_unit_range(split.inputs).reshape(len(split), -1) > 0.5
        numbers = states @ (2 ** np.arange(states.shape[1])[::-1])
        counts = np.bincount(numbers, minlength=2 ** states.shape[1])
        return counts / len(split)

    def _together(self, probabilities) -> np.ndarray:
        """Return how probable it is that two pixels are on, `(n, n)`.

        One pixel is on with the probability on the diagonal.
        """
        states = boltzmann.states_of(int(np.prod(self.inputs.shape)))
        return states.T @ (states * probabilities[:, np.newaxis])

    def score_answers(self, pictures, split: Split) -> None:
        """Return that a format of an export is not scored by itself.

        Its answers are compared: what counts is the machine behind them.
        """
        return None

    def check(self, model: keras.Model) -> None:
        """Refuse a model without a machine whose states can be counted.

        Raises:
            ValueError: If there is none.
        """
        machine = model.get_layer("machine")
        if not isinstance(machine, boltzmann.Boltzmann):
            raise ValueError(
                "The layer `machine` must be a Boltzmann. Received: "
                f"{type(machine).__name__}"
            )
        if not machine.can_be_counted:
            raise ValueError(
                f"The machine must have {boltzmann.MOST_COUNTED} units or "
                f"fewer. Received: {machine.kernel.shape[0]}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a Boltzmann machine.

        - `serving_default` and `complete`: `image` to `picture` and `pixels`,
          the probability of ink at each pixel, given all the others
        - `sample`: `seed` and `count`, int64, to `picture` and `pixels`, drawn
          from the exact distribution

        A `picture` is float32 in [0, 1]; `pixels` are the same as uint8.
        """
        sums = np.cumsum(boltzmann.distribution(model.get_layer("machine")))
        states = boltzmann.states_of(int(np.prod(self.inputs.shape)))
        complete = self.inputs.endpoint(*drawing(model))

        def draw(seed, count):
            chances = tf.random.stateless_uniform(
                *((tf.cast(count, tf.int32),), tf.stack([seed, 0])),
                dtype=tf.float64,
                alg="philox",
            )
            numbers = tf.searchsorted(sums[:-1], chances, side="right")
            pictures = tf.reshape(
                tf.gather(states, numbers), (-1, *self.inputs.shape)
            )
            pixels = tf.cast(tf.round(255 * pictures), tf.uint8)
            return {"picture": pictures, "pixels": pixels}

        def expect():
            asked = {name: tf.constant(value) for name, value in ASKED.items()}
            return {name: x.numpy() for name, x in draw(**asked).items()}

        return {
            "serving_default": complete,
            "complete": complete,
            "sample": drawn_from_seed(draw, expect),
        }

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        `model` goes from `image` to `picture` and `pixels`.
        """
        graph = new_graph()
        answer_in(graph, graph.add(model, self.inputs.into(graph)))
        return {"model": graph}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return (
            "Pictures come out in [0, 1],\nthe probability of ink at each "
            "pixel, given all the others, and as uint8 pixels."
        )

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        return f"""\
{loaded_by_tensorflow(name, version)}
seed, count = tf.constant(7, tf.int64), tf.constant(16, tf.int64)
answer = export.signatures["sample"](seed=seed, count=count)
print(answer["picture"])  # float32 in [0, 1]; "pixels" has it as uint8

{self.inputs.comment()}
picture = export.signatures["complete"](image=images)["picture"]
```

A `seed` and a `count`, at most 10,000, stand for pictures that are drawn with
the probabilities of the machine; the same two give the same pictures in every
call. With the package installed, `model = zoo.load_model("{name}")` is the
Keras model, and `zoo.boltzmann.distribution(model.get_layer("machine"))` the
probability of each picture that could be.
"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            f"It has seen {self.data.facts.title} and nothing else. A machine "
            "of more pixels cannot be\nlearned from like this: its pictures "
            "cannot be counted, and its chains go from one\nkind of picture to "
            "another once in a very long while."
        )

    def draw_few(self, model: keras.Model) -> np.ndarray:
        """Return the pictures that a machine finds most probable."""
        found = boltzmann.distribution(model.get_layer("machine"))
        return self._pictures(np.argsort(-found, kind="stable")[:SHOWN])

    def _pictures(self, numbers) -> np.ndarray:
        states = boltzmann.states_of(int(np.prod(self.inputs.shape)))
        return states[numbers].reshape(-1, *self.inputs.shape)

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        machine = model.get_layer("machine")
        found = boltzmann.distribution(machine)
        truth = self.distribution_of(scores.split)
        nats = DIVERGENCE.write(scores.metrics[DIVERGENCE.name])
        true = int(np.count_nonzero(truth))
        headline = (
            f'<p class="number">{nats}</p>\n'
            "<p>is the KL divergence of the data's distribution from the "
            f"machine's, over all {len(found):,} pictures that could be.</p>\n"
            f'<p class="caption">The {true} that the data have are '
            f"{100 * found[truth > 0].sum():.2f} % of what the machine draws."
            "</p>"
        )
        facts = {
            metric.words: metric.write(scores.metrics[metric.name])
            for metric in self.metrics
        }
        hidden = machine.units
        facts["Units"] = f"{machine.visible} visible, {hidden} hidden"
        before = [
            self._pictures_section(plots, found, truth),
            self._marginals_section(plots, machine, found, truth),
            self._weights_section(plots, machine),
        ]
        return Parts(headline, facts, before, [])

    def _pictures_section(self, plots, found, truth):
        numbers = np.argsort(-found, kind="stable")[:SHOWN]
        texts = [f"{found[i]:.1%}\n{truth[i]:.1%}" for i in numbers]
        # Ink is light gray, for the page is white.
        figure = page.tiles(
            *(self._pictures(numbers), texts, 10), cmap="gray", limits=(0, 1.2)
        )
        alt = "Pictures with two probabilities: " + "; ".join(
            " and ".join(text.split()) for text in texts
        )
        html = page.figure_html(plots / "pictures.png", figure, f"{alt}.")
        caption = (
            f"The {len(numbers)} pictures that the machine finds most "
            "probable. Below each is its exact probability, and then that in "
            "the data."
        )
        return "What it finds probable", caption, html

    def _marginals_section(self, plots, machine, found, truth):
        height, width, _ = self.inputs.shape
        names = [
            f"{y + 1},{x + 1}" for y in range(height) for x in range(width)
        ]
        pairs = np.triu_indices(len(names), 1)
        walked = gibbs_states(machine, CHAINS, SWEEPS, SEED)
        walked = walked[:, : machine.visible]
        together = walked.T @ walked / len(walked)
        every = {
            "machine, exactly": self._together(found),
            "data": self._together(truth),
            f"{CHAINS} chains": together,
        }
        singles = {name: x.diagonal() for name, x in every.items()}
        html = matrices.shares_html(
            *(plots / "marginals.png", names, singles),
            label="on, in %",
        )
        exact, true, drawn = (x[pairs] for x in every.values())
        caption = (
            "How often each pixel is on, by its row and column. The machine's "
            "bars are sums over all of its states; the chains began at noise, "
            f"and their units decided in turns for {SWEEPS} sweeps. Of the "
            f"{len(exact)} pairs of pixels the machine is at most "
            f"{100 * np.abs(exact - true).max():.1f} % off the data, and the "
            f"chains {100 * np.abs(drawn - exact).max():.1f} % off the machine."
        )
        return "Marginals", caption, html

    def _weights_section(self, plots, machine):
        height, width, _ = self.inputs.shape
        names = [
            f"{y + 1},{x + 1}" for y in range(height) for x in range(width)
        ]
        names += [f"h{i + 1}" for i in range(machine.units)]
        weights = keras.ops.convert_to_numpy(machine.weights_between())
        html = matrices.matrix_html(
            *(plots / "weights.png", weights),
            row="unit",
            column="unit",
            rows=names,
            columns=names,
            diverging=True,
        )
        caption = (
            "Between pixels, by row and column, and hidden units, h1 and on. "
            "Blue draws two units to be on together, red keeps them from it."
        )
        return "The weights", caption, html


def gibbs_states(machine, chains: int, sweeps: int, seed: int) -> np.ndarray:
    """Return where Gibbs chains of a machine come to that begin at noise.

    Args:
        machine: A `zoo.boltzmann.Boltzmann`.
        chains: How many.
        sweeps: How often each unit decides.
        seed: Of their chances.

    Returns:
        States of all units, float64 `(chains, units)`.
    """
    random = np.random.default_rng(seed)
    weights = keras.ops.convert_to_numpy(machine.weights_between())
    weights, bias = weights.astype("float64"), machine.bias.numpy()
    states = random.integers(0, 2, (chains, len(bias))).astype("float64")
    for _ in range(sweeps):
        for unit, chance in enumerate(random.uniform(size=(len(bias), chains))):
            odds = np.exp(-(states @ weights[:, unit] + bias[unit]))
            states[:, unit] = chance * (1 + odds) < 1
    return states
