"""Sentences with names in them: which word names what?

Names of persons, places and organizations are put together from the same
syllables, and most of them can be either: whether Barton said something, is a
town or has shares is in the words around it; in some sentences these say
nothing, and only the last letters may. New names are made all the time, so a
word alone says little, and of many a word nothing.

A word is described as in the systems before deep learning, by features that
people chose: itself, its neighbors, its letters, its shape, and which words are
within four steps on either side.

Reference: J. R. Finkel, T. Grenager, C. Manning, Incorporating non-local
information into information extraction systems by Gibbs sampling, 2005.
"""

import collections
import itertools

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tokens import PADDING, Tokens

CLASSES = ("no name", "person", "place", "organization")
OUTSIDE, PERSON, PLACE, ORGANIZATION = range(4)
# Which features there are of a word.
TEMPLATES = ("template", "word")
SYLLABLES = (
    *("Al", "Bar", "Ber", "Cor", "Dal", "El", "Fer", "Gar", "Hol", "Kar"),
    *("Lin", "Mar", "Nor", "Ol", "Per", "Ros", "San", "Tor", "Ver", "Wal"),
)
MIDDLES = ("", "", "a", "en", "i", "in", "o", "mer", "ver", "wal")
# The last ones may end anything, the others are of one kind.
ENDINGS = {
    PERSON: ("son", "ez", "sky"),
    PLACE: ("ville", "burg", "land"),
    ORGANIZATION: ("soft", "tech", "ex"),
    OUTSIDE: ("ton", "ford", "well", "ham", "ley", "more"),
}
OWN_ENDING = 0.25  # share of the names that end as their kind alone does
# A word in braces is a name; what belongs to it is written with it.
SENTENCES = (
    "Yesterday {person} said that prices were falling .",
    "Yesterday {place} said goodbye to its old bridge .",
    "Later Mr {person} left the room without a word .",
    "The mayor of {place} opened the new school .",
    "The head of {organization} opened the new office .",
    "She lives in {place} with two cats .",
    "She works for {organization} since last year .",
    "She married {person} in the old church of {place} .",
    "Shares of {organization} fell after the news .",
    "The streets of {place} were empty after the news .",
    "The books of {person} were a surprise to all .",
    "{person} and her brother met in {place} .",
    "{place} and its river are worth a visit .",
    "{organization} and its staff moved to {place} .",
    "Last week {organization} hired {person} as its new chairman .",
    "Last week {place} was cut off by the snow .",
    "Last week {person} was born to be a singer .",
    "It rained in {place} while {person} slept .",
    "The train from {place} to {place} was late again .",
    "A letter from {person} to {organization} was found .",
    # Whatever it is: here only its last letters may say.
    "Everybody spoke of {any} that day .",
    "There is no news of {any} yet .",
    "What is so special about {any} and {any} ?",
    "I had never heard of {any} before .",
)
ANY = "{any}"
KINDS = {"{person}": PERSON, "{place}": PLACE, "{organization}": ORGANIZATION}
SIZES = {"train": 3_000, "validation": 500, "test": 1_000}  # sentences
SMALL = 60  # sentences of each split of a sample
WINDOW = 4  # steps to either side
LENGTH = 32  # features of a word, at most
RARE = 2  # features that are seen more seldom are not known


def load(template: str, small: bool = False) -> Data:
    """Return the words of sentences, and what each of them names.

    Args:
        template: `"template"` for all features, `"word"` for the word alone.
        small: Whether a sample is enough.
    """
    texts = {name: sentences(name, small) for name in SIZES}
    described = {
        name: [features(words, i, template) for words, i in each_word(of)]
        for name, of in texts.items()
    }
    seen = collections.Counter(itertools.chain(*described["train"]))
    known = sorted(feature for feature in seen if seen[feature] >= RARE)
    inputs = Tokens(
        *(tuple(known), LENGTH, "words"),
        "The features of a word in its sentence, in any order",
    )
    splits = {
        name: Split(
            _numbers(described[name], known),
            np.array([tag for _, tags in texts[name] for tag in tags], "int32"),
        )
        for name in SIZES
    }
    return Data(
        f"entities_{template}",
        **splits,
        inputs=inputs,
        facts=Facts("made-up sentences", "drawn at random, free of licences"),
        class_names=CLASSES,
        source="a grammar",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def sentences(split: str, small: bool = False) -> list[tuple]:
    """Return the sentences of a split: their words, and what each names.

    Args:
        split: One of `SIZES`.
        small: Whether a sample is enough.
    """
    random = np.random.default_rng([*SIZES].index(split))
    made = []
    for _ in range(SMALL if small else SIZES[split]):
        words = SENTENCES[random.integers(len(SENTENCES))].split()
        tags = [
            int(random.integers(1, len(CLASSES)))
            if word == ANY
            else KINDS.get(word, OUTSIDE)
            for word in words
        ]
        named = [
            name(tag, random) if tag else word
            for word, tag in zip(words, tags, strict=True)
        ]
        made.append((named, tags))
    return made


def name(kind: int, random) -> str:
    """Return a new name of a person, a place or an organization."""
    own = random.uniform() < OWN_ENDING
    parts = SYLLABLES, MIDDLES, ENDINGS[kind if own else OUTSIDE]
    return "".join(part[random.integers(len(part))] for part in parts)


def each_word(texts):
    """Yield the words of each sentence, and the place of each of them."""
    for words, _ in texts:
        for i in range(len(words)):
            yield words, i


def features(words, place: int, template: str = "template") -> list[str]:
    """Return the features of a word in its sentence.

    Args:
        words: The words of the sentence.
        place: Which of them, from 0.
        template: One of `TEMPLATES`.
    """
    word = words[place]
    if template == "word":
        return [f"word={word}"]
    before = [*["<start>"] * WINDOW, *words[:place]][-WINDOW:]
    after = [*words[place + 1 :], *["<end>"] * WINDOW][:WINDOW]
    return [
        f"word={word}",
        f"previous={before[-1]}",
        f"next={after[0]}",
        *(f"begins={word[:n]}" for n in (1, 2, 3)),
        *(f"ends={word[-n:]}" for n in (1, 2, 3, 4)),
        f"shape={shape(word)}",
        f"shapes={shape(before[-1])}_{shape(word)}_{shape(after[0])}",
        *(f"left={other}" for other in before),
        *(f"right={other}" for other in after),
    ]


def shape(word: str) -> str:
    """Return what a word looks like: `Xx`, `x` or `.`."""
    if not word[0].isalpha():
        return word[0]
    letters = "".join("X" if letter.isupper() else "x" for letter in word)
    return "".join(kind for kind, _ in itertools.groupby(letters))


def _numbers(described, known) -> np.ndarray:
    """Return the numbers of known features, zeros first, `(n, LENGTH)`."""
    numbers = {feature: i for i, feature in enumerate(known, start=1)}
    rows = np.full((len(described), LENGTH), PADDING, "int32")
    for row, features_of_word in zip(rows, described, strict=True):
        found = [numbers[f] for f in features_of_word if f in numbers]
        if found:
            row[-len(found) :] = found
    return rows
