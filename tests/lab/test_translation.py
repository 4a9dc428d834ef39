"""Texts that a model writes: how they are scored, served and shown."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.kinds import spelling, translator
from helpers.marks import only_thorough

import zoo
from recipes.lab.data.splits import Writing
from recipes.lab.tasks import translation as translating


@pytest.fixture(scope="module")
def translation():
    return translator()


@pytest.fixture(scope="module")
def signatures(translation):
    task, model = translation
    return task.signatures(model)


TEXTS = ["3 May 1987", "forty-two", "may the third, nineteen eighty-seven"]


def test_a_text_counts_if_all_of_its_letters_are_right(translation):
    task, _ = translation
    test = task.data.test[:4]
    letters = test.targets.copy()
    assert task.score_answers(letters, test).metrics == {
        "test_exact": 1,
        "test_letter_accuracy": 1,
    }
    letters[2, 1] = 1 + letters[2, 1] % 11
    assert task.score_answers(letters, test).metrics == {
        "test_exact": 0.75,
        "test_letter_accuracy": 1 - 1 / 40,
    }


def test_what_comes_after_the_end_does_not_count(translation):
    """A network may say anything once it has ended its text."""
    task, _ = translation
    test = task.data.test
    likely = np.eye(12, dtype="float32")[test.targets]
    ended = test.targets[:, -2] == 0
    assert ended.any()
    likely[ended, -1] = np.eye(12)[5]
    letters = translating._chosen(likely)
    np.testing.assert_array_equal(letters, test.targets)
    assert letters.dtype == np.int32


def test_signatures_write_what_the_model_writes(translation, signatures):
    task, model = translation
    expected = zoo.generate_text(model, TEXTS)
    answers = signatures["serving_default"].function(tf.constant(TEXTS))
    assert [text.decode() for text in answers["text"].numpy()] == expected
    tokens = task.inputs.read(TEXTS)
    answers = signatures["tokens"].function(tf.constant(tokens))
    assert task.data.writing.write(answers["letters"].numpy()) == expected
    np.testing.assert_allclose(
        answers["letter_probabilities"], model(tokens), atol=1e-6
    )


def test_letters_after_the_end_are_zeros():
    task, model = translator(attention=False)
    # Here "0" and the end are likely, the one after the other.
    decoder = model.get_layer("decoder")
    bias = np.zeros(12)
    bias[:2] = 9
    decoder.letters.bias.assign(bias)
    signature = task.signatures(model)["sample"]
    ended = False
    for seed in range(20):
        letters = signature.function(
            *(tf.constant(TEXTS), tf.constant(seed, tf.int64), 1.0)
        )["letters"].numpy()
        zeros = np.cumsum(letters == 0, axis=1) > 0
        assert not letters[zeros].any()
        ended |= bool(zeros[:, 1:-1].any())
    assert ended


def draws(signature, texts, temperature=1.0):
    return [
        signature.function(
            *(tf.constant(texts), tf.constant(seed, tf.int64), temperature)
        )["text"]
        .numpy()
        .tolist()
        for seed in range(6)
    ]


def test_a_draw_is_a_function_of_text_and_seed(signatures):
    sample = signatures["sample"]
    together = draws(sample, TEXTS)
    assert together == draws(sample, TEXTS)
    assert [row[1:2] for row in together] == draws(sample, TEXTS[1:2])
    assert len({*map(tuple, together)}) == 6


def test_a_cold_draw_is_the_likeliest_text(signatures):
    likeliest = signatures["text"].function(tf.constant(TEXTS))["text"]
    for drawn in draws(signatures["sample"], TEXTS, temperature=1e-5):
        assert drawn == likeliest.numpy().tolist()


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
def test_a_temperature_must_be_above_zero(signatures, temperature):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="temperature must be above 0"
    ):
        draws(signatures["sample"], TEXTS, temperature)


def test_letters_are_drawn_as_often_as_they_are_likely(translation):
    task, model = translation
    noise = np.concatenate(
        [task._draw(model, seed, 1.0).numpy()[0] for seed in range(400)]
    )
    logits = np.linspace(-1, 2, 12)
    drawn = (logits + noise).argmax(axis=-1)
    expected = np.exp(logits) / np.exp(logits).sum()
    shares = np.bincount(drawn, minlength=12) / len(drawn)
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_what_writes_other_texts_is_refused(translation):
    task, model = translation
    task.check(model)
    other = zoo.create_model("seq2seq", target_alphabet="-012345678x")
    with pytest.raises(ValueError, match="Received: 10 of '-012345678x'"):
        task.check(other)
    with pytest.raises(ValueError, match="mlp writes no text"):
        task.check(zoo.create_model("mlp"))


@pytest.mark.thorough
def test_captions_are_written_about_images_and_files():
    task, model = spelling()
    assert task.hub_task == "image-to-text"
    signatures = task.signatures(model)
    assert {*signatures} == {"serving_default", "image_bytes", "sample"}
    images = task.data.test.inputs[:3]
    for name in ("serving_default", "sample"):
        found = signatures[name]
        asked = map(tf.constant, found.ask(images).values())
        answers, expected = found.function(*asked), found.expect(images)
        texts = [text.decode() for text in answers["text"].numpy()]
        assert texts == expected["text"].tolist()
    asked = signatures["image_bytes"].ask(images)["image_bytes"]
    answers = signatures["image_bytes"].function(tf.constant(asked))
    expected = zoo.generate_text(model, images)
    assert [text.decode() for text in answers["text"].numpy()] == expected


@pytest.mark.parametrize(
    "kind", only_thorough([translator, spelling], [translator])
)
def test_a_report_shows_what_is_written(kind, tmp_path):
    task, model = kind()
    scores = task.score(model, task.data.test[:50], quiet=True)
    parts = task.report(model, scores, tmp_path)
    headings = [heading for heading, *_ in (*parts.before, *parts.after)]
    assert headings[:2] == ["What it writes", "Mistakes"]
    assert ("Where it looks" in headings) == (kind is translator)
    assert "50 mistakes" in parts.headline


def test_texts_are_numbered_with_zeros_behind():
    writing = Writing("abc", 4, "texts")
    numbers = writing.read(["ab", "", "cabb"])
    assert numbers.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [3, 1, 2, 2]]
    assert writing.write(numbers) == ["ab", "", "cabb"]
    assert writing.write(np.array([[1, 0, 2, 3]])) == ["a"]


def test_training_is_told_the_letter_before_each(translation):
    task, _ = translation
    split = task.data.train[:3].to_write()
    (tokens, before), letters = split.prepare(split.inputs, split.targets)
    assert tokens is split.inputs
    assert letters is split.targets
    np.testing.assert_array_equal(before[:, 1:], letters[:, :-1])
    assert not np.any(before[:, 0])
