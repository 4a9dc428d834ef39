"""The next letter comes out: how a chain of letters is scored and shown."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.letters import Letters
from recipes.lab.inputs.noise import ASKED, drawn_from_seed
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import BITS, ENTROPY_RATE, VISITS
from recipes.lab.report import matrices, page
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from zoo import chains

SEED = 0  # of what the report shows
SHOWN = 16  # texts in the report
END = "∎"  # what stands for the beginning and the end in pictures


@dataclass(frozen=True)
class NextLetter(Task):
    """A Markov chain of letters: how probable each is after the last one.

    Attributes:
        data: The data set, of texts.
    """

    data: Data

    # What Hugging Face calls them.
    hub_task: ClassVar = "text-generation"
    hub_metric: ClassVar = "perplexity"
    # The first is the one that counts.
    metrics: ClassVar = (BITS, ENTROPY_RATE, VISITS)
    loss: ClassVar = None  # the probabilities are counted
    # The output of the signatures that says it all.
    answered: ClassVar = "probabilities"

    @property
    def inputs(self) -> Letters:
        """What goes into the model."""
        return self.data.inputs

    @property
    def states(self) -> int:
        """How many states there are: the letters, and none."""
        return 1 + len(self.inputs.vocabulary)

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a model on all steps of the texts of a split.

        Args:
            model: A model as of `zoo.markov_chain`.
            split: Texts, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            The probabilities of what comes after each text, and the metrics:

            - `test_bits_per_letter`: minus the mean logarithm of what the chain
              gave to each letter, and to each end.
            - `entropy_rate`: what that is of texts that the chain draws itself.
            - `test_visits_error`: the total variation between its stationary
              distribution and how often the texts have each letter.
        """
        if not quiet:
            say_what_is_scored(split)
        matrix = self._matrix(model)
        counts = chains.count_transitions(split.inputs, self.states)
        logarithms = np.log2(matrix)
        stationary = chains.stationary_distribution(matrix)
        visits = counts.sum(axis=1) / counts.sum()
        metrics = {
            BITS.name: -float(np.sum(counts * logarithms) / counts.sum()),
            ENTROPY_RATE.name: -float(
                stationary @ np.sum(matrix * logarithms, axis=1)
            ),
            VISITS.name: float(np.abs(stationary - visits).sum() / 2),
        }
        return Scores(split, predict(model, split.inputs), metrics)

    def _matrix(self, model) -> np.ndarray:
        """Return what a model answers to each letter alone, and to none."""
        alone = np.zeros((self.states, *self.inputs.shape), "int32")
        alone[:, -1] = np.arange(self.states)
        matrix = predict(model, alone).astype("float64")
        return matrix / matrix.sum(axis=1, keepdims=True)

    def score_answers(self, probabilities, split: Split) -> None:
        """Return that a format of an export is not scored by itself.

        Its answers are compared, of the last letters of texts.
        """
        return None

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not go from such texts to a letter.

        Raises:
            ValueError: If a shape does not fit.
        """
        shapes = model.input_shape, model.output_shape
        fitting = (None, *self.inputs.shape), (None, self.states)
        if shapes != fitting:
            raise ValueError(
                f"A chain must go from {fitting[0]} to {fitting[1]}. "
                f"Received: from {shapes[0]} to {shapes[1]}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures of a chain.

        - `serving_default`, `text` and `tokens`, see `Letters`, to `letter`
          string `(batch,)`, the likeliest to be next, empty for the end, and
          `probabilities` float32 `(batch, letters + 1)`
        - `sample`: `seed` and `count`, int64, to `text` string `(count,)`
        """
        characters = tf.constant(["", *self.inputs.vocabulary])

        def answer(tokens):
            probabilities = model(tokens, training=False)
            likeliest = tf.argmax(probabilities, axis=1)
            return {
                "letter": tf.gather(characters, likeliest),
                "probabilities": probabilities,
            }

        def expect(tokens):
            probabilities = model(tokens, training=False).numpy()
            letters = np.array(["", *self.inputs.vocabulary])
            return {
                "letter": letters[probabilities.argmax(axis=1)],
                "probabilities": probabilities,
            }

        def draw(seed, count):
            letters = tf.gather(characters, self._draw(model, seed, count))
            return {"text": tf.strings.reduce_join(letters, axis=1)}

        def expect_drawn():
            return {"text": np.array(self.draw(model, **ASKED))}

        return {
            **self.inputs.endpoints(answer, expect),
            "sample": drawn_from_seed(draw, expect_drawn),
        }

    def draw(self, model: keras.Model, seed, count) -> list[str]:
        """Return texts that depend on nothing but the arguments.

        A text goes from the beginning to the end, or is cut where no more
        letters can be read.

        Args:
            model: The chain.
            seed: An integer.
            count: How many.
        """
        drawn = self._draw(model, seed, count).numpy()
        letters = ["", *self.inputs.vocabulary]
        return ["".join(letters[number] for number in row) for row in drawn]

    def _draw(self, model, seed, count):
        """Return the numbers of the letters of drawn texts, a tensor."""
        [length] = self.inputs.shape
        seed, count = tf.cast(seed, tf.int64), tf.cast(count, tf.int32)
        alone = np.zeros((self.states, length), "int32")
        alone[:, -1] = np.arange(self.states)
        # In float64, where hardly any two numbers are so near to each other
        # that rounding decides which of them is larger.
        logits = tf.math.log(tf.cast(model(alone, training=False), tf.float64))
        # Each text has its own chances: fewer texts are the first of more.
        chances = tf.random.stateless_uniform(
            *((count, length, self.states), tf.stack([seed, 0])),
            minval=np.finfo("float64").tiny,
            dtype=tf.float64,
            alg="philox",
        )
        noise = -tf.math.log(-tf.math.log(chances))
        letter = tf.zeros_like(noise[:, 0, 0], tf.int64)
        goes_on, letters = tf.ones_like(letter), []
        for step in range(length):
            # The largest, with Gumbel's noise, is as probable as it should be.
            letter = tf.argmax(tf.gather(logits, letter) + noise[:, step], 1)
            goes_on *= tf.minimum(letter, 1)
            letters.append(letter * goes_on)
        return tf.stack(letters, axis=1)

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`."""
        graph = new_graph()
        probabilities = graph.add(model, self.inputs.into(graph))
        graph.output("probabilities", probabilities)
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"labels.txt": "\n".join(["", *self.inputs.vocabulary, ""])}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        return f"""

Out comes `letter`, the likeliest to be next; it is empty where that is the end.
`probabilities`, float32 `(n, {self.states})`, are those of all letters, by the
lines of `assets/labels.txt`, of which the first is the end."""

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export."""
        return f"""\
{loaded_by_tensorflow(name, version)}
seed, count = tf.constant(7, tf.int64), tf.constant(16, tf.int64)
print(export.signatures["sample"](seed=seed, count=count)["text"].numpy())

answer = export.signatures["text"](text=tf.constant(["{self._beginning}"]))
print(answer["letter"].numpy(), answer["probabilities"])
```

A `seed` and a `count`, at most 10,000, stand for drawn texts; the same two give
the same texts in every call. With the package installed,
`zoo.load_model("{name}")` is the Keras model, and `zoo.chains.transitions_of`
returns the matrix of its transitions.

{self.inputs.use(name)}"""

    @property
    def _beginning(self) -> str:
        return self.inputs.example[:5].strip()

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        return (
            "It knows one letter, the last one, and has forgotten all before "
            "it. So what it\ndraws has the right pairs of letters, and is "
            "hardly ever a word."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        matrix, split, metrics = (
            self._matrix(model),
            scores.split,
            scores.metrics,
        )
        bits = metrics[BITS.name]
        headline = (
            f'<p class="number">{BITS.write(bits)}</p>\n'
            "<p>is what each letter of a test text takes, its end included, if "
            "the chain says what to expect. All letters alike would take "
            f"{math.log2(self.states):.2f} bits.</p>"
        )
        facts = {
            metric.words: metric.write(metrics[metric.name])
            for metric in self.metrics
        }
        facts["States"] = f"{self.states}: the letters, and none"
        texts = [(f"{i}", text) for i, text in enumerate(self._shown(model), 1)]
        before = [
            (
                "What it draws",
                "Texts from their beginning to their end, each letter drawn "
                f"after the one before it: the first of seed {SEED}, none "
                "chosen.",
                page.table(texts, ("", "text")),
            ),
            self._matrix_section(plots, matrix),
            self._stationary_section(plots, matrix, split),
        ]
        return Parts(headline, facts, before, [])

    def _shown(self, model) -> list[str]:
        return self.draw(model, SEED, SHOWN)

    @property
    def _names(self) -> list[str]:
        """The states as pictures have them."""
        return [END, *("␣" if x == " " else x for x in self.inputs.vocabulary)]

    def _matrix_section(self, plots, matrix):
        html = matrices.matrix_html(
            *(plots / "transitions.png", matrix),
            row="a letter",
            column="what follows it",
            rows=self._names,
            columns=self._names,
        )
        caption = (
            "Row by row: how probable each letter is after one. The darker, "
            f"the more probable; {END} is the beginning in a row, and the end "
            "in a column, and ␣ a blank."
        )
        return "The transitions", caption, html

    def _stationary_section(self, plots, matrix, split):
        counts = chains.count_transitions(split.inputs, self.states)
        random = np.random.default_rng(SEED)
        walked = chains.walk(matrix, 1_000, 20, random)
        shares = {
            "π = πP": chains.stationary_distribution(matrix),
            "test texts": counts.sum(axis=1) / counts.sum(),
            "20 walks of 1,000 steps": np.bincount(
                walked.ravel(), minlength=self.states
            )
            / walked.size,
        }
        html = matrices.shares_html(
            *(plots / "stationary.png", self._names, shares),
            label="share of the steps, in %",
        )
        caption = (
            "The distribution that no step changes is a property of the "
            "matrix, an eigenvector. So often the chain is at each letter "
            "when it walks for long, and so often the test texts have it."
        )
        return "Where the chain is", caption, html
