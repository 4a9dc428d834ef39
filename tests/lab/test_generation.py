"""How drawn pictures are judged, and which of them are shown."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.tasks import sample

import zoo
from recipes.lab.errors import UsageError
from recipes.lab.inputs.noise import Noise
from recipes.lab.tasks import Generation
from recipes.lab.tasks import generation as tasks


def test_a_score_of_all_classes_for_sure_and_alike_is_their_number():
    assert tasks.classifier_score(np.eye(10)[np.arange(50) % 10]) == (
        pytest.approx(10)
    )


@pytest.mark.parametrize(
    "probabilities",
    [np.full((50, 10), 0.1), np.eye(10)[np.full(50, 3)]],
    ids=["never sure", "one class only"],
)
def test_a_score_of_pictures_that_say_nothing_is_one(probabilities):
    assert tasks.classifier_score(probabilities) == pytest.approx(1)


def test_two_classes_of_ten_score_two():
    assert tasks.classifier_score(np.eye(10)[np.arange(50) % 2]) == (
        pytest.approx(2)
    )


def judge_that_says(probabilities):
    """A classifier that gives each image the row of its first pixel."""
    image = keras.Input((28, 28, 1))
    number = keras.layers.Flatten()(image[:, :1, :1])
    embedding = keras.layers.Embedding(*probabilities.shape)
    judge = keras.Model(image, keras.layers.Flatten()(embedding(number)))
    embedding.set_weights([probabilities])
    return judge


def test_a_temperature_makes_a_modest_judge_as_sure_as_it_is_right():
    """It says 60 % where it is right in 90 of 100 cases."""
    said = np.full((10, 10), 0.4 / 9) + (0.6 - 0.4 / 9) * np.eye(10)
    labels = np.arange(100) % 10
    images = np.zeros((100, 28, 28, 1), "uint8")
    images[:, 0, 0, 0] = labels
    images[:10, 0, 0, 0] = (labels[:10] + 1) % 10
    split = dataclasses.replace(sample().test, inputs=images, targets=labels)
    judge = judge_that_says(said)
    temperature = tasks.temperature_of(judge, split)
    sharp = tasks.sharpened(said, temperature)
    np.testing.assert_allclose(sharp.sum(axis=1), 1)
    assert sharp[0, 0] == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(tasks.sharpened(said, 1.0), said)


@pytest.fixture(scope="module")
def judge():
    """The judge that ships."""
    return zoo.load_model("mnist_cnn@shipped", verbose=False)


@pytest.fixture(scope="module")
def task(judge):
    """The task of a generator with codes of four numbers."""
    return Generation(sample(), Noise(4), judge)


@pytest.fixture(scope="module")
def generator():
    """A generator that has learned nothing."""
    model = zoo.create_model("dcgan", filters=(4, 2), choices=2, latent_dim=4)
    return model.get_layer("generator")


def test_real_images_are_scored_beside_the_drawn_ones(task, generator, capsys):
    scores = task.score(generator, task.data.test)
    assert scores.outputs.shape == task.data.test.inputs.shape
    assert scores.metrics["real_test_classifier_score"] > 8
    assert 1 <= scores.metrics["test_classifier_score"] < 3
    assert 1 <= scores.metrics["test_classes_drawn"] <= 10
    assert 0.2 < scores.metrics["judge_temperature"] < 0.8  # smoothed labels
    assert scores.metrics["test_fid"] > 2 * scores.metrics["real_test_fid"] > 0
    again = task.score(generator, task.data.test)
    np.testing.assert_array_equal(again.outputs, scores.outputs)
    assert again.metrics == scores.metrics


def test_a_generator_that_draws_the_images_scores_as_they_do(
    task, generator, monkeypatch
):
    real = task.data.test.inputs / np.float32(255)
    predict = tasks.predict
    monkeypatch.setattr(
        tasks,
        "predict",
        lambda model, inputs: (
            real if model is generator else predict(model, inputs)
        ),
    )
    metrics = task.score(generator, task.data.test).metrics
    assert (
        metrics["test_classifier_score"]
        == (metrics["real_test_classifier_score"])
    )
    assert metrics["test_classes_drawn"] == 10
    assert metrics["test_fid"] == pytest.approx(0, abs=1e-3)


def test_a_judge_of_other_classes_is_refused(judge):
    digits = sample().of_classes("012")
    with pytest.raises(UsageError, match="a classifier of 3 classes.*cnn"):
        Generation(digits, Noise(4), judge)


def test_a_judge_of_as_many_other_classes_is_refused():
    clothes = dataclasses.replace(
        sample(), name="clothes", class_names=tuple("ABCDEFGHIJ")
    )
    name = "mnist_softmax_regression@shipped"
    assert tasks.load_judge(name, clothes)  # it is a sample
    clothes = dataclasses.replace(clothes, is_sample=False)
    with pytest.raises(UsageError, match="classifier of clothes: A, B, C .*0"):
        tasks.load_judge(name, clothes)
    digits = dataclasses.replace(sample(), is_sample=False)
    assert tasks.load_judge(name, digits).output_shape == (None, 10)


def test_a_model_of_other_shapes_is_refused(task):
    model = zoo.create_model("dcgan", choices=2, latent_dim=5)
    with pytest.raises(ValueError, match=r"must go from \(None, 4\)"):
        task.check(model.get_layer("generator"))


@pytest.mark.parametrize("spherical", [False, True])
def test_a_way_between_codes_begins_and_ends_with_them(spherical):
    ones, others = np.random.default_rng(0).normal(size=(2, 3, 50))
    codes = tasks.between_codes(ones, others, 7, spherical=spherical)
    ways = codes.reshape(3, 7, 50)
    np.testing.assert_allclose(ways[:, 0], ones, atol=1e-6)
    np.testing.assert_allclose(ways[:, -1], others, atol=1e-6)
    # On a line the middle is shorter; on the circle it is not.
    length = np.linalg.norm(ways, axis=2)
    assert np.all((length[:, 3] > 0.9 * length[:, 0]) == spherical)


@pytest.mark.parametrize(("count", "ways"), [(3, 1), (7, 3), (30, 6)])
def test_few_codes_have_few_ways_between_them(task, count, ways):
    codes = task.inputs.draw(0, count).numpy()
    ones, others = tasks.ends_of(codes)
    np.testing.assert_array_equal(ones, codes[:ways])
    np.testing.assert_array_equal(others, codes[ways : 2 * ways])
    between = tasks.between_codes(ones, others, spherical=True)
    assert between.shape == (10 * ways, 4)


def test_the_nearest_image_of_an_image_is_itself():
    train = sample().train
    pictures = train.inputs[5:9] / np.float32(255)
    nearest = tasks.nearest_images(pictures, train)
    np.testing.assert_array_equal(nearest, train.inputs[5:9])


def test_each_signature_answers_as_the_model_does(task, generator):
    signatures = task.signatures(generator)
    assert [*signatures] == ["serving_default", "sample", "decode"]
    codes = task.inputs.examples(task.data.test, 6)
    for signature in signatures.values():
        asked = map(tf.constant, signature.ask(codes).values())
        answer = signature.function(*asked)
        expected = signature.expect(codes)
        assert [*answer] == [*expected] == ["picture", "pixels"]
        assert answer["pixels"].dtype == "uint8"
        np.testing.assert_allclose(
            answer["picture"], expected["picture"], atol=1e-6
        )


def test_codes_that_are_no_numbers_are_refused(task, generator):
    decode = task.signatures(generator)["decode"].function
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        decode(tf.constant([[np.nan, 0, 0, 0]], tf.float32))
