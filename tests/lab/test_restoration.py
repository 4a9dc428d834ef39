"""How restored pictures are compared with the true ones, and with Wiener's."""

import keras
import numpy as np
import pytest
from helpers.tasks import sample

from recipes.lab import tasks
from recipes.lab.data.degradation import to_restore
from recipes.lab.tasks.restoration import sharpness, ssim

LEVEL = 1.5, 0.1
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def task():
    return tasks.Restoration(to_restore(sample(), *LEVEL), *LEVEL)


def pictures_of_noise(count=3):
    return RANDOM.random((count, 13, 12, 1), "float32")


def test_equal_pictures_are_alike():
    pictures = pictures_of_noise()
    assert ssim(pictures, pictures) == pytest.approx(1, abs=1e-6)
    assert ssim(pictures, 1 - pictures) < 0


def test_similarity_of_plain_pictures_is_that_of_their_brightness():
    """(2 a b + c) / (a^2 + b^2 + c) with c = 0.01^2, by the paper."""
    one, other = (np.full((1, 11, 11, 1), grey) for grey in (0.5, 0.3))
    expected = (2 * 0.5 * 0.3 + 1e-4) / (0.5**2 + 0.3**2 + 1e-4)
    assert ssim(one, other) == pytest.approx(expected, abs=1e-4)


def test_similarity_is_that_of_windows_that_a_gaussian_weighs():
    """The paper's formula by hand, for each of the three by two windows."""
    one, other = pictures_of_noise(2)[..., 0].astype("float64")
    places = np.arange(11) - 5
    line = np.exp(-(places**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    found = []
    for row in range(3):
        for column in range(2):
            x, y = (
                image[row : row + 11, column : column + 11]
                for image in (one, other)
            )
            mx, my = np.sum(window * x), np.sum(window * y)
            vx, vy = (
                np.sum(window * x * x) - mx**2,
                np.sum(window * y * y) - my**2,
            )
            covariance = np.sum(window * x * y) - mx * my
            found.append(
                (2 * mx * my + 0.01**2)
                * (2 * covariance + 0.03**2)
                / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))
            )
    pair = (image[np.newaxis, ..., np.newaxis] for image in (one, other))
    assert ssim(*pair) == pytest.approx(np.mean(found), abs=1e-5)


def test_sharpness_is_the_share_of_the_edges_that_is_left():
    truth = np.zeros((1, 12, 12, 1), "float32")
    truth[:, 3:9, 3:9] = 1
    assert sharpness(truth, truth) == 1
    assert sharpness(0.4 * truth, truth) == pytest.approx(0.4)
    assert sharpness(0 * truth, 0 * truth) == 0


@pytest.mark.thorough
def test_the_degraded_images_and_the_wiener_filter_are_scored_too(task):
    """A model that changes nothing is as good as the degraded images."""
    few = task.data.test[:50]
    image = keras.Input(task.inputs.shape)
    unchanged = keras.Model(image, keras.layers.Rescaling(1 / 255)(image))
    scores = task.score(unchanged, few)
    metrics = scores.metrics
    for metric in task.metrics:
        value = metrics[f"degraded_{metric.name}"]
        assert metrics[metric.name] == pytest.approx(value, rel=1e-5)
    for name in ("test_psnr", "test_ssim"):
        assert metrics[f"wiener_{name}"] > metrics[f"degraded_{name}"]
    perfect = task.score_answers(few.targets / np.float32(255), few).metrics
    assert [perfect[metric.name] for metric in task.metrics] == pytest.approx(
        [100, 1]
    )


@pytest.mark.thorough
def test_a_model_of_other_pictures_is_refused(task):
    image = keras.Input((14, 14, 1))
    model = keras.Model(image, keras.layers.Rescaling(1 / 255)(image))
    with pytest.raises(ValueError, match="What restores images must go from"):
        task.check(model)


@pytest.mark.thorough
def test_the_report_shows_the_pictures_beside_those_of_the_filter(
    task, tmp_path
):
    from helpers import kinds

    _, model = kinds.restorer()
    scores = task.score(model, task.data.test[:30])
    parts = task.report(model, scores, tmp_path)
    psnr = f"{scores.metrics['wiener_test_psnr']:.2f} dB"
    assert psnr in parts.headline
    [(heading, _, html)] = parts.before
    assert heading == "Restored"
    assert "by the Wiener filter" in html and psnr in html
    assert {p.name for p in tmp_path.iterdir()} == {
        "restored_first.png",
        "restored_worst.png",
    }
    assert task.draw_few(model).shape == (10, 28, 28, 1)
