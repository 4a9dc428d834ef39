"""Texts come out: how what writes them is scored, served, described and shown.

What is read may be a text or an image: a translation, or a caption.
"""

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.data.splits import Data, Split
from recipes.lab.inputs.signatures import Signature
from recipes.lab.metrics import EXACT, LETTER_ACCURACY
from recipes.lab.report import attention, page
from recipes.lab.tasks.scores import Parts, Scores, predict, say_what_is_scored
from recipes.lab.tasks.task import Task, loaded_by_tensorflow
from zoo import encoder_decoders

SHOWN = 12  # texts in a gallery
ATTENDED = 4  # texts whose attention is drawn

# What the card says of images.
FILES = """\
The signature `image_bytes` takes PNG or JPEG files instead of pixels. From
`zoo.load_predictor("{name}")` comes a fast function from pixels to letters.
"""


@dataclass(frozen=True)
class Translation(Task):
    """A model that says how likely each letter is, after those it has chosen.

    Attributes:
        data: The data set; its `writing` says what the texts are made of.
    """

    data: Data

    # What Hugging Face calls its metric.
    hub_metric: ClassVar = "exact_match"
    # The first is the one that counts.
    metrics: ClassVar = (EXACT, LETTER_ACCURACY)
    loss: ClassVar = None  # training's is of letters after the right ones
    # The output of the signatures that says it all.
    answered: ClassVar = "letters"

    @property
    def hub_task(self) -> str:
        """What Hugging Face calls the task."""
        if self.inputs.hub_kind == "text":
            return "translation"
        return f"{self.inputs.hub_kind}-to-text"

    @property
    def inputs(self):
        """What goes into the model, see `recipes.lab.inputs`."""
        return self.data.inputs

    def score(
        self, model: keras.Model, split: Split, quiet: bool = False
    ) -> Scores:
        """Score a model on a split, whole and in order.

        Args:
            model: A model that writes, as of `zoo.seq2seq`.
            split: Inputs and numbers of letters, usually the test set's.
            quiet: Say nothing, for recipes that score many models.

        Returns:
            How likely each letter is, float32 `(n, length, letters + 1)`; the
            share of the texts that are right to the last letter, and the share
            of the letters that are, ends included.
        """
        if not quiet:
            say_what_is_scored(split)
        likely = predict(model, split.inputs)
        scores = self.score_answers(_chosen(likely), split)
        return Scores(split, likely, scores.metrics)

    def score_answers(self, letters, split: Split) -> Scores:
        """Score what the signatures answer to a split; see `score`."""
        right = letters == split.targets
        metrics = {
            EXACT.name: float(right.all(axis=1).mean()),
            LETTER_ACCURACY.name: float(right.mean()),
        }
        return Scores(split, letters, metrics)

    def check(self, model: keras.Model) -> None:
        """Refuse a model that does not write such texts.

        Raises:
            ValueError: If it has no decoder, or one of other texts.
        """
        decoder = encoder_decoders.decoder_of(model)
        alphabet, length, _ = self.data.writing
        if (decoder.alphabet, decoder.length) != (alphabet, length):
            raise ValueError(
                f"What writes must write {length} letters of {alphabet!r}. "
                f"Received: {decoder.length} of {decoder.alphabet!r}"
            )

    def signatures(self, model: keras.Model) -> dict[str, Signature]:
        """Return the signatures, those of each kind of input and `sample`.

        All return `text` string `(batch,)`; its `letters`, int32 `(batch,
        length)`; and `letter_probabilities`, float32 `(batch, length, letters +
        1)`, of each letter after those before it. `sample` draws each letter as
        often as it is likely: it takes a `seed`, int64, and a `temperature`,
        float32, too. The other signatures take the likeliest one.
        """
        decoder = encoder_decoders.decoder_of(model)
        encoder = keras.Model(model.input, decoder.input)
        alphabet = self.data.writing.alphabet
        characters = tf.constant(["", *alphabet])

        def decode(inputs, noise):
            encoded = encoder(inputs, training=False)
            logits = decoder(encoded, noise=noise)
            chosen = logits if noise is None else logits + noise
            letters = _written(encoder_decoders.largest(chosen), tf)
            return letters, tf.nn.softmax(logits)

        def answer(inputs, noise=None):
            letters, probabilities = decode(inputs, noise)
            text = tf.gather(characters, letters)
            return {
                "text": tf.strings.reduce_join(text, axis=-1),
                "letters": letters,
                "letter_probabilities": probabilities,
            }

        def expect(inputs, noise=None):
            letters, probabilities = (x.numpy() for x in decode(inputs, noise))
            return {
                "text": np.array(self.data.writing.write(letters)),
                "letters": letters,
                "letter_probabilities": probabilities,
            }

        def draw(seed, temperature):
            return self._draw(model, seed, temperature)

        drawn = self.inputs.drawn(
            lambda inputs, seed, temperature: answer(
                inputs, draw(seed, temperature)
            ),
            lambda inputs, seed, temperature: expect(
                inputs, draw(seed, temperature)
            ),
        )
        return {**self.inputs.endpoints(answer, expect), "sample": drawn}

    def _draw(self, model, seed, temperature):
        """Return what makes the largest logit a draw: Gumbel's noise.

        It is the same for all of a batch, so that what is drawn for an input
        does not depend on its place.
        """
        message = "temperature must be above 0, and finite"
        checks = [
            tf.debugging.assert_positive(temperature, message),
            tf.debugging.assert_less(temperature, float("inf"), message),
        ]
        with tf.control_dependencies(checks):
            uniform = tf.random.stateless_uniform(
                (1, *model.output_shape[1:]),
                tf.stack([tf.cast(seed, tf.int64), 0]),
                minval=np.finfo("float32").tiny,
                alg="philox",
            )
        return -temperature * tf.math.log(-tf.math.log(uniform))

    def graphs(self, model: keras.Model, new_graph) -> dict:
        """Return graphs of another format; see `Classification`.

        They take the likeliest letter.
        """
        graph = new_graph()
        probabilities = graph.add(model, self.inputs.into(graph))
        letters = graph.node("ArgMax", probabilities, axis=-1, keepdims=0)
        are_letters = graph.node("Min", letters, 1)
        length = self.data.writing.length
        steps = [
            graph.node("Slice", are_letters, [i], [i + 1], [1])
            for i in range(length)
        ]
        before_end = itertools.accumulate(
            steps, functools.partial(graph.node, "Mul")
        )
        before_end = graph.node("Concat", *before_end, axis=1)
        letters = graph.node("Mul", letters, before_end)
        letters = graph.cast(letters, "int32")
        graph.output("letters", letters, shape=(length,))
        graph.output("letter_probabilities", probabilities)
        return {"model": graph}

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph."""
        return {"labels.txt": "\n".join(["", *self.data.writing.alphabet, ""])}

    def output(self) -> str:
        """Return what the card says of the outputs."""
        alphabet, length, about = self.data.writing
        return f"""

Out comes `text`: {about}, in 1 to {length} of the letters
`{alphabet}`.
Their numbers are `letters`, int32 `(n, {length})`, by the lines of
`assets/labels.txt` from 0 on, which is the end. `letter_probabilities` says how
likely each letter is after those before it."""

    def use(self, name: str, version: str) -> str:
        """Return how the card says to use the export; see `Classification`."""
        inputs = self.inputs
        if inputs.hub_kind == "text":
            given, listed = "text=text", f'["{inputs.example}"]'
            asked = f"text = tf.constant({listed})"
            more = inputs.use(name)
        else:
            given = f"{inputs.argument}={inputs.variable}"
            asked, listed = inputs.comment(), inputs.variable
            more = FILES.format(name=name)
        return f"""\
{loaded_by_tensorflow(name, version)}
{asked}
answer = export.signatures["serving_default"]({given})
print(answer["text"].numpy())
```

The signature `sample` draws each letter as often as it is likely; a lower
temperature keeps nearer to what is likely. The same seed draws the same text.

```python
answer = export.signatures["sample"](
    {given},
    seed=tf.constant(7, tf.int64),
    temperature=tf.constant(1.0),
)
print(answer["text"].numpy())
```

With the package installed, a Keras model writes, too. It draws if it gets a
`seed`, but not what the signature draws from the same one.

```python
import zoo

model = zoo.load_model("{name}")
print(zoo.generate_text(model, {listed}))
```

{more}"""

    def limits(self) -> str:
        """Return what the card says that the model cannot do."""
        inputs, title = self.inputs, self.data.facts.title
        return (
            f"It always writes something, {inputs.strangeness}; of "
            f"{inputs.plural} unlike\n{title} it writes nonsense."
        )

    def report(self, model: keras.Model, scores: Scores, plots: Path) -> Parts:
        """Return what the report says of the model; see `Classification`."""
        split, plural = scores.split, self.inputs.plural
        letters = _chosen(scores.outputs)
        right = (letters == split.targets).all(axis=1)
        wrong = np.flatnonzero(~right)
        facts = {m.words: m.write(scores.metrics[m.name]) for m in self.metrics}
        mistakes = "mistake" if len(wrong) == 1 else "mistakes"
        headline = (
            f'<p class="number">{EXACT.write(right.mean())}</p>\n'
            f"<p>of the {len(split):,} test {plural} get the right text, to "
            f"the last letter: {len(wrong):,} {mistakes}.</p>"
        )
        found = [
            text or "(nothing)" for text in self.data.writing.write(letters)
        ]
        truth = self.data.writing.write(split.targets)
        examples = np.arange(min(SHOWN, len(split)))
        before = [
            (
                "What it writes",
                f"The first test {plural}, and what is written of each.",
                self._gallery(plots / "examples.png", split, examples, found),
            )
        ]
        if len(wrong):
            chosen = wrong[:SHOWN]
            html = self._gallery(
                plots / "mistakes.png", split, chosen, found, truth
            )
            caption = f"Test {plural} of which another text is written."
            before.append(("Mistakes", caption, html))
        after = []
        decoder = encoder_decoders.decoder_of(model)
        if self.inputs.hub_kind == "text" and len(decoder.input.shape) == 3:
            few = split[self._to_attend(split, right)]
            weights = encoder_decoders.attention_of(model, few.inputs)
            answers = _chosen(predict(model, few.inputs))
            after.append(
                attention.section(
                    plots,
                    self.inputs.write(few.inputs),
                    self.data.writing.write(answers),
                    weights,
                )
            )
        elif weights := self.inputs.weights_section(plots, model, []):
            after.append(weights)
        return Parts(headline, facts, before, after)

    def _to_attend(self, split, right):
        """Return the longest of some texts, for each length of an answer."""
        some = np.flatnonzero(right)[:1_000]
        if not len(some):
            some = np.arange(min(1_000, len(split)))
        read = np.count_nonzero(split.inputs[some], axis=1)
        written = np.count_nonzero(split.targets[some], axis=1)
        longest = {
            length: some[written == length][read[written == length].argmax()]
            for length in sorted({*written.tolist()}, reverse=True)
        }
        return [*longest.values()][:ATTENDED]

    def _gallery(self, path, split, chosen, found, truth=()) -> str:
        """Return some examples as HTML, with what was written, and is right."""
        columns = [
            [texts[i] for i in chosen] for texts in (found, truth) if texts
        ]
        inputs = split.inputs[chosen]
        if self.inputs.hub_kind == "text":
            rows = zip(self.inputs.write(inputs), *columns, strict=True)
            header = ("read", "written", "right")[: 1 + len(columns)]
            return page.table(rows, header)
        texts = ["\nnot ".join(words) for words in zip(*columns, strict=True)]
        return self.inputs.gallery(path, inputs, texts, "; ".join(texts))


def _chosen(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest letters, with zeros after the first one, int32."""
    return _written(probabilities.argmax(axis=-1).astype("int32"))


def _written(letters, library=np):
    """Return numbers of letters with zeros after the first one.

    Args:
        letters: int32 `(n, length)`.
        library: NumPy or TensorFlow, by which they are arrays or tensors.
    """
    are_letters = library.minimum(letters, 1)
    if library is np:
        return letters * np.cumprod(are_letters, axis=1, dtype="int32")
    # LiteRT has no products of all before.
    steps = tf.unstack(are_letters, axis=1)
    return letters * tf.stack([*itertools.accumulate(steps, tf.multiply)], 1)
