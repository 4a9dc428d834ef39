"""Pictures from rows: what they are compared with, and what is refused."""

import keras
import numpy as np
import pytest
from helpers.tasks import sample

import zoo
from recipes.lab import tasks
from recipes.lab.data import styles
from recipes.lab.data.splits import in_unit_range


@pytest.fixture(scope="module")
def task():
    return tasks.Drawing(styles.to_draw(sample()))


def model_of_class_means(data):
    """A model that draws the mean training image of a label."""
    labels = data.train.inputs[:, :10].argmax(axis=1)
    images = in_unit_range(data.train.targets)
    means = np.stack([images[labels == i].mean(axis=0) for i in range(10)])
    kernel = np.zeros((14, 784))
    kernel[:10] = means.reshape(10, -1)
    model = keras.Sequential(
        [
            keras.Input((14,)),
            keras.layers.Dense(784, use_bias=False),
            keras.layers.Reshape((28, 28, 1)),
        ]
    )
    model.set_weights([kernel])
    return model


@pytest.mark.thorough
def test_the_best_of_a_label_alone_is_beside_the_error(task):
    model = model_of_class_means(task.data)
    metrics = task.score(model, task.data.test).metrics
    error = metrics["test_mse"]
    assert metrics["class_mean_test_mse"] == pytest.approx(error, rel=1e-4)
    drawn = model.predict(task.data.test.inputs, verbose=0)
    truth = in_unit_range(task.data.test.targets)
    assert error == pytest.approx(np.mean((drawn - truth) ** 2), rel=1e-4)


@pytest.mark.thorough
def test_a_model_of_other_rows_or_pictures_is_refused(task):
    task.check(zoo.create_model("deconvolution"))
    for arguments in (
        {"input_shape": (10,)},
        {"image_shape": (32, 32, 1)},
    ):
        with pytest.raises(ValueError, match="What draws must go from"):
            task.check(zoo.create_model("deconvolution", **arguments))


@pytest.mark.thorough
def test_the_report_draws_every_label_and_style(task, tmp_path):
    model = zoo.create_model("deconvolution", filters=(2,), hidden_units=(4,))
    scores = task.score(model, task.data.test)
    parts = task.report(model, scores, tmp_path)
    assert f"{scores.metrics['test_mse']:.4f}" in parts.headline
    assert "slant (degrees), thickness (pixels)" in parts.before[0][1]
    assert {"labels.png", "styles.png"} <= {p.name for p in tmp_path.iterdir()}
