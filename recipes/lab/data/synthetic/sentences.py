"""Sentences about films and books, and whether who wrote them was pleased.

A sentence has one clause or two, such as "the plot was not bad but the ending
was hardly surprising". An adjective praises or blames, and a negation before it
turns that around. Of two clauses one counts: the second after "but", and the
one without "although". So the same words mean one thing or its opposite by
their order, and counts of words tell little. A few writers mean the opposite of
what they say: nobody can be right about all of them.
"""

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tokens import Tokens

SUBJECTS = (
    *("film", "book", "plot", "ending", "acting", "music", "story", "cast"),
    *("dialogue", "beginning"),
)
PRAISE = (
    *("good", "great", "funny", "moving", "clever", "beautiful", "gripping"),
    *("surprising", "charming", "brilliant"),
)
BLAME = (
    *("bad", "awful", "boring", "clumsy", "dull", "ugly", "predictable"),
    *("silly", "confusing", "lifeless"),
)
NEGATIONS = ("not", "never", "hardly")
DEGREES = ("very", "really", "quite", "rather")
LINKS = ("but", "although")
WORDS = (
    *("the", "was", *LINKS, *NEGATIONS, *DEGREES),
    *(*SUBJECTS, *PRAISE, *BLAME),
)
LONGEST = 13  # words of two clauses, and what joins them
NEGATED = 1 / 3  # share of the clauses
ODD = 0.005  # share of the writers who mean the opposite of what they say
SIZES = {"train": 2_000, "validation": 1_000, "test": 5_000}
SMALL = 400  # sentences of each split of a sample


def load(small: bool = False) -> Data:
    """Return sentences, and whether their writers were pleased.

    No sentence is there twice.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    sizes = {name: SMALL if small else size for name, size in SIZES.items()}
    inputs = Tokens(
        WORDS, LONGEST, "sentences", "A sentence on a film or a book"
    )
    sentences = {}
    while len(sentences) < sum(sizes.values()):
        text, is_praise = draw_sentence(random)
        sentences[text] = is_praise != (random.random() < ODD)
    tokens = inputs.read([*sentences])
    labels = np.array([*sentences.values()], "int32")
    splits, start = {}, 0
    for name, size in sizes.items():
        chosen = slice(start, start + size)
        splits[name] = Split(tokens[chosen], labels[chosen])
        start += size
    return Data(
        "sentences",
        **splits,
        inputs=inputs,
        facts=Facts("simulated reviews", "drawn at random, free of licences"),
        class_names=("displeased", "pleased"),
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def draw_sentence(random) -> tuple[str, bool]:
    """Return a sentence, and whether it is a praise."""
    (first, praises_first), (second, praises_second) = (
        _draw_clause(random) for _ in range(2)
    )
    return [
        (first, praises_first),
        (f"{first} but {second}", praises_second),
        (f"{first} although {second}", praises_first),
        (f"although {first} {second}", praises_second),
    ][random.choice(4, p=(0.1, 0.3, 0.3, 0.3))]


def _draw_clause(random) -> tuple[str, bool]:
    praises, is_negated, has_degree = random.random(3) < (0.5, NEGATED, 0.5)
    adjective = random.choice(PRAISE if praises else BLAME)
    words = ["the", random.choice(SUBJECTS), "was"]
    if is_negated:
        words.append(random.choice(NEGATIONS))
    if has_degree:
        words.append(random.choice(DEGREES))
    return " ".join([*words, adjective]), bool(praises != is_negated)


def counts(tokens) -> np.ndarray:
    """Return how often each word is in each sentence, `(n, words)`."""
    each = np.arange(1, len(WORDS) + 1)
    return (tokens[:, :, np.newaxis] == each).sum(axis=1)
