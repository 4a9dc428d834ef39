"""Dates and numbers as people write them, and in their normal form.

A date is written in one of eight ways, with words or with digits:
"the third of may nineteen eighty-seven", "sunday, 3 may 1987", "03.05.1987".
Its normal form is that of ISO 8601, 1987-05-03. A number below 100,000 is
written in words, "forty-two thousand and seven", and its normal form has
digits. No date and no number of one split is in another one, in whatever way it
is written.
"""

import datetime

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, Writing, sum_of
from recipes.lab.inputs.letters import Letters

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
DAYS = (LAST - FIRST).days + 1
NUMBERS = 100_000
LONGEST = 54  # characters of a text
READ = " ,-.0123456789abcdefghijlmnoprstuvwxyz"
WRITTEN = "-0123456789"
SIZES = {"train": 30_000, "validation": 2_000, "test": 5_000}
SMALL = 400  # texts of each split of a sample

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven"),
    *("eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = (
    *("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
    "ninety",
)
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth",
    "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
    "twenty": "twentieth", "thirty": "thirtieth",
}  # fmt: skip
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    "sunday",
)


def load(small: bool = False) -> Data:
    """Return texts, and the normal form of each as numbers of letters.

    Args:
        small: Whether a sample is enough.
    """
    random = np.random.default_rng(0)
    sizes = {name: SMALL if small else size for name, size in SIZES.items()}
    # As many dates as numbers, each of them once.
    dates = random.permutation(DAYS)[: sum(sizes.values()) // 2]
    numbers = random.permutation(NUMBERS)[: sum(sizes.values()) // 2]
    inputs = Letters(
        tuple(READ),
        LONGEST,
        "texts",
        "A date from 1900 to 2099, or a number below 100,000 in words",
        "the third of May 1987",
    )
    writing = Writing(WRITTEN, 10, "the date as in 1987-05-03, or the digits")
    splits, start = {}, 0
    for name, size in sizes.items():
        end = start + size // 2
        pairs = [_written_date(day, random) for day in dates[start:end]]
        pairs += [(in_words(n), str(n)) for n in numbers[start:end].tolist()]
        texts, forms = zip(*pairs, strict=True)
        order = random.permutation(size)
        splits[name] = Split(inputs.read(texts), writing.read(forms))[order]
        start = end
    return Data(
        "written_dates_and_numbers",
        **splits,
        inputs=inputs,
        facts=Facts(
            "written dates and numbers", "drawn at random, free of licences"
        ),
        class_names=(),
        source="a program",
        checksum=sum_of(*(split.inputs for split in splits.values())),
        is_sample=small,
        writing=writing,
    )


def are_dates(targets) -> np.ndarray:
    """Say of each normal form, int32 `(n, length)`, whether it is a date."""
    return np.any(targets == 1 + WRITTEN.index("-"), axis=1)


def in_words(number: int) -> str:
    """Return a number from 0 to 99,999 in words."""
    if number >= 1_000:
        thousands, rest = divmod(number, 1_000)
        joint = " " if rest >= 100 else " and "
        tail = f"{joint}{in_words(rest)}" if rest else ""
        return f"{in_words(thousands)} thousand{tail}"
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        tail = f" and {in_words(rest)}" if rest else ""
        return f"{_UNITS[hundreds]} hundred{tail}"
    if number >= 20:
        tens, rest = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_UNITS[rest]}" if rest else "")
    return _UNITS[number]


def year_in_words(year: int) -> str:
    """Return a year as it is said: nineteen oh five, two thousand and one."""
    if 2000 <= year < 2010:
        return in_words(year)
    century, rest = divmod(year, 100)
    if not rest:
        return f"{in_words(century)} hundred"
    tail = in_words(rest) if rest >= 10 else f"oh {in_words(rest)}"
    return f"{in_words(century)} {tail}"


def ordinal_in_words(number: int) -> str:
    """Return an ordinal number below 100 in words: twenty-third."""
    head, dash, last = in_words(number).rpartition("-")
    return head + dash + _ORDINALS.get(last, f"{last}th")


def write_date(date: datetime.date) -> list[str]:
    """Return a date in all the ways that it is written here."""
    day, year = date.day, date.year
    month, weekday = _MONTHS[date.month - 1], _WEEKDAYS[date.weekday()]
    end = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10)
    end = end or "th"
    ordinal, said = ordinal_in_words(day), year_in_words(year)
    return [
        f"{day} {month} {year}",
        f"{month} {day}, {year}",
        f"{day}{end} of {month}, {year}",
        f"{weekday}, {day} {month} {year}",
        f"{day:02}.{date.month:02}.{year}",
        f"the {ordinal} of {month} {said}",
        f"{month} the {ordinal}, {said}",
        f"{month} {day}{end}, {said}",
    ]


def _written_date(day: int, random) -> tuple[str, str]:
    date = FIRST + datetime.timedelta(int(day))
    return random.choice(write_date(date)), date.isoformat()
