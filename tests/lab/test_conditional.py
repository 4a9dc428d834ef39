"""Pictures that are asked for by their class: what they score and show."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import kinds

from recipes.lab.metrics import ACCURACY_FROM_DRAWN
from recipes.lab.tasks import conditional


@pytest.fixture(scope="module")
def generator():
    """A task, and a generator that has learned nothing."""
    return kinds.conditional_generator()


@keras.saving.register_keras_serializable(package="tests")
class Album(keras.layers.Layer):
    """Gives an image of the label that a code begins with."""

    def __init__(self, images, **kwargs):
        super().__init__(**kwargs)
        self.images = tf.constant(images)

    def call(self, codes):
        labels = tf.argmax(codes[:, :10], axis=1)
        return tf.gather(self.images, labels)


@pytest.fixture(scope="module")
def album(generator):
    """The task with a judge that knows ten images, and what draws them."""
    task, _ = generator
    test = task.data.test
    _, firsts = np.unique(test.targets, return_index=True)
    images = test.inputs[firsts].astype("float32")
    image = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(image)
    odds = keras.layers.Dense(10, use_bias=False)
    judge = keras.Model(
        image, keras.layers.Softmax(name="predictions")(odds(x))
    )
    rows = images.reshape(10, -1)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    odds.set_weights([0.05 * rows.T])
    code = keras.Input((14,))
    draw = keras.Model(code, Album(images / 255)(code))
    return conditional.ConditionalGeneration(
        task.data, task.inputs, judge
    ), draw


def test_a_picture_is_drawn_for_the_label_of_each_image(album):
    task, model = album
    split = task.data.test[:60]
    scores = task.score(model, split)
    np.testing.assert_array_equal(
        scores.inputs[:, :10], np.eye(10)[split.targets]
    )
    assert scores.metrics["test_drawn_as_asked"] == 1
    assert scores.metrics["test_classes_drawn"] == 10
    wrong = keras.Sequential([keras.layers.Lambda(lambda x: -x), model])
    scores = task.score(wrong, split)
    assert scores.metrics["test_drawn_as_asked"] < 0.3


def test_what_a_classifier_is_to_learn_from_has_the_labels_that_were_asked(
    album,
):
    task, model = album
    drawn = task.draw(model, task.data.validation)
    assert drawn.targets is task.data.validation.targets
    assert drawn.inputs.dtype == "uint8"
    firsts = [np.argmax(task.data.test.targets == i) for i in drawn.targets]
    np.testing.assert_array_equal(drawn.inputs, task.data.test.inputs[firsts])


@pytest.mark.thorough
def test_each_signature_answers_as_the_model_does(generator):
    task, model = generator
    signatures = task.signatures(model)
    assert [*signatures] == ["serving_default", "sample", "decode"]
    codes = task.inputs.examples(task.data.test, 6)
    for signature in signatures.values():
        asked = map(tf.constant, signature.ask(codes).values())
        answer, expected = signature.function(*asked), signature.expect(codes)
        assert [*answer] == [*expected] == ["picture", "pixels"]
        np.testing.assert_allclose(
            answer["picture"], expected["picture"], atol=1e-6
        )


@pytest.mark.thorough
def test_a_report_has_a_row_of_pictures_for_each_class(album, tmp_path):
    task, model = album
    scores = task.score(model, task.data.test)
    scores.metrics[ACCURACY_FROM_DRAWN.name] = 0.5
    parts = task.report(model, scores, tmp_path)
    assert "50.00 %" in parts.headline
    assert parts.facts["Drawn as asked"] == "100.00 %, says the judge"
    headings = [heading for heading, *_ in parts.before + parts.after]
    assert headings == [
        *("Drawn from labels", "Drawn as asked", "From one to another"),
        "Is it a copy?",
    ]
    assert {p.name for p in tmp_path.iterdir()} == {
        *("samples.png", "between.png", "nearest.png"),
    }


@pytest.mark.parametrize(("count", "rows"), [(12, 6), (7, 3)])
def test_a_way_between_two_codes_keeps_the_label(
    count, rows, album, monkeypatch
):
    task, model = album
    seen = []

    def predict(model, codes):
        seen.append(codes)
        return np.zeros((len(codes), 28, 28, 1))

    monkeypatch.setattr(conditional, "predict", predict)
    monkeypatch.setattr(
        conditional.generated, "between_section", lambda *_: None
    )
    codes = task.inputs.examples(None, count)
    task._between_section(model, codes, None)
    [ways] = seen
    ways = ways.reshape(rows, -1, 14)
    labels = ways[:, 0, :10].argmax(axis=1)
    np.testing.assert_array_equal(labels, range(rows))
    assert np.all(np.ptp(ways[:, :, :10], axis=1) == 0)
    np.testing.assert_allclose(ways[:, 0, 10:], codes[:rows, 10:], atol=1e-6)
    last = codes[rows : 2 * rows, 10:]
    np.testing.assert_allclose(ways[:, -1, 10:], last, atol=1e-6)
