"""Written dates and numbers: each means what its normal form says."""

import datetime
import re

import numpy as np
import pytest

from recipes.lab.data.synthetic import written


@pytest.fixture(scope="module")
def data():
    return written.load()


def value_of(words):
    """Return the number that words stand for, term by term."""
    units = "zero one two three four five six seven eight nine ten eleven "
    units += "twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    known = {word: i for i, word in enumerate([*units.split(), "nineteen"])}
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    known |= {word: 10 * i for i, word in enumerate(tens, start=2)}
    total = part = 0
    for word in re.split("[ -]", words):
        if word == "thousand":
            total, part = total + 1_000 * part, 0
        elif word == "hundred":
            part *= 100
        elif word != "and":
            part += known[word]
    return total + part


def test_numbers_in_words_are_worth_what_they_say():
    numbers = [*range(1_200), *range(1_200, 100_000, 7), 99_999]
    for number in numbers:
        assert value_of(written.in_words(number)) == number
    assert written.in_words(42_007) == "forty-two thousand and seven"
    assert written.in_words(1_210) == "one thousand two hundred and ten"


def test_years_and_days_are_said_as_people_say_them():
    said = {
        1900: "nineteen hundred", 1905: "nineteen oh five",
        1987: "nineteen eighty-seven", 2000: "two thousand",
        2009: "two thousand and nine", 2010: "twenty ten",
    }  # fmt: skip
    assert {year: written.year_in_words(year) for year in said} == said
    ordinals = {
        1: "first", 3: "third", 8: "eighth", 12: "twelfth", 19: "nineteenth",
        20: "twentieth", 22: "twenty-second", 31: "thirty-first",
    }  # fmt: skip
    assert {n: written.ordinal_in_words(n) for n in ordinals} == ordinals


@pytest.mark.parametrize("days", [0, 31_898, written.DAYS - 1])
def test_all_ways_to_write_a_date_are_that_date(days):
    date = written.FIRST + datetime.timedelta(days)
    ways = written.write_date(date)
    formats = ["%d %B %Y", "%B %d, %Y", None, "%A, %d %B %Y", "%d.%m.%Y"]
    for text, form in zip(ways, formats, strict=False):
        if form:
            assert datetime.datetime.strptime(text, form).date() == date
    ordinal, year = written.ordinal_in_words, written.year_in_words
    for text in ways[5:7]:
        assert ordinal(date.day) in text
        assert text.endswith(year(date.year))
    for text in (ways[2], *ways[5:]):
        assert f"{date:%B}".lower() in text


def test_a_date_is_read_in_eight_ways():
    assert written.write_date(datetime.date(1987, 5, 3)) == [
        "3 may 1987",
        "may 3, 1987",
        "3rd of may, 1987",
        "sunday, 3 may 1987",
        "03.05.1987",
        "the third of may nineteen eighty-seven",
        "may the third, nineteen eighty-seven",
        "may 3rd, nineteen eighty-seven",
    ]
    ends = [
        re.match(r"\d+([a-z]+)", written.write_date(date)[2])[1]
        for date in (datetime.date(2000, 1, day) for day in range(1, 32))
    ]
    few = ["st", "nd", "rd"]
    assert ends == [*few, *["th"] * 17, *few, *["th"] * 7, "st"]


def test_no_answer_is_in_two_splits(data):
    forms = [
        {*map(bytes, split.targets)}
        for split in (data.train, data.validation, data.test)
    ]
    sizes = [*written.SIZES.values()]
    assert [len(each) for each in forms] == sizes
    assert len(set().union(*forms)) == sum(sizes)


def test_half_of_the_texts_are_dates(data):
    for split in (data.train, data.test):
        are_dates = written.are_dates(split.targets)
        assert are_dates.sum() * 2 == len(split)
        forms = np.array(data.writing.write(split.targets))
        assert all(datetime.date.fromisoformat(x) for x in forms[are_dates])
        texts = np.array(data.inputs.write(split.inputs))[~are_dates]
        for text, form in zip(texts[:500], forms[~are_dates], strict=False):
            assert value_of(text) == int(form)


def test_alphabet_and_length_are_those_of_all_that_can_be_written():
    every = [written.in_words(number) for number in range(0, 100_000, 11)]
    every += ["seventy-seven thousand seven hundred and seventy-seven"]
    for days in range(0, written.DAYS, 13):
        every += written.write_date(written.FIRST + datetime.timedelta(days))
    assert max(map(len, every)) == written.LONGEST
    assert "".join(sorted({*"".join(every)})) == written.READ


def test_the_same_program_draws_the_same_texts():
    one, other = written.load(small=True), written.load(small=True)
    assert one.checksum == other.checksum
    assert one.is_sample
    assert len(one.train) == written.SMALL
