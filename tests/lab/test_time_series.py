"""Sequences of numbers, and what an export makes of them."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.lab.inputs.tables import Column
from recipes.lab.inputs.time_series import TimeSeries

INPUTS = TimeSeries(
    3, (Column("height", "m", "of the tide"), Column("wind", "", "from 0 to 1"))
)
SEQUENCES = np.arange(12, dtype="float32").reshape(2, 3, 2)


@pytest.fixture(scope="module")
def serve():
    def same(sequence):
        return {"sequence": sequence}

    return INPUTS.endpoints(same, same)["serving_default"]


def test_sequences_go_in_as_they_are(serve):
    assert INPUTS.shape == (3, 2)
    asked = serve.ask(SEQUENCES)
    found = serve.function(asked["sequence"])["sequence"]
    np.testing.assert_array_equal(found, SEQUENCES)


def test_a_sequence_with_a_gap_is_refused(serve):
    broken = SEQUENCES.copy()
    broken[1, 2, 0] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be finite"):
        serve.function(tf.constant(broken))


def test_the_card_says_what_the_numbers_are():
    card = INPUTS.card()
    assert (
        "| `height` | m | of the tide |\n| `wind` | – | from 0 to 1 |" in card
    )
    assert "3 steps of 2 numbers" in card
    assert INPUTS.comment() == ("# sequences: float32, (n, 3, 2), in raw units")


def test_a_page_shows_sequences(tmp_path):
    path = tmp_path / "x.png"
    html = INPUTS.gallery(path, SEQUENCES, ["first", "second"], "two of them")
    assert path.stat().st_size > 1_000
    assert "two of them" in html
