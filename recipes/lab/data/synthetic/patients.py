"""Histories of patients who do not exist, and whether their heart fails.

A history is a sequence of codes, one for each diagnosis, drug or examination.
The risk of a heart failure is planted: each code of a few raises it a little,
and it is high if an arrhythmia follows a hypertension that no drug has treated
in between. So it matters in which order the codes come, and counts of codes
tell only a part.

Reference: E. Choi, A. Schuetz, W. F. Stewart, J. Sun, Using recurrent neural
network models for early detection of heart failure onset, 2017.
"""

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tokens import PADDING, Tokens

CAUSE, TRIGGER = "hypertension", "arrhythmia"
DRUGS = ("beta_blocker", "ace_inhibitor")
RISKS = ("diabetes", "smoking", "kidney_disease")
OTHERS = (
    *("anemia", "angina", "asthma", "back_pain", "bronchitis", "depression"),
    *("gout", "influenza", "migraine", "obesity", "thyroid_disease"),
    *("antibiotic", "antidepressant", "aspirin", "insulin", "metformin"),
    *("painkiller", "statin", "blood_test", "checkup", "echocardiogram"),
    *("electrocardiogram", "vaccination", "x_ray"),
)
CODES = (CAUSE, TRIGGER, *DRUGS, *RISKS, *OTHERS)
# How often they are, as often as one of the others.
OFTEN = {CAUSE: 4, TRIGGER: 4, **dict.fromkeys(DRUGS, 2)}
SHORTEST, LONGEST = 8, 30  # codes of a history
BASE, EACH, PATTERN = -2.5, 0.5, 3.0  # what adds to the log-odds
SIZES = {"train": 20_000, "validation": 5_000, "test": 10_000}
SMALL = 400  # patients of each split of a sample


def load(small: bool = False) -> Data:
    """Return histories, and whether a heart failure followed.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    splits = {}
    for name, count in SIZES.items():
        tokens = histories(SMALL if small else count, random)
        failed = random.uniform(size=len(tokens)) < risk(tokens)
        splits[name] = Split(tokens, failed.astype("int32"))
    return Data(
        "patients",
        **splits,
        inputs=Tokens(
            CODES, LONGEST, "histories", "The codes of a history, oldest first"
        ),
        facts=Facts("simulated patients", "drawn at random, free of licences"),
        class_names=("no failure", "heart failure"),
        source="a simulation",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
    )


def histories(count: int, random) -> np.ndarray:
    """Return so many histories, int32 `(count, LONGEST)`, see `Tokens`."""
    weights = np.array([OFTEN.get(code, 1) for code in CODES], "float64")
    tokens = 1 + random.choice(
        len(CODES), (count, LONGEST), p=weights / weights.sum()
    )
    lengths = random.integers(SHORTEST, LONGEST + 1, (count, 1))
    before = np.arange(LONGEST) < LONGEST - lengths
    return np.where(before, PADDING, tokens).astype("int32")


def risk(tokens) -> np.ndarray:
    """Return the probability of a heart failure after each history, `(n,)`."""
    numbers = {code: i for i, code in enumerate(CODES, start=1)}

    def are(*codes):
        return np.isin(tokens, [numbers[code] for code in codes])

    causes, triggers, drugs = are(CAUSE), are(TRIGGER), are(*DRUGS)
    untreated = np.zeros(len(tokens), bool)
    struck = np.zeros(len(tokens), bool)
    for step in range(tokens.shape[1]):
        struck |= untreated & triggers[:, step]
        untreated |= causes[:, step]
        untreated &= ~drugs[:, step]
    log_odds = BASE + EACH * are(*RISKS).sum(axis=1) + PATTERN * struck
    return 1 / (1 + np.exp(-log_odds))


def counts(tokens) -> np.ndarray:
    """Return how often each code is in each history, `(n, codes)`."""
    each = np.arange(1, len(CODES) + 1)
    return (tokens[:, :, np.newaxis] == each).sum(axis=1)
